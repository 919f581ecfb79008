"""Response headers that a listener sets, in answers of targets and in its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from abtest.local.balancer import Deployed
from abtest.routing import Action
from tests.configs import config
from tests.deployed import deploy
from tests.local.balancer.harness import ModelServer, Site, deployed, forward, listener, route, says

HEADERS = (("X-Frame-Options", "DENY"), ("Access-Control-Allow-Origin", "https://app.example.com"))
REFUSE = Action(kind="respond", status=403, body="no", content_type="text/plain")


def serve(site: Site, action: Action, *servers: ModelServer, **changes: Any) -> None:
    site.serve(deployed(replace(listener(route(action)), headers=HEADERS, **changes)), *servers)


def test_a_header_takes_the_place_of_the_targets(site: Site, a: ModelServer, b: ModelServer) -> None:
    a.on["/x"] = says(
        b"HTTP/1.1 200 OK\r\nx-frame-options: SAMEORIGIN\r\nX-Frame-Options: x\r\nX-Own: 1\r\nServer: uvicorn\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    serve(site, forward({"a": 1}, sticky=60), a, b, says_server=False)
    reply = site.ask("GET /x")
    assert (reply.status, reply.body) == (200, b"ok")
    assert reply.all("X-Frame-Options") == ["DENY"]
    assert reply.all("Access-Control-Allow-Origin") == ["https://app.example.com"]
    assert (reply.all("X-Own"), reply.all("Server")) == (["1"], ["uvicorn"])
    assert len(reply.all("Set-Cookie")) == 2


@pytest.mark.parametrize(
    ("action", "status"),
    [
        (REFUSE, 403),
        (Action(kind="redirect", status=302, location="https://x.net:443/"), 302),
        (forward({"a": 1}), 502),
    ],
)
def test_the_load_balancers_own_answers_have_them_too(
    site: Site, a: ModelServer, b: ModelServer, action: Action, status: int
) -> None:
    a.on["/"] = says(b"", then_close=True)
    serve(site, action, a, b)
    reply = site.ask("GET /")
    assert (reply.status, reply.all("X-Frame-Options"), reply.all("Server")) == (status, ["DENY"], ["awselb/2.0"])


def test_its_own_answers_name_no_server_if_told_so(site: Site, a: ModelServer, b: ModelServer) -> None:
    serve(site, REFUSE, a, b, says_server=False)
    assert site.ask("GET /").all("Server") == []


def test_what_is_set_is_what_the_deployed_listener_says() -> None:
    headers = {"xContentTypeOptions": "nosniff", "accessControlMaxAge": 0, "server": False}
    found = deploy(config(listener={"responseHeaders": headers}))
    (main,) = Deployed.from_described(found.described).listeners
    assert main.headers == (("Access-Control-Max-Age", "0"), ("X-Content-Type-Options", "nosniff"))
    assert not main.says_server
    (plain,) = Deployed.from_described(deploy(config()).described).listeners
    assert (plain.headers, plain.says_server) == ((), True)
