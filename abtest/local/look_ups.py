"""Each provider function that the program calls, answered by the embedded AWS, with the provider's own refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from abtest.local.clients import Clients, Inputs

__all__ = ["LOOK_UPS", "LookUpError"]


#: The region that moto knows most of.
_USUAL = Clients("us-east-1")


class LookUpError(Exception):
    """What the provider would answer instead of a result."""


def _filters(inputs: Inputs) -> list[dict[str, Any]]:
    given = [{"Name": f["name"], "Values": f["values"]} for f in inputs.take("filters", [])]
    tags = [{"Name": f"tag:{key}", "Values": [value]} for key, value in inputs.take("tags", {}).items()]
    return given + tags


def _one(found: list[dict[str, Any]], what: str) -> dict[str, Any]:
    if not found:
        raise LookUpError(f"no matching {what} found")
    if len(found) > 1:
        raise LookUpError(f"multiple {what}s matched; use additional constraints to reduce matches to a single {what}")
    return found[0]


def _get_vpc(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    filters = _filters(inputs)
    if vpc_id := inputs.take("id"):
        filters.append({"Name": "vpc-id", "Values": [vpc_id]})
    if inputs.take("default"):
        filters.append({"Name": "is-default", "Values": ["true"]})
    vpc = _one(aws.ec2.describe_vpcs(Filters=filters)["Vpcs"], "EC2 VPC")
    blocks = [
        {"cidrBlock": a["CidrBlock"], "associationId": a["AssociationId"], "state": "associated"}
        for a in vpc.get("CidrBlockAssociationSet", [])
    ]
    return {
        "id": vpc["VpcId"],
        "cidrBlock": vpc["CidrBlock"],
        "cidrBlockAssociations": blocks,
        "default": vpc["IsDefault"],
    }


def _get_subnets(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    return {
        "ids": [s["SubnetId"] for s in aws.ec2.describe_subnets(Filters=_filters(inputs))["Subnets"]],
        "id": aws.region,
    }


def _get_subnet(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    filters = [*_filters(inputs), {"Name": "subnet-id", "Values": [inputs.take("id")]}]
    subnet = _one(aws.ec2.describe_subnets(Filters=filters)["Subnets"], "EC2 Subnet")
    blocks = [a["Ipv6CidrBlock"] for a in subnet.get("Ipv6CidrBlockAssociationSet", [])]
    return {
        "id": subnet["SubnetId"],
        "vpcId": subnet["VpcId"],
        "availabilityZone": subnet["AvailabilityZone"],
        "cidrBlock": subnet["CidrBlock"],
        "ipv6CidrBlock": blocks[0] if blocks else "",
    }


def _get_instance_type(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    name = inputs.take("instanceType")
    found = aws.ec2.describe_instance_types(InstanceTypes=[name])["InstanceTypes"]
    kind = _one(found, f"EC2 Instance Type {name}")
    return {"id": name, "instanceType": name, "supportedArchitectures": kind["ProcessorInfo"]["SupportedArchitectures"]}


def _get_instance_type_offerings(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    kind, filters = inputs.take("locationType"), _filters(inputs)
    offerings = _offerings(aws, kind, filters)
    if not offerings and not _offerings(aws, kind, []):  # moto does not know those of every region
        zones = aws.ec2.describe_availability_zones()["AvailabilityZones"]
        types = {o["InstanceType"] for o in _offerings(_USUAL, kind, filters)}
        offerings = [
            {"InstanceType": t, "Location": z["ZoneName"], "LocationType": kind} for t in sorted(types) for z in zones
        ]
    return {
        "id": aws.region,
        "instanceTypes": [o["InstanceType"] for o in offerings],
        "locations": [o["Location"] for o in offerings],
        "locationTypes": [o["LocationType"] for o in offerings],
    }


def _offerings(aws: Clients, kind: str, filters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    offerings: list[dict[str, Any]] = aws.ec2.describe_instance_type_offerings(LocationType=kind, Filters=filters)[
        "InstanceTypeOfferings"
    ]
    return offerings


def _get_ami(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    found = aws.ec2.describe_images(
        Filters=_filters(inputs), IncludeDeprecated=inputs.take("includeDeprecated", default=False)
    )["Images"]
    if len(found) != 1:
        raise LookUpError("Your query returned no results" if not found else "Your query returned more than one result")
    (image,) = found
    return {"id": image["ImageId"], "imageId": image["ImageId"], "rootDeviceName": image["RootDeviceName"]}


def _get_parameter(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    name = inputs.take("name")
    found = aws.ssm.get_parameters(Names=[name])["Parameters"]
    if not found and name.startswith("/aws/"):  # as with offerings
        found = _USUAL.ssm.get_parameters(Names=[name])["Parameters"]
    parameter = _one(found, f"SSM Parameter {name}")
    return {
        "id": name,
        "name": name,
        "value": parameter["Value"],
        "type": parameter["Type"],
        "arn": parameter["ARN"],
        "version": 1,
    }


def _get_cluster(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    name = inputs.take("clusterName")
    found = aws.ecs.describe_clusters(clusters=[name])["clusters"]
    if not found:
        raise LookUpError(f"reading ECS Cluster ({name}): couldn't find resource")
    return {
        "id": found[0]["clusterArn"],
        "arn": found[0]["clusterArn"],
        "clusterName": name,
        "status": found[0]["status"],
    }


def _get_zone(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    name, is_private = inputs.take("name").rstrip("."), bool(inputs.take("privateZone"))
    zones = aws.route53.list_hosted_zones()["HostedZones"]
    found = [z for z in zones if z["Name"].rstrip(".") == name and z["Config"]["PrivateZone"] == is_private]
    zone_id = _one(found, "Route 53 Hosted Zone")["Id"].split("/")[-1]
    return {"id": zone_id, "zoneId": zone_id, "name": name}


def _get_listener(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    arn = inputs.take("arn")
    listener = _one(aws.elbv2.describe_listeners(ListenerArns=[arn])["Listeners"], "ELBv2 Listener")
    return {
        "id": arn,
        "arn": arn,
        "loadBalancerArn": listener["LoadBalancerArn"],
        "port": listener["Port"],
        "protocol": listener["Protocol"],
    }


def _get_load_balancer(aws: Clients, inputs: Inputs) -> dict[str, Any]:
    arn = inputs.take("arn")
    balancer = _one(aws.elbv2.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"], "ELBv2 Load Balancer")
    return {
        "id": arn,
        "arn": arn,
        "arnSuffix": arn.split("loadbalancer/")[-1],
        "name": balancer["LoadBalancerName"],
        "dnsName": balancer["DNSName"],
        "zoneId": balancer["CanonicalHostedZoneId"],
        "vpcId": balancer["VpcId"],
        "subnets": [zone["SubnetId"] for zone in balancer["AvailabilityZones"]],
        "securityGroups": balancer["SecurityGroups"],
        "ipAddressType": balancer["IpAddressType"],
    }


LOOK_UPS: dict[str, Callable[[Clients, Inputs], dict[str, Any]]] = {
    "aws:ec2/getVpc:getVpc": _get_vpc,
    "aws:ec2/getSubnets:getSubnets": _get_subnets,
    "aws:ec2/getSubnet:getSubnet": _get_subnet,
    "aws:ec2/getInstanceType:getInstanceType": _get_instance_type,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _get_instance_type_offerings,
    "aws:lb/getListener:getListener": _get_listener,
    "aws:lb/getLoadBalancer:getLoadBalancer": _get_load_balancer,
    "aws:ec2/getAmi:getAmi": _get_ami,
    "aws:ecs/getCluster:getCluster": _get_cluster,
    "aws:ssm/getParameter:getParameter": _get_parameter,
    "aws:route53/getZone:getZone": _get_zone,
}
