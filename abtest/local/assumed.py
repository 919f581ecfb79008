"""What a stack file names as existing, created on the embedded AWS before the program runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

from abtest.experiment import Experiment
from abtest.experiment.limits import RECOMMENDED_SSL_POLICY
from abtest.local.clients import ACCOUNT, Clients, location, tag_list

__all__ = ["create_assumed"]


class Subnet(NamedTuple):
    """A subnet that is to be made; without an id of its own it gets any."""

    id: str | None
    zone: str
    tags: Mapping[str, str] | None


def create_assumed(aws: Clients, experiment: Experiment) -> tuple[str, ...]:
    """Create it all. Returns a line for each thing, in the words of the config."""
    aws.ec2.describe_vpcs()  # makes the default VPC, which must not get an id that the config names
    made = [*_network(aws, experiment), *_instances(aws, experiment), *_names(aws, experiment)]
    if arn := experiment.listener.arn:
        made.append(
            _listener(aws, arn, is_https=any(v.protocol_version != "HTTP1" for v in experiment.variants.values()))
        )
    made += [*_images(aws, experiment), *_functions(aws, experiment)]
    for arn in filter(None, (experiment.listener.certificate_arn, *experiment.listener.certificate_arns)):
        _certificate(aws, arn)
        made.append(f"certificate {arn}")
    if experiment.waf:
        _web_acl(aws, experiment.waf.web_acl_arn)
        made.append(f"web ACL {experiment.waf.web_acl_arn}")
    if experiment.access_logs and (bucket := experiment.access_logs.bucket):
        aws.s3.create_bucket(Bucket=bucket, **location(aws.region))
        made.append(f"bucket {bucket}")
    if dns := experiment.dns:
        _zone(aws, dns.zone, is_private=dns.private_zone)
        made.append(f"{'private ' * dns.private_zone}hosted zone {dns.zone}")
    return tuple(made)


@contextmanager
def _next_id(module: str, maker: str, wanted: str | None) -> Iterator[None]:
    """Moto numbers what it creates by itself; the next one gets the id that the config names."""
    if wanted is None:
        yield
        return
    with mock.patch(f"moto.ec2.models.{module}.{maker}", return_value=wanted):
        yield


def _zones(aws: Clients) -> list[str]:
    return sorted(z["ZoneName"] for z in aws.ec2.describe_availability_zones()["AvailabilityZones"])


def _network(aws: Clients, experiment: Experiment) -> Iterator[str]:
    network, zones = experiment.network, _zones(aws)
    is_default = network.vpc_id is None and network.vpc_tags is None
    if is_default and network.subnet_ids is None:
        vpc = aws.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
        block, offset = "172.31.{}.0/24", 200  # behind the default subnets
        yield "the default VPC" + " with its subnets" * (network.subnet_tags is None)
    else:
        with _next_id("vpcs", "random_vpc_id", network.vpc_id):
            vpc = aws.ec2.create_vpc(
                CidrBlock="10.0.0.0/16",
                AmazonProvidedIpv6CidrBlock=network.ip_address_type != "ipv4",
                **_tagged("vpc", network.vpc_tags),
            )["Vpc"]["VpcId"]
        block, offset = "10.0.{}.0/24", 0
        yield f"VPC {vpc}{_in_words(network.vpc_tags)}"
    made: list[Subnet] = []
    if not is_default or network.subnet_ids is not None or network.subnet_tags is not None:
        ids: Sequence[str | None] = network.subnet_ids or [None] * min(3, len(zones))
        made = [Subnet(subnet_id, zones[n % len(zones)], network.subnet_tags) for n, subnet_id in enumerate(ids)]
    there = [subnet.zone for subnet in made] or zones
    if network.target_subnet_ids is not None or network.target_subnet_tags is not None:
        known = {subnet.id for subnet in made}
        ids = [each for each in network.target_subnet_ids or [None] * min(3, len(there)) if each not in known - {None}]
        made += [Subnet(target, there[n % len(there)], network.target_subnet_tags) for n, target in enumerate(ids)]
    for n, subnet in enumerate(made):
        with _next_id("subnets", "random_subnet_id", subnet.id):
            found = aws.ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=block.format(n + offset),
                AvailabilityZone=subnet.zone,
                **({"Ipv6CidrBlock": f"2001:db8:0:{n}::/64"} if network.ip_address_type != "ipv4" else {}),
                **_tagged("subnet", subnet.tags),
            )["Subnet"]
        yield f"subnet {found['SubnetId']} in {found['AvailabilityZone']}{_in_words(subnet.tags)}"


def _tagged(kind: str, tags: Mapping[str, str] | None) -> dict[str, Any]:
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": tag_list(tags)}]} if tags else {}


def _in_words(tags: Mapping[str, str] | None) -> str:
    return f" ({', '.join(f'{key}={value}' for key, value in tags.items())})" if tags else ""


def _instances(aws: Clients, experiment: Experiment) -> Iterator[str]:
    ids = {i: None for v in experiment.variants.values() for i in v.targets.instance_ids or ()}
    for instance_id in ids:
        with _next_id("instances", "random_instance_id", instance_id):
            aws.ec2.run_instances(MinCount=1, MaxCount=1, ImageId="ami-12c6146b")
        yield f"instance {instance_id}"


def _names(aws: Clients, experiment: Experiment) -> Iterator[str]:
    launches = [v.targets.launch for v in experiment.variants.values() if v.targets.launch]
    for profile in sorted({launch.instance_profile for launch in launches if launch.instance_profile}):
        aws.iam.create_instance_profile(InstanceProfileName=profile)
        yield f"instance profile {profile}"
    services = experiment.services.values()
    for cluster in sorted({service.cluster for service in services if service.cluster}):
        aws.ecs.create_cluster(clusterName=cluster)
        yield f"ECS cluster {cluster}"
    for arn in sorted({arn for service in services for arn in service.task_policy_arns}):
        _policy(aws, arn)
        yield f"policy {arn}"
    for key in sorted({launch.key_name for launch in launches if launch.key_name}):
        aws.ec2.create_key_pair(KeyName=key)
        yield f"key pair {key}"


def _listener(aws: Clients, arn: str, *, is_https: bool) -> str:
    """Somebody else's load balancer, whose listener answers everything with 404, at the ARNs that the config names."""
    from moto.elbv2.models import elbv2_backends

    subnets = aws.ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    groups = aws.ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}])
    name = arn.split("/")[2]
    made = aws.elbv2.create_load_balancer(
        Name=name,
        Subnets=[subnet["SubnetId"] for subnet in subnets],
        SecurityGroups=[groups["SecurityGroups"][0]["GroupId"]],
    )["LoadBalancers"][0]["LoadBalancerArn"]
    defaults = {"idle_timeout.timeout_seconds": "60", "routing.http.drop_invalid_header_fields.enabled": "false"}
    aws.elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=made, Attributes=[{"Key": key, "Value": value} for key, value in defaults.items()]
    )
    other = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "somebody else's\n"}
    listener = aws.elbv2.create_listener(
        LoadBalancerArn=made,
        **_speaking(aws, is_https=is_https),
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": other}],
    )["Listeners"][0]["ListenerArn"]
    balancers = elbv2_backends[ACCOUNT][aws.region].load_balancers
    balancer = balancers.pop(made)
    balancer.arn = arn.rpartition("/")[0].replace(":listener/", ":loadbalancer/")
    balancers[balancer.arn] = balancer
    moved = balancer.listeners.pop(listener)
    moved.arn, moved.load_balancer_arn = arn, balancer.arn
    balancer.listeners[arn] = moved
    return f"load balancer {name}, whose listener answers with 404"


def _speaking(aws: Clients, *, is_https: bool) -> dict[str, Any]:
    """As the variants need it."""
    if not is_https:
        return {"Protocol": "HTTP", "Port": 80}
    certificate = aws.acm.request_certificate(DomainName="example.com")["CertificateArn"]
    policy = {"SslPolicy": RECOMMENDED_SSL_POLICY}
    return {"Protocol": "HTTPS", "Port": 443, "Certificates": [{"CertificateArn": certificate}], **policy}


def _images(aws: Clients, experiment: Experiment) -> Iterator[str]:
    """The images of launch templates, which have to say what the image calls its root device."""
    launches = [v.targets.launch for v in experiment.variants.values() if v.targets.launch]
    for ami in sorted({launch.ami for launch in launches if launch.ami and launch.scales}):
        with _next_id("amis", "random_ami_id", ami):
            aws.ec2.register_image(Name=ami)
        yield f"image {ami}"


def _functions(aws: Clients, experiment: Experiment) -> Iterator[str]:
    arns = sorted({v.targets.lambda_arn for v in experiment.variants.values() if v.targets.lambda_arn})
    names = sorted({arn.split(":")[6] for arn in arns})
    if names:
        role = aws.iam.create_role(RoleName="assumed", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    for name in names:
        aws.lambda_.create_function(FunctionName=name, Role=role, Handler="a.b", Code={"ZipFile": b""}, Publish=True)
    for arn in arns:
        _, _, _, _, _, _, name, *qualifier = arn.split(":")
        for alias in qualifier:  # moto numbers versions by itself, so an alias stands in for one too
            aws.lambda_.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")
        yield f"function {arn}"


def _policy(aws: Clients, arn: str) -> None:
    """Moto makes policies of its own account, and knows none of AWS's: the new one is moved to the config's ARN."""
    from moto.iam.models import iam_backends

    owner, _, path = arn.partition(":iam::")[2].partition(":policy")
    folder, _, name = path.rpartition("/")
    nothing = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    made = aws.iam.create_policy(PolicyName=name, Path=f"{folder}/", PolicyDocument=json.dumps(nothing))["Policy"]
    policies = iam_backends[ACCOUNT][aws.partition].managed_policies
    policies[arn] = policies.pop(made["Arn"])
    policies[arn].account_id = owner


def _certificate(aws: Clients, arn: str) -> None:
    """Moto's certificates have ARNs of its own choice: the new one is moved to the ARN that the config names."""
    from moto.acm.models import acm_backends

    made = aws.acm.request_certificate(DomainName="example.com")["CertificateArn"]
    certificates = acm_backends[ACCOUNT][aws.region]._certificates  # noqa: SLF001 moto has no public way
    certificates[arn] = certificates.pop(made)


def _web_acl(aws: Clients, arn: str) -> None:
    """As with certificates."""
    from moto.wafv2.models import wafv2_backends

    made = aws.wafv2.create_web_acl(
        Name="assumed",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "assumed"},
    )["Summary"]["ARN"]
    web_acls = wafv2_backends[ACCOUNT][aws.region].wacls
    web_acls[arn] = web_acls.pop(made)


def _zone(aws: Clients, name: str, *, is_private: bool) -> None:
    vpc = {"VPC": {"VPCRegion": aws.region, "VPCId": aws.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]}} if is_private else {}
    aws.route53.create_hosted_zone(
        Name=name, CallerReference=name, HostedZoneConfig={"Comment": "assumed", "PrivateZone": is_private}, **vpc
    )
