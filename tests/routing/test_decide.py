"""Which rule takes a request: the load balancer's semantics, as a table, and both ways to a routing table."""

from __future__ import annotations

import fnmatch
import re
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from abtest.local import Deployment
from abtest.routing import Decision, Request, RequestError, RoutingTable
from abtest.routing.conditions import Condition, wildcard
from tests.configs import config, experiment, rule
from tests.deployed import deploy
from tests.routing.tables import CONDITIONS, OPAQUE, SOME_REQUESTS, tables

FULL = {"method": "GET", "host": "example.com", "path": "/", "query": "", "headers": {}, "sourceIp": "192.0.2.1"}


def matches(when: dict[str, Any], **request: Any) -> bool:
    """Whether a rule with these conditions takes the request."""
    table = RoutingTable.from_experiment(experiment(config(rules={"r": rule(when=when)})))
    return table.decide(Request.parse({**FULL, **request})).route.name == "r"


# Documented examples: ALB guide, "Condition types for listener rules"; API …ConditionConfig.
SEMANTICS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"path": ["/img/*"]}, {"path": "/img/a.png"}, True),
    ({"path": ["/img/*"]}, {"path": "/img"}, False),
    ({"path": ["/img/*/pics"]}, {"path": "/img/a/b/pics"}, True),
    ({"path": ["/IMG/*"]}, {"path": "/img/a"}, False),
    ({"path": ["/a?"]}, {"path": "/ab"}, True),
    ({"path": ["/a?"]}, {"path": "/a"}, False),
    ({"path": ["/a"]}, {"path": "/a", "query": "x=/b"}, True),
    ({"path": ["/A"]}, {"path": "/%41"}, False),
    ({"path": ["//x"]}, {"path": "//x"}, True),
    ({"path": ["/a", "/b"]}, {"path": "/b"}, True),
    ({"pathRegex": ["^/v[0-9]+/.*$"]}, {"path": "/v12/x"}, True),
    ({"pathRegex": ["^/v[0-9]+/.*$"]}, {"path": "/V1/x"}, False),
    ({"host": ["*.example.com"]}, {"host": "test.example.com"}, True),
    ({"host": ["*.example.com"]}, {"host": "example.com"}, False),
    ({"host": ["Example.COM"]}, {"host": "eXample.com"}, True),
    ({"host": ["example.com"]}, {"host": "example.com:8080"}, True),
    ({"hostRegex": ["^example\\.com:8443$"]}, {"host": "example.com:8443"}, True),
    ({"header": {"User-Agent": ["*Chrome*", "*Safari*"]}}, {"headers": {"user-agent": "x SAFARI y"}}, True),
    ({"header": {"User-Agent": ["*Chrome*"]}}, {"headers": {}}, False),
    ({"header": {"X-A": ["b"]}}, {"headers": {"X-A": ["a", "b"]}}, True),
    ({"header": {"X-A": ["b"]}}, {"headers": {"X-A": "a, b"}}, False),
    ({"header": {"X-A": ["a"], "X-B": ["b"]}}, {"headers": {"X-A": "a"}}, False),
    ({"headerRegex": {"X-A": ["^v[12]$"]}}, {"headers": {"x-a": "v2"}}, True),
    ({"query": {"version": ["v1"]}}, {"query": "version=v1"}, True),
    ({"query": {"version": ["v1"]}}, {"query": "a=b&VERSION=V1"}, True),
    ({"query": {"*": ["*example*"]}}, {"query": "anything=an-example-here"}, True),
    ({"query": {"*": ["*example*"]}}, {"query": "example=no"}, False),
    ({"query": {"v": ["a\\*b"]}}, {"query": "v=a*b"}, True),
    ({"query": {"v": ["a\\*b"]}}, {"query": "v=axb"}, False),
    ({"query": {"v": ["a b"]}}, {"query": "v=a+b"}, False),
    ({"query": {"v": ["*"]}}, {"query": "v"}, True),
    ({"query": {"v": ["*"]}}, {"query": ""}, False),
    ({"query": {"a": ["1"], "b": ["2"]}}, {"query": "b=2&a=1"}, True),
    ({"method": ["GET"]}, {"method": "HEAD"}, False),
    ({"method": ["GET"]}, {"method": "get"}, False),
    ({"sourceIp": ["192.0.2.0/24"]}, {"sourceIp": "192.0.2.255"}, True),
    ({"sourceIp": ["192.0.2.0/24"]}, {"sourceIp": "192.0.3.0"}, False),
    ({"sourceIp": ["2001:db8::/32"]}, {"sourceIp": "2001:db8::1"}, True),
    ({"sourceIp": ["0.0.0.0/0"]}, {"sourceIp": "2001:db8::1"}, False),
    ({"path": ["/x"], "method": ["POST"]}, {"path": "/x"}, False),
]


@pytest.mark.parametrize(("when", "request_", "expected"), SEMANTICS)
def test_a_rule_takes_the_requests_that_aws_documents(
    when: dict[str, Any], request_: dict[str, Any], expected: object
) -> None:
    assert matches(when, **request_) is expected


@example(pattern="*a*a", text="aa")
@given(pattern=st.text("ab*?.[", max_size=8), text=st.text("ab.[", max_size=8))
def test_wildcards_match_as_a_naive_matcher_does(pattern: str, text: str) -> None:
    naive = fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))
    assert (re.fullmatch(wildcard(pattern), text, re.DOTALL) is not None) is naive


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*b", "*ab*ab*ab*b", f"*{'a' * 126}b", f"*{'a?' * 60}b*c*c", f"*{'a' * 60}b*{'a' * 60}b"]
)
@pytest.mark.parametrize("flags", [0, re.IGNORECASE])
def test_no_pattern_is_slow_on_the_longest_request_that_aws_takes(pattern: str, flags: int) -> None:
    match, text = re.compile(wildcard(pattern), flags | re.DOTALL).fullmatch, "a" * 16_384
    began = time.thread_time()
    assert match(text) is None
    assert time.thread_time() - began < 0.1


@pytest.mark.parametrize(
    ("regexes", "path", "expected"),
    [
        (["(?i)^/a$", "^/b$"], "/A", True),
        (["(?i)^/a$", "^/b$"], "/B", False),
        (["^/(?<=x)*[[$", "^/b$"], "/b", True),
        (["^/(?<=x)*[[$"], "/", False),
    ],
)
def test_regular_expressions_stand_by_themselves_and_unreadable_ones_match_nothing(
    regexes: list[str], path: str, expected: object
) -> None:
    condition = Condition("path", tuple(regexes), is_regex=True)
    assert condition.matches(Request(path=path)) is expected


def test_case_is_that_of_ascii_letters() -> None:
    """Python also folds the Kelvin sign into k, which no header of a client means."""
    condition = Condition("header", ("k",), "h")
    assert condition.matches(Request(headers={"h": ("K",)}))
    assert not condition.matches(Request(headers={"h": ("\N{KELVIN SIGN}",)}))


@given(table=tables(st.one_of(CONDITIONS, OPAQUE), most=5), sent=st.lists(SOME_REQUESTS, min_size=1, max_size=20))
def test_the_short_way_to_a_rule_finds_the_first_that_matches(table: RoutingTable, sent: list[Request]) -> None:
    for request in sent:
        first = next(route for route in table.routes if route.matches(request))
        decision = table.decide(request)
        assert decision.route is first
        assert len(decision.trace) == table.routes.index(first) + 1


def decide(prod: Deployment, **request: Any) -> Decision:
    return RoutingTable.from_experiment(prod.experiment).decide(Request.parse(request))


def test_the_trace_says_why_each_earlier_rule_did_not_match(prod: Deployment) -> None:
    decision = decide(prod, **{**FULL, "path": "/batch/7", "method": "POST"})
    assert decision.as_json() == {
        "priority": 20,
        "rule": "batch",
        "action": "forward",
        "shares": {"a": 1.0},
        "trace": [
            "rule 1 asks for header X-Abtest-Variant = <token>-a; the request has none",
            "rule 2 asks for header X-Abtest-Variant = <token>-b; the request has none",
            "rule 10 (admin) asks for path /admin or /admin/*; the request has /batch/7",
            "rule 20 (batch) matches: path /batch/* and method POST",
        ],
    }


def test_a_field_that_is_not_known_is_named_where_it_decides(prod: Deployment) -> None:
    decision = decide(prod, path="/batch/7")
    assert decision.route.label == "default"
    assert "rule 20 (batch) asks for method POST, and the method is not known; taken as no match" in decision.trace
    assert decision.trace[-1] == "default: no rule matched"


def test_a_redirect_keeps_what_it_does_not_change(prod: Deployment) -> None:
    decision = decide(prod, url="https://old.example.com/a/b?x=1&y=2", method="GET", headers={}, sourceIp="192.0.2.1")
    assert (decision.location, decision.as_json()["status"]) == ("https://models.example.com:443/a/b?x=1&y=2", 301)
    assert decide(prod, host="old.example.com").location == "https://models.example.com:443/#{path}?#{query}"


@pytest.mark.parametrize(
    ("host", "location"),
    [
        ("[::1]", "https://[::1]:443/x"),
        ("[::1]:8443", "https://[::1]:443/x"),
        ("a.example:80", "https://a.example:443/x"),
    ],
)
def test_a_redirect_knows_the_host_from_its_port(host: str, location: str) -> None:
    rules = {"r": rule(redirect={"protocol": "HTTPS", "port": 443}, when={"path": ["/x"]}, forward=None)}
    table = RoutingTable.from_experiment(experiment(config(rules=rules)))
    assert table.decide(Request.parse({"host": host, "path": "/x", "query": ""})).location == location


def test_an_encrypted_source_is_met_by_no_address_that_is_known() -> None:
    rules = {"r": rule(when={"sourceIp": [{"secure": "v1:abc"}, "192.0.2.0/24"]})}
    table = RoutingTable.from_experiment(experiment(config(rules=rules)))
    assert table.decide(Request.parse({"sourceIp": "192.0.2.7"})).route.name == "r"
    assert table.decide(Request.parse({"sourceIp": "198.51.100.7"})).route.name is None


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ([], "expected a JSON object"),
        ({"paht": "/"}, "there is no field paht; known: method, url, host, path, query, headers, sourceIp"),
        ({"path": "x"}, "path: 'x' must start with \"/\""),
        ({"path": 1}, "path: expected text, got 1"),
        ({"url": "ftp://x"}, "url: 'ftp://x' is not an http or https address"),
        ({"url": "http://[x/"}, "url: 'http://[x/' cannot be read"),
        ({"url": "http://x/", "host": "y"}, "url cannot be combined with host, path or query"),
        ({"method": "G T"}, "method: 'G T' is not a valid request method"),
        ({"host": "a b"}, "host: 'a b' is not a valid host name"),
        ({"query": "a b"}, "query: 'a b' must hold no"),
        ({"headers": {"X Y": "1"}}, "headers: 'X Y' is not a valid header name"),
        ({"headers": {"X": 1}}, "headers.X: expected text on one line, got 1"),
        ({"headers": []}, "headers: expected an object"),
        ({"sourceIp": "x"}, "sourceIp: 'x' is not a valid IP address"),
    ],
)
def test_an_impossible_request_is_refused_in_words(given_: object, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        Request.parse(given_)
    assert message in str(caught.value)


def described(deployment: Deployment, port: int) -> RoutingTable:
    """The routing as the load balancer's API tells it."""
    (listener,) = (ls for ls in deployment.described["Listeners"] if ls["Port"] == port)
    variants = {arn: name for name, arn in deployment.outputs["target_group_arns"].items()}
    return RoutingTable.from_described(listener, deployment.described["Rules"][listener["ListenerArn"]], variants)


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "method": st.sampled_from(["GET", "POST", "HEAD"]),
        "host": st.sampled_from(["example.com", "old.example.com", "OLD.example.com:443"]),
        "path": st.sampled_from(["/", "/v2/x", "/admin", "/admin/x", "/batch/1", "/x"]),
        "query": st.sampled_from(["", "model=b", "MODEL=B&x", "model=c"]),
        "headers": st.dictionaries(
            st.sampled_from(["X-Model", "x-model", "X-Abtest-Variant"]), st.sampled_from(["a", "b", "B"]), max_size=2
        ),
        "sourceIp": st.sampled_from(["198.51.100.7", "192.0.2.1", "2001:db8::1"]),
    },
)


@given(request_=REQUESTS)
def test_the_stack_file_and_the_deployed_load_balancer_agree_on_every_request(
    dev: Deployment, prod: Deployment, request_: dict[str, Any]
) -> None:
    request = Request.parse(request_)
    for deployment, port in ((dev, 80), (prod, 443)):
        ours = RoutingTable.from_experiment(deployment.experiment).decide(request)
        theirs = described(deployment, port).decide(request)
        assert (ours.route.priority, ours.route.action, ours.location) == (
            theirs.route.priority,
            theirs.route.action,
            theirs.location,
        )


def test_regular_expressions_and_all_actions_agree_too() -> None:
    found = deploy(
        config(
            stickinessSeconds=60,
            weights={"a": 3, "b": 1},
            rules={
                "regex": rule(priority=1, when={"pathRegex": ["^/a$"], "headerRegex": {"X": ["^y$"]}}, forward="split"),
                "answer": rule(
                    priority=2, forward=None, respond={"status": 404, "body": "no", "contentType": "text/css"}
                ),
                "away": rule(priority=3, forward=None, redirect={"protocol": "HTTPS", "port": "443", "query": ""}),
            },
        )
    )
    ours, theirs = RoutingTable.from_experiment(found.experiment), described(found, 80)
    assert [(r.priority, r.conditions, r.action) for r in ours.routes] == [
        (r.priority, r.conditions, r.action) for r in theirs.routes
    ]


def test_any_load_balancers_rules_can_be_read() -> None:
    """A group behind no variant shows by its ARN; authentication comes before the forward that it guards."""
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/1"
    table = RoutingTable.from_described(
        {"Protocol": "HTTPS", "Port": 443},
        [
            {"Priority": "default", "IsDefault": True, "Actions": [{"Type": "forward", "TargetGroupArn": arn}]},
            {
                "Priority": "5",
                "RuleArn": "r",
                "Conditions": [{"Field": "path-pattern", "Values": ["/old"]}],
                "Actions": [
                    {"Type": "forward", "Order": 2, "TargetGroupArn": arn},
                    {"Type": "authenticate-oidc", "Order": 1},
                ],
            },
        ],
        names={"r": "legacy"},
    )
    decision = table.decide(Request.parse({"path": "/old"}))
    assert (decision.route.name, decision.route.action.before) == ("legacy", ("authenticate-oidc",))
    assert decision.route.action.shares == {arn: Fraction(1)}
    assert table.decide(Request.parse({"path": "/new"})).route.action.shares == {arn: Fraction(1)}
