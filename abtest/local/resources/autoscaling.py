"""Launch templates, Auto Scaling groups and what they scale by."""

from __future__ import annotations

from typing import Any

from abtest.local.clients import ACCOUNT, Clients, Inputs, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _launch_template(aws: Clients, name: str, inputs: Inputs) -> Created:
    metadata = inputs.take("metadataOptions")
    profile = inputs.take("iamInstanceProfile")
    template = aws.ec2.create_launch_template(
        LaunchTemplateName=physical_name(name),
        LaunchTemplateData={
            **inputs.some(ImageId="imageId", InstanceType="instanceType", KeyName="keyName", UserData="userData"),
            **({"IamInstanceProfile": {"Name": profile["name"]}} if profile else {}),
            "MetadataOptions": {"HttpTokens": metadata["httpTokens"], "HttpEndpoint": metadata["httpEndpoint"]},
            "BlockDeviceMappings": [_volume(given) for given in inputs.take("blockDeviceMappings")],
            "TagSpecifications": [
                {"ResourceType": given["resourceType"], "Tags": tag_list(given["tags"])}
                for given in inputs.take("tagSpecifications")
            ],
            "NetworkInterfaces": [_interface(given) for given in inputs.take("networkInterfaces")],
        },
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": tag_list(inputs.take("tags"))}],
    )["LaunchTemplate"]
    return template["LaunchTemplateId"], {"latestVersion": template["LatestVersionNumber"]}


def _volume(given: dict[str, Any]) -> dict[str, Any]:
    taken = Inputs("volume", given["ebs"])
    ebs = {"Encrypted": taken.take("encrypted") == "true", **taken.some(VolumeType="volumeType")}
    ebs["VolumeSize"] = taken.take("volumeSize", 8)  # moto has no image that would tell a size
    taken.finish()
    return {"DeviceName": given["deviceName"], "Ebs": ebs}


def _interface(given: dict[str, Any]) -> dict[str, Any]:
    taken = Inputs("network interface", given)
    flags = {"AssociatePublicIpAddress": "associatePublicIpAddress", "DeleteOnTermination": "deleteOnTermination"}
    made = {name: value == "true" for name, value in taken.some(**flags).items()}
    made |= taken.some(DeviceIndex="deviceIndex", Groups="securityGroups")
    taken.finish()
    return made


def _group(aws: Clients, name: str, inputs: Inputs) -> Created:
    inputs.take("waitForCapacityTimeout")  # the instances here are in service at once
    inputs.take("instanceRefresh")  # concerns another version of the template, which there is none of here
    group, template = physical_name(name), inputs.take("launchTemplate")
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=group,
        LaunchTemplate={"LaunchTemplateId": template["id"], "Version": template["version"]},
        VPCZoneIdentifier=",".join(inputs.take("vpcZoneIdentifiers")),
        **inputs.some(
            MinSize="minSize",
            MaxSize="maxSize",
            TargetGroupARNs="targetGroupArns",
            HealthCheckType="healthCheckType",
            HealthCheckGracePeriod="healthCheckGracePeriod",
        ),
        Tags=[
            {"Key": tag["key"], "Value": tag["value"], "PropagateAtLaunch": tag["propagateAtLaunch"]}
            for tag in inputs.take("tags")
        ],
    )
    arn = (
        f"arn:{aws.partition}:autoscaling:{aws.region}:{ACCOUNT}:autoScalingGroup:embedded:autoScalingGroupName/{group}"
    )
    return group, {"name": group, "arn": arn}


def _policy(aws: Clients, name: str, inputs: Inputs) -> Created:
    tracking = inputs.take("targetTrackingConfiguration")
    metric = tracking["predefinedMetricSpecification"]
    policy = physical_name(name)
    aws.autoscaling.put_scaling_policy(
        PolicyName=policy,
        **inputs.some(AutoScalingGroupName="autoscalingGroupName", PolicyType="policyType"),
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": metric["predefinedMetricType"],
                "ResourceLabel": metric["resourceLabel"],
            },
            "TargetValue": tracking["targetValue"],
        },
    )
    return policy, {}


MAKERS: Makers = {
    "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
    "aws:autoscaling/group:Group": _group,
    "aws:autoscaling/policy:Policy": _policy,
}
