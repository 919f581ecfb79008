"""What the guard refuses, and what it says: pure, without an engine."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from abtest.rollout.alarms import Alarm
from abtest.rollout.judgement import Standing, gains, problems, unchecked, unmovable
from abtest.routing import RoutingTable
from tests.configs import SERVICE, VARIANT, config, experiment, rule

BASE: dict[str, Any] = {
    "weights": {"a": 90, "b": 10},
    "rules": {"to-b": rule(priority=10, when={"path": ["/v2/*"]}, forward="b"), "halves": rule(priority=20, when={"path": ["/h"]}, forward={"a": 50, "b": 50})},
}  # fmt: skip


def table(**changes: Any) -> RoutingTable:
    return RoutingTable.from_experiment(experiment(config(**BASE | changes)))


def refused(
    known: tuple[str, ...] = ("a", "b"),
    held: tuple[str, ...] = (),
    healthy: int = 1,
    alarms: tuple[Alarm, ...] = (),
    control: str | None = "a",
    before: RoutingTable | None = None,
    **changes: Any,
) -> list[str]:
    """What is wrong with changes of BASE."""
    standing = Standing(
        table=before or table(),
        known=known,
        held=held,
        control=control,
        healthy=lambda _: healthy,
        alarms=lambda: alarms,
        stack="dev",
    )
    return list(problems(experiment(config(**BASE | changes)), standing))


def gained(**changes: Any) -> list[str]:
    return [str(gain) for gain in gains(table(), experiment(config(**BASE | changes)))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"weights": {"a": 9, "b": 1}}, []),
        ({"weights": {"a": 75, "b": 25}}, ["b would go from 10 % to 25 % on the main split"]),
        ({"weights": {"a": 95, "b": 5}}, ["a would go from 90 % to 95 % on the main split"]),
        ({"rules": {**BASE["rules"], "to-b": rule(priority=10, when={"path": ["/v2/*"]}, forward="a")}}, ["a would go from 0 % to 100 % on rule to-b"]),
        ({"rules": {"to-b": BASE["rules"]["to-b"] | {"priority": 20}, "halves": BASE["rules"]["halves"] | {"priority": 10}}}, []),
        ({"rules": {"renamed": BASE["rules"]["to-b"], "halves": BASE["rules"]["halves"]}}, []),
        ({"rules": {**BASE["rules"], "new": rule(priority=30, when={"path": ["/n"]}, forward="split")}}, []),
        ({"rules": {**BASE["rules"], "new": rule(priority=30, when={"path": ["/n"]}, forward="b")}}, ["b would go from 10 % to 100 % on rule new"]),
        ({"rules": {**BASE["rules"], "new": rule(priority=30, when={"path": ["/n"]}, forward=None, respond={"status": 404})}}, []),
        ({"override": {}}, []),
        ({"rules": {**BASE["rules"], "to-b": rule(priority=10, when={"path": ["/*"]}, forward="b")}}, ["b would go from 10 % to 100 % on rule to-b, which asks for more than before"]),
        ({"rules": {**BASE["rules"], "halves": rule(priority=20, when={"path": ["/h", "/i"]}, forward={"a": 90, "b": 10})}}, ["a would go from 50 % to 90 % on rule halves, which asks for more than before"]),
        ({"rules": {**BASE["rules"], "to-b": rule(priority=10, when={"path": ["/v2/x"]}, forward="b")}}, []),
    ],
)  # fmt: skip
def test_gains_are_by_route_and_variant(changes: dict[str, Any], expected: list[str]) -> None:
    assert gained(**changes) == expected


@pytest.mark.parametrize("most", [7, 14, 28, 55, 56])
def test_a_step_of_just_as_many_points_as_allowed_is_allowed(most: int) -> None:
    """In floats, 7 % is more than 7 points."""
    weights = {"a": 100 - most, "b": most}
    standing = Standing(
        table=table(weights={"a": 100, "b": 0}),
        known="ab",
        held=(),
        control="a",
        healthy=lambda _: 1,
        alarms=tuple,
        stack="dev",
    )
    assert list(problems(experiment(config(weights=weights, guardrails={"maxStep": most})), standing)) == []


def test_a_step_is_measured_in_points_and_the_message_says_what_is_allowed() -> None:
    assert refused(weights={"a": 65, "b": 35}) == []
    assert refused(weights={"a": 64, "b": 36}) == [
        "b would go from 10 % to 36 % on the main split, 26 points at once; maxStep allows 25: go to 35 % first, "
        "or step by step: abtest ramp b --to 36 --stack dev"
    ]
    assert refused(weights={"a": 64, "b": 36}, guardrails={"maxStep": 26}) == []


def test_the_control_may_gain_all_at_once_but_not_without_a_healthy_target() -> None:
    assert refused(weights={"a": 100, "b": 0}) == []
    assert refused(weights={"a": 100, "b": 0}, guardrails={"minHealthy": 2}) == []
    assert refused(weights={"a": 80, "b": 20}, guardrails={"minHealthy": 2}) != []
    assert refused(weights={"a": 100, "b": 0}, healthy=0) == [
        "a would go from 90 % to 100 % on the main split, but it has 0 healthy targets and minHealthy is 1; wait until "
        "they pass their health checks, or mend them"
    ]


PROMOTED: dict[str, Any] = {"weights": {"a": 0, "b": 100}}


@pytest.mark.parametrize("more", [{"control": "b"}, {"weights": {"b": 1}, "variants": {"b": VARIANT}, "rules": {}}])
def test_a_control_that_the_same_update_names_gains_as_any_other_variant(more: dict[str, Any]) -> None:
    standing = Standing(
        table=table(), known="ab", held=(), control="a", healthy=lambda _: 1, alarms=lambda: (alarm("b"),), stack="dev"
    )
    step, alarmed = problems(experiment(config(**BASE | PROMOTED | more)), standing)
    assert step == (
        "b would go from 10 % to 100 % on the main split, 90 points at once; maxStep allows 25: go to 35 % first "
        "(abtest:control is b here, and a where it is deployed)"
    )
    assert "its alarm of-b is in ALARM" in alarmed


def test_traffic_goes_back_to_the_control_at_once_from_a_variant_that_was_promoted() -> None:
    assert refused(before=table(**PROMOTED), weights={"a": 1}, held=("b",)) == []


def test_where_no_tag_tells_the_control_it_is_who_has_half_of_the_main_split() -> None:
    assert refused(control=None, weights={"a": 1}) == []
    assert refused(control=None, before=table(weights={"a": 1, "b": 1}), weights={"a": 1}) == []
    (line,) = refused(control=None, before=table(**PROMOTED), weights={"a": 1})
    assert line.endswith("go to 25 % first (abtest:control is a here, and not known where it is deployed)")


def test_a_variant_that_no_rule_forwards_to_is_warmed_first() -> None:
    assert refused(known=("a",), weights={"a": 80, "b": 20}) == [
        "b would go from 10 % to 20 % on the main split, but no rule forwards to it yet, so the load balancer does not check "
        "its health; warm it first: pulumi config set --path 'abtest:weights.b' 0, pulumi up, then shift"
    ]
    assert refused(known=("a",), weights={"a": 80, "b": 20}, guardrails={"requireHealthy": False}) == []


def alarm(variant: str | None, state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"] = "ALARM") -> Alarm:
    return Alarm(name=f"of-{variant}", variant=variant, state=state, reason="5 was over 1")


def test_a_variant_gains_nothing_while_its_alarm_is_on() -> None:
    more: dict[str, Any] = {"weights": {"a": 80, "b": 20}}
    assert refused(alarms=(alarm("b"), alarm("b", "OK")), **more) == [
        "b would go from 10 % to 20 % on the main split, but its alarm of-b is in ALARM (5 was over 1); wait until that is "
        "over, or mend what it tells of"
    ]
    assert refused(alarms=(alarm("b", "OK"), alarm("b", "INSUFFICIENT_DATA"), alarm("a"), alarm(None)), **more) == []
    assert refused(alarms=(alarm("b"),), weights={"a": 95, "b": 5}) == []
    assert refused(alarms=(alarm("b"),), guardrails={"alarms": False}, **more) == []


def test_what_the_control_takes_back_does_not_wait_for_its_alarms() -> None:
    assert refused(alarms=(alarm("a"), alarm("b")), weights={"a": 100, "b": 0}) == []


def test_alarms_are_asked_for_only_where_a_variant_gains() -> None:
    standing = Standing(
        table=table(),
        known="ab",
        held=(),
        control="a",
        healthy=lambda _: 1,
        alarms=lambda: pytest.fail("asked"),
        stack="dev",
    )
    for changes in (
        {},
        {"weights": {"a": 95, "b": 5}},
        {"weights": {"a": 80, "b": 20}, "guardrails": {"alarms": False}},
    ):
        assert list(problems(experiment(config(**BASE | changes)), standing)) == []


def test_what_is_held_gains_nothing() -> None:
    more: dict[str, Any] = {"weights": {"a": 80, "b": 20}}
    assert refused(held=("b",), weights={"a": 95, "b": 5}) == []
    (line,) = refused(held=("b",), **more)
    assert "but it is held; the deployed listener holds it" in line
    standing = Standing(table=table(), known="ab", held=(), control="a", healthy=lambda _: 1, alarms=tuple, stack="dev")
    (line,) = problems(experiment(config(**BASE | more | {"held": ["b"]})), standing)
    assert "but it is held; take b out of abtest:held in an update that leaves its share as it is" in line


def test_what_is_held_gets_no_more_requests_by_a_rule_that_asks_for_more() -> None:
    wider = BASE["rules"] | {"to-b": rule(priority=10, when={"path": ["/*"]}, forward="b")}
    (line,) = refused(held=("b",), rules=wider, guardrails={"maxStep": 100})
    assert "rule to-b, which asks for more than before, but it is held" in line


def test_a_variant_whose_group_is_made_anew_gains_nothing() -> None:
    found = gains(table(), experiment(config(**BASE | {"weights": {"a": 80, "b": 20}})))
    assert list(unchecked(found, {"a"})) == []
    assert list(unchecked(found, {"a", "b"})) == [
        "b would go from 10 % to 20 % on the main split, but the same update replaces its target group, and nobody has "
        "checked the new targets; leave its share as it is in this update, then shift"
    ]


def test_without_guardrails_nothing_is_refused() -> None:
    assert refused(weights={"a": 0, "b": 1}, healthy=0, guardrails=None) == []


# Services -------------------------------------------------------------------------------------------------------------

COLD = (
    "b would go from 10 % to 20 % on the main split, but no rule forwards to it yet, so the load balancer does not check "
    "its health; warm it first: pulumi config set --path 'abtest:weights.b' 0, pulumi up, then shift"
)


@pytest.mark.parametrize("rails", [None, {}, {"requireHealthy": False}])
def test_a_service_that_no_rule_forwards_to_gains_nothing_whatever_the_guardrails(rails: dict[str, Any] | None) -> None:
    more: dict[str, Any] = {"weights": {"a": 80, "b": 20}, "guardrails": rails}
    assert refused(known=("a",), variants={"a": VARIANT, "b": SERVICE}, **more) == [COLD]
    assert refused(variants={"a": VARIANT, "b": SERVICE}, **more) == []
    warm = more | {"weights": {"a": 100, "b": 0}}
    assert refused(known=("a",), variants={"a": VARIANT, "b": SERVICE}, **warm) == []


def test_without_guardrails_a_service_may_gain_all_at_once_and_unhealthy() -> None:
    more: dict[str, Any] = {"weights": {"a": 0, "b": 1}, "guardrails": None, "alarms": (alarm("b"),)}
    assert refused(variants={"a": VARIANT, "b": SERVICE}, healthy=0, **more) == []


def test_the_group_of_a_service_stays_and_another_variant_takes_over() -> None:
    assert unmovable("b") == (
        "the target group of b would be replaced, but the tasks of its service come to the new one only after the load "
        "balancer has it, and until then nobody answers there; add a variant under another name at weight 0, shift, then "
        "take this one out"
    )
