"""A client's connection: knows its name in the log, and answers what is no request."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from abtest.local.balancer.answers import answer
from abtest.routing.request import Address

__all__ = ["Connection", "Sent", "Server"]

#: A request line, and a header with its colon. Source: ALB guide, "Quotas".
_LONGEST_LINE, _LONGEST_HEADER = 16 * 1024, 16 * 1024 - len(": ")


class Sent(web.StreamResponse):
    """Says that the answer is under way already, and whether its connection may be kept."""

    def __init__(self, *, keep_alive: bool) -> None:
        super().__init__()
        self._keep_alive = keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        pass

    async def write_eof(self, data: bytes = b"") -> None:
        pass


class Connection(RequestHandler):
    """``client`` is "ADDRESS:PORT", ``trace`` the id of the connection in the log."""

    client: str
    address: Address
    trace: str

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        host, port = transport.get_extra_info("peername")[:2]
        self.client = f"{host}:{port}"
        self.address = ipaddress.ip_address(host)
        self.trace = f"TID_{secrets.token_hex(16)}"
        self._has_half_a_head = False
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        before = self._request_count
        super().data_received(data)
        request = self._current_request
        if self._messages and request is not None and not request.content.is_eof():
            # What comes before the end of a body can only be an error in it; aiohttp does not tell the body.
            self._messages.clear()
            request.content.set_exception(web.RequestPayloadError("malformed"))
            request.content.feed_eof()  # or aiohttp would wait for the rest
        self._has_half_a_head = self._request_count == before and self._waiter is not None

    def _process_keepalive(self) -> None:
        """The idle timeout: half a request is answered with 408, silence with nothing."""
        is_over = self._loop.time() >= self._next_keepalive_close_time
        if is_over and self._has_half_a_head and self._waiter is not None:
            self.refuse(408)
        super()._process_keepalive()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What aiohttp could not read, and what failed here by a mistake of ours (500)."""
        if status == 400:
            is_long_line = isinstance(exc, LineTooLong) and exc.args[1] == _LONGEST_LINE
            return self.refuse(414 if is_long_line else 400)
        self.log_exception("an error of the local balancer", exc_info=exc)
        if request.transport is not None and not request.writer.output_size:
            request.transport.write(answer(500).sent(keep_alive=False))
        return Sent(keep_alive=False)

    def refuse(self, status: int) -> web.StreamResponse:
        """Answer what is no request, and tell the log of it."""
        sent = answer(status).sent(keep_alive=False)
        if isinstance(self.transport, asyncio.Transport) and isinstance(self._manager, Server):
            self.transport.write(sent)
            self._manager.on_no_request(self, status, len(sent))
        return Sent(keep_alive=False)


class Server(web.Server):
    """Makes a ``Connection`` for each client. ``on_no_request`` is told of what was no request: the status of the
    answer, and its size.
    """

    idle_seconds: float = 60

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        on_no_request: Callable[[Connection, int, int], None],
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.on_no_request = on_no_request

    def __call__(self) -> Connection:
        return Connection(
            self,
            loop=self._loop,
            keepalive_timeout=self.idle_seconds,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_HEADER,
            max_headers=1000,
            auto_decompress=False,
        )
