"""A variant that is added to a deployed stack: with weight 0 in one `pulumi up`, and then shifted to, of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, IMAGE, changed, launching
from tests.engine.harness import Cloud, Engine
from tests.engine.test_existing_listener import CANARY, existing, shared_listeners

pytestmark = pytest.mark.engine

#: Targets that have no health here until something answers.
GUARDED = changed(BASE, guardrails={"requireHealthy": False})
ECS = {"image": "example.com/model:1", "cpu": 256, "memory": 512, "publicIp": True}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:newcomer:7"


def on_port(**targets: Any) -> dict[str, Any]:
    return {"port": 8080, "targets": targets}


def with_new(config: dict[str, Any], **variants: Any) -> dict[str, Any]:
    """A config with more variants, each with weight 0."""
    weights = {**config["weights"], **dict.fromkeys(variants, 0)}
    return changed(config, variants={**config["variants"], **variants}, weights=weights)


def started() -> dict[str, Any]:
    return {"c": on_port(ecs=ECS), "d": launching(min=1, max=2, requestsPerTarget=60), "e": launching()}


def registered(cloud: Cloud) -> dict[str, Any]:
    """Targets that exist already: a function, an instance and an address."""
    cloud.create_function("newcomer", "7")
    with cloud.client("ec2") as ec2:
        instance = ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"][0]
    return {
        "c": {"targets": {"lambdaArn": FUNCTION}},
        "d": on_port(instanceIds=[instance["InstanceId"]]),
        "e": on_port(ipAddresses=[instance["PrivateIpAddress"]]),
    }


def assert_added_then_shifted(engine: Engine, config: dict[str, Any], place: str) -> None:
    added = engine.up(config).succeeded()
    assert (added.refusals, added.gaps) == ([], [])
    weights = {f"abtest-{name}": weight for name, weight in config["weights"].items()}
    assert engine.cloud.weights(place) == weights
    assert engine.preview().succeeded().steps == ()

    shifted = engine.abtest("shift", "c=10", "--yes")

    assert shifted.code == 0, shifted.output
    assert engine.cloud.weights(place)["abtest-c"] == 10


@pytest.mark.parametrize("kind", ["started", "registered"])
def test_new_variants_enter_with_weight_0_in_one_update(standing: Engine, kind: str) -> None:
    standing.up(GUARDED).succeeded()
    new = started() if kind == "started" else registered(standing.cloud)

    assert_added_then_shifted(standing, with_new(GUARDED, **new), "80 default")


def test_new_variants_enter_the_split_of_an_existing_listener(fresh: Engine) -> None:
    arn, _ = shared_listeners(fresh.cloud)
    config = existing(arn, when=CANARY)
    fresh.up(config).succeeded()

    assert_added_then_shifted(fresh, with_new(config, c=on_port(external="ip"), d=on_port(ecs=ECS)), "80 200")
