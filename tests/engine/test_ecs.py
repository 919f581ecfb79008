"""A Fargate service on the real engine: in what order it comes and goes, and what the guard refuses without guardrails.

Where a stand-in takes the provider's place, ECS is in the engine's state alone.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine


def service(**changes: Any) -> dict[str, Any]:
    """A variant that is a service; in the default VPC its tasks need an address."""
    ecs = {"image": "example.com/model:1", "cpu": 256, "memory": 512, "publicIp": True, **changes}
    return {"port": 8080, "healthCheck": {"path": "/healthz"}, "targets": {"ecs": ecs}}


STACK = changed(
    BASE, variants__b=service(), variants__a=service(autoscaling={"min": 1, "max": 3, "requestsPerTarget": 60})
)


def refused(run: Run, words: str) -> None:
    assert run.code != 0, run.output
    assert not {"ModifyListener", "ModifyRule", "CreateRule"} & set(run.routing), "the traffic stays as it is"
    assert "Traceback" not in run.output
    assert words in run.output, run.output


def test_a_service_stands_and_changes_within_what_ecs_can_do(fresh: Engine) -> None:
    kinds = [step.type for step in fresh.up(STACK).succeeded().steps]
    forwards = [n for n, kind in enumerate(kinds) if kind.startswith("aws:lb/listener")]
    assert len(forwards) == 3
    assert max(forwards) < kinds.index("aws:ecs/service:Service")
    assert sorted(fresh.outputs()["ecs_services"]) == ["a", "b"]
    assert fresh.up().succeeded().steps == ()

    new = changed(STACK, variants__c=service(), weights={"a": 80, "b": 10, "c": 10})
    refused(fresh.preview(new), "c would go from 0 % to 10 % on the main split, but no rule forwards to c yet")
    refused(fresh.up(new), "c would go from 0 % to 10 % on the main split, but no rule forwards to c yet")
    warm = changed(new, weights={"a": 90, "b": 10, "c": 0})
    fresh.up(warm).succeeded()
    fresh.up(new).succeeded()

    newer = changed(new, variants__b=service(image="example.com/model:2"))
    image = fresh.up(newer).succeeded()
    assert image.routing == []
    assert {step.name for step in image.steps} == {"abtest-b"}

    moved = changed(newer, variants__b__port=9090)
    refused(fresh.preview(moved), "the target group of b would be replaced, but the tasks of its service come")
    refused(fresh.up(moved), "add a variant under another name at weight 0, shift, then take this one out")

    gone = fresh.up(changed(STACK, weights={"a": 100}, rules={}, variants={"a": STACK["variants"]["a"]})).succeeded()
    assert gone.refusals == []
    assert fresh.destroy().succeeded().refusals == []
    assert fresh.cloud.arns == set()
