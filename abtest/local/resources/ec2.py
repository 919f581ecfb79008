"""EC2: security groups and instances."""

from __future__ import annotations

from abtest.local.clients import ACCOUNT, Clients, Inputs, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _security_group(aws: Clients, name: str, inputs: Inputs) -> Created:
    tags = inputs.take("tags")
    group = aws.ec2.create_security_group(
        GroupName=inputs.take("name") or physical_name(name),
        Description=inputs.take("description"),
        VpcId=inputs.take("vpcId"),
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list(tags)}],
    )["GroupId"]
    # The provider takes away the allow-all egress that AWS gives a new group.
    aws.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    return group, {"arn": f"arn:{aws.partition}:ec2:{aws.region}:{ACCOUNT}:security-group/{group}", "ownerId": ACCOUNT}


def _security_group_rule(aws: Clients, inputs: Inputs, direction: str) -> Created:
    permission = {
        **inputs.some(IpProtocol="ipProtocol", FromPort="fromPort", ToPort="toPort"),
        **{
            name: [{key: value}]
            for name, key, value in (
                ("IpRanges", "CidrIp", inputs.take("cidrIpv4")),
                ("Ipv6Ranges", "CidrIpv6", inputs.take("cidrIpv6")),
                ("UserIdGroupPairs", "GroupId", inputs.take("referencedSecurityGroupId")),
            )
            if value is not None
        },
    }
    authorize = getattr(aws.ec2, f"authorize_security_group_{direction}")
    rule = authorize(
        GroupId=inputs.take("securityGroupId"),
        IpPermissions=[permission],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tag_list(inputs.take("tags"))}],
    )["SecurityGroupRules"][0]
    return rule["SecurityGroupRuleId"], {"securityGroupRuleId": rule["SecurityGroupRuleId"]}


def _ingress_rule(aws: Clients, _: str, inputs: Inputs) -> Created:
    return _security_group_rule(aws, inputs, "ingress")


def _egress_rule(aws: Clients, _: str, inputs: Inputs) -> Created:
    return _security_group_rule(aws, inputs, "egress")


def _instance(aws: Clients, _: str, inputs: Inputs) -> Created:
    inputs.take("userDataReplaceOnChange")  # concerns replacement, which does not happen here
    metadata, root = inputs.take("metadataOptions", {}), inputs.take("rootBlockDevice", {})
    profile, public_ip = inputs.take("iamInstanceProfile"), inputs.take("associatePublicIpAddress")
    subnet, groups = inputs.take("subnetId"), inputs.take("vpcSecurityGroupIds")
    place = {"SubnetId": subnet, "SecurityGroupIds": groups}
    if public_ip is not None:  # said of the network interface, which then is said whole
        interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": groups, "AssociatePublicIpAddress": public_ip}
        place = {"NetworkInterfaces": [interface]}
    instance = aws.ec2.run_instances(
        MinCount=1,
        MaxCount=1,
        **inputs.some(
            ImageId="ami",
            InstanceType="instanceType",
            KeyName="keyName",
            UserData="userData",
        ),
        **place,
        **({"IamInstanceProfile": {"Name": profile}} if profile else {}),
        MetadataOptions={"HttpTokens": metadata.get("httpTokens"), "HttpEndpoint": metadata.get("httpEndpoint")},
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "Encrypted": root["encrypted"],
                    "VolumeType": root["volumeType"],
                    "VolumeSize": root.get("volumeSize", 8),  # moto has no image that would tell a size
                },
            }
        ],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": tag_list(inputs.take("tags"))},
            {"ResourceType": "volume", "Tags": tag_list(inputs.take("volumeTags"))},
        ],
    )["Instances"][0]
    return instance["InstanceId"], {
        "privateIp": instance["PrivateIpAddress"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
    }


MAKERS: Makers = {
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress_rule,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _egress_rule,
    "aws:ec2/instance:Instance": _instance,
}
