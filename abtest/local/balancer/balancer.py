"""The load balancer: its local ports, its target groups and their health checks."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Self

import aiohttp
from aiohttp import web

from abtest.local.balancer.access_log import AccessLog, Entry
from abtest.local.balancer.connection import Connection, Sent, Server
from abtest.local.balancer.cookies import GroupCookies
from abtest.local.balancer.deployed import Deployed
from abtest.local.balancer.exchange import BadRequestError, Exchange, Serving
from abtest.local.balancer.pool import Pool
from abtest.local.balancer.targets import Group, Target

__all__ = ["Balancer", "PortError"]

HOST = "127.0.0.1"


class PortError(Exception):
    """A local port cannot be had; the text says which and what to do."""


class Balancer:
    """Serves what is deployed, from within ``async with``.

    ``port`` is the local port of the listener with the split, 0 for any; further listeners take the ports after it.
    ``on_change`` is told of each target whose health changes, in words.
    """

    serving: Serving

    def __init__(self, log: AccessLog, *, port: int = 0, on_change: Callable[[str], None] = lambda _: None) -> None:
        self._log, self._port, self._on_change = log, port, on_change
        self._cookies = GroupCookies()
        self._targets: dict[tuple[str, str, str], Target] = {}
        self._open: list[tuple[asyncio.Server, Server]] = []
        self._checks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._pool = Pool()
        # Nor do health checks verify a target's certificate. Source: ALB guide, "Target groups".
        unverified = aiohttp.TCPConnector(ssl=False)
        self._session = aiohttp.ClientSession(connector=unverified, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_checks()
        await self._close_listeners(0)
        self._pool.close()
        await self._session.close()

    async def serve(self, deployed: Deployed, urls: Mapping[str, str], own_names: frozenset[str] = frozenset()) -> None:
        """Serve this from now on; requests under way end as they began. ``urls`` are the variants' model servers,
        ``own_names`` hosts that mean this load balancer. Raises PortError; then all stays as it was.
        """
        groups = {
            arn: Group(group, urls[group.variant], self._targets, self._on_change)
            for arn, group in deployed.groups.items()
        }
        opened = await self._open_listeners(range(len(self._open), len(deployed.listeners)))
        await asyncio.gather(*(group.check(self._session) for group in groups.values()))
        await self._close_listeners(len(deployed.listeners))
        self._open += opened
        self._targets = {(arn, target.id, target.url): target for arn, g in groups.items() for target in g.targets}
        self.serving = Serving(
            deployed=deployed,
            groups=groups,
            ports=tuple(listening.sockets[0].getsockname()[1] for listening, _ in self._open),
            own_names=own_names | {deployed.dns_name.lower()},
            pool=self._pool,
            cookies=self._cookies,
        )
        for listening, server in self._open:
            server.idle_seconds = deployed.idle_timeout
            await listening.start_serving()
        await self._stop_checks()
        self._checks = [asyncio.create_task(group.keep_checking(self._session)) for group in groups.values()]

    async def _open_listeners(self, indexes: range) -> list[tuple[asyncio.Server, Server]]:
        """All of them or none, not yet serving."""
        with ExitStack() as undo:
            opened = []
            for index in indexes:
                opened.append(await self._open_listener(index))
                undo.callback(opened[-1][0].close)
            undo.pop_all()
        return opened

    async def _open_listener(self, index: int) -> tuple[asyncio.Server, Server]:
        server = Server(partial(self._handle, index), partial(self._log_no_request, index))
        port = self._port + index if self._port else 0
        try:
            listening = await asyncio.get_running_loop().create_server(
                server, HOST, port, backlog=1024, start_serving=False
            )
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
            raise PortError(f"port {port} on {HOST} {why}; choose another with --port") from None
        except OverflowError:
            raise PortError(f"port {port} is over 65535; choose a lower one with --port") from None
        return listening, server

    async def _close_listeners(self, keep: int) -> None:
        """Close all but the first ``keep``; what is under way may end within a second."""
        while len(self._open) > keep:
            listening, server = self._open.pop()
            listening.close()
            server.pre_shutdown()  # ends what is idle, which would be waited for
            await server.shutdown(1)

    async def _stop_checks(self) -> None:
        for task in self._checks:
            task.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def _handle(self, index: int, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101 ``Server`` makes no other
        serving = self.serving
        try:
            exchange = Exchange(serving, index, request, connection)
        except BadRequestError:
            return connection.refuse(400)
        entry = exchange.entry
        try:
            keep_alive = await exchange.run()
        except ConnectionError:
            keep_alive = False  # the client left
        except Exception:
            entry.status = entry.status or 500
            raise
        finally:
            # A client that left before there was an answer: 460, or 400 before the end of its request.
            entry.status = entry.status or (460 if request.content.is_eof() else 400)
            entry.received_bytes += request.content.total_bytes
            entry.sent_bytes = request.writer.output_size
            self._log.write(serving.deployed.name, entry)
        return Sent(keep_alive=keep_alive)

    def _log_no_request(self, index: int, connection: Connection, status: int, sent_bytes: int) -> None:
        """The line of what was no request, as AWS writes it."""
        deployed = self.serving.deployed
        listener = deployed.listeners[index]
        scheme = listener.protocol.lower()
        entry = Entry(
            type=scheme,
            client=connection.client,
            connection=connection.trace,
            status=status,
            sent_bytes=sent_bytes,
            request_line=f"- {scheme}://{deployed.dns_name}:{listener.port}- -",
        )
        self._log.write(deployed.name, entry)
