"""Connections to targets, kept open for the next request of any client."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from functools import cached_property
from urllib.parse import urlsplit

from aiohttp.client_proto import ResponseHandler

__all__ = ["Pool", "TargetConnection"]

#: Source: ALB guide, "Troubleshoot your Application Load Balancers", on 504.
_CONNECT_SECONDS = 10


class TargetConnection(ResponseHandler):
    """A connection to a target. What breaks it also ends the body under way, which aiohttp leaves waiting."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        if self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(exc)


class Pool:
    def __init__(self) -> None:
        self._idle: dict[str, list[TargetConnection]] = defaultdict(list)

    async def take(self, url: str) -> TargetConnection:
        """A connection to the server at ``url``. Raises OSError, TimeoutError among them."""
        idle = self._idle[url]
        while idle:
            connection = idle.pop()
            if connection.is_connected() and not connection.should_close:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        split = urlsplit(url)
        is_tls = split.scheme == "https"
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, made = await loop.create_connection(
                lambda: TargetConnection(loop),
                split.hostname or "",
                split.port or (443 if is_tls else 80),
                ssl=self._tls if is_tls else None,
            )
        return made

    def give_back(self, url: str, connection: TargetConnection) -> None:
        if connection.should_close:
            connection.close()
        else:
            self._idle[url].append(connection)

    def close(self) -> None:
        for idle in self._idle.values():
            for connection in idle:
                connection.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Targets' certificates are not verified. Source: ALB guide, "Target groups"."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
