"""The local balancer against a bare reverse proxy with no routing: requests a second, with keep-alive.

Both proxies and the model server behind them are processes of their own (proxies.py), and so is what sends the
requests: this one. Both proxies answer the same requests in turns within each round; the balancer serves the dev stack,
so it decides by its rules, keeps clients with their variant and writes its access log. It is a report: the exit code is
0 whether the goal is met or missed, and 1 only where an answer is not the model server's, so that there is nothing to
compare.
"""

import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROUNDS = int(os.environ.get("ROUNDS", "15"))
CONNECTIONS, REQUESTS = 32, 4_000
LEAST = 0.85

_HEAD = (
    b"Host: models.example.com\r\nUser-Agent: benchmark\r\nAccept: application/json\r\n"
    b"Accept-Encoding: gzip, deflate\r\nContent-Type: application/json\r\n"
)
_FEATURES = b'{"features": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}'


def kinds(cookie: bytes) -> dict[str, bytes]:
    """The requests: without a cookie, so that a variant is chosen and two cookies are made; with it; with a body."""
    known = b"Cookie: " + cookie + b"\r\n"
    return {
        "new clients": b"GET /predict HTTP/1.1\r\n" + _HEAD + b"\r\n",
        "known clients": b"GET /predict HTTP/1.1\r\n" + _HEAD + known + b"\r\n",
        "known, with a body": b"POST /predict HTTP/1.1\r\n"
        + _HEAD
        + known
        + b"Content-Length: %d\r\n\r\n" % len(_FEATURES)
        + _FEATURES,
    }


class Client(asyncio.Protocol):
    """A connection that sends its next request when the answer to the last one is there."""

    def __init__(self, request: bytes, body: bytes, left: list[None], ended: asyncio.Future[None]) -> None:
        self._request, self._body, self._left, self._ended = request, body, left, ended
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        if self._left:
            self._left.pop()
            self._received = b""
            self._transport.write(self._request)  # type: ignore[attr-defined]
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(self._body) and self._received.startswith(b"HTTP/1.1 200 "):
            self._next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self._ended.done():
            if self._received.endswith(self._body):
                self._ended.set_result(None)
            else:
                self._ended.set_exception(ConnectionError(f"no answer of the model server: {self._received!r}"))


async def send(port: int, request: bytes, body: bytes) -> float:
    """Requests a second; ``body`` is the answer's."""
    loop = asyncio.get_running_loop()
    left = [None] * REQUESTS
    ends = [loop.create_future() for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for ended in ends:
        await loop.create_connection(partial(Client, request, body, left, ended), "127.0.0.1", port)
    await asyncio.gather(*ends)
    return REQUESTS / (time.perf_counter() - began)


@contextmanager
def started(*command: str) -> Iterator[int]:
    """A part of proxies.py as a process, and the port that it prints."""
    with subprocess.Popen([sys.executable, str(HERE / "proxies.py"), *command], stdout=subprocess.PIPE) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            yield int(line)
        finally:
            process.terminate()


def asked(port: int) -> tuple[bytes, bytes]:
    """Head and body of an answer to a client that is new."""

    async def ask() -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        writer.close()
        return head, body

    return asyncio.run(ask())


def measure(ports: dict[str, int], requests: Mapping[str, bytes], body: bytes) -> dict[tuple[str, str], list[float]]:
    """Requests a second of every proxy and kind, ``ROUNDS`` times, in turns."""
    rates: dict[tuple[str, str], list[float]] = {(proxy, kind): [] for proxy in ports for kind in requests}
    for n in range(ROUNDS + 1):
        for kind, request in requests.items():
            for proxy in list(ports) if n % 2 == 0 else reversed(ports):
                rate = asyncio.run(send(ports[proxy], request, body))
                if n:  # the first round makes the proxies warm
                    rates[proxy, kind].append(rate)
    return rates


def report(rates: Mapping[tuple[str, str], list[float]], requests: Mapping[str, bytes]) -> Iterator[str]:
    """The table, a line each. The ratio is the median of the rounds' own, each of two neighbours in time."""
    yield f"{'':24}{'abtest':>10}{'bare':>10}{'ratio':>8}{'goal':>8}"
    for kind in requests:
        ours, theirs = rates["balancer", kind], rates["bare", kind]
        ratio = statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
        medians = f"{statistics.median(ours):10,.0f}{statistics.median(theirs):10,.0f}"
        yield f"{kind:24}{medians}{ratio:8.2f}{LEAST:8.2f}  {'met' if ratio >= LEAST else 'missed'}"


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        started("server") as server,
        started("bare", str(server)) as bare,
        started("balancer", str(server), folder) as balancer,
    ):
        head, body = asked(balancer)
        cookie = re.search(rb"AWSALBTG=[^;]*", head)
        if cookie is None or body != asked(server)[1]:
            sys.exit(f"the balancer did not pass an answer on: {head!r} {body!r}")
        requests = kinds(cookie[0])
        rates = measure({"balancer": balancer, "bare": bare}, requests, body)
    print("every answer was the model server's")
    print(f"requests a second over {CONNECTIONS} connections, medians of {ROUNDS} rounds of {REQUESTS} requests\n")
    for line in report(rates, requests):
        print(line)


if __name__ == "__main__":
    main()
