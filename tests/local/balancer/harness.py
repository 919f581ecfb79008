"""A balancer and its model servers on a thread of their own, and a client that sends bytes and reads answers strictly."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self, TypeVar

from abtest.local.balancer import AccessLog, Balancer, Deployed, Entry
from abtest.local.balancer.deployed import HealthCheck, Listener, TargetGroup
from abtest.routing import Action, Route, RoutingTable

_T = TypeVar("_T")

DNS = "abtest-1.us-east-1.elb.amazonaws.com"
HEALTH = HealthCheck(path="/healthz", interval=60, timeout=2, healthy_threshold=2, unhealthy_threshold=2, matcher="200")


class Loop:
    """An event loop on a thread; what is run on it is waited for from outside."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def close(self) -> None:
        self.run(_end_tasks())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.05)  # transports close a turn later


# Model servers --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Received:
    """A request as it reached a model server."""

    line: str
    headers: list[tuple[str, str]]
    reader: asyncio.StreamReader

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    async def body(self) -> bytes:
        if self.all("Transfer-Encoding") == ["chunked"]:
            parts = []
            while size := int(await self.reader.readuntil(b"\n"), 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readline()
            await self.reader.readline()
            return b"".join(parts)
        return await self.reader.readexactly(int((self.all("Content-Length") or ["0"])[0]))


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


class ModelServer:
    """Answers with what it received, as JSON; ``on`` gives a path another behaviour. ``requests`` counts all but health
    checks, whose status is ``health``.
    """

    def __init__(self, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.name, self.on, self._tls = name, dict[str, Behaviour](), tls
        self.health, self.checks, self.requests = 200, 0, 0
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, port: int = 0) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Refuse connections, and reset those that are open."""
        self._server.close()
        for writer in self._open:
            writer.transport.abort()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode("latin-1").split("\r\n")[:-2]
                fields = [(name, value) for name, _, value in (text.partition(": ") for text in rest)]
                await self._answer(Received(line, fields, reader), writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, request: Received, writer: asyncio.StreamWriter) -> None:
        path = request.line.split(" ")[1].partition("?")[0]
        if path == "/healthz":
            self.checks += 1
            writer.write(b"HTTP/1.1 %d Health\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.health)
            return
        self.requests += 1
        if path in self.on:
            await self.on[path](request, writer)
            return
        body = await request.body()
        found = {"server": self.name, "line": request.line, "headers": request.headers, "body": body.decode("latin-1")}
        text = json.dumps(found).encode()
        is_head = request.line.startswith("HEAD")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), b"" if is_head else text))


def says(answer: bytes, *, then_close: bool = False) -> Behaviour:
    """A behaviour: these bytes, whatever was asked."""

    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        if then_close:
            writer.close()

    return behave


# What is deployed -----------------------------------------------------------------------------------------------------


def forward(shares: Mapping[str, Fraction | int], sticky: int = 0) -> Action:
    return Action(
        kind="forward", shares={f"arn:{name}": Fraction(n) for name, n in shares.items()}, stickiness_seconds=sticky
    )


def route(action: Action, *conditions: Any, priority: int | None = None) -> Route:
    return Route(priority=priority, name=None, conditions=conditions, action=action)


def listener(*routes: Route, protocol: Any = "HTTP", port: int = 80) -> Listener:
    return Listener(protocol=protocol, port=port, table=RoutingTable(routes=routes, protocol=protocol, port=port))


def group(variant: str, targets: int = 1, **changes: Any) -> TargetGroup:
    made = TargetGroup(
        arn=f"arn:{variant}",
        variant=variant,
        protocol_version="HTTP1",
        algorithm="round_robin",
        health_check=HEALTH,
        targets=tuple((f"i-{variant}{n}", 8080) for n in range(targets)),
    )
    return replace(made, **changes)


def deployed(*listeners: Listener, groups: tuple[TargetGroup, ...] = (), **changes: Any) -> Deployed:
    """A load balancer; without listeners one that forwards all to ``a``."""
    made = Deployed(
        name="app/abtest/1",
        dns_name=DNS,
        idle_timeout=10,
        drops_invalid_headers=True,
        listeners=listeners or (listener(route(forward({"a": 1}))),),
        groups={found.arn: found for found in groups or (group("a"), group("b"))},
    )
    return replace(made, **changes)


# The balancer ---------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A running balancer. ``entries`` is its log so far, ``changes`` what it told of its targets."""

    loop: Loop
    balancer: Balancer
    log: Path
    entries: list[Entry] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def serve(self, what: Deployed, *servers: ModelServer, own_names: frozenset[str] = frozenset()) -> None:
        self.loop.run(self.balancer.serve(what, {server.name: server.url for server in servers}, own_names))

    @property
    def port(self) -> int:
        return self.balancer.serving.ports[0]

    def client(self, index: int = 0) -> Client:
        return Client(self.balancer.serving.ports[index])

    def ask(self, request: str | bytes, index: int = 0) -> Reply:
        """The answer to one request: its bytes, or "METHOD TARGET" and header lines."""
        with self.client(index) as client:
            return client.ask(request)

    def logged(self, number: int = 1) -> Entry:
        """The last entry, once there are as many."""
        wait_for(lambda: len(self.entries) >= number)
        assert len(self.entries) == number, self.entries
        return self.entries[-1]


def wait_for(condition: Callable[[], object], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


@contextmanager
def running(loop: Loop, folder: Path, port: int = 0) -> Iterator[Site]:
    entries: list[Entry] = []
    changes: list[str] = []

    async def start() -> tuple[AccessLog, Balancer]:
        log = AccessLog(folder / "access.log", entries.append)
        return log, await Balancer(log, port=port, on_change=changes.append).__aenter__()

    log, balancer = loop.run(start())
    try:
        yield Site(loop, balancer, log.path, entries, changes)
    finally:
        loop.run(balancer.__aexit__())
        log.close()


# Clients --------------------------------------------------------------------------------------------------------------


class IncompleteError(Exception):
    """The connection ended in the middle of an answer."""


@dataclass(frozen=True)
class Reply:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def seen(self) -> dict[str, Any]:
        """What the model server received."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def seen_header(self, name: str) -> list[str]:
        return [value for key, value in self.seen["headers"] if key.lower() == name.lower()]


class Client:
    """A connection to a port of localhost."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def ask(self, request: str | bytes) -> Reply:
        self.send(request if isinstance(request, bytes) else head(request))
        return self.answer(request.split()[0] in {"HEAD", b"HEAD"})

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def line(self) -> bytes:
        return self._file.readline()

    def is_closed(self) -> bool:
        """Waits for the end; a further byte is an error."""
        try:
            rest = self._file.read(1)
        except ConnectionResetError:
            return True
        assert rest == b""
        return True

    def answer(self, is_head: bool = False) -> Reply:  # noqa: FBT001, FBT002 read as it stands
        status, reason, headers = self.answer_head()
        try:
            return Reply(status, reason, headers, b"" if is_head else self._body(status, headers))
        except ConnectionResetError:
            raise IncompleteError from None

    def answer_head(self) -> tuple[int, str, list[tuple[str, str]]]:
        version, status, reason = (self.line().decode("latin-1").rstrip("\r\n") + "  ").split(" ", 2)
        assert version == "HTTP/1.1", f"no answer: {version!r}"
        headers = []
        while (line := self.line()) != b"\r\n":
            if not line.endswith(b"\r\n"):
                raise IncompleteError
            name, _, value = line.decode("latin-1")[:-2].partition(": ")
            headers.append((name, value))
        return int(status), reason.strip(), headers

    def _body(self, status: int, headers: list[tuple[str, str]]) -> bytes:
        told = {name.lower(): value for name, value in headers}
        if status in {204, 304} or status < 200:
            return b""
        if told.get("transfer-encoding") == "chunked":
            return b"".join(self._chunks())
        if "content-length" in told:
            body = self.read(int(told["content-length"]))
            if len(body) < int(told["content-length"]):
                raise IncompleteError
            return body
        return self._file.read()

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self.chunk():
            yield chunk

    def chunk(self) -> bytes:
        """The next chunk; empty for the last."""
        line = self.line()
        if not line.endswith(b"\r\n"):
            raise IncompleteError
        size = int(line, 16)
        data = self.read(size)
        if self.read(2) != b"\r\n":
            raise IncompleteError
        return data


def head(text: str) -> bytes:
    """A request without a body: its line, with or without the version, and headers; a Host where there is none."""
    line, *fields = text.split("\n")
    if not any(name.lower().startswith("host:") for name in fields):
        fields.insert(0, "Host: models.example.com")
    if not line.endswith(("HTTP/1.0", "HTTP/1.1")):
        line += " HTTP/1.1"
    return "\r\n".join([line, *fields, "", ""]).encode("latin-1")
