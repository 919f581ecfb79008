"""The processes of the soak test besides the balancer's own: a model server, and clients."""

from __future__ import annotations

import asyncio
import re
from array import array
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

__all__ = ["Outcome", "send", "serve"]

_HEAD = re.compile(
    rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(?:[^\r]+\r\n)*?Content-Length: (\d+)\r\n(?:[^\r]+\r\n)*\r\n", re.IGNORECASE
)


def serve(port: int) -> None:
    """A model server that gives each request's path and body back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"Content-Length: (\d+)", head)
                text = head.split(b" ", 2)[1] + await reader.readexactly(int(length[1]) if length else 0)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", port) as server:
            await server.serve_forever()

    asyncio.run(run())


@dataclass
class Outcome:
    """``statuses`` of each request, 0 for none; ``wrong`` are answers to another request, or to none."""

    statuses: array[int]
    wrong: list[bytes] = field(default_factory=list)


def send(port: int, requests: int, connections: int, results: Connection) -> None:
    """Send requests, each with a path of its own, over connections that are kept."""
    outcome, numbers = Outcome(array("H", [0]) * requests), iter(range(requests))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for n in numbers:
            path, body = b"/%d." % n, b"%d" % (n * 7) * (n % 3)
            writer.write(
                b"%b %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                % (b"POST" if body else b"GET", path, len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            match = _HEAD.fullmatch(head)
            if match is None:
                outcome.wrong.append(head)
                return
            outcome.statuses[n] = int(match[1])
            answer = await reader.readexactly(int(match[2]))
            if outcome.statuses[n] == 200 and answer != path + body:
                outcome.wrong.append(answer)
        writer.write_eof()
        if rest := await reader.read():
            outcome.wrong.append(rest)
        writer.close()

    async def run() -> None:
        await asyncio.gather(*(client() for _ in range(connections)))

    asyncio.run(run())
    results.send(outcome)
