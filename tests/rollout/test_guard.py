"""The guard's hooks against stubbed AWS; tests/engine/test_guard.py has them on the real engine."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from abtest.experiment import Source
from abtest.rollout import guard, session
from abtest.rollout.guard import Guard, GuardError
from tests.configs import config, experiment, source

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/abtest-b/1"
ATTACHED = SimpleNamespace(new_outputs={"targetGroupArn": GROUP, "targetId": "i-1", "port": 8080.0})
TARGET = {"TargetGroupArn": GROUP, "Targets": [{"Id": "i-1", "Port": 8080}]}


@pytest.fixture
def elbv2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    """What the guard asks; every response that is added has to be asked for."""
    made = boto3.client("elbv2", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106 no secret

    @contextmanager
    def client(_: Source, service: str) -> Iterator[Any]:
        assert service == "elbv2"
        yield made

    monkeypatch.setattr(session, "client", client)
    monkeypatch.setattr(guard, "ASK_SECONDS", 0)
    with Stubber(made) as stub:
        yield stub
        stub.assert_no_pending_responses()
    made.close()


def used_by(stub: Stubber, *balancers: str) -> None:
    found = {"TargetGroups": [{"LoadBalancerArns": list(balancers)}]}
    stub.add_response("describe_target_groups", found, {"TargetGroupArns": [GROUP]})


def state(stub: Stubber, name: str) -> None:
    found = {"TargetHealthDescriptions": [{"TargetHealth": {"State": name, "Description": "it fails"}}]}
    stub.add_response("describe_target_health", found, TARGET)


def guarded(**changes: Any) -> Guard:
    keys = config(**changes)
    return Guard(experiment(keys), source(keys))


def attach(**changes: Any) -> Callable[[], None]:
    return lambda: asyncio.run(guarded(**changes).after_attach(ATTACHED))  # type: ignore[arg-type]


def test_a_new_target_of_a_group_in_use_is_waited_for(elbv2: Stubber) -> None:
    used_by(elbv2, "lb")
    for name in ("initial", "unhealthy", "healthy"):
        state(elbv2, name)
    attach()()


def test_a_target_that_stays_unhealthy_stops_the_update(elbv2: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "HEALTHY_SECONDS", 0)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    used_by(elbv2, "lb")
    state(elbv2, "unhealthy")
    with pytest.raises(GuardError, match=r"target i-1 is not healthy after 0 minutes \(it fails\)"):
        attach()()


def test_a_group_that_nobody_uses_yet_is_not_waited_for(elbv2: Stubber) -> None:
    used_by(elbv2)
    attach()()


@pytest.mark.usefixtures("elbv2")
def test_without_guardrails_nothing_is_asked() -> None:
    attach(guardrails=None)()
    asyncio.run(guarded(guardrails=None).before_forward(SimpleNamespace(name="listener-80")))  # type: ignore[arg-type]


@pytest.mark.usefixtures("elbv2")
def test_a_listener_without_a_load_balancer_is_the_first_one() -> None:
    args = SimpleNamespace(type="aws:lb/listener:Listener", name="listener-80", new_inputs={}, old_outputs=None)
    asyncio.run(guarded().before_forward(args))  # type: ignore[arg-type]
