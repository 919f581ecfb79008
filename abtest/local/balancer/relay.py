"""Passes a request on to a target, and the target's answer back: bodies and WebSockets as they come."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpVersion11, RawResponseMessage, StreamWriter
from aiohttp.http_exceptions import HttpProcessingError

from abtest.local.balancer.access_log import Entry
from abtest.local.balancer.headers import for_client
from abtest.local.balancer.pool import Pool, TargetConnection
from abtest.local.balancer.targets import Target

__all__ = ["Passage", "Relay", "TargetError"]

#: Source: ALB guide, "Quotas": the header of an answer; "Troubleshoot your Application Load Balancers".
_LONGEST_HEAD = 32 * 1024


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A request on its way to a target. ``head`` is the target's; ``cookies`` are for the client, and ``headers`` that
    take the place of the target's.

    ``idle_seconds`` is how long nothing may come from either side.
    """

    request: web.BaseRequest
    head: bytes
    cookies: Iterable[str]
    headers: Sequence[tuple[str, str]]
    is_chunked: bool
    is_websocket: bool
    expects_continue: bool
    target: Target
    idle_seconds: float
    entry: Entry


class TargetError(Exception):
    """There is no answer of the target's: the load balancer answers with ``status`` itself."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Relay:
    def __init__(self, passage: Passage, pool: Pool) -> None:
        self._passage, self._pool = passage, pool
        self._loop = asyncio.get_running_loop()
        self._request, self._entry = passage.request, passage.entry
        self._sending: asyncio.Task[None] | None = None
        self._waits_for_client = self._client_failed = False

    async def run(self) -> bool:
        """Returns whether the client's connection may be kept. Raises TargetError.

        A target that refuses, resets or sends garbage is a 502, one that is slow a 504; a client that is slow with its
        body is a 408, one whose body is malformed a 400. Source: ALB guide, "Troubleshoot your Application Load
        Balancers". Once there is a part of an answer, none of this can be said any more: the answer breaks off.
        """
        target = self._passage.target
        self._entry.target = target.address
        target.outstanding += 1
        try:
            async with asyncio.timeout(self._passage.idle_seconds) as self._idle:
                return await self._exchange(await self._pool.take(target.url))
        except TimeoutError:
            status = 408 if self._waits_for_client else 504
        except (OSError, aiohttp.ClientError, HttpProcessingError):
            status = 400 if self._client_failed else 502
        finally:
            target.outstanding -= 1
        if not self._entry.status:
            raise TargetError(status)
        _break_off(self._request)
        return False

    async def _exchange(self, connection: TargetConnection) -> bool:
        is_whole = False
        try:
            keep_alive = await self._exchange_on(connection)
            is_whole = self._sending is None or self._sending.done()
            return keep_alive
        finally:
            if self._sending is not None:
                self._sending.cancel()
            # What is left of half an exchange must not become part of another one.
            if is_whole:
                self._pool.give_back(self._passage.target.url, connection)
            else:
                connection.close()

    def _something_came(self) -> None:
        if not self._idle.expired():
            self._idle.reschedule(self._loop.time() + self._passage.idle_seconds)

    # There ------------------------------------------------------------------------------------------------------------

    async def _exchange_on(self, connection: TargetConnection) -> bool:
        connection.set_response_params(
            skip_payload=self._request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=_LONGEST_HEAD,
            max_field_size=_LONGEST_HEAD,
            max_headers=_LONGEST_HEAD,
        )
        sent = time.perf_counter()
        self._entry.request_seconds = sent - self._entry.clock
        self._send(connection)
        message, payload = await connection.read()
        while message.code < 200 and message.code != 101:
            message, payload = await connection.read()
        if sum(len(name) + len(value) + len(": \r\n") for name, value in message.raw_headers) > _LONGEST_HEAD:
            raise aiohttp.ClientPayloadError
        is_tunnel = message.code == 101
        if is_tunnel and not self._passage.is_websocket:
            raise aiohttp.ClientPayloadError
        self._entry.target_seconds = time.perf_counter() - sent
        self._entry.target_status = str(message.code)
        return await (self._tunnel(message, connection) if is_tunnel else self._pass_back(message, payload))

    def _send(self, connection: TargetConnection) -> None:
        if connection.transport is None:
            raise ConnectionResetError
        head, content = self._passage.head, self._request.content
        if content.is_eof() and not self._passage.is_chunked:
            connection.transport.write(head + content.read_nowait())
            return
        connection.transport.write(head)
        if self._passage.expects_continue and self._request.transport is not None:
            self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        writer = StreamWriter(connection, self._loop)
        if self._passage.is_chunked:
            writer.enable_chunking()
        self._sending = self._loop.create_task(self._send_body(writer, connection))

    async def _send_body(self, writer: StreamWriter, connection: TargetConnection) -> None:
        content = self._request.content
        try:
            while True:
                self._waits_for_client = True
                chunk = await content.readany()
                self._waits_for_client = False
                if not chunk:
                    await writer.write_eof()
                    return
                self._something_came()
                await writer.write(chunk)
        except ConnectionError:
            pass  # the target reads no more, but may have answered; a client that left ends all of it
        except web.RequestPayloadError:
            self._client_failed = True
            connection.close()

    # And back ---------------------------------------------------------------------------------------------------------

    async def _pass_back(self, message: RawResponseMessage, payload: aiohttp.StreamReader) -> bool:
        request, writer = self._request, self._request.writer
        began = time.perf_counter()
        has_end = payload is aiohttp.EMPTY_PAYLOAD or "Content-Length" in message.headers
        is_chunked = not has_end and request.version >= HttpVersion11
        keep_alive = request.keep_alive and (has_end or is_chunked)
        framing = b"Transfer-Encoding: chunked\r\n" if is_chunked else b""
        framing += b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n"
        head = self._head(message, framing)
        if payload.is_eof() and not is_chunked:
            await writer.write(head + payload.read_nowait())
            self._answering(message, began)
            return keep_alive
        await writer.write(head)
        self._answering(message, began)
        if is_chunked:
            writer.enable_chunking()
        while chunk := await payload.readany():
            self._something_came()
            await writer.write(chunk)
        await writer.write_eof()
        return keep_alive

    def _head(self, message: RawResponseMessage, framing: bytes) -> bytes:
        line = f"HTTP/1.1 {message.code} {message.reason}\r\n".encode(errors="surrogateescape")
        passage = self._passage
        return line + for_client(message.raw_headers, passage.cookies, passage.headers) + framing + b"\r\n"

    def _answering(self, message: RawResponseMessage, began: float) -> None:
        self._entry.status = message.code
        self._entry.response_seconds = time.perf_counter() - began

    # WebSocket --------------------------------------------------------------------------------------------------------

    async def _tunnel(self, message: RawResponseMessage, connection: TargetConnection) -> bool:
        """Pass bytes both ways until one side closes, or nothing has come for the idle timeout."""
        client, began = self._request.protocol, time.perf_counter()
        from_client, from_target = (
            _Bytes(aiohttp.StreamReader(side, 2**16, loop=self._loop)) for side in (client, connection)
        )
        await self._request.writer.write(self._head(message, b"Connection: Upgrade\r\nUpgrade: websocket\r\n"))
        self._answering(message, began)
        client.set_parser(cast("Any", from_client))
        connection.set_parser(from_target, from_target.stream)
        ways = [
            self._loop.create_task(self._pump(from_client.stream, StreamWriter(connection, self._loop))),
            self._loop.create_task(self._pump(from_target.stream, self._request.writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._entry.received_bytes += from_client.stream.total_bytes
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        return False

    async def _pump(self, source: aiohttp.StreamReader, sink: AbstractStreamWriter) -> None:
        while chunk := await source.readany():
            self._something_came()
            await sink.write(chunk)


class _Bytes:
    """Stands where aiohttp has its reader of WebSocket messages, and reads nothing into the bytes."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self.stream = stream

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.stream.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self.stream.feed_eof()


def _break_off(request: web.BaseRequest) -> None:
    """End the client's connection by a reset: a clean end would make a whole of what came so far, for HTTP/1.0."""
    if request.transport is not None:
        at_once = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        request.transport.abort()
