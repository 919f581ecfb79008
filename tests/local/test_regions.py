"""Regions and partitions of the embedded AWS."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from abtest.local import DeployError, deploy
from tests.configs import ROOT, config
from tests.local.comparing import comparable


@pytest.mark.parametrize(
    ("region", "partition", "stack"),
    [
        ("cn-north-1", "aws-cn", "examples/ecs.yaml"),
        ("us-gov-west-1", "aws-us-gov", "Pulumi.prod.yaml"),
        ("ap-southeast-7", "aws", "Pulumi.dev.yaml"),
    ],
)
def test_stacks_deploy_in_other_partitions_and_new_regions(region: str, partition: str, stack: str) -> None:
    text = (ROOT / stack).read_text().replace("us-east-1", region).replace("arn:aws:", f"arn:{partition}:")
    deployment = deploy(yaml.safe_load(text)["config"])
    partitions = re.findall(r"\barn:([a-z-]+):", json.dumps(comparable(deployment)))
    assert set(partitions) == {partition}
    groups = deployment.outputs["target_group_arns"].values()
    assert all(arn.startswith(f"arn:{partition}:elasticloadbalancing:{region}:") for arn in groups)


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-new-1"])
def test_a_region_that_moto_does_not_have_is_refused(region: str) -> None:
    with pytest.raises(DeployError, match=f"the embedded AWS does not have the region {region}; try"):
        deploy(config() | {"aws:region": region})


def test_a_stack_without_a_region_is_deployed_in_the_usual_one() -> None:
    keys = config()
    with_region, without = deploy(keys), deploy({key: value for key, value in keys.items() if key != "aws:region"})
    assert without.resources == with_region.resources
