"""Drift: where a deployed listener differs in effect from its stack file, in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.rollout.drift import drift
from abtest.routing import RoutingTable
from tests.configs import config, experiment, rule

BASE: dict[str, Any] = {
    "stickinessSeconds": 60,
    "rules": {"path-b": rule(when={"path": ["/v2/*"]}, forward={"a": 1, "b": 1})},
}


def table(**changes: Any) -> RoutingTable:
    return RoutingTable.from_experiment(experiment(config(**{**BASE, **changes})))


def one(**changes: Any) -> RoutingTable:
    """The table with its one rule changed."""
    return table(rules={"path-b": {**BASE["rules"]["path-b"], **changes}})


def answering(**respond: Any) -> RoutingTable:
    return table(rules={"path-b": rule(when={"path": ["/v2/*"]}, forward=None, respond={"status": 403, **respond})})


@pytest.mark.parametrize(
    ("declared", "live", "expected"),
    [
        (table(), table(), []),
        (
            one(),
            one(forward="b"),
            [
                "rule 10 (path-b): the load balancer sends b 100 %, the stack file says a 50 %, b 50 %",
                "rule 10 (path-b): the load balancer keeps a client 0 s, the stack file says 60 s",
            ],
        ),
        (
            table(weights={"a": 90, "b": 10}),
            table(weights={"a": 9, "b": 1}),
            [],
        ),
        (
            table(weights={"a": 90, "b": 10}),
            table(weights={"a": 1, "b": 0}),
            ["default: the load balancer sends a 100 %, b 0 %, the stack file says a 90 %, b 10 %"],
        ),
        (
            table(weights={"a": 998, "b": 1}),
            table(weights={"a": 999, "b": 1}),
            [
                "default: the load balancer sends a 999/1000, b 1/1000, the stack file says a 998/999, b 1/999",
            ],
        ),
        (
            table(),
            table(stickinessSeconds=0),
            [
                "rule 10 (path-b): the load balancer keeps a client 0 s, the stack file says 60 s",
                "default: the load balancer keeps a client 0 s, the stack file says 60 s",
            ],
        ),
        (
            one(),
            table(rules={}),
            ["rule 10 (path-b): the load balancer has no such rule, the stack file says path /v2/*: a 50 %, b 50 %"],
        ),
        (
            table(rules={}),
            one(),
            ["rule 10 (path-b): the stack file has no such rule, the load balancer says path /v2/*: a 50 %, b 50 %"],
        ),
        (
            one(),
            one(when={"path": ["/v3/*"], "method": ["GET"]}),
            ["rule 10 (path-b): the load balancer asks for path /v3/* and method GET, the stack file says path /v2/*"],
        ),
        (
            one(),
            answering(),
            ["rule 10 (path-b): the load balancer says respond 403, the stack file says a 50 %, b 50 %"],
        ),
        (
            answering(),
            answering(body="no"),
            ["rule 10 (path-b): the load balancer answers with another body or content type than the stack file says"],
        ),
        (
            table(rules={"old": rule(forward=None, redirect={"host": "x.example.com"})}),
            table(rules={"old": rule(forward=None, redirect={"host": "x.example.com", "status": 301})}),
            [
                "rule 10 (old): the load balancer says redirect 301 to #{protocol}://x.example.com:#{port}/#{path}?#{query}, "
                "the stack file says redirect 302 to #{protocol}://x.example.com:#{port}/#{path}?#{query}"
            ],
        ),
        (
            table(listener={"port": 8080}),
            table(),
            ["listener: the load balancer has HTTP 80, the stack file says HTTP 8080"],
        ),
    ],
    ids=[
        "the same",
        "another split, without stickiness",
        "other weights, same shares",
        "another share",
        "shares that look the same",
        "another stickiness",
        "a rule that is missing",
        "a rule too many",
        "other conditions",
        "another action",
        "another body",
        "another redirect",
        "another port",
    ],
)
def test_each_difference_is_told(declared: RoutingTable, live: RoutingTable, expected: list[str]) -> None:
    assert list(drift(declared, live)) == expected


def test_a_rule_on_another_priority_is_missing_and_extra_in_the_order_of_evaluation() -> None:
    assert [line.partition(",")[0] for line in drift(one(priority=16), one(priority=9))] == [
        "rule 9 (path-b): the stack file has no such rule",
        "rule 16 (path-b): the load balancer has no such rule",
    ]


def test_the_name_of_a_rule_has_no_effect() -> None:
    assert drift(table(rules={"x": rule()}), table(rules={"y": rule()})) == ()


def test_the_order_and_the_letter_case_of_conditions_have_none_where_they_do_not_count() -> None:
    declared = {"host": ["a.example.com", "b.example.com"], "header": {"X-One": ["v"], "X-Two": ["w"]}}
    live = {"header": {"x-two": ["W"], "X-one": ["V"]}, "host": ["B.example.com", "a.example.com"]}
    assert drift(one(when=declared), one(when=live)) == ()
    assert drift(one(when={"path": ["/a"]}), one(when={"path": ["/A"]}))
    assert drift(one(when={"headerRegex": {"X-One": ["^v$"]}}), one(when={"headerRegex": {"X-One": ["^V$"]}}))


WEIGHTS = st.fixed_dictionaries({"a": st.integers(1, 999), "b": st.integers(0, 999)})
RULES = st.dictionaries(
    st.sampled_from(["x", "y", "z"]),
    st.tuples(st.sampled_from(["/x", "/y/*"]), st.sampled_from(["a", "b", "split"])),
)


@given(WEIGHTS, RULES, WEIGHTS, RULES)
def test_there_is_drift_exactly_where_a_table_differs(
    weights: dict[str, int],
    rules: dict[str, tuple[str, str]],
    others: dict[str, int],
    other: dict[str, tuple[str, str]],
) -> None:
    def made(weights: dict[str, int], rules: dict[str, tuple[str, str]]) -> RoutingTable:
        priorities = {"x": 10, "y": 20, "z": 30}
        return table(
            weights=weights,
            rules={n: rule(priority=priorities[n], when={"path": [p]}, forward=f) for n, (p, f) in rules.items()},
        )

    one, two = made(weights, rules), made(others, other)
    assert drift(one, one) == ()
    assert (drift(one, two) == ()) == (one == two)
    assert len(drift(one, two)) == len(drift(two, one))
