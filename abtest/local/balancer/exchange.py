"""A request on its way through the load balancer: read, decided on by the rules, answered or passed on."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from abtest.local.balancer.access_log import Entry
from abtest.local.balancer.answers import Answer, answer, fixed_response, redirect
from abtest.local.balancer.connection import Connection
from abtest.local.balancer.cookies import GroupCookies, InvalidCookieError
from abtest.local.balancer.deployed import Deployed
from abtest.local.balancer.headers import for_target, is_valid_name, trace_id
from abtest.local.balancer.pool import Pool
from abtest.local.balancer.relay import Passage, Relay, TargetError
from abtest.local.balancer.targets import Group
from abtest.routing import Action, Request

__all__ = ["BadRequestError", "Exchange", "Serving"]

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]\x00-\x20\x7f-\U0010ffff]*)(?::([0-9]{1,5})?)?")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_LOCATION = re.compile(r"(https?)://(.*?):([0-9]+)(/.*)", re.DOTALL)
#: Source: ALB guide, "Quotas": the whole header of a request; and 463 above so many addresses, "Troubleshoot your
#: Application Load Balancers".
_LONGEST_HEAD, _MOST_FORWARDED = 64 * 1024, 30


class BadRequestError(Exception):
    """The load balancer takes this for no request."""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """What is served at the moment; a request keeps to what it found, so that none sees half a change.

    ``ports`` are the local ones, in the order of the listeners; ``own_names`` are hosts that mean this load balancer.
    """

    deployed: Deployed
    groups: Mapping[str, Group]
    ports: Sequence[int]
    own_names: frozenset[str]
    pool: Pool
    cookies: GroupCookies


class Exchange:
    """One request to the listener at ``index``. ``entry`` is its line in the log. Raises BadRequestError."""

    def __init__(self, serving: Serving, index: int, request: web.BaseRequest, connection: Connection) -> None:
        self._serving, self._request, self._connection = serving, request, connection
        self._listener = serving.deployed.listeners[index]
        self._fields = request.raw_headers
        size = _head_size(request)
        if size > _LONGEST_HEAD:
            raise BadRequestError
        if serving.deployed.drops_invalid_headers:
            # [open] before the rules look at them
            self._fields = tuple(field for field in self._fields if is_valid_name(field[0]))
        self._headers: dict[str, tuple[str, ...]] = {}
        for raw_name, raw_value in self._fields:
            name, value = raw_name.decode().lower(), raw_value.decode(errors="surrogateescape")
            self._headers[name] = (*self._headers[name], value) if name in self._headers else (value,)
        host, self._target = self._read_target()
        self._name, self._port = _host_and_port(host)
        if self._port == serving.ports[index]:
            # A client of the deployed listener says its port, or none, in place of the local one.
            self._port = None if self._listener.port in {80, 443} else self._listener.port
        self._is_chunked = "transfer-encoding" in self._headers
        self._is_websocket = (
            self._header("upgrade").lower() == "websocket" and "upgrade" in self._header("connection").lower()
        )
        self._scheme = self._listener.protocol.lower()
        self.entry = Entry(
            type=self._scheme.replace("http", "ws") if self._is_websocket else self._scheme,
            client=connection.client,
            connection=connection.trace,
            received_bytes=size,
            request_line=f"{request.method} {self._scheme}://{self._name}:{self._listener.port}{self._target}"
            f" HTTP/{request.version.major}.{request.version.minor}",
            user_agent=self._header("user-agent") or "-",
            trace_id=trace_id(self._header("x-amzn-trace-id")),
        )

    async def run(self) -> bool:
        """Answer. Returns whether the client's connection may be kept."""
        found = self._answer()
        if isinstance(found, Passage):
            try:
                return await Relay(found, self._serving.pool).run()
            except TargetError as error:
                self.entry.target_seconds = -1
                found = answer(error.status)
        # Where the client is to blame, what it still sends is no request.
        keep_alive = self._request.keep_alive and found.status not in {400, 408}
        sent = found.sent(
            keep_alive=keep_alive,
            has_body=self._request.method != "HEAD",
            says_server=self._listener.says_server,
            added=self._listener.headers,
        )
        await self._request.writer.write(sent)
        self.entry.status = found.status
        return keep_alive

    def _answer(self) -> Answer | Passage:
        if self._request.method == "TRACE":
            return answer(405)
        if self._is_chunked and self._header("transfer-encoding").lower() != "chunked":
            return answer(501)
        if sum(line.count(",") + 1 for line in self._headers.get("x-forwarded-for", ())) > _MOST_FORWARDED:
            return answer(463)
        decision = self._listener.table.decide(self._asked())
        route, action = decision.route, decision.route.action
        self.entry.priority = str(route.priority or 0)
        self.entry.action = "fixed-response" if action.kind == "respond" else action.kind
        if action.kind == "respond":
            return fixed_response(action.status, action.body, action.content_type)
        if action.kind == "redirect":
            self.entry.redirect_url = decision.location or "-"
            return redirect(action.status, self._local(decision.location or ""))
        return self._forward(action)

    # Reading ----------------------------------------------------------------------------------------------------------

    def _header(self, name: str) -> str:
        return self._headers.get(name, ("",))[0]

    def _read_target(self) -> tuple[str, str]:
        """Host, and path with query. A request line with a whole address brings its own host.

        Source: ALB guide, "Edit attributes", on the host header.
        """
        host = self._header("host") or self._serving.deployed.dns_name
        target = self._request.raw_path.partition("#")[0]
        if whole := _ABSOLUTE.match(target):
            host, target = whole[1], whole[2]
            target = target if target.startswith("/") else f"/{target}"
        if not target.startswith("/"):
            raise BadRequestError
        return host, target

    def _asked(self) -> Request:
        path, _, query = self._target.partition("?")
        return Request(
            method=self._request.method,
            host=self._name if self._port is None else f"{self._name}:{self._port}",
            path=path,
            query=query,
            headers=self._headers,
            source_ip=self._connection.address,
        )

    # Redirect ---------------------------------------------------------------------------------------------------------

    def _local(self, location: str) -> str:
        """A redirect to a listener of this load balancer, by a name of its own, leads to the listener's local port."""
        if found := _LOCATION.fullmatch(location):
            scheme, name, port, rest = found.groups()
            is_own = name.lower() in self._serving.own_names
            for listener, local_port in zip(self._serving.deployed.listeners, self._serving.ports, strict=True):
                is_there = (listener.protocol.lower(), str(listener.port)) == (scheme, port)
                if is_there and (is_own or name == self._name):
                    return f"http://{'localhost' if is_own else name}:{local_port}{rest}"
        return location

    # Forward ----------------------------------------------------------------------------------------------------------

    def _forward(self, action: Action) -> Answer | Passage:
        arn, cookies = self._choose(action)
        self.entry.group = arn
        group = self._serving.groups[arn]
        if group.deployed.protocol_version != "HTTP1":
            return answer(464)  # this client speaks HTTP/1.1
        target = group.choose()
        if target is None:
            return answer(503)
        port = self._listener.port
        fields = for_target(
            self._fields,
            # Source: ALB guide, "Edit attributes": 80 and 443 are left out.
            host=self._name.lower() if port in {80, 443} else f"{self._name.lower()}:{port}",
            forwarded_for=", ".join((*self._headers.get("x-forwarded-for", ()), str(self._connection.address))),
            proto=self._scheme,
            port=port,
            trace=self.entry.trace_id,
        )
        line = f"{self._request.method} {self._target} HTTP/1.1\r\n".encode(errors="surrogateescape")
        framing = b"Transfer-Encoding: chunked\r\n" if self._is_chunked else b""
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n" if self._is_websocket else b""
        return Passage(
            request=self._request,
            head=b"%b%b%b%b\r\n" % (line, fields, framing, upgrade),
            cookies=cookies,
            headers=self._listener.headers,
            is_chunked=self._is_chunked,
            is_websocket=self._is_websocket,
            expects_continue=self._header("expect").lower() == "100-continue",
            target=target,
            idle_seconds=self._serving.deployed.idle_timeout,
            entry=self.entry,
        )

    def _choose(self, action: Action) -> tuple[str, Iterable[str]]:
        """The target group, and the cookies that keep the client there: a cookie goes before the weights."""
        seconds = action.stickiness_seconds
        if seconds and (sent := self._headers.get("cookie")):
            try:
                group = self._serving.cookies.group(sent)
            except InvalidCookieError:
                self.entry.error_reason = "AWSALBTGCookieInvalid"
                group = None
            if group is not None and group in action.shares:
                return group, ()
        self.entry.is_new = True
        arns = list(action.shares)
        chosen = arns[0] if len(arns) == 1 else random.choices(arns, [float(s) for s in action.shares.values()])[0]  # noqa: S311 no secret
        return chosen, self._serving.cookies.made(chosen, seconds) if seconds else ()


def _host_and_port(host: str) -> tuple[str, int | None]:
    """Raises BadRequestError."""
    match = _HOST.fullmatch(host)
    if match is None:
        raise BadRequestError
    return match[1], int(match[2]) if match[2] else None


def _head_size(request: web.BaseRequest) -> int:
    """The bytes of a request's line and headers."""
    line = len(request.method) + len(request.raw_path) + len("  HTTP/1.1\r\n\r\n")
    return line + sum([len(name) + len(value) + len(": \r\n") for name, value in request.raw_headers])
