"""A proxy before the tests' AWS: it records calls, refuses or slows those that a test wants so, watches routing."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import sleep
from urllib.parse import parse_qsl, urlsplit

from tests.engine.cloud import Routes

__all__ = ["Call", "Proxy"]

#: Seconds in which the engine does everything that it thinks it can do.
_LONG = 1.5

_READS = ("Describe", "Get", "List", "Head", "GET ", "HEAD ")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")
_CODE = re.compile(r"<Code>([^<]+)</Code>")
_REFUSAL = (
    '<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type>'
    "<Code>{}</Code><Message>{}</Message></Error><RequestId>refused-by-the-proxy</RequestId></ErrorResponse>"
)


@dataclass(frozen=True)
class Call:
    """A call of AWS's API. ``routes`` is where requests went after it; None for calls that only read.

    ``action`` is the operation's name, or method and path for an API without such (Route 53). ``error`` is the code of
    a refusal.
    """

    service: str
    action: str
    params: Mapping[str, str]
    error: str | None = None
    routes: Routes | None = None

    @property
    def is_write(self) -> bool:
        return not self.action.startswith(_READS)

    @property
    def is_routing(self) -> bool:
        """A write on the load balancing API."""
        return self.is_write and self.service == "elasticloadbalancing"


@dataclass(frozen=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


class Proxy:
    """Passes calls on to the AWS at ``upstream``. ``calls`` holds every one of them, in the order of the answers.

    Writes go one at a time, each followed by ``watch``, so that no state between two of them stays unseen.
    """

    def __init__(self, upstream: str, watch: Callable[[], Routes], ports_in_use: Callable[[str], set[str]]) -> None:
        """``ports_in_use`` tells the ports that a load balancer listens on, but for the listener with the given ARN."""
        self.calls: list[Call] = []
        self._address = urlsplit(upstream).netloc
        self._watch, self._ports_in_use = watch, ports_in_use
        self._writes, self._records = Lock(), Lock()
        self._refused: set[str] = set()
        self._slowed: set[str] = set()

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Listen; the URL."""
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self)) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()

    @contextmanager
    def throttling(self, action: str) -> Iterator[None]:
        """Refuse every call of a load balancing operation, however often it is tried again, until the block ends."""
        self._refused.add(action)
        try:
            yield
        finally:
            self._refused.remove(action)

    @contextmanager
    def slowing(self, action: str) -> Iterator[None]:
        """Let calls of an operation wait: what should come after them, but does not wait for them, comes before."""
        self._slowed.add(action)
        try:
            yield
        finally:
            self._slowed.remove(action)

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        call = _call(method, path, headers, body)
        if not call.is_write:
            return self._pass_on(call, method, path, headers, body)
        if call.action in self._slowed:
            sleep(_LONG)
        with self._writes:
            return self._pass_on(call, method, path, headers, body)

    def _pass_on(self, call: Call, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        answer = self._refusal(call) or self._ask(method, path, headers, body)
        code = _CODE.search(answer.body.decode(errors="replace"))
        error = (code[1] if code else str(answer.status)) if answer.status >= 400 else None
        routes = self._watch() if call.is_write else None
        with self._records:
            self.calls.append(Call(call.service, call.action, call.params, error, routes))
        return answer

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return _Answer(response.status, response.headers.get_content_type(), response.read())
        finally:
            connection.close()

    def _refusal(self, call: Call) -> _Answer | None:
        if call.action in self._refused:
            return _refuse("Throttling", "Rate exceeded")
        # Moto lets two listeners share a port, AWS does not (API CreateListener, ModifyListener).
        if call.action in {"CreateListener", "ModifyListener"}:
            arn = call.params.get("LoadBalancerArn") or call.params["ListenerArn"]
            if call.params.get("Port") in self._ports_in_use(arn):
                return _refuse("DuplicateListener", "A listener already exists on this port for this load balancer")
        return None


def _refuse(code: str, message: str) -> _Answer:
    return _Answer(400, "text/xml", _REFUSAL.format(code, message).encode())


def _call(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Call:
    scope = _SCOPE.search(headers.get("authorization", ""))
    service = scope[1] if scope else ""
    if target := headers.get("x-amz-target"):
        return Call(service, target.rpartition(".")[2], json.loads(body or b"{}"))
    if method == "POST" and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        params = dict(parse_qsl(body.decode(), keep_blank_values=True))
        if action := params.pop("Action", None):
            return Call(service, action, params)
    return Call(service, f"{method} {urlsplit(path).path}", {"body": body.decode(errors="replace")})


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, proxy: Proxy, *args: object) -> None:
        self._proxy = proxy
        super().__init__(*args)  # type: ignore[arg-type]

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self._proxy.answer(self.command, self.path, headers, body)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 the interface of http.server

    def log_message(self, *args: object) -> None:
        """Say nothing: the calls are recorded."""
