"""The guard on the real engine: what it refuses is not made, in a preview or in an update."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.engine.configs import BASE, changed, launching, rule
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

GUARDED = changed(BASE, guardrails={"maxStep": 25, "requireHealthy": True, "minHealthy": 1})


def refused(run: Run, *words: str) -> None:
    assert run.code != 0, run.output
    assert run.routing == [], "nothing of it is made"
    assert "Traceback" not in run.output
    for each in words:
        assert each in run.output, run.output


@pytest.fixture
def guarded(shared: Engine) -> Engine:
    return shared.stand(GUARDED)


def test_the_first_deployment_is_exempt(fresh: Engine) -> None:
    fresh.preview(GUARDED).succeeded()
    fresh.up(GUARDED).succeeded()
    assert fresh.up().succeeded().steps == ()


def test_a_step_that_is_too_large_is_refused_in_preview_and_up(guarded: Engine) -> None:
    config = changed(GUARDED, weights={"a": 50, "b": 50})
    words = (
        "b would go from 10 % to 50 % on the main split: 40 points of b at once; maxStep allows 25: go to 35 % first"
    )
    words += ", or step by step: abtest ramp b --to 50 --stack dev"
    refused(guarded.preview(config), words)
    refused(guarded.up(config), words)
    assert guarded.cloud.weights("80 default") == {"abtest-a": 90, "abtest-b": 10}


def test_a_step_that_is_small_enough_is_one_write(guarded: Engine) -> None:
    run = guarded.up(changed(GUARDED, weights={"a": 65, "b": 35})).succeeded()
    assert run.writes == ["ModifyListener"]


def test_the_control_may_gain_all_at_once(guarded: Engine) -> None:
    guarded.up(changed(GUARDED, weights={"a": 100, "b": 0})).succeeded()


def test_renamed_renumbered_and_swapped_rules_that_move_no_request_pass(guarded: Engine) -> None:
    swapped = changed(
        GUARDED, rules={"to-b": rule(20, "/v2/*", "b"), "halves": rule(10, "/halves/*", {"a": 50, "b": 50})}
    )
    guarded.preview(swapped).succeeded()
    guarded.up(swapped).succeeded()
    renamed = changed(
        GUARDED, rules={"to-new": rule(30, "/v2/*", "b"), "halves": rule(10, "/halves/*", {"a": 50, "b": 50})}
    )
    guarded.preview(renamed).succeeded()
    guarded.up(renamed).succeeded()


def test_a_rule_that_moves_and_gains_is_refused(guarded: Engine) -> None:
    config = changed(GUARDED, rules={"to-b": rule(20, "/v2/*", "b"), "halves": rule(10, "/halves/*", "b")})
    refused(guarded.preview(config), "b would go from 50 % to 100 % on rule halves")
    refused(guarded.up(config), "b would go from 50 % to 100 % on rule halves")


PINNED = changed(GUARDED, rules={"pin": rule(10, "/*", "a"), "v2": rule(20, "/v2/*", "b")})
FROM_PIN = "requests to /v2/* would go from a 100 % (rule pin) to b 100 % (rule v2), for example GET /v2/x"
LOOSE = {"maxStep": 100, "requireHealthy": False, "minHealthy": 1}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (changed(PINNED, rules__pin__priority=20, rules__v2__priority=10), FROM_PIN),
        (changed(PINNED, rules__v2__priority=5), FROM_PIN),
        (changed(PINNED, rules__pin__when__path=["/x"]), FROM_PIN),
        (changed(PINNED, rules={"v2": rule(20, "/v2/*", "b")}), FROM_PIN),
        (changed(PINNED, rules__new=rule(5, "/n", "b")), "requests to /n would go from a 100 % (rule pin) to b 100 % (rule new)"),
        (
            changed(PINNED, weights={"a": 0, "b": 100}, rules={}, guardrails=LOOSE),
            "this update also loosens the guardrails (maxStep 25 → 100, requireHealthy true → false)",
        ),
        (
            {key: value for key, value in changed(PINNED, weights={"a": 0, "b": 100}, rules={}).items() if key != "guardrails"},
            "this update also removes abtest:guardrails",
        ),
        (changed(PINNED, control="b"), "abtest:control would change from a to b, which has 10 % of the deployed main split"),
    ],
    ids=["swap", "to the front", "narrow", "delete only", "before a pin", "loosen", "remove", "control"],
)  # fmt: skip
def test_requests_that_would_come_to_b_are_refused(shared: Engine, config: dict[str, Any], words: str) -> None:
    shared.stand(PINNED)
    refused(shared.preview(config), words)
    refused(shared.up(config), words)
    assert set(shared.cloud.layout["rules"]) == {"80 10", "80 20", "80 default"}


def test_a_redirect_to_the_rule_of_b_is_refused(guarded: Engine) -> None:
    old = {"priority": 40, "when": {"path": ["/old/*"]}, "redirect": {"path": "/v2/#{path}"}}
    config = changed(GUARDED, rules__old=old)
    words = (
        "requests to /old/* would go from a 90 %, b 10 % (the main split) to b 100 % (rule old, redirected to rule to-b), "
        "for example GET /old/x"
    )
    refused(guarded.preview(config), words)
    refused(guarded.up(config), words)


def test_a_rule_that_no_request_misses_is_deleted_and_the_tag_follows(shared: Engine) -> None:
    run = shared.stand(PINNED).up(changed(PINNED, rules={"pin": rule(10, "/*", "a")})).succeeded()
    assert (run.did("update"), run.did("delete")) == (["listener-80"], ["rule-20"])


def test_a_new_rule_is_compared_with_the_split_that_its_requests_left(guarded: Engine) -> None:
    config = changed(GUARDED, rules__all=rule(40, "/*", "b"))
    refused(
        guarded.preview(config), "requests to /* would go from a 90 %, b 10 % (the main split) to b 100 % (rule all)"
    )
    guarded.up(changed(GUARDED, rules__all=rule(40, "/*", "split"))).succeeded()


def test_a_group_with_share_is_not_replaced_nor_is_another_made(guarded: Engine) -> None:
    config = changed(GUARDED, variants__b__port=9090)
    words = "b has 100 % of clients on rule to-b, and its target group would be replaced"
    refused(guarded.preview(config), words)
    refused(guarded.up(config), words)
    back = guarded.up(GUARDED).succeeded()  # takes back what the engine made besides
    assert not any(step.type == "aws:lb/targetGroup:TargetGroup" for step in back.steps)
    assert back.gaps == []


def test_a_group_without_share_may_be_replaced(guarded: Engine) -> None:
    warm = changed(GUARDED, weights={"a": 100, "b": 0}, rules={})
    guarded.up(warm).succeeded()
    assert guarded.up(changed(warm, variants__b__port=9090)).succeeded().replaced == ["abtest-b", "abtest-b-1"]


def test_a_group_that_is_replaced_gains_no_share_in_the_same_update(guarded: Engine) -> None:
    warm = changed(GUARDED, weights={"a": 100, "b": 0}, rules={})
    guarded.up(warm).succeeded()
    config = changed(warm, variants__b__port=9090, weights={"a": 90, "b": 10})
    words = "b would go from 0 % to 10 % on the main split, but the same update replaces the target group of b"
    refused(guarded.preview(config), words)
    run = guarded.up(config)
    assert run.code != 0
    assert words in run.output
    assert guarded.cloud.weights("80 default") == {"abtest-a": 100, "abtest-b": 0}


def test_a_control_that_only_the_new_file_names_does_not_gain_all_at_once(guarded: Engine) -> None:
    config = changed(GUARDED, control="b", weights={"a": 0, "b": 100})
    words = "maxStep allows 25: go to 35 % first (abtest:control is b here, and a where it is deployed)"
    refused(guarded.preview(config), words)
    refused(guarded.up(config), words)


def test_a_new_variant_is_warmed_first(guarded: Engine) -> None:
    config = changed(GUARDED, variants__c=launching(), weights={"a": 90, "b": 5, "c": 5})
    refused(guarded.preview(config), "no rule forwards to c yet", "abtest:weights.c' 0")
    guarded.up(changed(config, weights={"a": 90, "b": 10, "c": 0})).succeeded()
    guarded.up(config).succeeded()


def test_a_held_variant_gains_nothing_until_an_update_leaves_its_share_as_it_is(guarded: Engine) -> None:
    rolled_back = changed(GUARDED, weights={"a": 100}, held=["b"])
    guarded.up(rolled_back).succeeded()
    refused(guarded.preview(GUARDED), "but b is held; the deployed listener holds it")
    refused(guarded.up(GUARDED), "but b is held; the deployed listener holds it")
    guarded.up(changed(rolled_back, held=[])).succeeded()
    guarded.up(GUARDED).succeeded()


def test_a_variant_without_a_healthy_target_gains_nothing(guarded: Engine) -> None:
    config = changed(GUARDED, weights={"a": 80, "b": 20})
    words = "b would go from 10 % to 20 % on the main split, but b has 0 healthy targets and needs 1 (minHealthy)"
    with guarded.cloud.proxy.health({"abtest-b": "unhealthy"}):
        refused(guarded.preview(config), words)
        refused(guarded.up(config), words)
        guarded.up(changed(GUARDED, weights={"a": 95, "b": 5})).succeeded()
    guarded.up(config).succeeded()


def test_a_target_leaves_only_when_the_one_that_replaces_it_is_healthy(guarded: Engine) -> None:
    larger = changed(GUARDED, variants__a=launching(instanceType="t3.large"))
    with guarded.cloud.proxy.health({"abtest-a": ["initial", "healthy"]}):
        run = guarded.up(larger).succeeded()
    seen = ("RegisterTargets", "DescribeTargetHealth", "DeregisterTargets")
    assert [call.action for call in run.calls if call.action in seen] == [
        "RegisterTargets", "DescribeTargetHealth", "DescribeTargetHealth", "DeregisterTargets",
    ]  # fmt: skip


def test_a_variant_gains_nothing_while_its_alarm_is_on(guarded: Engine) -> None:
    config = changed(GUARDED, weights={"a": 80, "b": 20})
    group = guarded.outputs()["target_group_arns"]["b"].rpartition(":")[2]
    with guarded.cloud.client("cloudwatch") as cloudwatch:
        cloudwatch.put_metric_alarm(
            AlarmName="b-fails", EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", Period=60,
            Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count", Statistic="Sum",
            Dimensions=[{"Name": "TargetGroup", "Value": group}],
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName="b-fails", StateValue="ALARM", StateReason="5 was over 1")
        words = "b would go from 10 % to 20 % on the main split, but the alarm b-fails of b is in ALARM (5 was over 1)"
        refused(guarded.preview(config), words)
        refused(guarded.up(config), words)
        cloudwatch.delete_alarms(AlarmNames=["b-fails"])
    guarded.up(config).succeeded()


def test_a_variant_that_leaves_while_clients_are_stuck_to_it_is_a_warning(guarded: Engine) -> None:
    warm, out = (changed(GUARDED, weights=weights, rules={}) for weights in ({"a": 100, "b": 0}, {"a": 100}))
    guarded.up(warm).succeeded()
    words = "warning: b leaves the main split, where clients may be stuck to it until 20"
    for run in (guarded.preview(out), guarded.up(out)):
        assert words in run.succeeded().output
    assert "leaves the main split" not in guarded.up(GUARDED | {"rules": {}, "weights": {"a": 100, "b": 0}}).output


def test_what_a_rollback_takes_out_is_no_warning(guarded: Engine) -> None:
    run = guarded.up(changed(GUARDED, weights={"a": 100}, held=["b"])).succeeded()
    assert "leaves the main split" not in run.output


# AWS that does not answer ---------------------------------------------------------------------------------------------

SHIFTED = changed(GUARDED, weights={"a": 80, "b": 20})
UNSEEN = "the guard cannot read the deployed state, so the update is blocked: "


def test_a_throttled_guard_lets_nothing_through(guarded: Engine) -> None:
    with guarded.cloud.proxy.throttling("DescribeRules"):
        refused(guarded.preview(SHIFTED), f"{UNSEEN}AWS throttles DescribeRules: wait a moment and try again")
        refused(guarded.up(SHIFTED), f"{UNSEEN}AWS throttles DescribeRules: wait a moment and try again")


def test_suspended_guardrails_let_an_emergency_through(guarded: Engine) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    guarded.up(
        changed(GUARDED, weights={"a": 0, "b": 100}, guardrails__suspend={"reason": "a is broken", "until": until})
    ).succeeded()


def test_the_guardrails_go_in_an_update_of_their_own(guarded: Engine) -> None:
    guarded.up(BASE).succeeded()
    guarded.up(changed(BASE, weights={"a": 0, "b": 100})).succeeded()
