"""An experiment on somebody else's listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abtest.experiment import ConfigError
from abtest.local import Deployment
from tests.configs import config, rule, variant
from tests.deployed import deploy

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
SPLIT = {"priority": 200, "when": {"host": ["ranker.example.com"]}}


def existing(**changes: Any) -> dict[str, Any]:
    return config(**{"listener": {"arn": ARN, "split": SPLIT}, **changes})


@pytest.fixture(scope="module")
def example(examples: Callable[[str], Deployment]) -> Deployment:
    return examples("existing-listener")


def test_nothing_of_the_load_balancer_is_made(example: Deployment) -> None:
    made = {resource.type for resource in example.resources if not resource.is_component}
    assert not {kind for kind in made if kind.endswith((":LoadBalancer", ":Listener", ":Bucket"))}
    assert set(example.of_type(":SecurityGroup")) == {"abtest-a"}
    (balancer,) = example.described["LoadBalancers"]
    assert balancer["LoadBalancerName"] == "shared"


def test_the_split_is_a_rule_of_that_listener(example: Deployment) -> None:
    rules = example.of_type(":ListenerRule")
    assert set(rules) == {"rule-190", "rule-200"}
    split = rules["rule-200"].inputs
    host = {"hostHeader": {"values": ["ranker.example.com"]}}
    canary = {"httpHeader": {"httpHeaderName": "X-Canary", "values": ["yes"]}}
    assert (split["listenerArn"], split["conditions"]) == (ARN, [host, canary])
    forward = split["actions"][0]["forward"]
    assert [group["weight"] for group in forward["targetGroups"]] == [95, 5]
    assert forward["stickiness"] == {"enabled": True, "duration": 1800}


def test_tags_tell_whose_the_rules_are_and_which_is_the_split(example: Deployment) -> None:
    tags = {name: rule.inputs["tags"] for name, rule in example.of_type(":ListenerRule").items()}
    assert {tags[name]["abtest:stack"] for name in tags} == {"abtest/existing-listener"}
    assert tags["rule-200"]["abtest:control"] == "a"
    assert tags["rule-200"]["abtest:guardrails"] == "maxStep=25 requireHealthy=true minHealthy=1 alarms=true"
    assert tags["rule-200"]["abtest:rules"] == "1"
    assert "abtest:control" not in tags["rule-190"]


def test_launched_instances_admit_the_security_groups_of_that_load_balancer(example: Deployment) -> None:
    (balancer,) = example.described["LoadBalancers"]
    admitted = [r.inputs["referencedSecurityGroupId"] for r in example.of_type(":SecurityGroupIngressRule").values()]
    assert admitted == balancer["SecurityGroups"]
    # And its own rules are its owner's.
    assert {r.inputs["securityGroupId"] for r in example.of_type(":SecurityGroupEgressRule").values()} == {
        example.outputs["security_group_ids"]["a"]
    }


def test_instances_and_groups_are_in_its_network(example: Deployment) -> None:
    (balancer,) = example.described["LoadBalancers"]
    assert {group.inputs["vpcId"] for group in example.of_type(":TargetGroup").values()} == {balancer["VpcId"]}
    subnets = {zone["SubnetId"] for zone in balancer["AvailabilityZones"]}
    assert {instance.inputs["subnetId"] for instance in example.of_type(":Instance").values()} <= subnets


def test_the_split_comes_after_the_targets_that_it_forwards_to(example: Deployment) -> None:
    attachment = example.of_type(":TargetGroupAttachment")["abtest-a-1"]
    assert attachment.urn in example.of_type(":ListenerRule")["rule-200"].depends_on


def test_exports_are_those_of_the_load_balancer_that_is_there(example: Deployment) -> None:
    (balancer,) = example.described["LoadBalancers"]
    assert example.outputs["alb_dns_name"] == balancer["DNSName"]
    assert example.outputs["url"] == "http://ranker.example.com", "the host that the split asks for"
    assert example.outputs["listener_arn"] == ARN
    assert example.outputs["load_balancer_arn"] == balancer["LoadBalancerArn"]
    assert example.outputs["access_logs_bucket"] == "shared-alb-logs"
    assert set(example.outputs["security_group_ids"]) == {"a"}


def test_alarms_are_of_the_variants_alone(example: Deployment) -> None:
    """What happens on somebody else's load balancer is mostly other people's traffic."""
    names = set(example.of_type(":MetricAlarm"))
    assert names == {f"abtest-{name}-{what}" for name in "ab" for what in ("errors", "latency", "unhealthy")}
    (dashboard,) = example.of_type("dashboard:Dashboard").values()
    assert dashboard.inputs["dashboardName"] == "abtest-existing-listener"


def test_a_name_of_its_own_leads_to_that_load_balancer() -> None:
    found = deploy(existing(dns={"zone": "example.com", "name": "ranker.example.com"}))
    (balancer,) = found.described["LoadBalancers"]
    (record,) = found.of_type("record:Record").values()
    assert record.inputs["aliases"][0]["name"] == balancer["DNSName"]
    assert found.outputs["url"] == "http://ranker.example.com"


def test_a_listener_that_is_not_there_is_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        deploy(existing(), assume=False)
    (problem,) = caught.value.problems
    assert problem.path == "abtest:listener.arn"
    assert problem.message.startswith("the listener cannot be found: ")


def test_a_version_that_needs_https_is_refused_where_that_listener_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abtest.local.assumed._speaking", lambda *_, **__: {"Protocol": "HTTP", "Port": 80})
    with pytest.raises(ConfigError) as caught:
        deploy(existing(variants={"a": variant(protocolVersion="GRPC"), "b": variant()}))
    assert "needs an HTTPS listener, and this one speaks HTTP" in str(caught.value)


def test_a_redirect_to_http_is_refused_where_that_listener_speaks_https() -> None:
    to_http = rule(forward=None, redirect={"protocol": "HTTP", "host": "example.org"})
    grpc = {"a": variant(protocolVersion="GRPC"), "b": variant()}  # for which the listener is made HTTPS
    with pytest.raises(ConfigError) as caught:
        deploy(existing(rules={"r": to_http}, variants=grpc))
    assert "a redirect cannot lead from HTTPS to HTTP, and this listener speaks HTTPS" in str(caught.value)


def test_ipv6_targets_need_a_load_balancer_that_serves_ipv6() -> None:
    with pytest.raises(ConfigError) as caught:
        deploy(existing(variants={"a": variant(targets={"ipAddresses": ["2001:db8::1"]}), "b": variant()}))
    assert "IPv6 targets need a dual-stack load balancer, and this one is ipv4" in str(caught.value)


def test_a_rule_of_ones_own_is_added_to_that_listener() -> None:
    found = deploy(existing(rules={"r": rule(when={"host": ["ranker.example.com"], "path": ["/x"]})}))
    (balancer_rules,) = found.described["Rules"].values()
    assert [found["Priority"] for found in balancer_rules] == ["10", "200", "default"]
