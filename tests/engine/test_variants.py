"""Variants that change under traffic: no moment sends requests where nothing can answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.engine.configs import BASE, IMAGE, changed, launching
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

A, B = BASE["variants"]["a"], BASE["variants"]["b"]


@pytest.fixture(autouse=True)
def _slow_registration(shared: Engine) -> Iterator[None]:
    with shared.cloud.proxy.slowing("RegisterTargets"):
        yield


def assert_seamless(engine: Engine, run: Run, config: Mapping[str, Any]) -> None:
    """Nothing was refused or left without an answer, and what stands is what the config asks for, no more."""
    assert run.refusals == []
    assert run.gaps == []
    assert {name: group["targets"] for name, group in engine.cloud.layout["groups"].items()} == {
        f"abtest-{name}": [variant["port"]] for name, variant in config["variants"].items()
    }
    assert engine.cloud.weights("80 default") == {f"abtest-{name}": w for name, w in config["weights"].items()}


def test_a_target_group_is_replaced_behind_the_traffic(standing: Engine) -> None:
    config = changed(BASE, variants__a__port=9090)

    run = standing.up(config).succeeded()

    assert {"abtest-a", "abtest-a-1"} <= set(run.replaced)
    assert_seamless(standing, run, config)


def test_a_variant_is_added_and_removed(standing: Engine) -> None:
    config = changed(BASE, weights={"a": 80, "b": 10, "c": 10}, variants={"a": A, "b": B, "c": launching()})

    added = standing.up(config).succeeded()

    assert {step.op for step in added.steps if "abtest-c" in step.name} == {"create"}
    assert_seamless(standing, added, config)

    removed = standing.up(BASE).succeeded()

    assert {step.op for step in removed.steps if "abtest-c" in step.name} == {"delete"}
    assert_seamless(standing, removed, BASE)


def test_a_variant_is_renamed(standing: Engine) -> None:
    rules = {
        "to-b": {**BASE["rules"]["to-b"], "forward": "c"},
        "halves": {**BASE["rules"]["halves"], "forward": {"a": 50, "c": 50}},
    }
    config = changed(BASE, weights={"a": 90, "c": 10}, variants={"a": A, "c": B}, rules=rules)

    run = standing.up(config).succeeded()

    assert_seamless(standing, run, config)


@pytest.mark.parametrize(
    "launch",
    [
        pytest.param({"instanceType": "t3.large"}, id="type"),
        pytest.param({"userDataFile": "start.sh"}, id="start-up script"),
    ],
)
def test_another_instance_takes_over_before_the_old_one_leaves(standing: Engine, launch: dict[str, Any]) -> None:
    (standing.folder / "start.sh").write_text("#!/bin/sh\nexec model-server\n", encoding="utf-8")
    config = changed(BASE, variants__b=launching(**launch))

    run = standing.up(config).succeeded()

    assert "abtest-b-1" in run.replaced
    assert [action for action in run.routing if action.endswith("Targets")] == ["RegisterTargets", "DeregisterTargets"]
    assert_seamless(standing, run, config)


def images(engine: Engine) -> dict[str, str]:
    """The image of each instance of variant a, by the instance's logical name."""
    resources = engine.state()["deployment"]["resources"]
    instances = [each for each in resources if each["type"] == "aws:ec2/instance:Instance"]
    by_name = {each["urn"].rpartition("::")[2]: each["id"] for each in instances}
    with engine.cloud.client("ec2") as ec2:
        return {
            name: ec2.describe_instances(InstanceIds=[number])["Reservations"][0]["Instances"][0]["ImageId"]
            for name, number in by_name.items()
            if name.startswith("abtest-a-")
        }


def test_a_newer_default_image_is_for_new_instances_and_an_explicit_one_for_all(standing: Engine) -> None:
    newest = changed(BASE, variants__a=launching(ami=None, count=2))

    grown = standing.up(newest).succeeded()

    assert grown.replaced == []
    found = images(standing)
    assert found["abtest-a-1"] == IMAGE
    assert found["abtest-a-2"] != IMAGE

    explicit = standing.up(changed(BASE, variants__a=launching(ami=found["abtest-a-2"], count=2))).succeeded()

    assert explicit.replaced == ["abtest-a-1"]
    assert set(images(standing).values()) == {found["abtest-a-2"]}
    assert explicit.gaps == []
