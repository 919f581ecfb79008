"""What the guard refuses, and what it says: pure, without an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from abtest.experiment.types import Guardrails
from abtest.rollout.alarms import Alarm
from abtest.rollout.exposure import gains, without_rules
from abtest.rollout.judgement import Standing, loosened, problems, unchecked, unmovable
from abtest.routing import RoutingTable
from tests.configs import SERVICE, VARIANT, config, experiment, rule

BASE: dict[str, Any] = {
    "control": "a", "weights": {"a": 90, "b": 10},
    "rules": {"to-b": rule(priority=10, when={"path": ["/v2/*"]}, forward="b"), "halves": rule(priority=20, when={"path": ["/h"]}, forward={"a": 50, "b": 50})},
}  # fmt: skip


def table(**changes: Any) -> RoutingTable:
    made = experiment(config(**BASE | changes))
    return without_rules(RoutingTable.from_experiment(made), made.override_priorities.values())


#: BASE as it is deployed, healthy and without an alarm.
STANDING = Standing(
    split=table().split.action.shares, known="ab", held=(), control="a", rails=None, healthy=lambda _: 1, alarms=tuple,
    stack="dev",
)  # fmt: skip


def refused(
    known: tuple[str, ...] = ("a", "b"),
    held: tuple[str, ...] = (),
    healthy: int = 1,
    alarms: tuple[Alarm, ...] = (),
    tagged: str | None = "a",
    rails: Guardrails | None = None,
    before: RoutingTable | None = None,
    **changes: Any,
) -> list[str]:
    """The problems with changes of BASE; ``tagged`` is the deployed control, ``rails`` the deployed guardrails."""
    before = before or table()
    standing = replace(
        STANDING,
        split=before.split.action.shares,
        known=known,
        held=held,
        control=tagged,
        rails=rails,
        healthy=lambda _: healthy,
        alarms=lambda: alarms,
        stack="dev",
    )
    return list(problems(experiment(config(**BASE | changes)), standing, gains(before, table(**changes))))


def gained(**changes: Any) -> list[str]:
    return [str(gain) for gain in gains(table(), table(**changes))]


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
        ({"rules": {**BASE["rules"], "new": rule(priority=30, when={"path": ["/n"]}, forward="b")}}, ["requests to /n would go from a 90 %, b 10 % (the main split) to b 100 % (rule new), for example GET /n"]),
        ({"rules": {**BASE["rules"], "new": rule(priority=30, when={"path": ["/n"]}, forward=None, respond={"status": 404})}}, []),
        ({"override": {}}, []),
        ({"rules": {**BASE["rules"], "to-b": rule(priority=10, when={"path": ["/*"]}, forward="b")}}, [
            "requests to /* would go from a 90 %, b 10 % (the main split) to b 100 % (rule to-b), for example GET /x",
            "requests to /h would go from a 50 %, b 50 % (rule halves) to b 100 % (rule to-b), for example GET /h",
        ]),
        ({"rules": {**BASE["rules"], "halves": rule(priority=20, when={"path": ["/h", "/i"]}, forward={"a": 90, "b": 10})}}, ["requests to /h would go from a 50 %, b 50 % (rule halves) to a 90 %, b 10 % (rule halves), for example GET /h"]),
        ({"rules": {**BASE["rules"], "to-b": rule(priority=10, when={"path": ["/v2/x"]}, forward="b")}},
         ["requests to /v2/* would go from b 100 % (rule to-b) to a 90 %, b 10 % (the main split), for example GET /v2/7"]),
    ],
)  # fmt: skip
def test_gains_are_by_route_and_variant(changes: dict[str, Any], expected: list[str]) -> None:
    assert gained(**changes) == expected


@pytest.mark.parametrize("most", [7, 14, 28, 55, 56])
def test_a_step_of_just_as_many_points_as_allowed_is_allowed(most: int) -> None:
    """In floats, 7 % is more than 7 points."""
    weights = {"a": 100 - most, "b": most}
    before = table(weights={"a": 100, "b": 0})
    assert refused(before=before, weights=weights, guardrails={"maxStep": most}) == []


def test_a_step_is_measured_in_points_and_the_message_says_what_is_allowed() -> None:
    assert refused(weights={"a": 65, "b": 35}) == []
    assert refused(weights={"a": 64, "b": 36}) == [
        "b would go from 10 % to 36 % on the main split: 26 points of b at once; maxStep allows 25: go to 35 % first, "
        "or step by step: abtest ramp b --to 36 --stack dev"
    ]
    assert refused(weights={"a": 64, "b": 36}, guardrails={"maxStep": 26}) == []


def test_the_control_may_gain_all_at_once_but_not_without_a_healthy_target() -> None:
    assert refused(weights={"a": 100, "b": 0}) == []
    assert refused(weights={"a": 100, "b": 0}, guardrails={"minHealthy": 2}) == []
    assert refused(weights={"a": 80, "b": 20}, guardrails={"minHealthy": 2}) != []
    assert refused(weights={"a": 100, "b": 0}, healthy=0) == [
        "a would go from 90 % to 100 % on the main split, but a has 0 healthy targets and needs 1 (minHealthy); wait "
        "until they pass their health checks, or fix them"
    ]


PROMOTED: dict[str, Any] = {"weights": {"a": 0, "b": 100}}


@pytest.mark.parametrize("more", [{}, {"weights": {"b": 1}, "variants": {"b": VARIANT}, "rules": {}}])
def test_a_control_that_only_the_new_config_names_is_not_free(more: dict[str, Any]) -> None:
    lines = refused(alarms=(alarm("b"),), **PROMOTED | {"control": "b"} | more)
    assert lines[0] == (
        "abtest:control would change from a to b, which has 10 % of the deployed main split; a control gains share without "
        "a limit, so first shift b to 50 % or more, then change abtest:control in a second update"
    )
    assert lines[1] == (
        "b would go from 10 % to 100 % on the main split: 90 points of b at once; maxStep allows 25: go to 35 % first "
        "(abtest:control is b here, and a where it is deployed)"
    )
    assert "the alarm of-b of b is in ALARM" in lines[2]
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("deployed", "passes"),
    [({"a": 100, "b": 0}, False), ({"a": 99, "b": 1}, False), ({"a": 51, "b": 49}, False), ({"a": 1, "b": 1}, True), ({"a": 0, "b": 1}, True)],
)  # fmt: skip
def test_a_new_control_has_half_of_the_deployed_main_split(deployed: dict[str, int], *, passes: bool) -> None:
    standing = replace(STANDING, split=table(weights=deployed).split.action.shares)
    wanted = experiment(config(**BASE | {"weights": deployed, "control": "b"}))
    assert (list(problems(wanted, standing, ())) == []) == passes


def test_of_three_equal_variants_none_becomes_the_control_before_a_shift() -> None:
    three = {"variants": dict.fromkeys("abc", VARIANT), "weights": {"a": 34, "b": 33, "c": 33}}
    standing = replace(STANDING, split=table(**three).split.action.shares)
    (line,) = problems(experiment(config(**BASE | three | {"control": "b"})), standing, ())
    assert "which has 33 % of the deployed main split" in line
    assert "first shift b to 50 % or more" in line


def test_traffic_goes_back_to_the_control_at_once_from_a_variant_that_was_promoted() -> None:
    assert refused(before=table(**PROMOTED), weights={"a": 1}, held=("b",)) == []


def test_where_no_tag_tells_the_control_it_is_who_has_half_of_the_main_split() -> None:
    assert refused(tagged=None, weights={"a": 1}) == []
    assert refused(tagged=None, before=table(weights={"a": 1, "b": 1}), weights={"a": 1}) == []
    (line,) = refused(tagged=None, before=table(**PROMOTED), weights={"a": 1})
    assert line.endswith("go to 25 % first (abtest:control is a here, and not known where it is deployed)")


def test_a_variant_that_no_rule_forwards_to_is_warmed_first() -> None:
    assert refused(known=("a",), weights={"a": 80, "b": 20}) == [
        "b would go from 10 % to 20 % on the main split, but no rule forwards to b yet, so the load balancer does not check "
        "its health; warm it first: pulumi config set --path 'abtest:weights.b' 0, pulumi up, then shift"
    ]
    assert refused(known=("a",), weights={"a": 80, "b": 20}, guardrails={"requireHealthy": False}) == []


def alarm(variant: str | None, state: Literal["OK", "ALARM", "INSUFFICIENT_DATA"] = "ALARM") -> Alarm:
    return Alarm(name=f"of-{variant}", variant=variant, state=state, reason="5 was over 1")


def test_a_variant_gains_nothing_while_its_alarm_is_on() -> None:
    more: dict[str, Any] = {"weights": {"a": 80, "b": 20}}
    assert refused(alarms=(alarm("b"), alarm("b", "OK")), **more) == [
        "b would go from 10 % to 20 % on the main split, but the alarm of-b of b is in ALARM (5 was over 1); wait until that is "
        "over, or fix its cause"
    ]
    assert refused(alarms=(alarm("b", "OK"), alarm("b", "INSUFFICIENT_DATA"), alarm("a"), alarm(None)), **more) == []
    assert refused(alarms=(alarm("b"),), weights={"a": 95, "b": 5}) == []
    assert refused(alarms=(alarm("b"),), guardrails={"alarms": False}, **more) == []


def test_what_the_control_takes_back_does_not_wait_for_its_alarms() -> None:
    assert refused(alarms=(alarm("a"), alarm("b")), weights={"a": 100, "b": 0}) == []


def test_alarms_are_read_only_if_a_variant_gains() -> None:
    for changes in (
        {},
        {"weights": {"a": 95, "b": 5}},
        {"weights": {"a": 80, "b": 20}, "guardrails": {"alarms": False}},
    ):
        standing = replace(STANDING, alarms=lambda: pytest.fail("read"))
        found = gains(table(), table(**changes))
        assert list(problems(experiment(config(**BASE | changes)), standing, found)) == []


def test_what_is_held_gains_nothing() -> None:
    more: dict[str, Any] = {"weights": {"a": 80, "b": 20}}
    assert refused(held=("b",), weights={"a": 95, "b": 5}) == []
    (line,) = refused(held=("b",), **more)
    assert "but b is held; the deployed listener holds it" in line
    (line,) = problems(experiment(config(**BASE | more | {"held": ["b"]})), STANDING, gains(table(), table(**more)))
    assert "but b is held; take b out of abtest:held in an update that leaves its share as it is" in line


def test_what_is_held_gets_no_more_requests_by_a_rule_that_asks_for_more() -> None:
    wider = BASE["rules"] | {"to-b": rule(priority=10, when={"path": ["/*"]}, forward="b")}
    (line,) = refused(held=("b",), rules=wider, guardrails={"maxStep": 100})
    assert "to b 100 % (rule to-b), for example GET /x, but b is held" in line


def test_a_variant_whose_group_is_made_anew_gains_nothing() -> None:
    found = gains(table(), table(weights={"a": 80, "b": 20}))
    assert list(unchecked(found, {"a"})) == []
    assert list(unchecked(found, {"a", "b"})) == [
        "b would go from 10 % to 20 % on the main split, but the same update replaces the target group of b, and no "
        "health check has seen the new targets; leave its share as it is in this update, then shift"
    ]


def test_without_guardrails_nothing_is_refused() -> None:
    assert refused(weights={"a": 0, "b": 1}, healthy=0, guardrails=None) == []


# Deployed guardrails -------------------------------------------------------------------------------------------------


def test_an_update_that_loosens_a_limit_is_judged_by_the_deployed_one() -> None:
    bold: dict[str, Any] = {"weights": {"a": 0, "b": 100}, "guardrails": {"maxStep": 100, "requireHealthy": False}}
    step, health, hint = refused(rails=Guardrails(), healthy=0, **bold)
    assert "90 points of b at once; maxStep allows 25" in step
    assert "b has 0 healthy targets and needs 1" in health
    assert hint == (
        "this update also loosens the guardrails (maxStep 25 → 100, requireHealthy true → false), but the deployed limits "
        "hold for it: do that in an update of its own"
    )
    assert refused(rails=Guardrails(), healthy=0, guardrails=bold["guardrails"]) == []
    assert refused(rails=Guardrails(max_step=100, require_healthy=False), healthy=0, **bold) == []


def test_an_update_that_removes_the_guardrails_is_judged_by_the_deployed_ones() -> None:
    step, hint = refused(rails=Guardrails(), weights={"a": 0, "b": 100}, guardrails=None)
    assert "maxStep allows 25" in step
    assert hint.startswith("this update also removes abtest:guardrails, but the deployed limits hold for it")
    assert refused(rails=Guardrails(), guardrails=None) == []


def test_the_new_limits_hold_if_they_are_stricter() -> None:
    (line,) = refused(rails=Guardrails(max_step=100), weights={"a": 80, "b": 20}, guardrails={"maxStep": 5})
    assert line.endswith(
        "10 points of b at once; maxStep allows 5: go to 15 % first, or step by step: abtest ramp b --to 20 --stack dev"
    )


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (None, Guardrails(), {}),
        (Guardrails(), None, {}),
        (Guardrails(), Guardrails(max_step=5, min_healthy=2), {}),
        (Guardrails(min_healthy=3), Guardrails(), {"minHealthy": ("3", "1")}),
        (Guardrails(), Guardrails(alarms=False, max_step=26), {"maxStep": ("25", "26"), "alarms": ("true", "false")}),
        (Guardrails(require_healthy=False, min_healthy=3), Guardrails(), {}),
    ],
)
def test_the_limits_that_get_looser(
    was: Guardrails | None, now: Guardrails | None, expected: dict[str, tuple[str, str]]
) -> None:
    assert loosened(was, now) == expected


def test_limits_survive_a_tag() -> None:
    for rails in (Guardrails(), Guardrails(max_step=7, require_healthy=False, min_healthy=4, alarms=False)):
        assert Guardrails.of_tag(rails.tag) == rails
    for text in ("", "maxStep", "maxStep=x", "maxStep=1000", "other=1"):
        assert Guardrails.of_tag(text) == Guardrails(), "a tag that cannot be read frees nothing"


# Services -------------------------------------------------------------------------------------------------------------

COLD = (
    "b would go from 10 % to 20 % on the main split, but no rule forwards to b yet, so the load balancer does not check "
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
        "balancer has it, and until then requests get 503; add a variant under another name at weight 0, shift, then "
        "take this one out"
    )
