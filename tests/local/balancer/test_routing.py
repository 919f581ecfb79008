"""The deployed routing over real HTTP: rules, weights, stickiness, redirects, fixed responses, override."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abtest.local import Deployment
from abtest.local.balancer import Deployed
from abtest.routing import Action, Request
from abtest.routing.conditions import Condition
from tests.configs import config, rule
from tests.deployed import deploy
from tests.local.balancer.harness import (
    Loop,
    ModelServer,
    Reply,
    Site,
    deployed,
    forward,
    listener,
    route,
    running,
    wait_for,
)

STICKY = deployed(listener(route(forward({"a": 0, "b": 1}, sticky=60))))


def cookies(reply: Reply) -> dict[str, str]:
    return dict(cookie.split(";")[0].split("=", 1) for cookie in reply.all("Set-Cookie"))


def as_sent(sent: dict[str, str]) -> str:
    return "Cookie: " + "; ".join(f"{name}={value}" for name, value in sent.items())


# The committed stacks -------------------------------------------------------------------------------------------------


def test_the_dev_stack_answers_by_its_rules(site: Site, dev: Deployment, a: ModelServer, b: ModelServer) -> None:
    what = Deployed.from_described(dev.described)
    site.serve(what, a, b)
    for request in ("GET /v2/x", "GET /\nX-Model: b", "GET /?model=b"):
        assert site.ask(request).seen["server"] == "b"
    site.ask("GET /")
    site.logged(4)
    assert [entry.priority for entry in site.entries] == ["10", "20", "30", "0"]
    assert what.groups[site.entries[0].group].variant == "b"
    assert site.entries[0].line(what.name).split()[2] == what.name


def test_the_prod_stack_redirects_to_its_local_port(
    site: Site, prod: Deployment, a: ModelServer, b: ModelServer
) -> None:
    site.serve(Deployed.from_described(prod.described), a, b, own_names=frozenset({"models.example.com"}))
    https, http = site.balancer.serving.ports
    for host, to in (
        ("models.example.com", f"http://localhost:{https}"),
        ("Models.Example.com:80", f"http://localhost:{https}"),
        (f"localhost:{http}", f"http://localhost:{https}"),
        (f"127.0.0.1:{http}", f"http://127.0.0.1:{https}"),
        ("other.example.com", f"http://other.example.com:{https}"),
    ):
        reply = site.ask(f"GET /a?b=c\nHost: {host}", 1)
        assert (reply.status, len(reply.body), reply.all("Location")) == (301, 134, [f"{to}/a?b=c"])
    entry = site.logged(5)
    assert (entry.redirect_url, entry.action, entry.group) == ("https://other.example.com:443/a?b=c", "redirect", "-")
    assert site.entries[0].redirect_url == "https://models.example.com:443/a?b=c"
    assert (entry.type, site.entries[0].target) == ("http", "-")


def test_the_prod_stacks_other_rules(site: Site, prod: Deployment, a: ModelServer, b: ModelServer) -> None:
    site.serve(Deployed.from_described(prod.described), a, b, own_names=frozenset({"models.example.com"}))
    refused = site.ask("GET /admin")
    assert (refused.status, refused.body) == (403, b"forbidden")
    assert refused.all("Content-Type") == ["text/plain; charset=utf-8"]
    assert refused.all("Server") == ["awselb/2.0"]
    assert site.logged().action == "fixed-response"
    moved = site.ask("GET /x\nHost: old.example.com")
    assert moved.all("Location") == [f"http://localhost:{site.port}/x"]
    token = prod.outputs["override_token"]
    for variant in "ab":
        forced = site.ask(f"GET /\nX-Abtest-Variant: {token}-{variant}")
        assert forced.seen["server"] == variant
        assert not cookies(forced)
        assert forced.seen_header("X-Forwarded-Proto") == ["https"]
    assert site.logged(4).type == "https"


def test_a_redirect_elsewhere_is_left_alone(site: Site, a: ModelServer, b: ModelServer) -> None:
    elsewhere = Action(kind="redirect", status=302, location="https://example.net:443/#{path}?#{query}")
    site.serve(deployed(listener(route(elsewhere))), a, b)
    reply = site.ask("GET /caf%C3%A9?x=1")
    assert (reply.status, len(reply.body)) == (302, 110)
    assert reply.all("Location") == ["https://example.net:443/caf%C3%A9?x=1"]


def test_a_redirect_over_8_kilobytes_is_a_507(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(
        deployed(listener(route(Action(kind="redirect", status=302, location="https://x.net:443/#{path}")))), a, b
    )
    assert site.ask(f"GET /{'a' * 9000}").status == 507


@pytest.mark.parametrize("status", [200, 299, 404, 418, 599])
def test_a_fixed_response_may_have_any_status(site: Site, a: ModelServer, b: ModelServer, status: int) -> None:
    site.serve(deployed(listener(route(Action(kind="respond", status=status, body="hé", content_type="")))), a, b)
    with site.client() as client:
        reply = client.ask("GET /")
        assert (reply.status, reply.body.decode(), reply.all("Content-Type")) == (status, "hé", [])
        assert client.ask("HEAD /").all("Content-Length") == ["3"]
    assert site.logged(2).trace_id.startswith("Root=1-")
    assert (site.entries[0].request_seconds, site.entries[0].target) == (-1, "-")


def test_an_invalid_header_is_dropped_before_the_rules(site: Site, a: ModelServer, b: ModelServer) -> None:
    rules = route(forward({"b": 1}), Condition("header", ("1",), "X_Odd"), priority=1), route(forward({"a": 1}))
    site.serve(deployed(listener(*rules)), a, b)
    assert site.ask("GET /\nX_Odd: 1").seen["server"] == "a"
    site.serve(deployed(listener(*rules), drops_invalid_headers=False), a, b)
    assert site.ask("GET /\nX_Odd: 1").seen["server"] == "b"


# Weights and stickiness -----------------------------------------------------------------------------------------------


def test_new_clients_are_split_by_weight(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(listener(route(forward({"a": 3, "b": 1})))), a, b)
    with site.client() as client:
        found = Counter(client.ask("GET /").seen["server"] for _ in range(400))
    assert 240 < found["a"] < 360  # five standard deviations
    site.logged(400)
    assert all(entry.is_new for entry in site.entries)


def test_a_new_client_gets_both_cookies(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(STICKY, a, b)
    one, two = site.ask("GET /").all("Set-Cookie")
    name, _, rest = one.partition("=")
    assert name == "AWSALBTG"
    assert two == f"AWSALBTGCORS={rest}; SameSite=None; Secure"
    assert rest.endswith(" GMT; Path=/")


@pytest.mark.parametrize("name", ["AWSALBTG", "AWSALBTGCORS"])
def test_a_client_stays_with_its_variant_whatever_the_weights(
    site: Site, a: ModelServer, b: ModelServer, name: str
) -> None:
    site.serve(STICKY, a, b)
    sent = as_sent({name: cookies(site.ask("GET /"))[name], "other": "1"})
    site.serve(deployed(listener(route(forward({"a": 1, "b": 0}, sticky=60)))), a, b)
    with site.client() as client:
        for _ in range(20):
            reply = client.ask(f"GET /\n{sent}")
            assert (reply.seen["server"], cookies(reply)) == ("b", {})
        assert client.ask("GET /").seen["server"] == "a"
    assert not site.logged(22).error_reason.strip("-")
    assert [entry.is_new for entry in site.entries] == [True, *[False] * 20, True]


def test_a_client_whose_group_is_gone_is_split_anew(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(STICKY, a, b)
    old = cookies(site.ask("GET /"))
    site.serve(deployed(listener(route(forward({"a": 1}, sticky=60)))), a, b)
    reply = site.ask(f"GET /\n{as_sent(old)}")
    assert reply.seen["server"] == "a"
    assert cookies(reply).keys() == old.keys()
    assert site.logged(2).error_reason == "-"


def test_a_changed_cookie_is_invalid(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(STICKY, a, b)
    value = cookies(site.ask("GET /"))["AWSALBTG"]
    for n, changed in enumerate((value[:-8] + "AAAAAAA=", value + "%3D", "x", "", "caf\xe9"), 2):
        reply = site.ask(f"GET /\nCookie: AWSALBTG={changed}")
        assert (reply.status, len(cookies(reply))) == (200, 2)
        assert site.logged(n).error_reason == "AWSALBTGCookieInvalid"


def test_a_cookie_whose_time_is_over_is_followed_by_a_new_one(
    site: Site, a: ModelServer, b: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.serve(STICKY, a, b)
    sent = as_sent(cookies(site.ask("GET /")))
    assert not cookies(site.ask(f"GET /\n{sent}"))
    now = time.time()
    monkeypatch.setattr("abtest.local.balancer.cookies.time.time", lambda: now + 61)
    assert len(cookies(site.ask(f"GET /\n{sent}"))) == 2
    assert site.logged(3).error_reason == "-"


def test_without_stickiness_there_are_no_cookies(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(), a, b)
    assert not cookies(site.ask("GET /\nCookie: AWSALBTG=x"))
    assert site.logged().error_reason == "-"


# Its routing is that of abtest.routing --------------------------------------------------------------------------------

WORDS = st.sampled_from(["x", "X", "x%41", "b", "B", "admin", "v2", "v2/x", "", "..", "%2F"])
REQUESTS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "HEAD", "DELETE", "OPTIONS", "PATCH"]),
        "path": st.lists(WORDS, max_size=3).map(lambda words: "/" + "/".join(words)),
        "query": st.lists(st.tuples(st.sampled_from(["model", "MODEL", "x"]), WORDS).map("=".join), max_size=3).map(
            "&".join
        ),
        "host": st.sampled_from(
            ["a.example.com", "A.Example.com", "old.example.com:80", "x.old.example.com", "localhost"]
        ),
        "headers": st.lists(
            st.tuples(
                st.sampled_from(["X-Model", "x-model", "X_Odd", "Cookie"]), st.sampled_from(["b", "B", "a, b", ""])
            ),
            max_size=3,
        ),
    }
)


@pytest.fixture(scope="module")
def ruled(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Any:
    whens: list[dict[str, Any]] = [
        {"path": ["/admin", "/v2/*"], "method": ["GET", "POST"]},
        {"path": ["/v2/*"]},
        {"header": {"X-Model": ["b"]}, "query": {"model": ["x*"]}},
        {"header": {"X-Model": ["*b"]}},
        {"host": ["old.example.com", "*.old.example.com"]},
        {"query": {"*": ["b"]}},
        {"sourceIp": ["127.0.0.0/8"], "method": ["DELETE"]},
    ]
    rules = {
        f"r{n}": rule(priority=n * 10, when=when, forward=None, respond={"status": 200 + n, "body": str(n)})
        for n, when in enumerate(whens, 1)
    }
    what = Deployed.from_described(deploy(config(rules=rules)).described)
    server = loop.run(ModelServer("a").start())
    with running(loop, tmp_path_factory.mktemp("ruled")) as site:
        loop.run(site.balancer.serve(what, {"a": server.url, "b": server.url}))
        yield site
    loop.run(server.stop())


@settings(max_examples=75, suppress_health_check=[HealthCheck.too_slow])
@given(asked=REQUESTS)
def test_the_rule_in_the_log_is_the_one_that_routing_decides_on(ruled: Site, asked: dict[str, Any]) -> None:
    before = len(ruled.entries)
    query = f"?{asked['query']}" if asked["query"] else ""
    lines = "\n".join(f"{name}: {value}" for name, value in asked["headers"])
    ruled.ask(f"{asked['method']} {asked['path']}{query}\nHost: {asked['host']}\n{lines}".rstrip("\n"))
    headers: dict[str, list[str]] = {}
    for name, value in asked["headers"]:
        if "_" not in name:
            headers.setdefault(name.lower(), []).append(value)
    request = Request.parse({**asked, "query": asked["query"], "headers": headers, "sourceIp": "127.0.0.1"})
    wanted = ruled.balancer.serving.deployed.listeners[0].table.decide(request).route.priority or 0
    assert ruled.logged(before + 1).priority == str(wanted)


def test_the_log_file_has_a_line_for_each_entry(ruled: Site) -> None:
    def lines() -> list[str]:
        return Path(ruled.log).read_text(encoding="utf-8").splitlines()

    ruled.ask("GET /")
    wait_for(lambda: len(lines()) == len(ruled.entries))
    assert json.dumps(lines()).isascii()
