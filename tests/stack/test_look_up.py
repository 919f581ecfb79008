"""Look-ups: what is found, and what is said when it does not fit. Nothing is registered then."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from abtest.experiment import ConfigError, Experiment
from abtest.local import assumed, deployment
from abtest.local.assumed import create_assumed
from abtest.local.clients import Clients
from abtest.stack.look_up import Subnet, instances, network
from abtest.stack.look_up.instances import spread
from tests.configs import config, variant
from tests.deployed import deploy

VPC = {"vpcTags": {"Name": "main"}}


def refusal(keys: dict[str, Any], *, assume: bool = True) -> list[str]:
    """What the look-ups say, as ``path: message``; and no resource may have been registered."""
    registered: list[str] = []
    with pytest.raises(ConfigError) as caught:
        deployment.deploy(keys, assume=assume, on_resource=lambda kind, name: registered.append(f"{kind} {name}"))
    assert registered == []
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems if problem.severity == "error"]


def launch(instance_type: str = "t3.small", **more: Any) -> dict[str, Any]:
    return {
        "variants": {"a": variant(targets={"launch": {"instanceType": instance_type, **more}})},
        "weights": {"a": 1},
    }


def test_a_vpc_that_is_not_there_is_named() -> None:
    assert refusal(config(network=VPC), assume=False) == [
        "abtest:network.vpcTags: the tags Name=main must find exactly one VPC: no matching EC2 VPC found"
    ]
    assert refusal(config(network={"vpcId": "vpc-0123"}), assume=False) == [
        "abtest:network.vpcId: the VPC cannot be found: no matching EC2 VPC found"
    ]


def test_subnets_that_are_not_there_are_named() -> None:
    assert refusal(config(network={"subnetIds": ["subnet-1", "subnet-2"]}), assume=False) == [
        "abtest:network.subnetIds: a subnet cannot be found: no matching EC2 Subnet found"
    ]
    (message,) = refusal(config(network={"subnetTags": {"Tier": "none"}}), assume=False)
    assert "lie nowhere: no subnet was found, but a load balancer needs at least 2 availability zones" in message


def test_a_zone_that_is_not_there_is_named() -> None:
    dns = {"zone": "example.com", "name": "m.example.com"}
    assert refusal(config(dns=dns), assume=False) == [
        "abtest:dns.zone: the hosted zone example.com cannot be found: no matching Route 53 Hosted Zone found"
    ]


def test_an_instance_type_that_does_not_exist_is_named() -> None:
    path = "abtest:variants.a.targets.launch.instanceType"
    assert refusal(config(**launch("t3.huge"))) == [f"{path}: t3.huge is not offered in this region"]


def test_zones_that_do_not_offer_an_instance_type_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_zones_of", lambda _type: frozenset({"us-east-1x"}))
    (message,) = refusal(config(**launch()))
    assert message.endswith(
        "t3.small is in none of the zones us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1e, us-east-1f; it is offered in us-east-1x"
    )


def test_an_image_of_an_auto_scaling_group_that_does_not_exist_is_named() -> None:
    """Its launch template has to say what the image calls its root device."""
    assert refusal(config(**launch(ami="ami-0abc", min=1, max=1)), assume=False) == [
        "abtest:variants.a.targets.launch.instanceType: t3.small cannot be started: image ami-0abc: Your query returned no results"
    ]


def test_an_address_outside_the_vpc_and_the_private_ranges_is_refused() -> None:
    keys = config(weights={"a": 1}, variants={"a": variant(targets={"ipAddresses": ["8.8.8.8"]})})
    assert refusal(keys) == [
        "abtest:variants.a.targets.ipAddresses[0]: 8.8.8.8 is not private, and not in the VPC's 172.31.0.0/16 "
        "(API RegisterTargets)"
    ]


def test_every_failing_look_up_comes_at_once() -> None:
    keys = config(**launch("t3.huge"), network=VPC, dns={"zone": "example.com", "name": "m.example.com"})
    paths = [line.partition(": ")[0] for line in refusal(keys, assume=False)]
    assert paths == ["abtest:dns.zone", "abtest:network.vpcTags", "abtest:variants.a.targets.launch.instanceType"]


def test_instances_are_spread_evenly_over_the_zones_that_offer_their_type() -> None:
    found = deploy(config(**launch("t3.small", count=7)))
    zones = Counter(r.state["availabilityZone"] for r in found.of_type(":Instance").values())
    assert set(zones) == {f"us-east-1{z}" for z in "abcdf"}  # us-east-1e has no t3.small
    assert sorted(zones.values()) == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_new_subnet_moves_few_instances(count: int) -> None:
    """By position in a sorted list, a subnet that comes first would move every one."""
    subnets = tuple(Subnet(f"subnet-{n}", f"z{n}", "vpc-1", "", has_ipv6=False) for n in range(4))
    before = [spread(f"v{v}", count, subnets[1:]) for v in range(50)]
    after = [spread(f"v{v}", count, subnets) for v in range(50)]
    moved = sum(old != new for b, a in zip(before, after, strict=True) for old, new in zip(b, a, strict=True))
    assert moved < 50 * count * 0.6


def test_another_architecture_is_another_instance() -> None:
    """Its image is another one too, and the running instance's image is never changed."""
    intel, arm = (deploy(config(**launch(kind))) for kind in ("t3.small", "t4g.small"))
    assert (list(intel.of_type(":Instance")), list(arm.of_type(":Instance"))) == (["abtest-a-1"], ["abtest-a-arm64-1"])
    assert list(intel.of_type(":TargetGroupAttachment")) == list(arm.of_type(":TargetGroupAttachment"))


def test_subnets_that_are_too_small_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = network._subnet

    def small(subnet_id: str) -> Subnet:
        return msgspec.structs.replace(found(subnet_id), cidr="10.0.0.0/28")

    monkeypatch.setattr(network, "_subnet", small)
    (message,) = refusal(config())
    assert "is smaller than /27; a load balancer needs that much in each, and 8 free addresses" in message


def test_an_aws_that_does_not_answer_is_not_taken_for_one_that_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: object) -> None:
        raise Exception("invoke of aws:ec2/getVpc:getVpc failed: ExpiredToken: the token has expired ()")  # noqa: TRY002

    monkeypatch.setattr("pulumi_aws.ec2.get_vpc", denied)
    assert refusal(config(**launch(), dns={"zone": "example.com", "name": "m.example.com"})) == [
        ": AWS cannot be asked: ExpiredToken: the token has expired; check the credentials, their permissions and aws:region"
    ]


def test_the_image_is_of_the_instance_types_architecture() -> None:
    intel, arm = (
        deploy(config(**launch(kind))).of_type(":Instance").popitem()[1].inputs["ami"]
        for kind in ("t3.small", "t4g.small")
    )
    assert intel.startswith("ami-")
    assert arm.startswith("ami-")
    assert intel != arm


def test_an_image_of_ones_own_is_taken_as_it_is() -> None:
    found = deploy(config(**launch(ami="ami-0abc")))
    assert found.of_type(":Instance")["abtest-a-1"].inputs["ami"] == "ami-0abc"


@pytest.mark.parametrize(
    ("network", "vpc", "subnets"),
    [
        ({"vpcId": "vpc-0a", "subnetIds": ["subnet-0a", "subnet-0b"]}, "vpc-0a", {"subnet-0a", "subnet-0b"}),
        ({"subnetIds": ["subnet-0a", "subnet-0b"]}, None, {"subnet-0a", "subnet-0b"}),
        ({"vpcTags": {"Name": "x"}, "subnetTags": {"Tier": "public"}}, None, None),
        ({"vpcId": "vpc-0a"}, "vpc-0a", None),
        ({"subnetTags": {"Tier": "public"}}, None, None),
    ],
)
def test_a_network_is_found_by_ids_and_by_tags(
    network: dict[str, Any], vpc: str | None, subnets: set[str] | None
) -> None:
    found = deploy(config(network=network))
    balancer = found.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"]
    group = found.of_type(":TargetGroup")["abtest-a"]
    assert vpc in {None, group.inputs["vpcId"]}
    assert subnets in (None, set(balancer.inputs["subnets"]))
    assert len(balancer.inputs["subnets"]) >= 2
    assert balancer.state["vpcId"] == group.inputs["vpcId"]


def test_dualstack_needs_subnets_with_ipv6_and_has_a_record_of_each_kind() -> None:
    dns = {"zone": "example.com", "name": "m.example.com"}
    keys = config(
        network={"ipAddressType": "dualstack", "vpcTags": {"a": "b"}, "ingressCidrs": ["0.0.0.0/0", "::/0"]}, dns=dns
    )
    records = deploy(keys).of_type("route53/record:Record")
    assert {name: r.inputs["type"] for name, r in records.items()} == {"abtest-dns-a": "A", "abtest-dns-aaaa": "AAAA"}
    (message,) = refusal(config(network={"ipAddressType": "dualstack", "ingressCidrs": ["::/0"]}))
    assert message.startswith(
        "abtest:network.ipAddressType: dualstack needs subnets with an IPv6 block; without one: subnet-"
    )


def test_tags_that_find_several_vpcs_are_too_few(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(aws: Clients, wanted: Experiment) -> tuple[str, ...]:
        return (*create_assumed(aws, wanted), *create_assumed(aws, wanted))

    monkeypatch.setattr(deployment, "create_assumed", twice)
    assert refusal(config(network=VPC)) == [
        "abtest:network.vpcTags: the tags Name=main must find exactly one VPC: multiple EC2 VPCs matched; "
        "use additional constraints to reduce matches to a single EC2 VPC"
    ]


def test_subnets_in_one_zone_are_refused_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assumed, "_zones", lambda _aws: ["us-east-1a"])
    first, second = refusal(config(network={"subnetIds": ["subnet-0a", "subnet-0b"]}))
    assert first.startswith(
        "abtest:network.subnetIds: subnet-0a and subnet-0b are in one availability zone, us-east-1a; a load balancer takes "
        "one subnet per zone (ALB guide application-load-balancers)"
    )
    assert second.endswith(
        "lie only in us-east-1a, but a load balancer needs at least 2 availability zones "
        "(ALB guide application-load-balancers)"
    )
