"""Lambda functions as targets: examples/lambda.yaml, deployed whole, and what changes with the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abtest.local import Deployment
from abtest.local.balancer import Deployed
from tests.configs import VARIANT, config
from tests.deployed import deploy

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ranker"


@pytest.fixture(scope="module")
def example(examples: Callable[[str], Deployment]) -> Deployment:
    return examples("lambda")


def invoking(arn: str, **more: Any) -> Deployment:
    return deploy(config(variants={"a": {"targets": {"lambdaArn": arn}, **more}, "b": VARIANT}))


def test_its_group_says_nothing_of_addresses(example: Deployment) -> None:
    found = example.of_type(":TargetGroup")["abtest-a"].inputs
    assert found["targetType"] == "lambda"
    assert set(found) == {"targetType", "tags"}


def test_health_is_checked_where_it_is_said(example: Deployment) -> None:
    checks: dict[str, Any] = {
        name: group.inputs.get("healthCheck") for name, group in example.of_type(":TargetGroup").items()
    }
    assert checks["abtest-a"] is None, "AWS's default for functions; the provider warns of the check of a function"
    assert (checks["abtest-b"]["enabled"], checks["abtest-b"]["interval"]) == (True, 30)
    assert not {"port", "protocol"} & set(checks["abtest-b"])


def test_one_group_may_invoke_the_version_that_is_named(example: Deployment) -> None:
    permission = example.of_type(":Permission")["abtest-a"].inputs
    assert permission == {
        "action": "lambda:InvokeFunction",
        "function": FUNCTION,
        "qualifier": "7",
        "principal": "elasticloadbalancing.amazonaws.com",
        "sourceArn": example.outputs["target_group_arns"]["a"],
    }


def test_a_function_without_a_version_is_permitted_as_it_is_named() -> None:
    permission = invoking(FUNCTION).of_type(":Permission")["abtest-a"].inputs
    assert (permission["function"], permission.get("qualifier")) == (FUNCTION, None)


def test_permission_comes_before_the_attachment_and_the_attachment_before_what_forwards(example: Deployment) -> None:
    listener = example.of_type(":Listener")["listener-80"]
    for name in ("abtest-a", "abtest-b"):
        attachment = example.of_type(":TargetGroupAttachment")[f"{name}-function"]
        assert example.of_type(":Permission")[name].urn in attachment.depends_on
        assert attachment.urn in listener.depends_on
    assert example.of_type(":TargetGroupAttachment")["abtest-a-function"].inputs == {
        "targetGroupArn": example.outputs["target_group_arns"]["a"], "targetId": f"{FUNCTION}:7",
    }  # fmt: skip


def test_nothing_has_to_be_opened_for_it(example: Deployment) -> None:
    assert not example.of_type("SecurityGroupEgressRule")


def test_the_functions_are_assumed_to_exist(example: Deployment) -> None:
    assert example.assumed[1:] == (f"function {FUNCTION}:7", f"function {FUNCTION}:candidate")


def test_the_local_balancer_checks_only_what_aws_would(example: Deployment) -> None:
    groups = {group.variant: group for group in Deployed.from_described(example.described).groups.values()}
    assert groups["a"].health_check is None
    assert groups["b"].health_check is not None
    assert groups["b"].health_check.path == "/healthz"
