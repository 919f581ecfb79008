"""The guard's hooks against a mocked AWS; tests/engine/test_guard.py has them on the real engine."""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pulumi
import pytest
from botocore.stub import Stubber

from abtest.experiment import Source, stack_file, try_load
from abtest.rollout import guard, session
from abtest.rollout.engine import EngineError, Update
from abtest.rollout.guard import Guard, GuardError
from abtest.rollout.live import read_live
from tests.configs import ROOT, config, experiment, source, write_stack
from tests.rollout.standing import standing

STACK = """\
config:
  aws:region: us-east-1
  abtest:experiment: guarded
  abtest:control: a
  abtest:weights: {a: 90, b: 10, c: 0}
  abtest:stickinessSeconds: 3600
  abtest:variants:
    a: {port: 8080, targets: {external: ip}}
    b: {port: 8080, targets: {external: ip}}
    c: {port: 8080, targets: {external: ip}}
  abtest:guardrails: {requireHealthy: false}
"""


@pytest.fixture(autouse=True)
def _no_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that fails prepares the end of its process."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)


def guarded(**changes: Any) -> Guard:
    keys = config(**changes)
    return Guard(experiment(keys), source(keys))


# A deployed stack -----------------------------------------------------------------------------------------------------


class Deployed:
    """A stack as STACK says, on a mocked AWS; the engine's part is played here."""

    def __init__(self, file: Path, elbv2: Any) -> None:
        self._file = file
        self._file.write_text(STACK)
        live = read_live(elbv2, try_load(Source.from_file(*stack_file(str(file))))[0])
        self._elbv2, self._listener, self.groups = elbv2, live.listener_arn, live.groups
        self.history: list[Update] | EngineError = []
        self.exports: Mapping[str, Any] | EngineError = {"target_group_arns": self.groups}

    def guard(self, before: str = "", after: str = "") -> Guard:
        """The guard of a run with a text of the stack file changed."""
        self._file.write_text(STACK.replace(before, after))
        found = Source.from_file(*stack_file(str(self._file)))
        return Guard(try_load(found)[0], found)

    @contextmanager
    def without_guardrails(self) -> Iterator[None]:
        """While the deployed listener has no guardrails in its tags."""
        tags = self._elbv2.describe_tags(ResourceArns=[self._listener])["TagDescriptions"][0]["Tags"]
        self._elbv2.remove_tags(ResourceArns=[self._listener], TagKeys=["abtest:guardrails"])
        yield
        self._elbv2.add_tags(ResourceArns=[self._listener], Tags=tags)

    def change(self, before: str, after: str) -> None:
        """Run the hook of the listener."""
        asyncio.run(self.guard(before, after).before_forward(self._forward))

    @property
    def _forward(self) -> Any:
        return SimpleNamespace(type="aws:lb/listener:Listener", new_inputs={}, old_outputs={"arn": self._listener})

    def replace(self, variant: str, before: str = "", after: str = "") -> None:
        """Run the hook of a target group that is created."""
        asyncio.run(self.guard(before, after).before_group(_group(variant)))

    def replace_and_change(self, variant: str, before: str, after: str) -> None:
        """Run the hooks of one update: of some rule, of a group that is created, of the listener."""

        async def run() -> None:
            found = self.guard(before, after)
            await found.before_forward(self._forward)
            await found.before_group(_group(variant))
            await found.before_forward(self._forward)

        asyncio.run(run())


def _group(variant: str) -> Any:
    return SimpleNamespace(name=f"abtest-{variant}")


class Played:
    """The engine as a test wants it."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed

    def outputs(self) -> Any:
        return _or_raise(self._deployed.exports)

    def history(self, count: int = 20) -> tuple[Update, ...]:
        return tuple(_or_raise(self._deployed.history))


def _or_raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


@pytest.fixture(scope="module")
def _stands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    file = write_stack(tmp_path_factory.mktemp("stack"), STACK)
    shutil.copy(ROOT / "__main__.py", file.parent)
    with standing(str(file)) as elbv2:
        yield file, elbv2


@pytest.fixture
def deployed(_stands: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> Deployed:
    found = Deployed(*_stands)
    monkeypatch.setattr(Guard, "_engine", lambda _: Played(found))
    return found


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the engine is told as a warning."""
    found: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", found.append)
    return found


def test_a_gain_is_refused_while_an_alarm_of_the_variant_is_on(deployed: Deployed) -> None:
    deployed.change("b: 10", "b: 20")
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    cloudwatch.put_metric_alarm(
        AlarmName="b-fails", EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", Period=60,
        Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count", Statistic="Sum",
        Dimensions=[{"Name": "TargetGroup", "Value": deployed.groups["b"].rpartition(":")[2]}],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="b-fails", StateValue="ALARM", StateReason="5 was over 1")
    with pytest.raises(GuardError, match=r"but the alarm b-fails of b is in ALARM \(5 was over 1\)"):
        deployed.change("b: 10", "b: 20")
    cloudwatch.delete_alarms(AlarmNames=["b-fails"])
    cloudwatch.close()


def test_the_group_of_a_variant_with_share_is_not_replaced(deployed: Deployed) -> None:
    with pytest.raises(
        GuardError, match=r"b has 10 % of clients on the main split, and its target group would be replaced"
    ):
        deployed.replace("b")
    deployed.replace("c")


def test_a_variant_whose_group_is_replaced_gains_nothing_in_the_same_update(deployed: Deployed) -> None:
    with pytest.raises(GuardError, match=r"c would go from 0 % to 5 % on the main split, but the same update replaces"):
        deployed.replace_and_change("c", "b: 10, c: 0", "b: 5, c: 5")
    deployed.replace_and_change("c", "b: 10, c: 0", "b: 5, c: 0")


def test_a_control_that_only_the_new_file_names_does_not_gain_all_at_once(deployed: Deployed) -> None:
    deployed.change("b: 10", "b: 0")
    with pytest.raises(
        GuardError, match=r"maxStep allows 25: go to 35 % first \(abtest:control is b here, and a where"
    ):
        deployed.change(
            "control: a\n  abtest:weights: {a: 90, b: 10, c: 0}", "control: b\n  abtest:weights: {a: 0, b: 1}"
        )


SERVED = "c: {port: 8080, targets: {ecs: {image: 'm:1', cpu: 256, memory: 512, publicIp: true}}}"


@pytest.mark.parametrize("rails", ["  abtest:guardrails: {requireHealthy: false}\n", ""])
def test_the_group_of_a_service_is_not_replaced_even_without_share_or_guardrails(
    deployed: Deployed, rails: str
) -> None:
    was = STACK[STACK.index("c: {port") :]
    with pytest.raises(GuardError, match=r"the target group of c would be replaced, but the tasks of its service come"):
        deployed.replace("c", was, f"{SERVED}\n{rails}")
    deployed.exports = {}
    deployed.replace("c", was, f"{SERVED}\n{rails}")


UNGUARDED = STACK[STACK.index("  abtest:guardrails") :]


def test_an_update_that_removes_the_guardrails_is_judged_by_them(deployed: Deployed) -> None:
    listed = STACK[STACK.index("weights: ") :]
    bold = listed.replace("a: 90, b: 10", "a: 0, b: 100").replace(UNGUARDED, "")
    with pytest.raises(GuardError, match="this update also removes abtest:guardrails"):
        deployed.change(listed, bold)
    with pytest.raises(GuardError, match="b has 10 % of clients on the main split, and its target group"):
        deployed.replace("b", UNGUARDED, "")
    with deployed.without_guardrails():
        deployed.change(listed, bold)
        deployed.replace("b", UNGUARDED, "")


def test_without_guardrails_only_a_new_service_is_refused_its_share(deployed: Deployed, warned: list[str]) -> None:
    new = f"    {SERVED}\n".replace("c:", "d:", 1)
    listed = STACK[STACK.index("weights: ") :]
    bold = listed.replace("a: 90, b: 10, c: 0", "a: 0, b: 100").replace(UNGUARDED, new)
    with deployed.without_guardrails():
        deployed.change(listed, bold)
        with pytest.raises(
            GuardError, match=r"d would go from 0 % to 50 % on the main split, but no rule forwards to d"
        ):
            deployed.change(listed, bold.replace("a: 0, b: 100", "b: 1, d: 1"))
        deployed.change(listed, bold.replace("a: 0, b: 100", "b: 1, d: 0"))
    assert warned == []


def test_a_group_that_was_not_there_replaces_nothing(deployed: Deployed) -> None:
    deployed.exports = {}
    deployed.replace("b")
    deployed.exports = {"target_group_arns": {"b": deployed.groups["b"] + "0"}}
    deployed.replace("b")


def test_where_the_engine_does_not_tell_what_is_deployed_no_group_is_made(deployed: Deployed) -> None:
    deployed.exports = EngineError("pulumi: no network")
    words = "the guard cannot tell whether another group of b makes way for this one: pulumi: no network"
    with pytest.raises(GuardError, match=words):
        deployed.replace("b")


# Clients that may be stuck --------------------------------------------------------------------------------------------


def update(minutes_ago: int, weights: str, result: str = "succeeded") -> Update:
    ended = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    texts = {
        "abtest:weights": weights, "abtest:stickinessSeconds": "3600",
        "abtest:variants": '{"a": {"port": 8080, "targets": {"external": "ip"}}}',
    }  # fmt: skip
    return Update(kind="update", result=result, started=ended, ended=ended, message="", config=texts)


def test_a_variant_that_leaves_with_share_is_a_warning(deployed: Deployed, warned: list[str]) -> None:
    deployed.change("b: 10, ", "")
    (line,) = warned
    assert line.startswith("b leaves the main split, where clients may be stuck to it until 20")
    assert line.endswith(" UTC: they are reassigned at once. To let them stay, keep b in it at weight 0 until then")


def test_a_variant_at_weight_0_may_have_clients_of_an_earlier_update(deployed: Deployed, warned: list[str]) -> None:
    deployed.history = [update(20, '{"a": 1, "c": 0}'), update(50, '{"a": 1, "c": 0}'), update(90, '{"a": 1, "c": 1}')]
    deployed.change(", c: 0", "")
    (line,) = warned
    assert f"{datetime.now(UTC) + timedelta(minutes=10):until %Y-%m-%d %H:%M UTC}" in line


def test_what_failed_gave_no_variant_clients(deployed: Deployed, warned: list[str]) -> None:
    deployed.history = [update(5, '{"a": 1, "c": 1}', "failed"), update(50, '{"a": 1, "c": 0}')]
    deployed.change(", c: 0", "")
    assert warned == []


def test_what_is_held_leaves_without_a_warning(deployed: Deployed, warned: list[str]) -> None:
    deployed.change("weights: {a: 90, b: 10, c: 0}", "held: [b, c]\n  abtest:weights: {a: 1}")
    assert warned == []


def test_a_history_that_cannot_be_read_stops_nothing(deployed: Deployed, warned: list[str]) -> None:
    deployed.history = EngineError("pulumi: no network")
    deployed.change(", c: 0", "")
    assert warned == ["c leaves the main split; whether clients are stuck to it there is not known: pulumi: no network"]


# AWS that does not answer ---------------------------------------------------------------------------------------------


@pytest.fixture
def elbv2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """What the guard asks; every response that is added has to be asked for."""
    made = boto3.client("elbv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 no secret
    monkeypatch.setattr(session, "_client", lambda *_: made)
    monkeypatch.setattr(guard, "ASK_SECONDS", 0)
    with Stubber(made) as stub:
        yield stub
        stub.assert_no_pending_responses()
    made.close()


RULE = SimpleNamespace(
    type="aws:lb/listenerRule:ListenerRule", name="rule-10", new_inputs={"listenerArn": "arn:aws:x"}, old_outputs=None
)


def forward(**changes: Any) -> None:
    asyncio.run(guarded(**changes).before_forward(RULE))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ExpiredToken", "the AWS credentials have expired: set AWS_PROFILE or aws:profile, or log in again"),
        ("AccessDenied", "AWS does not allow DescribeListeners; grant it, or use other credentials"),
        ("Throttling", "AWS throttles DescribeListeners: wait a moment and try again"),
    ],
)
def test_what_aws_refuses_is_one_message_and_lets_nothing_through(elbv2: Stubber, code: str, words: str) -> None:
    elbv2.add_client_error("describe_listeners", code)
    with pytest.raises(GuardError) as caught:
        forward()
    assert str(caught.value).startswith(f"the guard cannot read the deployed state, so the update is blocked: {words}")


@pytest.mark.usefixtures("elbv2")
def test_a_listener_without_a_load_balancer_is_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    exports: dict[str, str] = {}
    monkeypatch.setattr(Guard, "_engine", lambda _: SimpleNamespace(outputs=lambda: exports))
    args: Any = SimpleNamespace(type="aws:lb/listener:Listener", name="listener-80", new_inputs={}, old_outputs=None)
    asyncio.run(guarded().before_forward(args))
    exports["load_balancer_arn"] = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/old/1"
    with pytest.raises(GuardError, match="two load balancers at once"):
        asyncio.run(guarded().before_forward(args))


# New before old -------------------------------------------------------------------------------------------------------

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/abtest-b/1"
ATTACHED = SimpleNamespace(new_outputs={"targetGroupArn": GROUP, "targetId": "i-1", "port": 8080.0})
TARGET: dict[str, Any] = {"TargetGroupArn": GROUP, "Targets": [{"Id": "i-1", "Port": 8080}]}


def used_by(stub: Stubber, *balancers: str) -> None:
    found = {"TargetGroups": [{"TargetGroupArn": GROUP, "LoadBalancerArns": list(balancers)}]}
    stub.add_response("describe_target_groups", found, {})


def state(stub: Stubber, *names: str, **more: str) -> None:
    """The next answer: the state of each target."""
    asked = TARGET if len(names) == 1 else {**TARGET, "Targets": [{"Id": f"i-{n}"} for n in range(len(names))]}
    found = [
        {"Target": target, "TargetHealth": {"State": name, "Description": "it fails", **more}}
        for target, name in zip(asked["Targets"], names, strict=True)
    ]
    stub.add_response("describe_target_health", {"TargetHealthDescriptions": found}, asked)


def attach(made: Any = ATTACHED) -> None:
    asyncio.run(guarded().after_attach(made))


def test_a_new_target_of_a_group_in_use_is_waited_for(elbv2: Stubber) -> None:
    used_by(elbv2, "lb")
    for name in ("initial", "unhealthy", "healthy"):
        state(elbv2, name)
    attach()


def test_a_target_that_was_registered_for_all_zones_is_looked_for_there(elbv2: Stubber) -> None:
    """Otherwise AWS may not know it (API DescribeTargetHealth)."""
    used_by(elbv2, "lb")
    target = {"Id": "192.168.7.7", "Port": 8080, "AvailabilityZone": "all"}
    found = [{"Target": target, "TargetHealth": {"State": "healthy"}}]
    asked = {"TargetGroupArn": GROUP, "Targets": [target]}
    elbv2.add_response("describe_target_health", {"TargetHealthDescriptions": found}, asked)
    outputs = {"targetGroupArn": GROUP, "targetId": "192.168.7.7", "port": 8080.0, "availabilityZone": "all"}
    attach(SimpleNamespace(new_outputs=outputs))


def test_a_target_that_stays_unhealthy_stops_the_update(elbv2: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEALTHY_SECONDS", 0)
    used_by(elbv2, "lb")
    state(elbv2, "unhealthy")
    with pytest.raises(GuardError, match=r"after 0 minutes target i-1 is not healthy \(it fails\)") as caught:
        attach()
    assert str(caught.value).endswith(
        "nothing that it replaces was taken away yet. The next update does that without waiting again: fix it first"
    )


@pytest.mark.usefixtures("elbv2")
def test_without_guardrails_no_target_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard, "_engine", lambda _: SimpleNamespace(outputs=dict))
    asyncio.run(guarded(guardrails=None).after_attach(ATTACHED))  # type: ignore[arg-type]


# Suspended ------------------------------------------------------------------------------------------------------------


def suspended(hours: float) -> dict[str, Any]:
    until = f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"
    return {"suspend": {"reason": "a is broken", "until": until}}


def answer_at(stub: Stubber, when: datetime | None) -> None:
    """The next answer, with AWS's clock."""
    headers = {} if when is None else {"date": format_datetime(when, usegmt=True)}
    stub.add_response("describe_load_balancers", {"LoadBalancers": [], "ResponseMetadata": {"HTTPHeaders": headers}})


def test_suspended_guardrails_let_everything_through_for_their_time(elbv2: Stubber) -> None:
    for when in (datetime.now(UTC), None):
        answer_at(elbv2, when)
        forward(guardrails=suspended(1))
    asyncio.run(guarded(guardrails=suspended(1)).before_group(_group("b")))
    asyncio.run(guarded(guardrails=suspended(1)).after_attach(ATTACHED))  # type: ignore[arg-type]


def test_an_aws_that_does_not_answer_stops_no_emergency(elbv2: Stubber, warned: list[str]) -> None:
    elbv2.add_client_error("describe_load_balancers", "Throttling")
    forward(guardrails=suspended(1))
    assert warned == [
        "abtest:guardrails.suspend.until was not compared with AWS's clock: AWS throttles DescribeLoadBalancers: wait a "
        "moment and try again"
    ]


@pytest.mark.parametrize(
    ("hours", "words"),
    [(2, "is over, so the guardrails are no longer suspended"), (-48, "is more than 24 hours ahead")],
)
def test_the_end_of_a_suspension_is_by_the_clock_of_aws(elbv2: Stubber, hours: int, words: str) -> None:
    answer_at(elbv2, datetime.now(UTC) + timedelta(hours=hours))
    with pytest.raises(GuardError, match=words) as caught:
        forward(guardrails=suspended(1))
    assert str(caught.value).startswith("abtest:guardrails.suspend.until: by AWS's clock ")


# Targets --------------------------------------------------------------------------------------------------------------


def test_a_group_that_nobody_uses_yet_is_not_waited_for(elbv2: Stubber) -> None:
    used_by(elbv2)
    attach()


def test_a_function_that_is_not_checked_is_not_waited_for(elbv2: Stubber) -> None:
    used_by(elbv2, "lb")
    state(elbv2, "unavailable", Reason="Target.HealthCheckDisabled")
    attach()


SCALED = SimpleNamespace(
    new_outputs={"name": "abtest-b-1", "minSize": 2.0, "targetGroupArns": [GROUP], "healthCheckGracePeriod": 600.0}
)


@pytest.fixture
def autoscaling(elbv2: Stubber, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    made = boto3.client("autoscaling", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 no secret
    clients = {"elbv2": elbv2.client, "autoscaling": made}
    monkeypatch.setattr(session, "_client", lambda _session, _source, service: clients[service])
    with Stubber(made) as stub:
        yield stub
        stub.assert_no_pending_responses()
    made.close()


def listed(stub: Stubber, count: int, state: str = "InService") -> None:
    """The next answer: so many instances of the group."""
    instances = [
        {"InstanceId": f"i-{n}", "AvailabilityZone": "a", "LifecycleState": state, "HealthStatus": "Healthy",
         "ProtectedFromScaleIn": False} for n in range(count)
    ]  # fmt: skip
    group = {
        "AutoScalingGroupName": "abtest-b-1", "MinSize": 2, "MaxSize": 3, "DesiredCapacity": 2, "DefaultCooldown": 0,
        "AvailabilityZones": ["a"], "HealthCheckType": "ELB", "CreatedTime": 0, "Instances": instances,
    }  # fmt: skip
    asked = {"AutoScalingGroupNames": ["abtest-b-1"]}
    stub.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": [group]}, asked)


def test_every_instance_of_a_new_auto_scaling_group_is_waited_for(elbv2: Stubber, autoscaling: Stubber) -> None:
    used_by(elbv2, "lb")
    listed(autoscaling, 2)
    for names in (("initial", "initial"), ("healthy", "initial"), ("healthy", "healthy")):
        listed(autoscaling, 2)
        state(elbv2, *names)
    attach(SCALED)


def test_an_instance_that_aws_replaces_meanwhile_is_waited_for_no_longer(elbv2: Stubber, autoscaling: Stubber) -> None:
    used_by(elbv2, "lb")
    listed(autoscaling, 3)
    listed(autoscaling, 3)
    state(elbv2, "healthy", "healthy", "unhealthy")
    listed(autoscaling, 0)  # of which nothing is asked, since that would mean all targets
    listed(autoscaling, 2)
    state(elbv2, "healthy", "healthy")
    attach(SCALED)


def test_new_instances_have_as_long_as_their_grace_period(
    elbv2: Stubber, autoscaling: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0, 0, 599, 601])
    used_by(elbv2, "lb")
    listed(autoscaling, 2)
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None))
    for _ in range(2):
        listed(autoscaling, 2)
        state(elbv2, "healthy", "unhealthy")
    with pytest.raises(GuardError, match=r"after 10 minutes target i-1 is not healthy \(it fails\)"):
        attach(SCALED)


def activity(stub: Stubber, status: str) -> None:
    """The next answer: what became of the group's one attempt to start an instance."""
    found = {
        "ActivityId": "1", "AutoScalingGroupName": "abtest-b-1", "Cause": "min", "StartTime": 0, "StatusCode": status,
        "StatusMessage": "We currently do not have sufficient capacity",
    }  # fmt: skip
    stub.add_response("describe_scaling_activities", {"Activities": [found]}, {"AutoScalingGroupName": "abtest-b-1"})


def test_without_guardrails_too_a_new_auto_scaling_group_has_its_instances_in_service(
    autoscaling: Stubber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "_engine", lambda _: SimpleNamespace(outputs=dict))
    listed(autoscaling, 0)
    activity(autoscaling, "PreInService")
    listed(autoscaling, 2, "Pending")
    activity(autoscaling, "InProgress")
    listed(autoscaling, 2)
    asyncio.run(guarded(guardrails=None).after_attach(SCALED))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "reason"),
    [("Failed", "We currently do not have sufficient capacity"), ("InProgress", "10 minutes have passed")],
)
def test_an_auto_scaling_group_whose_instances_do_not_come_stops_the_update(
    autoscaling: Stubber, monkeypatch: pytest.MonkeyPatch, status: str, reason: str
) -> None:
    now = iter([0, 601])
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None))
    listed(autoscaling, 1)
    activity(autoscaling, status)
    with pytest.raises(GuardError) as caught:
        attach(SCALED)
    assert str(caught.value) == (
        f"the Auto Scaling group abtest-b-1 has 1 of 2 instances in service: {reason}. The next update does not wait for "
        "it again: fix it first"
    )


# Leaving instances ----------------------------------------------------------------------------------------------------

BALANCER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/abtest/1"
DETACHED: Any = SimpleNamespace(old_outputs={"targetGroupArn": GROUP, "targetId": "i-1"})


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is printed and waited for, in that order, without the wait."""
    found: list[str] = []

    async def sleep(seconds: int) -> None:
        found.append(f"{seconds} s")

    monkeypatch.setattr(Guard, "_engine", lambda _: SimpleNamespace(outputs=lambda: {"load_balancer_arn": BALANCER}))
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(pulumi.log, "info", found.append)
    return found


def listening(stub: Stubber, count: int) -> None:
    found = {"Listeners": [{"ListenerArn": f"{BALANCER}/{n}"} for n in range(count)]}
    stub.add_response("describe_listeners", found, {"LoadBalancerArn": BALANCER})


def delay(stub: Stubber, seconds: int) -> None:
    found = {"Attributes": [{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}]}
    stub.add_response("describe_target_group_attributes", found, {"TargetGroupArn": GROUP})


def test_the_delay_that_is_deployed_is_waited_for_and_printed_before(elbv2: Stubber, waits: list[str]) -> None:
    listening(elbv2, 1)
    delay(elbv2, 300)
    asyncio.run(guarded(guardrails=suspended(1)).after_detach(DETACHED))
    assert waits == ["waiting 300 s for requests in flight to i-1 (deregistrationDelaySeconds)", "300 s"]


def test_without_a_listener_nothing_is_in_flight(elbv2: Stubber, waits: list[str]) -> None:
    listening(elbv2, 0)
    asyncio.run(guarded().after_detach(DETACHED))
    elbv2.add_client_error("describe_listeners", "LoadBalancerNotFound")
    asyncio.run(guarded().after_detach(DETACHED))
    assert waits == []


def test_an_aws_that_does_not_tell_the_delay_leaves_the_instance_running(elbv2: Stubber, waits: list[str]) -> None:
    listening(elbv2, 1)
    elbv2.add_client_error("describe_target_group_attributes", "Throttling")
    with pytest.raises(GuardError, match=r"AWS throttles DescribeTargetGroupAttributes: wait a moment and try again$"):
        asyncio.run(guarded().after_detach(DETACHED))
    assert waits == []
