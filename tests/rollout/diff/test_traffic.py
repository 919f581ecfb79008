"""Which changes of the rules change what happens to some request, and to which."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.traffic import Move, asks_for, moves
from abtest.rollout.diff.version import Version
from abtest.routing import Request, RoutingTable
from tests.configs import config, experiment, rule

X, Y = {"path": ["/x"]}, {"path": ["/y/*"]}


def table(**rules: dict[str, Any]) -> RoutingTable:
    return RoutingTable.from_experiment(experiment(config(weights={"a": 90, "b": 10}, rules=rules)))


def found(before: dict[str, Any], after: dict[str, Any]) -> list[Move]:
    return list(moves(table(**before), table(**after)))


def ways(before: dict[str, Any], after: dict[str, Any]) -> set[tuple[str, str]]:
    """From which rule to which requests move; every example is checked."""
    sides = table(**before), table(**after)
    for move in (listed := list(moves(*sides))):
        if move.example is not None:
            assert sides[0].decide(move.example).route is move.before
            assert sides[1].decide(move.example).route is move.after
    return {(move.before.name or "split", move.after.name or "split") for move in listed}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"x": rule(when=X, forward="b")}, {"renamed": rule(when=X, forward="b")}),
        ({"x": rule(when=X, forward="b")}, {"x": rule(when=X, forward="b", priority=99)}),
        ({"x": rule(forward={"a": 90, "b": 10})}, {"x": rule(forward={"b": 1, "a": 9})}),
        ({"x": rule(forward={"a": 9, "b": 1})}, {"x": rule(forward="split")}),
        ({"x": rule(forward="a")}, {"x": rule(forward={"a": 7})}),
        (
            {"x": rule(priority=1, when=X, forward="b"), "y": rule(priority=2, when=Y)},
            {"y": rule(priority=1, when=Y), "x": rule(priority=2, when=X, forward="b")},
        ),
        (
            {"x": rule(priority=1, when={"method": ["GET"]}, forward="b"), "y": rule(priority=2, when={"method": ["PUT"]})},
            {"x": rule(priority=3, when={"method": ["GET"]}, forward="b"), "y": rule(priority=2, when={"method": ["PUT"]})},
        ),
        (
            {"both": rule(when={"path": ["/x", "/y/*"]}, forward="b")},
            {"y": rule(priority=1, when=Y, forward="b"), "x": rule(priority=2, when=X, forward="b")},
        ),
        (
            {"x": rule(when={"host": ["A.example.com"], "header": {"X-M": ["One", "two"]}}, forward="b")},
            {"x": rule(when={"header": {"x-m": ["TWO", "one"]}, "host": ["a.example.com"]}, forward="b")},
        ),
        ({}, {"x": rule(when=X, forward={"a": 90, "b": 10})}),
        ({"x": rule(when=X)}, {"x": rule(when=X), "late": rule(priority=20, when=X, forward="b")}),
        (
            {"x": rule(forward=None, redirect={"host": "b.example.com"})},
            {"x": rule(forward=None, redirect={"host": "b.example.com", "path": "/#{path}", "protocol": "#{protocol}"})},
        ),
    ],
    ids=[
        "renamed",
        "renumbered",
        "weights of the same shares",
        "the main weights, written out",
        "a variant as weights",
        "reordered, with other paths",
        "reordered, with other methods",
        "split in two",
        "letter case and order of values",
        "a rule that does what happened before",
        "a rule that nothing reaches",
        "a redirect with what is kept written out",
    ],
)  # fmt: skip
def test_equal_effects_in_different_words_move_nothing(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert ways(before, after) == set()
    assert ways(after, before) == set()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {"x": rule(when=X, forward="b")}, {("split", "x")}),
        ({"x": rule(when=X, forward="b")}, {}, {("x", "split")}),
        ({"x": rule(when=X, forward="b")}, {"x": rule(when=Y, forward="b")}, {("x", "split"), ("split", "x")}),
        ({"x": rule(when=X)}, {"x": rule(when=X, forward={"a": 1, "b": 0})}, {("x", "x")}),
        (
            {"x": rule(priority=1, when={"path": ["/x/*"]}, forward="b"), "z": rule(priority=2, when={"path": ["*/z"]})},
            {"x": rule(priority=2, when={"path": ["/x/*"]}, forward="b"), "z": rule(priority=1, when={"path": ["*/z"]})},
            {("x", "z")},
        ),
        (
            {"x": rule(when=X, forward="b")},
            {"x": rule(when=X, forward="b"), "all": rule(priority=5, when={"path": ["/*"], "method": ["GET"]})},
            {("x", "all"), ("split", "all")},
        ),
        (
            {"r": rule(forward=None, respond={"status": 404})},
            {"r": rule(forward=None, respond={"status": 404, "body": "no"})},
            {("r", "r")},
        ),
        (
            {"net": rule(when={"sourceIp": ["10.0.0.0/8"]}, forward="b")},
            {"net": rule(when={"sourceIp": ["10.1.0.0/16"]}, forward="b")},
            {("net", "split")},
        ),
        (
            {"net": rule(when={"sourceIp": ["10.0.0.0/8"]}, forward="b")},
            {
                "net": rule(when={"sourceIp": ["10.0.0.0/8"]}, forward="b"),
                "part": rule(priority=5, when={"sourceIp": ["10.1.0.0/16"]}),
            },
            {("net", "part")},
        ),
    ],
    ids=["new", "gone", "other conditions", "weight 0", "reordered", "in front", "another body", "a smaller block", "a block within"],
)  # fmt: skip
def test_requests_that_are_treated_differently_are_found(
    before: dict[str, Any], after: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert ways(before, after) == expected
    assert all(move.example for move in found(before, after))


def test_an_expression_that_only_may_meet_another_rule_is_never_taken_for_equal() -> None:
    regex = {"pathRegex": ["^/(a|b)+c$"]}
    before = {"r": rule(priority=1, when=regex, forward="b"), "x": rule(priority=2, when={"path": ["/a*"]})}
    after = {"r": rule(priority=2, when=regex, forward="b"), "x": rule(priority=1, when={"path": ["/a*"]})}
    assert ways(before, after) == {("r", "x")}


def test_letter_case_counts_in_paths_and_expressions() -> None:
    one, other = ({"x": rule(when={"hostRegex": [f"^{letter}$"]}, forward="b")} for letter in (r"\d", r"\D"))
    assert ways(one, other)
    assert ways({"x": rule(when=X, forward="b")}, {"x": rule(when={"path": ["/X"]}, forward="b")})
    assert asks_for(table(**one).routes[0]) != asks_for(table(**other).routes[0])


# Whatever the rules ---------------------------------------------------------------------------------------------------

PATHS = ["/", "/a", "/a/b", "/b"]
REQUESTS = [
    Request.parse({"method": method, "host": host, "path": path, "query": query, "headers": headers, "sourceIp": source})
    for method, host, path, query, headers, source in itertools.product(
        ["GET", "PUT"], ["x.example.com", "y.org"], PATHS, ["", "m=1"], [{}, {"X": "1"}, {"X": ["1", "2"]}], ["10.0.0.1", "::1"]
    )
]  # fmt: skip
WHEN = st.fixed_dictionaries(
    {},
    optional={
        "path": st.lists(st.sampled_from(["/*", "/a", "/a*", "/?", "*/b"]), min_size=1, max_size=2, unique=True),
        "method": st.sampled_from([["GET"], ["PUT"]]),
        "header": st.sampled_from([{"X": ["1"]}, {"x": ["2"]}, {"X": ["*"]}]),
        "host": st.sampled_from([["x.example.com"], ["*.org"]]),
        "query": st.sampled_from([{"m": ["1"]}, {"*": ["?"]}]),
        "sourceIp": st.sampled_from([["10.0.0.0/8"], ["::/0"]]),
        "pathRegex": st.sampled_from([["^/a$"], ["^/(a|b)$"]]),
    },
).filter(lambda when: when and not {"path", "pathRegex"} <= when.keys() and len(when) < 4)
RULES = st.lists(
    st.builds(lambda when, to: {"when": when, "forward": to}, WHEN, st.sampled_from(["a", "b", "split"])), max_size=3
)


def named(rules: list[dict[str, Any]], order: list[int], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{n}": rule(priority=10 * place + 1, **rules[n]) for place, n in enumerate(order)}


def version(weights: dict[str, int], rules: dict[str, Any], sticky: int) -> Version:
    return Version(stack="test", experiment=experiment(config(weights=weights, rules=rules, stickinessSeconds=sticky)))


@st.composite
def changes(draw: st.DrawFn) -> tuple[Version, Version]:
    """A version, and one that is like it: renamed, reordered, with a rule more, less or changed, other weights."""
    rules, sticky = draw(RULES), draw(st.sampled_from([0, 60]))
    others = draw(st.one_of(st.just(rules), st.just(rules[1:]), RULES, RULES.map(lambda more: [*more[:1], *rules])))
    weights = draw(st.sampled_from([{"a": 9, "b": 1}, {"a": 90, "b": 10}, {"a": 1}, {"a": 1, "b": 0}]))
    order = draw(st.permutations(range(len(others))))
    return (
        version({"a": 9, "b": 1}, named(rules, list(range(len(rules))), "r"), sticky),
        version(weights, named(others, order, draw(st.sampled_from("rs"))), sticky),
    )


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(changes())
def test_no_change_in_effect_is_never_said_of_a_change(pair: tuple[Version, Version]) -> None:
    sides = [RoutingTable.from_experiment(side.experiment) for side in pair]
    found = compare(*pair)
    differ = [r for r in REQUESTS if sides[0].decide(r).route.action != sides[1].decide(r).route.action]
    assert found.is_change or not differ
    moved = [(move.before, move.after) for move in found.moves]
    for request in differ:
        assert (sides[0].decide(request).route, sides[1].decide(request).route) in moved
    for move in found.moves:
        if move.example is not None:
            assert (
                sides[0].decide(move.example).route is move.before or sides[0].decide(move.example).route == move.before
            )
            assert sides[1].decide(move.example).route == move.after
