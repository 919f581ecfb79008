"""Network, variants, load balancer and DNS, each by what it registers."""

from __future__ import annotations

from typing import Any

import pytest

from abtest.local import Deployment, Resource
from abtest.stack.look_up.instances import sample_user_data
from tests.configs import ROOT, VARIANT, config, experiment, variant
from tests.deployed import deploy


def group_rules(deployment: Deployment, direction: str) -> set[tuple[str, str, int]]:
    """Group, peer and port of every security group rule."""
    names = {r.id: name for name, r in deployment.of_type(":SecurityGroup").items()}
    found = set()
    for rule in deployment.of_type(f"SecurityGroup{direction}Rule").values():
        i = rule.inputs
        peer = i.get("cidrIpv4") or i.get("cidrIpv6") or names[i["referencedSecurityGroupId"]]
        assert i.get("fromPort") == i.get("toPort")
        found.add((names[i["securityGroupId"]], peer, int(i.get("fromPort", -1))))
    return found


# Network ----------------------------------------------------------------------------------------------------------


def test_the_load_balancer_admits_its_clients_on_its_ports_alone(prod: Deployment) -> None:
    admitted = {rule for rule in group_rules(prod, "Ingress") if rule[0] == "abtest"}
    assert admitted == {("abtest", "0.0.0.0/0", 443), ("abtest", "0.0.0.0/0", 80)}


def test_ingress_is_what_the_config_says_for_ipv4_and_ipv6() -> None:
    found = deploy(config(network={"ingressCidrs": ["10.0.0.0/8", "2001:db8::/32"]}, listener={"port": 8080}))
    assert group_rules(found, "Ingress") == {("abtest", "10.0.0.0/8", 8080), ("abtest", "2001:db8::/32", 8080)}


def test_launched_instances_admit_the_load_balancer_alone(dev: Deployment) -> None:
    admitted = {rule for rule in group_rules(dev, "Ingress") if rule[0] != "abtest"}
    assert admitted == {("abtest-a", "abtest", 8080), ("abtest-b", "abtest", 8080)}


def test_the_load_balancer_talks_to_the_ports_of_its_targets_alone(dev: Deployment) -> None:
    spoken = {rule for rule in group_rules(dev, "Egress") if rule[0] == "abtest"}
    assert spoken == {("abtest", "abtest-a", 8080), ("abtest", "abtest-b", 8080)}


def test_targets_of_others_are_reached_where_they_may_be() -> None:
    found = deploy(
        config(
            weights={"a": 1},
            variants={
                "a": variant(targets={"instanceIds": ["i-0a"]}, healthCheck={"port": 9000}),
                "b": variant(port=81, targets={"ipAddresses": ["10.9.8.7"]}),
                "c": variant(port=82, targets={"external": "instance"}),
                "d": variant(port=83, targets={"external": "ip"}),
            },
        )
    )
    vpc = "172.31.0.0/16"
    private = {vpc, "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"}
    assert group_rules(found, "Egress") == {
        ("abtest", vpc, 8080), ("abtest", vpc, 9000), ("abtest", "10.9.8.7/32", 81), ("abtest", vpc, 82),
        *(("abtest", block, 83) for block in private),
    }  # fmt: skip


def test_two_variants_behind_the_same_port_need_one_rule() -> None:
    found = deploy(config(variants={n: variant(targets={"instanceIds": [f"i-0{n}"]}) for n in "ab"}))
    assert len(found.of_type("SecurityGroupEgressRule")) == 1


def test_rules_of_a_group_are_named_by_what_they_say_so_that_others_stay() -> None:
    both, one = (
        deploy(config(network={"ingressCidrs": cidrs})) for cidrs in (["10.0.0.0/8", "11.0.0.0/8"], ["11.0.0.0/8"])
    )
    kept = {name: r.inputs for name, r in both.of_type("IngressRule").items() if name in one.of_type("IngressRule")}
    assert kept == {name: r.inputs for name, r in one.of_type("IngressRule").items()}


# Variants ---------------------------------------------------------------------------------------------------------


#: Variants by name, all behind one load balancer.
VARIANTS = {
    "plain": variant(),
    "grpc": variant(protocolVersion="GRPC"),
    "https": variant(protocol="HTTPS"),
    "checked": variant(protocol="HTTPS", healthCheck={"protocol": "HTTP"}),
    "instances": variant(targets={"instanceIds": ["i-0a", "i-0b"]}),
    "addresses": variant(targets={"ipAddresses": ["172.31.0.9", "10.0.0.9", "192.168.7.1"]}),
    "others": variant(targets={"external": "instance"}),
    "launched": variant(targets={"launch": {"instanceType": "t3.small", "count": 3}}),
}


@pytest.fixture(scope="module")
def several() -> Deployment:
    https = {"certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}
    return deploy(config(weights={"plain": 1}, variants=VARIANTS, listener=https))


def group(deployment: Deployment, name: str) -> Resource:
    return deployment.of_type(":TargetGroup")[f"abtest-{name}"]


def attachments(deployment: Deployment, name: str) -> list[Resource]:
    """The targets that are registered in a variant's group."""
    arn = group(deployment, name).id
    return [r for r in deployment.of_type(":TargetGroupAttachment").values() if r.inputs["targetGroupArn"] == arn]


def test_a_target_group_says_everything_that_aws_would_otherwise_choose(several: Deployment) -> None:
    balancer = several.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"]
    assert group(several, "plain").inputs == {
        "port": 8080, "protocol": "HTTP", "protocolVersion": "HTTP1", "targetType": "ip", "ipAddressType": "ipv4",
        "vpcId": balancer.state["vpcId"], "loadBalancingAlgorithmType": "least_outstanding_requests",
        "deregistrationDelay": 60, "slowStart": 0,
        "healthCheck": {
            "enabled": True, "path": "/", "port": "traffic-port", "protocol": "HTTP", "interval": 15, "timeout": 5,
            "healthyThreshold": 2, "unhealthyThreshold": 2, "matcher": "200",
        },
        "tags": {"abtest:experiment": "abtest", "abtest:variant": "plain"},
    }  # fmt: skip


def test_grpc_has_its_own_health_check(several: Deployment) -> None:
    health = group(several, "grpc").inputs["healthCheck"]
    assert (health["path"], health["matcher"]) == ("/AWS.ALB/healthcheck", "12")


def test_targets_that_speak_https_are_checked_by_https_unless_said_otherwise(several: Deployment) -> None:
    assert group(several, "https").inputs["healthCheck"]["protocol"] == "HTTPS"
    assert group(several, "checked").inputs["healthCheck"]["protocol"] == "HTTP"


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("instances", "instance", 2),
        ("addresses", "ip", 3),
        ("plain", "ip", 0),
        ("others", "instance", 0),
        ("launched", "instance", 3),
    ],
)
def test_each_kind_of_targets_is_registered_in_a_group_of_its_type(
    several: Deployment, name: str, kind: str, count: int
) -> None:
    found = group(several, name)
    assert found.inputs["targetType"] == kind
    registered = attachments(several, name)
    assert len(registered) == count == len(several.described["TargetHealth"][found.id])
    assert all(r.inputs["port"] == 8080 for r in registered)


def test_ipv6_targets_are_in_an_ipv6_group() -> None:
    network = {"vpcTags": {"a": "b"}, "ipAddressType": "dualstack", "ingressCidrs": ["::/0"]}
    keys = config(network=network, weights={"a": 1}, variants={"a": variant(targets={"ipAddresses": ["fd00::1"]})})
    assert deploy(keys).of_type(":TargetGroup")["abtest-a"].inputs["ipAddressType"] == "ipv6"


def test_an_attachment_is_named_by_its_target_so_that_others_stay() -> None:
    both, one = (
        deploy(config(weights={"a": 1}, variants={"a": variant(targets={"instanceIds": ids})}))
        for ids in (["i-0a", "i-0b"], ["i-0b"])
    )
    names_of_both, names_of_one = (
        {name: r.inputs["targetId"] for name, r in found.of_type(":TargetGroupAttachment").items()}
        for found in (both, one)
    )
    assert names_of_one.items() < names_of_both.items()


def test_launched_instances_are_private_encrypted_and_know_their_version(dev: Deployment) -> None:
    instance = dev.of_type(":Instance")["abtest-b-1"].inputs
    assert instance["metadataOptions"] == {"httpEndpoint": "enabled", "httpTokens": "required"}
    assert instance["rootBlockDevice"] == {"encrypted": True, "volumeType": "gp3"}
    assert instance["vpcSecurityGroupIds"] == [dev.outputs["security_group_ids"]["b"]]
    assert instance["userDataReplaceOnChange"] is True
    assert "--version=b" in instance["userData"]
    assert instance["tags"]["Name"] == "abtest-b-1"
    assert instance["volumeTags"] == instance["tags"]


def test_a_script_of_ones_own_key_and_profile_reach_the_instance(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (tmp_path / "__main__.py").write_text((ROOT / "__main__.py").read_text())
    (tmp_path / "start.sh").write_text("#!/bin/sh\nexec model\n")
    monkeypatch.chdir(tmp_path)
    launch = {
        "instanceType": "t3.small",
        "userDataFile": "start.sh",
        "keyName": "ops",
        "instanceProfile": "models",
        "rootVolumeGb": 50,
    }
    found = deploy(config(weights={"a": 1}, variants={"a": variant(targets={"launch": launch})}))
    instance = found.of_type(":Instance")["abtest-a-1"].inputs
    assert instance["userData"] == "#!/bin/sh\nexec model\n"
    assert (instance["keyName"], instance["iamInstanceProfile"]) == ("ops", "models")
    assert instance["rootBlockDevice"]["volumeSize"] == 50
    assert found.assumed[1:] == ("instance profile models", "key pair ops")


def test_the_sample_server_fits_into_user_data() -> None:
    keys = config(weights={"a": 1}, variants={"a": VARIANT})
    assert len(sample_user_data("a" * 17, experiment(keys).variants["a"]).encode()) < 16_384


# Load balancer and DNS ----------------------------------------------------------------------------------------------


def test_the_load_balancer_guards_against_odd_requests() -> None:
    balancer = deploy(config(idleTimeoutSeconds=4000)).of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"].inputs
    assert balancer["dropInvalidHeaderFields"] is True
    assert balancer["desyncMitigationMode"] == "defensive"
    assert balancer["enableHttp2"] is True
    assert balancer["idleTimeout"] == 4000
    assert (balancer["internal"], balancer["ipAddressType"], balancer["enableDeletionProtection"]) == (
        False,
        "ipv4",
        False,
    )


def test_an_internal_load_balancer_has_an_internal_scheme() -> None:
    assert deploy(config(network={"internal": True})).described["LoadBalancers"][0]["Scheme"] == "internal"


def test_https_takes_the_policy_that_is_named_and_can_do_without_the_redirect() -> None:
    listener = {
        "port": 8443, "certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06", "redirectHttp": False,
    }  # fmt: skip
    found = deploy(config(listener=listener))
    assert list(found.of_type(":Listener")) == ["listener-8443"]
    assert found.of_type(":Listener")["listener-8443"].inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-3-2021-06"
    assert found.outputs["url"].startswith("https://")
    assert found.outputs["url"].endswith(":8443")


def test_a_plain_listener_has_no_policy_and_no_certificate(dev: Deployment) -> None:
    listener = dev.of_type(":Listener")["listener-80"].inputs
    assert listener["protocol"] == "HTTP"
    assert not {"sslPolicy", "certificateArn"} & set(listener)


def test_the_record_is_an_alias_that_a_warm_variant_cannot_take_down(prod: Deployment) -> None:
    record = prod.of_type("route53/record:Record")["abtest-dns-a"]
    (alias,) = record.inputs["aliases"]
    assert (record.inputs["name"], record.inputs["type"]) == ("models.example.com", "A")
    assert alias["name"] == prod.outputs["alb_dns_name"]
    assert alias["evaluateTargetHealth"] is False
    assert {r.urn for r in prod.of_type(":ListenerRule").values()} <= record.depends_on


def test_a_weighted_record_splits_between_stacks() -> None:
    dns = {"zone": "example.com", "name": "m.example.com", "weight": 30, "setIdentifier": "eu", "privateZone": True}
    record = deploy(config(dns=dns)).of_type("route53/record:Record")["abtest-dns-a"].inputs
    assert record["setIdentifier"] == "eu"
    assert record["weightedRoutingPolicies"] == [{"weight": 30}]


def test_an_address_outside_the_vpc_is_registered_for_all_zones(several: Deployment) -> None:
    """AWS finds the zone of an address in the VPC by itself; for any other it must be told (API TargetDescription)."""
    zones = {r.inputs["targetId"]: r.inputs.get("availabilityZone") for r in attachments(several, "addresses")}
    assert zones == {"172.31.0.9": None, "10.0.0.9": "all", "192.168.7.1": "all"}
