"""Requests made up for a rule: plain to read, legal, and taken by it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abtest.experiment.types import SECRET
from abtest.routing import Request, RoutingTable, example
from abtest.routing.conditions import Condition
from tests.configs import config, experiment, rule
from tests.routing.tables import CONDITIONS, OPAQUE, table_of, tables

PLAIN: dict[str, Any] = {
    "method": "GET",
    "host": "example.com",
    "path": "/",
    "query": "",
    "headers": {},
    "sourceIp": "127.0.0.1",
}


def example_of(*whens: dict[str, Any], **kwargs: Any) -> Request | None:
    """An example of the last of these rules."""
    rules = {f"r{n}": rule(priority=n, when=when) for n, when in enumerate(whens, 1)}
    table = RoutingTable.from_experiment(experiment(config(rules=rules)))
    return example(table, table.routes[len(whens) - 1], **kwargs)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({"path": ["/v2/*"]}, {"path": "/v2/x"}),
        ({"path": ["/v?/a"]}, {"path": "/vx/a"}),
        ({"host": ["*.example.com"]}, {"host": "x.example.com"}),
        ({"header": {"X-Model": ["b"], "User-Agent": ["*Chrome*"]}}, {"headers": {"X-Model": "b", "User-Agent": "xChromex"}}),
        ({"query": {"model": ["b"], "*": ["c"]}}, {"query": "x=c&model=b"}),
        ({"query": {"v": ["a\\*"]}}, {"query": "v=a*"}),
        ({"method": ["POST"]}, {"method": "POST"}),
        ({"sourceIp": ["198.51.100.0/24"]}, {"sourceIp": "198.51.100.1"}),
        ({"sourceIp": ["2001:db8::1/128"]}, {"sourceIp": "2001:db8::1"}),
        ({"pathRegex": ["^/v[0-9]+/.*$"]}, {"path": "/v0/"}),
        ({"pathRegex": ["^/(?:a|b)c{2}/[^/]+$"]}, {"path": "/acc/x"}),
        ({"pathRegex": ["^/\\d{2,3}(\\.json)?$"]}, {"path": "/00"}),
        ({"pathRegex": ["admin"]}, {"path": "/admin"}),
        ({"hostRegex": ["^[a-z]+\\.example\\.com:8443$"]}, {"host": "x.example.com:8443"}),
        ({"headerRegex": {"X-A": ["(?i)^B\\w$"]}}, {"headers": {"X-A": "Bx"}}),
    ],
)  # fmt: skip
def test_an_example_is_as_plain_as_the_rule_allows(when: dict[str, Any], expected: dict[str, Any]) -> None:
    assert example_of(when) == Request.parse({**PLAIN, **expected})


def test_an_example_gets_past_the_rules_before_it() -> None:
    usual = ["/v2/x", "/v2/7", "/v2/a-b.c", "/v2/"]
    found = example_of({"path": usual}, {"path": ["/v2/*"]})
    assert found is not None
    assert found.path not in usual


def test_an_example_stays_plain_where_the_rules_before_it_allow_that() -> None:
    assert example_of({"path": ["/v2/", "/v2/7"]}, {"path": ["/v2/*"]}) == Request.parse({**PLAIN, "path": "/v2/x"})


def test_a_rule_behind_one_that_takes_all_has_no_example() -> None:
    assert example_of({"path": ["/v2/*"]}, {"path": ["/v2/x"]}) is None


def test_the_default_action_has_an_example() -> None:
    table = RoutingTable.from_experiment(experiment(config(rules={"r": rule(when={"path": ["/", "/x"]})})))
    found = example(table, table.routes[-1])
    assert found is not None
    assert found.path not in {"/", "/x"}


def test_a_client_that_can_only_be_here_has_no_example_of_a_rule_for_there() -> None:
    here = ip_address("127.0.0.1")
    assert example_of({"sourceIp": ["198.51.100.0/24"]}, source_ip=here) is None
    found = example_of({"sourceIp": ["127.0.0.0/8"]}, source_ip=here)
    assert found is not None
    assert found.source_ip == here


def test_an_encrypted_value_has_no_example() -> None:
    table = table_of((Condition("header", (SECRET,), "h"),))
    assert example(table, table.routes[0]) is None


def test_no_expression_makes_an_example_longer_than_memory() -> None:
    table = table_of((Condition("path", ("^/((((a{999}){999}){999}){999})$",), is_regex=True),))
    assert example(table, table.routes[0]) is None


def test_an_expression_that_cannot_be_read_has_no_example() -> None:
    table = table_of((Condition("path", ("^/(?<=x)*[[$",), is_regex=True),))
    assert example(table, table.routes[0]) is None


@settings(max_examples=50)
@given(table=tables(st.one_of(CONDITIONS, OPAQUE)))
def test_an_example_is_a_legal_request_that_the_rule_takes(table: RoutingTable) -> None:
    for route in table.routes:
        found = example(table, route)
        assert found is None or table.decide(found).route is route
