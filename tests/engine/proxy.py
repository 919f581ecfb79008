"""A proxy before the tests' AWS: it records calls, refuses or slows those that a test wants so, watches routing."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from threading import Event, Lock, Thread
from time import monotonic
from urllib.parse import parse_qsl, urlsplit

from tests.engine.cloud import Routes, logical

__all__ = ["Call", "Proxy"]

#: Seconds in which the engine does everything that it thinks it can do.
_LONG = 1.5

_READS = ("Describe", "Get", "List", "Head", "GET ", "HEAD ")
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")
_CODE = re.compile(r'(?:<Code>|"__type": ")([^<"]+)')
_MEMBER = re.compile(r"<member>.*?</member>", re.DOTALL)
_ID, _STATE = re.compile(r"<Id>([^<]+)<"), re.compile(r"<State>.*?</State>")
_REFUSAL = (
    '<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type>'
    "<Code>{}</Code><Message>{}</Message></Error><RequestId>refused-by-the-proxy</RequestId></ErrorResponse>"
)
_REFUSAL_OF_EC2 = (
    "<Response><Errors><Error><Code>{}</Code><Message>{}</Message></Error></Errors>"
    "<RequestID>refused-by-the-proxy</RequestID></Response>"
)


@dataclass(frozen=True)
class Call:
    """A call of AWS's API. ``routes`` is where requests went after it; None for calls that only read.

    ``action`` is the operation's name, or method and path for an API without such (Route 53). ``error`` is the code of
    a refusal, ``at`` the second at which it was answered.
    """

    service: str
    action: str
    params: Mapping[str, str]
    error: str | None = None
    routes: Routes | None = None
    at: float = 0

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
        self._refused: dict[str, tuple[int, str]] = {}
        self._is_down = False
        self._slowed: dict[str, tuple[Event, Event | None]] = {}
        self._health: dict[str, Iterator[str]] = {}

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
    def throttling(self, action: str, but: int = 0, code: str = "Throttling") -> Iterator[None]:
        """Refuse every call of an operation, all ``but`` the first ones, however often it is tried again, until the
        block ends.
        """
        self._refused[action] = but, code
        try:
            yield
        finally:
            del self._refused[action]

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Hang up on every call."""
        self._is_down = True
        try:
            yield
        finally:
            self._is_down = False

    @contextmanager
    def before(self, upstream: str) -> Iterator[None]:
        """Pass calls on to another AWS, until the block ends."""
        address, self._address = self._address, urlsplit(upstream).netloc
        try:
            yield
        finally:
            self._address = address

    @contextmanager
    def slowing(self, action: str, until: Event | None = None) -> Iterator[Event]:
        """Let calls of an operation wait, for a while or ``until`` an event is set: what should come after them, but
        does not wait for them, comes before. The event that this gives is set once such a call is there.
        """
        arrived = Event()
        self._slowed[action] = arrived, until
        try:
            yield arrived
        finally:
            del self._slowed[action]

    @contextmanager
    def health(self, states: Mapping[str, str | Iterable[str]]) -> Iterator[None]:
        """Let targets be in a state, by their id or their group's logical name; of several states, each answer takes the
        next one, and the last one stays. Moto itself says that every target is healthy.
        """
        self._health = {name: _one_by_one(asked) for name, asked in states.items()}
        try:
            yield
        finally:
            self._health = {}

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer | None:
        """None hangs up."""
        if self._is_down:
            return None
        call = _call(method, path, headers, body)
        if not call.is_write:
            return self._pass_on(call, method, path, headers, body)
        if slowed := self._slowed.get(call.action):
            arrived, until = slowed
            arrived.set()
            (until or Event()).wait(60 if until else _LONG)
        with self._writes:
            return self._pass_on(call, method, path, headers, body)

    def _pass_on(self, call: Call, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        answer = self._refusal(call) or self._with_health(call, self._ask(method, path, headers, body))
        code = _CODE.search(answer.body.decode(errors="replace"))
        error = (code[1] if code else str(answer.status)) if answer.status >= 400 else None
        routes = self._watch() if call.is_write else None
        with self._records:
            self.calls.append(Call(call.service, call.action, call.params, error, routes, monotonic()))
        return answer

    def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return _Answer(response.status, response.headers.get_content_type(), response.read())
        finally:
            connection.close()

    def _with_health(self, call: Call, answer: _Answer) -> _Answer:
        if call.action != "DescribeTargetHealth" or not self._health or answer.status >= 400:
            return answer
        group = self._health.get(logical(call.params["TargetGroupArn"]))
        with self._records:
            of_group = next(group) if group else None

            def told(member: re.Match[str]) -> str:
                target = self._health.get(_ID.findall(member[0])[0])
                state = next(target) if target else of_group
                return _STATE.sub(f"<State>{state}</State>", member[0]) if state else member[0]

            return replace(answer, body=_MEMBER.sub(told, answer.body.decode()).encode())

    def _refusal(self, call: Call) -> _Answer | None:
        if call.action in self._refused:
            left, code = self._refused[call.action]
            if not left:
                return _refuse(code, "Rate exceeded" if code == "Throttling" else "refused", call.service)
            self._refused[call.action] = left - 1, code
        # Moto lets two listeners share a port, AWS does not (API CreateListener, ModifyListener).
        if call.action in {"CreateListener", "ModifyListener"}:
            arn = call.params.get("LoadBalancerArn") or call.params["ListenerArn"]
            if call.params.get("Port") in self._ports_in_use(arn):
                return _refuse("DuplicateListener", "A listener already exists on this port for this load balancer")
        return None


def _one_by_one(states: str | Iterable[str]) -> Iterator[str]:
    last = ""
    for last in [states] if isinstance(states, str) else states:
        yield last
    yield from repeat(last)


def _refuse(code: str, message: str, service: str = "elasticloadbalancing") -> _Answer:
    if service == "monitoring":
        return _Answer(400, "application/x-amz-json-1.0", json.dumps({"__type": code, "message": message}).encode())
    xml = _REFUSAL_OF_EC2 if service == "ec2" else _REFUSAL
    return _Answer(400, "text/xml", xml.format(code, message).encode())


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
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 the interface of http.server

    def log_message(self, *args: object) -> None:
        """Say nothing: the calls are recorded."""
