"""How a stack stands: the word for it, its ramp, its past moves; and what AWS says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import boto3
import pytest

from abtest.experiment.engine_text import as_text
from abtest.rollout.alarms import Alarm
from abtest.rollout.engine import Update
from abtest.rollout.live import Health, Live, _weights
from abtest.rollout.schedule import Plan, schedule, seconds
from abtest.rollout.session import AwsError
from abtest.rollout.status import UPDATES, Cloud, Status, Weight, status_of
from abtest.rollout.weights import Share
from abtest.routing import RoutingTable
from tests.configs import config, experiment, rule, source
from tests.rollout.standing import standing

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SPLIT = {"a": 90, "b": 10}


def cloud(
    *,
    held: tuple[str, ...] = (),
    ill: Mapping[str, int] | None = None,
    alarms: tuple[Alarm, ...] | str = (),
    **changes: Any,
) -> Cloud:
    """A load balancer that does what such a config says, with two healthy targets for each variant but the ill."""
    deployed = experiment(config(**{"weights": SPLIT, **changes}))
    live = Live(
        listener_arn="listener", table=RoutingTable.from_experiment(deployed),
        overrides=frozenset(deployed.override_priorities.values()),
        groups={name: name for name in deployed.variants}, held=frozenset(held),
    )  # fmt: skip
    health = {name: Health((ill or {}).get(name, 2), 2) for name in deployed.variants}
    return Cloud(live=live, weights=deployed.weights, health=health, alarms=alarms)


def status(
    found: Cloud, history: tuple[Update, ...] | None = (), *, runs: bool | None = None, **changes: Any
) -> Status:
    keys = config(**{"weights": SPLIT, **changes})
    return status_of(source(keys), experiment(keys), found, history, "", (), NOW, runs=runs)


def update(
    message: str = "", result: str = "succeeded", kind: str = "update", ago: int = 3600, **changes: Any
) -> Update:
    """An entry of the history, so many seconds ago; it took ten."""
    keys = config(**{"weights": SPLIT, **changes})
    started = NOW - timedelta(seconds=ago + 10)
    return Update(
        kind=kind, result=result, started=started, ended=started + timedelta(seconds=10), message=message,
        config={key: as_text(value) for key, value in keys.items()},
    )  # fmt: skip


def alarm(variant: str | None, state: Any = "ALARM") -> Alarm:
    return Alarm(name="5xx", variant=variant, state=state, reason="Threshold Crossed: 3 > 1")


# The word for it ------------------------------------------------------------------------------------------------------


def test_healthy_is_a_load_balancer_that_does_what_the_file_says() -> None:
    found = status(cloud())
    assert (found.status, found.message, found.next) == (
        "Healthy", "the load balancer does what the stack file says", "",
    )  # fmt: skip
    assert [(each.name, each.is_control, each.state, each.healthy, each.targets) for each in found.variants] == [
        ("a", True, "live", 2, 2), ("b", False, "live", 2, 2),
    ]  # fmt: skip


def test_what_is_set_stands_beside_what_is_actual() -> None:
    found = status(
        cloud(weights={"a": 3, "b": 1, "c": 0}, variants={n: config()["abtest:variants"]["a"] for n in "abc"})
    )
    assert {each.name: (each.weight, each.share, each.state) for each in found.variants} == {
        "a": (Weight(set=90, actual=3), Share(set=0.9, actual=0.75), "live"),
        "b": (Weight(set=10, actual=1), Share(set=0.1, actual=0.25), "live"),
        "c": (Weight(set=None, actual=0), Share(actual=0), "warm"),
    }  # fmt: skip


def test_a_variant_is_live_by_a_rule_alone_and_off_in_none() -> None:
    rules = {"r": rule(forward="b")}
    assert states(cloud(weights={"a": 1}, rules=rules)) == {"a": "live", "b": "live"}
    assert states(cloud(weights={"a": 1}, override={})) == {"a": "live", "b": "off"}


def states(found: Cloud) -> dict[str, str]:
    return {each.name: each.state for each in status(found).variants}


REFRESH = "pulumi up --refresh --stack config"


def test_drift_is_out_of_sync() -> None:
    found = status(cloud(weights={"a": 80, "b": 20}, held=("b",)))
    assert (found.status, found.next) == ("OutOfSync", REFRESH)
    assert found.drift == (
        "default: the load balancer sends a 80 %, b 20 %, the stack file says a 90 %, b 10 %",
        "held: the load balancer has b, the stack file says nothing",
    )


@pytest.mark.parametrize(
    ("deployed", "live", "following"),
    [
        (SPLIT, {"a": 50, "b": 50}, REFRESH),
        ({"a": 80, "b": 20}, {"a": 80, "b": 20}, "pulumi up --stack config"),
        ({"a": 80, "b": 20}, {"a": 50, "b": 50}, REFRESH),
    ],
    ids=["changed in the console", "the file was edited", "both"],
)
def test_out_of_sync_names_the_update_that_repairs_it(
    deployed: dict[str, int], live: dict[str, int], following: str
) -> None:
    history = (update("failed", "failed", weights={"a": 1}), update(weights=deployed))
    assert status(cloud(weights=live), history).next == following


def test_a_tag_that_was_changed_needs_a_refresh() -> None:
    assert status(cloud(held=("b",)), (update(),)).next == REFRESH
    assert status(cloud(held=("b",)), (update(held=["b"]),)).next == "pulumi up --stack config"


def test_too_few_healthy_targets_of_a_live_variant_are_degraded() -> None:
    found = status(cloud(ill={"b": 1}), guardrails={"minHealthy": 2})
    assert (found.status, found.message) == ("Degraded", "b has 1/2 healthy targets, 2 needed")
    assert found.next == "abtest rollback --stack config"
    assert status(cloud(ill={"b": 1})).status == "Healthy"


def test_one_healthy_target_is_enough_for_the_control() -> None:
    """As it is for the guard: a control that is one Lambda function never has more."""
    assert status(cloud(ill={"a": 1}), guardrails={"minHealthy": 2}).status == "Healthy"
    found = status(cloud(ill={"a": 0, "b": 1}), guardrails={"minHealthy": 2})
    assert found.message == "a has 0/2 healthy targets, 1 needed; b has 1/2 healthy targets, 2 needed"


def test_an_alarm_of_a_live_variant_or_of_the_load_balancer_is_degraded() -> None:
    found = status(cloud(alarms=(alarm("b"),)))
    assert (found.status, found.message) == ("Degraded", "alarm 5xx is in ALARM: Threshold Crossed: 3 > 1")
    assert found.next == "abtest rollback --stack config"
    assert status(cloud(alarms=(alarm(None),))).status == "Degraded"
    assert status(cloud(alarms=(alarm("b", "OK"), alarm("b", "INSUFFICIENT_DATA")))).status == "Healthy"


@pytest.mark.parametrize("bad", [{"ill": {"a": 0, "b": 0}}, {"alarms": (alarm("a"),)}, {"alarms": (alarm(None),)}])
def test_no_rollback_is_proposed_to_a_control_that_is_bad_itself(bad: dict[str, Any]) -> None:
    found = status(cloud(**bad))
    assert (found.status, found.next) == ("Degraded", "")


def test_after_a_rollback_it_is_rolled_back_however_ill_the_variant_is() -> None:
    stack: dict[str, Any] = {"weights": {"a": 100}, "held": ["b"]}
    found = status(cloud(weights={"a": 100}, held=("b",), ill={"b": 0}, alarms=(alarm("b"),)), **stack)
    assert (found.status, found.message) == ("RolledBack", "all new clients have a; held: b")
    assert found.next == "once it is fixed: abtest shift b=0 --stack config (lifts the hold)"
    assert [each.held for each in found.variants] == [False, True]


def test_alarms_that_cannot_be_read_are_a_note() -> None:
    found = status(cloud(alarms="AWS does not allow DescribeAlarms"))
    assert (found.status, found.alarms, found.notes) == (
        "Healthy", None, ("no alarms: AWS does not allow DescribeAlarms",),
    )  # fmt: skip


# A ramp ---------------------------------------------------------------------------------------------------------------

PLAN = Plan(
    variant="b", shares=(Fraction(1, 20), Fraction(1, 10), Fraction(1, 4)), bake_seconds=600, start={"a": 1, "b": 0}
)


@pytest.mark.parametrize(
    ("newest", "word", "message"),
    [
        (
            update(PLAN.message(2), ago=60),
            "Progressing",
            "ramp of b: step 2 of 3; if the ramp still runs, its bake ends at 12:09 UTC",
        ),
        (
            update(PLAN.message(2), ago=630),
            "Progressing",
            "ramp of b: step 2 of 3; if the ramp still runs, its bake ends at 11:59 UTC",
        ),
        (update(PLAN.message(2)), "Paused", "ramp of b: the bake of step 2 of 3 is over, and no other came"),
        (update(PLAN.message(3), "failed"), "Paused", "ramp of b: step 3 of 3 failed"),
        (
            update(PLAN.message(2), "in-progress"),
            "Progressing",
            f"an update is running, or died: {PLAN.message(2)}",
        ),
        (update(PLAN.message(3), ago=630), "Healthy", "the load balancer does what the stack file says"),
        (update("mine"), "Healthy", "the load balancer does what the stack file says"),
    ],
    ids=["baking", "about over", "paused", "failed", "updating", "done", "no ramp"],
)
def test_the_newest_update_tells_of_a_ramp(newest: Update, word: str, message: str) -> None:
    found = status(cloud(), (update(kind="refresh"), newest, update(PLAN.message(1))))
    assert (found.status, found.message) == (word, message)
    assert (found.ramp is None) == (word == "Healthy")


BAKES = "ramp of b: step 2 of 3, its bake ends at 12:09 UTC"
DONE = "the load balancer does what the stack file says"


@pytest.mark.parametrize(
    ("step", "ago", "runs", "word", "message"),
    [
        (2, 60, True, "Progressing", BAKES),
        (2, 60, False, "Paused", "ramp of b: it stopped in the bake of step 2 of 3"),
        (3, 60, False, "Paused", "ramp of b: it stopped in the bake of step 3 of 3"),
        (2, 660, True, "Progressing", "ramp of b: step 2 of 3, its bake ends at 11:59 UTC"),
        (2, 630, False, "Paused", "ramp of b: the bake of step 2 of 3 is over, and no other came"),
        (3, 601, False, "Healthy", DONE),
        (3, 60, None, "Progressing", "ramp of b: step 3 of 3; if the ramp still runs, its bake ends at 12:09 UTC"),
        (3, 601, None, "Healthy", DONE),
    ],
    ids=[
        "runs",
        "stopped",
        "stopped in the last step",
        "AWS was silent",
        "gone",
        "done",
        "elsewhere",
        "done elsewhere",
    ],
)
def test_a_ramp_bakes_only_while_it_runs(step: int, ago: int, runs: bool | None, word: str, message: str) -> None:  # noqa: FBT001
    found = status(cloud(), (update(PLAN.message(step), ago=ago),), runs=runs)
    assert (found.status, found.message) == (word, message)
    resume = "abtest ramp b --schedule 5,10,25 --bake 10m --stack config"
    following = {"Paused": f"{resume} (or: abtest rollback --stack config)", "Healthy": ""}
    if runs is None:
        following["Progressing"] = f"if it no longer runs: {resume}"
    assert found.next == following.get(word, "")


def test_a_ramp_that_was_left_goes_on_with_the_command_that_is_told() -> None:
    found = status(cloud(), (update(PLAN.message(2)),))
    assert found.ramp is not None
    assert found.ramp.resume == "abtest ramp b --schedule 5,10,25 --bake 10m --stack config"
    assert found.next == f"{found.ramp.resume} (or: abtest rollback --stack config)"
    _, _, _, _, shares, _, bake, *_ = found.ramp.resume.split()
    assert (schedule(shares, Fraction(0)), seconds(bake)) == (PLAN.shares, PLAN.bake_seconds)


def test_a_ramp_whose_file_is_ahead_goes_on_too() -> None:
    found = status(cloud(weights={"a": 95, "b": 5}), (update(PLAN.message(1), ago=60),))
    assert (found.status, found.next) == (
        "OutOfSync", "abtest ramp b --schedule 5,10,25 --bake 10m --stack config",
    )  # fmt: skip


# Past moves -----------------------------------------------------------------------------------------------------------


def moves(*oldest_first: Update) -> list[tuple[str, str, tuple[str, ...]]]:
    found = status(cloud(), oldest_first[::-1]).moves
    assert found is not None
    plain = str.maketrans("\N{MINUS SIGN}", "-")
    return [(each.message, each.result, tuple(line.translate(plain) for line in each.what)) for each in found]


def test_moves_are_the_updates_that_changed_who_gets_what() -> None:
    rules = {"r": rule(forward={"a": 1, "b": 1})}
    assert moves(
        update("1", rules=rules),
        update("2", rules=rules, tags={"team": "x"}),
        update("3", rules=rules, weights={"a": 3, "b": 1}),
        update("4", rules=rules, weights={"a": 75, "b": 25}),
        update("5", rules={"r": rule(forward="a")}, weights={"a": 100}, held=["b"]),
        update("6", kind="refresh", weights={"a": 1, "b": 1}),
        update("7", rules={"s": rule(forward="b")}, weights={"a": 100}),
    ) == [
        ("7", "succeeded", ("s: b 100 %", "r: gone", "held: nothing")),
        ("5", "succeeded", ("r: a 100 % (+50), b out (-50)", "main split: a 100 % (+25), b out (-25)", "held: b")),
        ("3", "succeeded", ("main split: a 75 % (-15), b 25 % (+15)",)),
        ("1", "succeeded", ("first deployment: a 90 %, b 10 %",)),
    ]


def test_an_update_that_failed_moved_nothing() -> None:
    assert moves(
        update("1", "failed"),
        update("2"),
        update("3", "failed", weights={"a": 1, "b": 1}),
        update("4", "failed", weights={"a": 1000, "x": "y"}, rules=[]),
        update("5", weights={"a": 80, "b": 20}),
    ) == [
        ("5", "succeeded", ("main split: a 80 % (-10), b 20 % (+10)",)),
        ("4", "failed", ("main split: a 100 % (+10), x 0 %, b out (-10)",)),
        ("3", "failed", ("main split: a 50 % (-40), b 50 % (+40)",)),
        ("2", "succeeded", ("first deployment: a 90 %, b 10 %",)),
        ("1", "failed", ("first deployment: a 90 %, b 10 %",)),
    ]


def test_of_a_long_history_the_first_update_that_is_read_is_no_deployment() -> None:
    assert moves(*(update(str(n)) for n in range(UPDATES))) == []


def test_without_an_engine_no_moves_are_known() -> None:
    assert status(cloud(), None).moves is None


# What AWS says --------------------------------------------------------------------------------------------------------


def test_weights_health_and_alarms_are_read_from_aws() -> None:
    """Those of a variant in no rule too, where its target group is known."""
    with standing("dev") as elbv2:
        groups = group_arns(elbv2)
        elbv2.deregister_targets(TargetGroupArn=groups["b"], Targets=targets(elbv2, groups["b"]))
        put_alarm(groups["b"])
        keys = config(weights=SPLIT)
        found = Cloud.read(source(keys), experiment(keys), None, {"off": groups["a"]})
    assert (found.weights, found.state("off")) == (SPLIT, "off")
    assert found.health == {"a": Health(1, 1), "b": Health(0, 0), "off": Health(1, 1)}
    assert [(each.name, each.variant) for each in found.alarms if isinstance(each, Alarm)] == [("b-5xx", "b")]


def test_a_default_action_with_one_target_group_or_none_has_its_weights_too() -> None:
    """What somebody made in the console."""
    forward = {"Type": "forward", "TargetGroupArn": "arn-a"}

    def weights(*actions: dict[str, str], variants: Mapping[str, str]) -> dict[str, int]:
        return _weights([{"IsDefault": True, "Actions": actions}], None, variants)

    assert weights({"Type": "authenticate-oidc"}, forward, variants={"arn-a": "a"}) == {"a": 1}
    assert weights(forward, variants={}) == {"arn-a": 1}
    assert weights({"Type": "redirect"}, variants={"arn-a": "a"}) == {}


def test_without_cloudwatch_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise AwsError("AWS does not allow DescribeAlarms")

    monkeypatch.setattr("abtest.rollout.status.alarms_of", denied)
    with standing("dev"):
        keys = config(weights=SPLIT)
        found = Cloud.read(source(keys), experiment(keys), None, {})
    assert (found.weights, found.alarms) == (SPLIT, "AWS does not allow DescribeAlarms")


def group_arns(elbv2: Any) -> dict[str, str]:
    groups = elbv2.describe_target_groups()["TargetGroups"]
    return {group["TargetGroupName"].split("-")[1]: group["TargetGroupArn"] for group in groups}


def targets(elbv2: Any, group: str) -> list[Any]:
    found = elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return [each["Target"] for each in found]


def put_alarm(group: str) -> None:
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    cloudwatch.put_metric_alarm(
        AlarmName="b-5xx", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count", Statistic="Sum",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        Dimensions=[{"Name": "TargetGroup", "Value": group.rpartition(":")[2]}],
    )  # fmt: skip
    cloudwatch.close()
