"""What is never reached, and what goes in circles: by thought, and judged by trial."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abtest.routing import RoutingTable, Shadow, example, redirect_loops, shadows, sticky_lag, unreached, warnings
from abtest.routing.examples import one_value_each
from tests.configs import VARIANT, config, experiment, rule, source
from tests.routing.tables import CONDITIONS, OPAQUE, requests, tables

HTTPS = {"certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}


def table_of(*whens: dict[str, Any], **last: Any) -> RoutingTable:
    rules = {f"r{n}": rule(priority=n, when=when) for n, when in enumerate(whens, 1)}
    rules[f"r{len(whens)}"] = rule(priority=len(whens), when=whens[-1], **last)
    return RoutingTable.from_experiment(experiment(config(rules=rules)))


def words(*whens: dict[str, Any]) -> list[str]:
    return [f"{shadow.route} {shadow.why}" for shadow in shadows(table_of(*whens))]


# Shadows --------------------------------------------------------------------------------------------------------------


def test_a_rule_behind_a_wildcard_is_never_reached() -> None:
    assert words({"path": ["/v2/*"]}, {"path": ["/v2/x*"], "method": ["POST"]}) == [
        "rule 2 (r2) is never reached: rule 1 (r1) comes first and takes all its requests"
    ]


def test_the_same_conditions_are_called_the_same_whatever_their_order_and_case() -> None:
    assert words({"host": ["a.com", "B.com"], "method": ["GET"]}, {"method": ["GET"], "host": ["b.com", "A.com"]}) == [
        "rule 2 (r2) is never reached: rule 1 (r1) comes first and asks for the same"
    ]


def test_several_rules_may_take_the_values_of_one_between_them() -> None:
    found = shadows(
        table_of(
            {"path": ["/a*"], "method": ["GET"]}, {"path": ["/x"]}, {"path": ["/a*"], "method": ["POST"]},
            {"path": ["/ab"], "method": ["GET", "POST"]},
        )
    )  # fmt: skip
    assert [(s.route.name, [by.name for by in s.by], s.certain) for s in found] == [("r4", ["r1", "r3"], True)]


def test_a_rule_for_everything_leaves_nothing_to_the_default_action() -> None:
    assert words({"path": ["/*"]}) == [
        "the default action is never reached: rule 1 (r1) comes first and takes all its requests"
    ]


def test_a_rule_that_regular_expressions_seem_to_take_may_be_shadowed() -> None:
    assert words({"pathRegex": ["^/v[0-9]+/"]}, {"path": ["/v2/*"]}) == [
        "rule 2 (r2) may never be reached: rule 1 (r1) took all the requests that could be made up for it"
    ]


@pytest.mark.parametrize(
    "whens",
    [
        [{"path": ["/v2/*"]}, {"path": ["/v*"]}],
        [{"path": ["/v0/*"]}, {"path": ["/v1/*"]}, {"pathRegex": ["^/v[0-9]+/.*$"]}],
        [{"pathRegex": ["^/v2/x$"]}, {"path": ["/v2/*"]}],
        [{"method": ["GET", "POST", "PUT", "HEAD"]}, {"method": ["DELETE", "OPTIONS", "PATCH"]}, {"path": ["/x"]}],
        [{"header": {"X-A": ["*"]}}, {"headerRegex": {"X-B": ["^.*$"]}}],
        [{"path": ["/a/*"]}, {"pathRegex": ["^/(a|b)/.*$"]}],
        [{"headerRegex": {"X-A": ["^a$"]}}, {"path": ["?b"], "headerRegex": {"X-A": ["^[ab]+$"]}}],
        [
            {"path": ["/", "/x", "/7", "/a-b.c"], "method": ["GET"]},
            {"path": ["/*"], "method": ["POST"]},
            {"path": ["/*"], "method": ["GET"]},
        ],
        [{"query": {"v": ["*"]}}, {"query": {"v": ["a&b"]}}],  # asks for the impossible
    ],
)
def test_without_a_reason_nothing_is_said(whens: list[dict[str, Any]]) -> None:
    assert words(*whens) == []


def certain(table: RoutingTable) -> list[Shadow]:
    return [shadow for shadow in shadows(table) if shadow.certain]


@settings(max_examples=100)
@given(table=tables(st.one_of(CONDITIONS, OPAQUE)))
def test_no_request_reaches_what_is_certainly_shadowed(table: RoutingTable) -> None:
    if found := {id(shadow.route) for shadow in certain(table)}:
        assert not any(id(table.decide(request).route) in found for request in requests(table))


@settings(max_examples=100)
@given(table=tables(most=2))
def test_behind_a_single_rule_a_rule_is_shadowed_or_has_an_example(table: RoutingTable) -> None:
    shadowed = {id(shadow.route) for shadow in certain(table)}
    for route in table.routes[:2]:
        if any(one_value_each(route.conditions)):
            assert (example(table, route) is None) is (id(route) in shadowed)


# Variants -------------------------------------------------------------------------------------------------------------

THREE = {"a": VARIANT, "b": VARIANT, "c": VARIANT}


def problems(**keys: Any) -> list[str]:
    given_ = source(config(**keys))
    return [f"{problem.path}: {problem.message}" for problem in warnings(experiment(config(**keys)), given_)]


def unreached_of(**keys: Any) -> tuple[str, ...]:
    found = experiment(config(**keys))
    return unreached(RoutingTable.from_experiment(found), found.variants, frozenset(found.override_priorities.values()))


def test_a_variant_is_reached_by_a_share_in_a_rule_that_can_be_reached() -> None:
    assert unreached_of() == ()
    assert unreached_of(weights={"a": 1, "b": 0}) == ("b",)
    assert unreached_of(weights={"a": 1}, rules={"r": rule(forward={"b": 1, "a": 9})}) == ()


def test_a_shadowed_rule_reaches_no_variant_and_an_override_does_not_count() -> None:
    rules = {"one": rule(when={"path": ["/*"]}), "two": rule(priority=20, forward="b")}
    assert unreached_of(weights={"a": 1}, rules=rules, override={}) == ("b",)


def test_a_variant_that_nobody_gets_is_doubtful_but_not_one_kept_warm() -> None:
    assert problems(variants=THREE, weights={"a": 1, "b": 0}) == [
        "abtest:variants.c: is in no weights and no rule, so no client gets it; "
        "add it to abtest:weights (0 keeps it warm), or take it out"
    ]
    assert problems(variants=THREE, rules={"r": rule(forward={"a": 1, "c": 0})}) == []


def test_a_variant_behind_shadowed_rules_alone_is_doubtful_too() -> None:
    rules = {"one": rule(when={"path": ["/x*"]}), "two": rule(priority=20, forward="b")}
    assert problems(weights={"a": 1}, rules=rules) == [
        "abtest:rules.two: is never reached: rule 10 (one) comes first and takes all its requests; "
        "give it a lower priority number, or take it out",
        "abtest:variants.b: is in no weights and only in rules never reached, so no client gets it; "
        "add it to abtest:weights (0 keeps it warm), or take it out",
    ]


def test_a_main_split_that_nobody_gets_is_doubtful_unless_a_rule_forwards_to_it() -> None:
    everything = {"path": ["/*"]}
    assert problems(rules={"all": rule(when=everything, forward="split")}) == []
    assert problems(rules={"all": rule(when=everything)}) == [
        "abtest:weights: the main split is never reached: rule 10 (all) comes first and takes all its requests; "
        "narrow that, or let it say forward: split"
    ]


EDGE_ONLY = {
    "edge": rule(priority=10, when={"header": {"X-Edge-Key": ["k"]}}, forward="split"),
    "deny": rule(priority=20, when={"path": ["/*"]}, forward=None, respond={"status": 403}),
}


def test_a_split_behind_a_deny_rule_is_reached_by_a_rule_before_it() -> None:
    assert problems(rules=EDGE_ONLY) == []
    assert unreached_of(rules=EDGE_ONLY) == ()
    assert unreached_of(variants=THREE, weights={"a": 1, "b": 1}, rules=EDGE_ONLY) == ("c",)


def test_a_split_of_an_existing_listener_is_reached_by_a_rule_before_it() -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
    when = {"host": ["ranker.example.com"]}
    listener = {"arn": arn, "split": {"priority": 200, "when": when}}
    edge = rule(priority=10, when={**when, "header": {"X-Edge-Key": ["k"]}}, forward="split")
    deny = rule(priority=20, when=when, forward=None, respond={"status": 403})
    assert problems(listener=listener, rules={"edge": edge, "deny": deny}) == []
    (lost,) = problems(listener=listener, rules={"deny": deny})
    assert lost.startswith("abtest:weights: the main split is never reached: rule 20 (deny) comes first")


def test_a_rule_that_is_never_reached_does_not_reach_the_split() -> None:
    late = {"deny": EDGE_ONLY["deny"], "edge": {**EDGE_ONLY["edge"], "priority": 30}}
    assert {problem.partition(": ")[0] for problem in problems(rules=late)} == {"abtest:weights", "abtest:rules.edge"}


def test_a_rule_with_other_weights_does_not_reach_the_split() -> None:
    rules = {**EDGE_ONLY, "edge": {**EDGE_ONLY["edge"], "forward": {"a": 1, "b": 3}}}
    (lost,) = problems(rules=rules)
    assert lost.startswith("abtest:weights: the main split is never reached: rule 20 (deny) comes first")


def test_a_rule_for_the_overrides_header_is_shadowed_by_it() -> None:
    rules = {"forced": rule(when={"header": {"x-abtest-variant": ["B"]}})}
    (found,) = problems(override={"secret": False}, rules=rules)
    assert found.startswith("abtest:rules.forced: is never reached: rule 2 (abtest:override) comes first and asks for")
    assert problems(override={"secret": True}, rules=rules) == []


# Redirects ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "redirect", "location"),
    [
        ({"host": ["*.example.com"]}, {"host": "www.example.com"}, "http://www.example.com:80/"),
        ({"path": ["/old*"]}, {"path": "/old/#{path}"}, "http://example.com:80/old/oldx"),
        ({"path": ["/a", "/b"]}, {"path": "/b", "query": "seen=1"}, "http://example.com:80/b?seen=1"),
        ({"path": ["/was/*"]}, {"path": "/is/#{path}"}, None),
        ({"path": ["/??"]}, {"path": "/x#{path}"}, None),  # taken at most twice
        ({"host": ["old.example.com"]}, {"host": "example.com"}, None),
        ({"method": ["POST"]}, {"path": "/x/#{path}"}, None),  # a client follows with GET
        ({"path": ["/*"]}, {"protocol": "HTTPS", "port": 443}, None),
        ({"path": ["/*"]}, {"port": 8080}, None),
    ],
)
def test_a_redirect_loops_where_an_example_comes_back(
    when: dict[str, Any], redirect: dict[str, Any], location: str | None
) -> None:
    found = redirect_loops(table_of(when, forward=None, redirect=redirect))
    assert [loop.location for loop in found] == ([] if location is None else [location])


def test_two_redirects_may_lead_to_each_other() -> None:
    rules = {
        "there": rule(when={"path": ["/a"]}, forward=None, redirect={"path": "/b"}),
        "back": rule(priority=20, when={"path": ["/b"]}, forward=None, redirect={"path": "/a"}),
        "in": rule(priority=30, when={"path": ["/c"]}, forward=None, redirect={"path": "/a"}),
    }
    found = redirect_loops(RoutingTable.from_experiment(experiment(config(rules=rules))))
    assert [loop.route.name for loop in found] == ["there", "back"]


def test_a_loop_is_told_with_the_address_that_shows_it() -> None:
    rules = {"r": rule(when={"path": ["/a*"]}, forward=None, redirect={"path": "/a/b"})}
    assert problems(rules=rules, listener=HTTPS) == [
        "abtest:rules.r.redirect: goes in circles: https://example.com/ax is sent to https://example.com:443/a/b, and "
        "from there back to this rule; let `when` leave out where it leads, or send it elsewhere"
    ]


# Stickiness -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words_"),
    [(1, "1 second"), (90, "90 seconds"), (1800, "30 minutes"), (3600, "60 minutes"), (90_000, "25 hours"), (604_800, "7 days")],
)  # fmt: skip
def test_the_lag_of_a_shift_is_told_in_the_largest_whole_unit(seconds: int, words_: str) -> None:
    assert sticky_lag(seconds) == f"after a shift or a rollback, clients keep their variant for up to {words_}"


def test_without_stickiness_a_shift_holds_at_once() -> None:
    assert sticky_lag(0) == "a shift or a rollback holds from the next request on"


def test_only_stickiness_of_more_than_a_day_is_doubtful() -> None:
    assert problems(stickinessSeconds=86_400) == []
    assert problems(stickinessSeconds=86_401) == [
        "abtest:stickinessSeconds: after a shift or a rollback, clients keep their variant for up to 86401 seconds, and "
        "a bad model keeps its own as long; 86400 (a day) or less frees them sooner"
    ]


def test_a_rule_with_an_encrypted_value_is_looked_at_with_the_others() -> None:
    secret = {"secure": "v1:abc"}
    whens: list[dict[str, Any]] = [
        {"sourceIp": [secret]},
        {"path": ["/v2/*"]},
        {"path": ["/v2/x", "/v3/*"]},
        {"path": [secret]},
    ]
    assert shadows(table_of(*whens)) == ()


def test_a_rule_that_takes_other_peoples_requests_on_a_shared_listener_is_told() -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
    host = {"host": ["ranker.example.com"]}
    keys = config(
        listener={"arn": arn, "split": {"priority": 200, "when": {**host, "header": {"X-Canary": ["yes"]}}}},
        rules={
            "ours": rule(priority=10, when={**host, "path": ["/x"], "header": {"X-Canary": ["yes"]}}),
            "testers": rule(priority=15, when={**host, "query": {"model": ["b"]}}),
            "anybodys": rule(priority=20, when={"path": ["/x"]}),
        },
    )
    (problem,) = warnings(experiment(keys), source(keys))
    assert problem.path == "abtest:rules.anybodys.when"
    assert problem.message.startswith("also takes requests that are none of the split's")
