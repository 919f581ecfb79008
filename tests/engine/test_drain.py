"""Requests in flight while their targets leave, and targets that come and go by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, changed, launching
from tests.engine.harness import Engine
from tests.engine.test_ecs import service

pytestmark = pytest.mark.engine

SCALED = launching(min=1, max=3, requestsPerTarget=100)


def timeouts(engine: Engine, kind: str) -> dict[str, Any]:
    """Those of the one resource of a type, in minutes."""
    (found,) = (r["customTimeouts"] for r in engine.state()["deployment"]["resources"] if r["type"] == kind)
    return {operation: seconds / 60 for operation, seconds in found.items() if seconds}


def test_what_drains_has_the_time_to(fresh: Engine) -> None:
    long = {"deregistrationDelaySeconds": 3000}
    fresh.up(
        changed(BASE, variants={"a": SCALED | long, "b": service() | long}, weights={"a": 100, "b": 0})
    ).succeeded()

    assert timeouts(fresh, "aws:autoscaling/group:Group") == {"delete": 10 + 50}
    assert timeouts(fresh, "aws:ecs/service:Service") == {"create": 60 + 50, "update": 60 + 50, "delete": 20 + 50}


def test_a_group_that_has_scaled_takes_another_size(standing: Engine) -> None:
    standing.up(changed(BASE, variants__b=SCALED)).succeeded()
    name = standing.outputs()["autoscaling_groups"]["b"]
    with standing.cloud.client("autoscaling") as autoscaling:
        autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)

        standing.up(changed(BASE, variants__b=launching(min=2, max=4, requestsPerTarget=100))).succeeded()

        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    assert [group[key] for key in ("MinSize", "MaxSize", "DesiredCapacity")] == [2, 4, 3]


@pytest.mark.parametrize("size", [pytest.param(20, id="smaller"), pytest.param(50, id="larger")])
def test_another_volume_is_another_instance(standing: Engine, size: int) -> None:
    standing.up(changed(BASE, variants__b=launching(rootVolumeGb=30))).succeeded()

    run = standing.up(changed(BASE, variants__b=launching(rootVolumeGb=size))).succeeded()

    assert run.replaced == ["abtest-b-1"]
    assert "ModifyVolume" not in run.writes
    assert run.gaps == []


def test_a_volume_whose_size_was_the_images_is_replaced_too(standing: Engine) -> None:
    run = standing.up(changed(BASE, variants__b=launching(rootVolumeGb=30))).succeeded()

    assert run.replaced == ["abtest-b-1"]
