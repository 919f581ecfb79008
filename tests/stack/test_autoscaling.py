"""Auto Scaling groups: examples/autoscaling.yaml, deployed whole, and what changes with the config."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from abtest.local import Deployment, Resource
from abtest.local.clients import Clients, Inputs
from abtest.local.look_ups import LOOK_UPS, LookUpError
from tests.configs import VARIANT, config, variant
from tests.deployed import deploy


@pytest.fixture(scope="module")
def example(examples: Callable[[str], Deployment]) -> Deployment:
    return examples("autoscaling")


def scaled(*, state: dict[str, Any] | None = None, **launch: Any) -> Deployment:
    """Variant a with an Auto Scaling group of one to three instances, beside one of no interest."""
    launch = {"instanceType": "t3.small", "min": 1, "max": 3, "requestsPerTarget": 100, **launch}
    launch = {key: value for key, value in launch.items() if value is not None}
    return deploy(config(variants={"a": variant(targets={"launch": launch}), "b": VARIANT}, **(state or {})))


def template(deployment: Deployment) -> Resource:
    return deployment.of_type(":LaunchTemplate")["abtest-a"]


def group(deployment: Deployment) -> Resource:
    return deployment.of_type("autoscaling/group:Group")["abtest-a"]


def test_a_group_takes_the_place_of_instances_and_their_attachments(example: Deployment) -> None:
    found = Counter(r.type.split(":")[-1] for r in example.resources if not r.is_component)
    assert (found["LaunchTemplate"], found["Group"], found["Policy"], found["TargetGroup"]) == (2, 2, 2, 2)
    assert not {"Instance", "TargetGroupAttachment"} & found.keys()
    health = [[t["TargetHealth"]["State"] for t in targets] for targets in example.described["TargetHealth"].values()]
    assert health == [["healthy"] * 2] * 2


def test_it_is_exported_by_variant(example: Deployment, dev: Deployment) -> None:
    names = {name: r.id for name, r in example.of_type("autoscaling/group:Group").items()}
    assert example.outputs["autoscaling_groups"] == {"a": names["abtest-a"], "b": names["abtest-b"]}
    assert "autoscaling_groups" not in dev.outputs


def test_the_load_balancer_says_whether_an_instance_lives(example: Deployment) -> None:
    found = group(example).inputs
    assert (found["healthCheckType"], found["healthCheckGracePeriod"]) == ("ELB", 600)
    assert (found["minSize"], found["maxSize"], found.get("desiredCapacity")) == (2, 8, None)
    assert found["targetGroupArns"] == [example.outputs["target_group_arns"]["a"]]


def test_the_provider_waits_for_no_number_of_instances(example: Deployment) -> None:
    """A changed `min` would have it wait for the number in its state, which a group that has scaled does not have."""
    assert group(example).inputs["waitForCapacityTimeout"] == "0"


def test_another_version_of_the_template_replaces_instances_one_by_one_and_can_be_rolled_back(
    example: Deployment,
) -> None:
    found = group(example).inputs
    assert found["launchTemplate"] == {"id": template(example).id, "version": "1"}
    assert found["instanceRefresh"] == {
        "strategy": "Rolling",
        "preferences": {"minHealthyPercentage": 100, "maxHealthyPercentage": 100, "autoRollback": True},
    }


def test_tags_are_the_groups_to_give_so_that_other_tags_are_no_other_template(example: Deployment) -> None:
    tags = {tag["key"]: (tag["value"], tag["propagateAtLaunch"]) for tag in group(example).inputs["tags"]}
    assert tags["abtest:variant"] == ("a", True)
    assert tags["Name"] == ("abtest-a", True)
    assert [each["resourceType"] for each in template(example).inputs["tagSpecifications"]] == ["volume"]


def test_volumes_have_the_tags_of_the_template(example: Deployment) -> None:
    found = template(example)
    (of_volumes,) = found.inputs["tagSpecifications"]
    assert of_volumes["tags"] == found.inputs["tags"]


def test_instances_are_private_encrypted_and_know_their_version(example: Deployment) -> None:
    found = template(example).inputs
    # How many hops an answer may take is left to the image: 1 would end before a container on the instance.
    assert found["metadataOptions"] == {"httpEndpoint": "enabled", "httpTokens": "required"}
    assert found["blockDeviceMappings"] == [
        {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "volumeType": "gp3", "volumeSize": 20}}
    ]
    (interface,) = found["networkInterfaces"]
    assert interface["securityGroups"] == [example.outputs["security_group_ids"]["a"]]
    assert "--version=a" in base64.b64decode(found["userData"]).decode()


@pytest.mark.parametrize(("said", "written"), [(None, None), (True, "true"), (False, "false")])
def test_a_public_address_is_the_subnets_to_give_unless_said(*, said: bool | None, written: str | None) -> None:
    (interface,) = template(scaled(publicIp=said)).inputs["networkInterfaces"]
    assert interface.get("associatePublicIpAddress") == written


def test_an_instance_has_a_public_address_where_it_is_said() -> None:
    for said in (True, False, None):
        found = scaled(min=None, max=None, requestsPerTarget=None, publicIp=said)
        assert found.of_type(":Instance")["abtest-a-1"].inputs.get("associatePublicIpAddress") is said


def test_an_image_of_ones_own_keeps_its_root_device() -> None:
    found = template(scaled(ami="ami-0abc")).inputs
    assert found["imageId"] == "ami-0abc"
    assert found["blockDeviceMappings"][0]["deviceName"] == "/dev/sda1"


def test_an_image_that_its_owner_has_deprecated_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be started, but EC2 lists somebody else's by a filter only when asked to (API DescribeImages)."""

    def get_ami(_aws: Clients, inputs: Inputs) -> dict[str, Any]:
        inputs.take("filters")
        if not inputs.take("includeDeprecated"):
            raise LookUpError("Your query returned no results")
        return {"id": "ami-0abc", "rootDeviceName": "/dev/sdf"}

    monkeypatch.setitem(LOOK_UPS, "aws:ec2/getAmi:getAmi", get_ami)
    found = template(scaled(ami="ami-0abc")).inputs
    assert found["blockDeviceMappings"][0]["deviceName"] == "/dev/sdf"


def test_another_architecture_is_another_template() -> None:
    assert list(scaled(instanceType="t4g.small").of_type(":LaunchTemplate")) == ["abtest-a-arm64"]


def test_key_and_profile_reach_the_template() -> None:
    found = template(scaled(keyName="ops", instanceProfile="models")).inputs
    assert (found["keyName"], found["iamInstanceProfile"]) == ("ops", {"name": "models"})


# What comes after what --------------------------------------------------------------------------------------------


def urns(*resources: Resource) -> set[str]:
    return {resource.urn for resource in resources}


def test_what_forwards_comes_after_the_group_and_the_group_after_the_way_is_open(example: Deployment) -> None:
    listener = example.of_type(":Listener")["listener-80"]
    assert urns(*example.of_type("autoscaling/group:Group").values()) <= listener.depends_on
    openings = example.of_type("IngressRule") | example.of_type("EgressRule")
    own = [rule for name, rule in openings.items() if name.startswith("abtest-a-")]
    assert len(own) == 4
    assert urns(*own) <= group(example).depends_on


def test_it_scales_by_the_requests_that_the_load_balancer_sends_it(example: Deployment) -> None:
    policy = example.of_type("autoscaling/policy:Policy")["abtest-a"]
    balancer, own = (
        arn.split(":")[-1] for arn in (example.outputs["load_balancer_arn"], example.outputs["target_group_arns"]["a"])
    )
    assert policy.inputs["targetTrackingConfiguration"] == {
        "predefinedMetricSpecification": {
            "predefinedMetricType": "ALBRequestCountPerTarget",
            "resourceLabel": f"{balancer.removeprefix('loadbalancer/')}/{own}",
        },
        "targetValue": 600,
    }


def test_scaling_comes_after_what_forwards() -> None:
    rules = {"r": {"priority": 10, "when": {"path": ["/x"]}, "forward": "a"}}
    found = scaled(state={"weights": {"b": 1}, "rules": rules})
    forwards = (found.of_type(":Listener")["listener-80"], found.of_type(":ListenerRule")["rule-10"])
    assert urns(*forwards) <= found.of_type("autoscaling/policy:Policy")["abtest-a"].depends_on


@pytest.mark.parametrize(
    ("state", "scales"), [({"weights": {"b": 1}}, False), ({"weights": {"b": 1}, "override": {}}, True)]
)
def test_a_group_that_nothing_forwards_to_has_no_requests_to_scale_by(state: dict[str, Any], *, scales: bool) -> None:
    assert bool(scaled(state=state).of_type("autoscaling/policy:Policy")) == scales


def test_a_group_of_a_fixed_size_does_not_scale() -> None:
    assert not scaled(min=2, max=2, requestsPerTarget=None).of_type("autoscaling/policy:Policy")
