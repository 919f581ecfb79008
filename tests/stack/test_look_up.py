"""Look-ups: what is found, and what is said when it does not fit. Nothing is registered then."""

from __future__ import annotations

from typing import Any

import pytest

from abtest.experiment import ConfigError, Experiment
from abtest.local import assumed, deploy, deployment
from abtest.local.assumed import create_assumed
from abtest.local.clients import Clients
from tests.configs import config, variant

VPC = {"vpcTags": {"Name": "main"}}


def refusal(keys: dict[str, Any], *, assume: bool = True) -> list[str]:
    """What the look-ups say, as ``path: message``; and no resource may have been registered."""
    registered: list[str] = []
    with pytest.raises(ConfigError) as caught:
        deploy(keys, assume=assume, on_resource=lambda kind, name: registered.append(f"{kind} {name}"))
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
    (message,) = refusal(config(**launch("t3.huge")))
    assert message.startswith(
        "abtest:variants.a.targets.launch.instanceType: t3.huge is in none of the zones us-east-1a,"
    )
    assert message.endswith("it is not offered in this region")


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


def test_instances_are_spread_over_the_zones_that_offer_their_type() -> None:
    found = deploy(config(**launch("t3.small", count=7)))
    zones = [r.state["availabilityZone"] for _, r in sorted(found.of_type(":Instance").items())]
    assert zones == [f"us-east-1{z}" for z in "abcdf" + "ab"]  # us-east-1e has no t3.small


def test_the_image_is_of_the_instance_types_architecture() -> None:
    intel, arm = (
        deploy(config(**launch(kind))).of_type(":Instance")["abtest-a-1"].inputs["ami"]
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
    assert message.startswith("abtest:network.ipAddressType: dualstack needs subnets with an IPv6 block; subnet-")


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
        "one subnet a zone (ALB guide application-load-balancers)"
    )
    assert second.endswith(
        "lie only in us-east-1a, but a load balancer needs at least 2 availability zones "
        "(ALB guide application-load-balancers)"
    )
