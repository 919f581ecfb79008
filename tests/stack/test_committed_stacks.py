"""Both committed stacks, deployed whole on the embedded AWS."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from abtest.local import Deployment
from tests.stack.write_golden import DEV, made


def kinds(deployment: Deployment) -> Counter[str]:
    return Counter(r.type.split(":")[-1] for r in deployment.resources if not r.is_component)


def actions(rule: dict[str, Any]) -> dict[str, Any]:
    """The one action of a described rule or listener."""
    (action,) = rule.get("Actions") or rule["DefaultActions"]
    assert isinstance(action, dict)
    return action


def forwarded(action: dict[str, Any]) -> dict[str, int]:
    """Variant -> weight of a described forward, by the target groups' names."""
    return {
        g["TargetGroupArn"].split("/")[-2].split("-")[1]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]
    }


def rules(deployment: Deployment, port: int) -> dict[str, dict[str, Any]]:
    """Priority -> described rule of the listener on a port."""
    (arn,) = (ls["ListenerArn"] for ls in deployment.described["Listeners"] if ls["Port"] == port)
    return {rule["Priority"]: rule for rule in deployment.described["Rules"][arn]}


def listener(deployment: Deployment, port: int) -> dict[str, Any]:
    (found,) = (ls for ls in deployment.described["Listeners"] if ls["Port"] == port)
    assert isinstance(found, dict)
    return found


def test_dev_has_just_what_it_needs(dev: Deployment) -> None:
    assert kinds(dev) == {
        "SecurityGroup": 3,
        "SecurityGroupIngressRule": 3,
        "SecurityGroupEgressRule": 6,
        "TargetGroup": 2,
        "Instance": 2,
        "TargetGroupAttachment": 2,
        "LoadBalancer": 1,
        "Listener": 1,
        "ListenerRule": 3,
        "RandomId": 1,
    }


def test_what_dev_does_not_ask_for_changes_nothing_of_it(dev: Deployment) -> None:
    """Resources, inputs and their order are as they were before there was anything else to ask for."""
    assert made(dev) == json.loads(DEV.read_text())


def test_dev_splits_as_its_weights_say_and_keeps_a_client_for_an_hour(dev: Deployment) -> None:
    action = actions(listener(dev, 80))
    assert forwarded(action) == {"a": 90, "b": 10}
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": True, "DurationSeconds": 3600}


def test_dev_routes_by_path_header_and_query_to_the_candidate(dev: Deployment) -> None:
    found = rules(dev, 80)
    assert list(found) == ["10", "20", "30", "default"]
    assert [found[p]["Conditions"][0]["Field"] for p in ("10", "20", "30")] == [
        "path-pattern",
        "http-header",
        "query-string",
    ]
    assert all(forwarded(actions(found[p])) == {"b": 1} for p in ("10", "20", "30"))


def test_every_group_that_is_forwarded_to_has_healthy_targets(dev: Deployment, prod: Deployment) -> None:
    for deployment, count in ((dev, 1), (prod, 2)):
        health = deployment.described["TargetHealth"].values()
        assert [[t["TargetHealth"]["State"] for t in targets] for targets in health] == [["healthy"] * count] * 2


def test_prod_serves_https_with_the_recommended_policy_and_redirects_port_80(prod: Deployment) -> None:
    https, http = listener(prod, 443), listener(prod, 80)
    assert (https["Protocol"], https["SslPolicy"]) == ("HTTPS", "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09")
    assert https["Certificates"][0]["CertificateArn"] == prod.experiment.listener.certificate_arn
    redirect = actions(http)["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")
    assert (redirect["Host"], redirect["Path"], redirect["Query"]) == ("#{host}", "/#{path}", "#{query}")


def test_prod_has_a_rule_for_each_of_its_rules_and_variants(prod: Deployment) -> None:
    found = rules(prod, 443)
    assert list(found) == ["1", "2", "10", "20", "30", "90", "default"]
    assert forwarded(actions(found["30"])) == {"a": 50, "b": 50}
    assert actions(found["90"])["RedirectConfig"]["Host"] == "models.example.com"
    assert actions(found["10"])["FixedResponseConfig"] == {
        "MessageBody": "forbidden",
        "StatusCode": "403",
        "ContentType": "text/plain",
    }


def test_prod_is_protected_and_named(prod: Deployment) -> None:
    balancer = prod.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"]
    assert balancer.inputs["enableDeletionProtection"] is True
    assert balancer.inputs["idleTimeout"] == 120
    assert prod.outputs["fqdn"] == "models.example.com"
    assert prod.outputs["url"] == "https://models.example.com"


def test_the_exports_are_those_of_the_contract(dev: Deployment, prod: Deployment) -> None:
    always = {
        "alb_dns_name",
        "url",
        "listener_arn",
        "load_balancer_arn",
        "target_group_arns",
        "weights",
        "security_group_ids",
        "assignment_salt",
    }
    assert set(dev.outputs) == always
    assert set(prod.outputs) == always | {"fqdn", "override_token", "dashboard_url", "access_logs_bucket"}
    assert prod.secret_outputs == {"override_token"}
    assert dev.outputs["alb_dns_name"] == dev.described["LoadBalancers"][0]["DNSName"]
    assert dev.outputs["url"] == f"http://{dev.outputs['alb_dns_name']}"
    assert dev.outputs["weights"] == {"a": 90, "b": 10}
    assert set(dev.outputs["target_group_arns"].values()) == set(dev.described["TargetHealth"])
    assert set(dev.outputs["security_group_ids"]) == {"load_balancer", "a", "b"}


def test_what_the_stack_files_name_is_said_to_be_assumed(dev: Deployment, prod: Deployment) -> None:
    assert dev.assumed == ("the default VPC with its subnets",)
    assert [line.split()[0] for line in prod.assumed] == ["VPC", *["subnet"] * 6, "certificate", "hosted"]
