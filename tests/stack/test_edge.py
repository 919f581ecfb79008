"""The edge of a stack: web ACL, further certificates, response headers, TLS to targets, IPv6; and its example, whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from abtest.local import Deployment
from tests.configs import VARIANT, config, variant
from tests.deployed import deploy

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/{}".format
WEB_ACL = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1-2"
HTTPS = {"certificateArn": CERTIFICATE("a")}


@pytest.fixture(scope="module")
def edge(examples: Callable[[str], Deployment]) -> Deployment:
    return examples("edge")


def attributes(deployment: Deployment, port: int) -> dict[str, str]:
    """What response headers a listener has been told to set."""
    (arn,) = (ls["ListenerArn"] for ls in deployment.described["Listeners"] if ls["Port"] == port)
    found = deployment.described["Attributes"][arn].items()
    return {key.removeprefix("routing.http.response."): value for key, value in found if ".response." in key}


def of_balancer(deployment: Deployment) -> dict[str, str]:
    balancer: str = deployment.outputs["load_balancer_arn"]
    found: dict[str, str] = deployment.described["Attributes"][balancer]
    return found


def test_the_example_is_deployed_whole(edge: Deployment) -> None:
    assert Counter(r.type.split(":")[-1] for r in edge.resources if not r.is_component) == {
        "SecurityGroup": 1,
        "SecurityGroupIngressRule": 4,
        "SecurityGroupEgressRule": 5,
        "TargetGroup": 2,
        "TargetGroupAttachment": 5,
        "LoadBalancer": 1,
        "Listener": 2,
        "ListenerCertificate": 2,
        "WebAclAssociation": 1,
        "Record": 2,
        "RandomId": 1,
    }
    assert edge.warnings == ()


# Web ACL ----------------------------------------------------------------------------------------------------------


def test_a_web_acl_stands_before_the_load_balancer(edge: Deployment) -> None:
    (found,) = edge.of_type(":WebAclAssociation").values()
    assert edge.experiment.waf
    assert found.inputs == {
        "resourceArn": edge.outputs["load_balancer_arn"],
        "webAclArn": edge.experiment.waf.web_acl_arn,
    }


@pytest.mark.parametrize(("fail_open", "said"), [(True, "true"), (False, "false")])
def test_what_happens_while_waf_does_not_answer_is_said(fail_open: bool, said: str) -> None:  # noqa: FBT001
    found = deploy(config(waf={"webAclArn": WEB_ACL, "failOpen": fail_open}))
    assert of_balancer(found)["waf.fail_open.enabled"] == said


def test_without_waf_the_load_balancer_says_nothing_of_it(dev: Deployment) -> None:
    assert "enableWafFailOpen" not in dev.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"].inputs


# Certificates -----------------------------------------------------------------------------------------------------


def test_further_certificates_are_named_by_themselves_so_that_one_can_go_alone() -> None:
    both, one = (
        deploy(config(listener=HTTPS | {"certificateArns": list(map(CERTIFICATE, ids))})).of_type(
            ":ListenerCertificate"
        )
        for ids in ("cb", "b")
    )
    assert {name: r.inputs["certificateArn"] for name, r in both.items()} == {
        "certificate-b": CERTIFICATE("b"),
        "certificate-c": CERTIFICATE("c"),
    }
    assert one["certificate-b"].inputs == both["certificate-b"].inputs


def test_clients_are_sent_here_once_the_edge_is_complete(edge: Deployment) -> None:
    complete = {
        r.urn for kind in (":ListenerCertificate", ":WebAclAssociation") for r in edge.of_type(kind).values()
    } | {edge.of_type(":Listener")["listener-443"].urn}
    for record in edge.of_type(":Record").values():
        if not record.is_component:
            assert complete <= record.depends_on
    certificates = {r.urn for r in edge.of_type(":ListenerCertificate").values()}
    assert certificates <= edge.of_type(":Listener")["listener-80"].depends_on


# Response headers -------------------------------------------------------------------------------------------------


def test_the_main_listener_alone_sets_the_response_headers(edge: Deployment) -> None:
    assert attributes(edge, 80) == {"server.enabled": "false"}
    assert attributes(edge, 443) == {
        "strict_transport_security.header_value": "max-age=31536000; includeSubDomains",
        "x_content_type_options.header_value": "nosniff",
        "x_frame_options.header_value": "DENY",
        "access_control_allow_origin.header_value": "https://app.example.com",
        "access_control_allow_methods.header_value": "GET, POST, OPTIONS",
        "access_control_allow_headers.header_value": "Content-Type, Authorization",
        "access_control_max_age.header_value": "3600",
        "server.enabled": "false",
    }


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (None, {"server.enabled": "true"}),
        ({}, {"server.enabled": "true"}),
        (
            {"contentSecurityPolicy": "default-src 'none'", "accessControlExposeHeaders": "X-Model-Version"},
            {
                "content_security_policy.header_value": "default-src 'none'",
                "access_control_expose_headers.header_value": "X-Model-Version",
                "server.enabled": "true",
            },
        ),
        (
            {"accessControlAllowCredentials": True, "accessControlMaxAge": 0},
            {
                "access_control_allow_credentials.header_value": "true",
                "access_control_max_age.header_value": "0",
                "server.enabled": "true",
            },
        ),
    ],
)
def test_a_header_that_is_not_named_is_not_touched(headers: dict[str, Any] | None, said: dict[str, str]) -> None:
    listener = {} if headers is None else {"responseHeaders": headers}
    assert attributes(deploy(config(listener=listener)), 80) == said


# TLS to targets, and IPv6 -----------------------------------------------------------------------------------------


def test_targets_that_end_tls_are_checked_over_tls_too(edge: Deployment) -> None:
    for found in edge.described["TargetGroups"]:
        assert (found["Protocol"], found["HealthCheckProtocol"], found["Port"]) == ("HTTPS", "HTTPS", 8443)


@pytest.mark.parametrize("version", ["HTTP2", "GRPC"])
def test_http2_and_grpc_go_over_tls_as_well(version: str) -> None:
    tls = variant(protocol="HTTPS", protocolVersion=version)
    found = deploy(config(variants={"a": tls, "b": VARIANT}, listener=HTTPS)).of_type(":TargetGroup")["abtest-a"].inputs
    assert (found["protocol"], found["protocolVersion"], found["healthCheck"]["protocol"]) == (
        "HTTPS",
        version,
        "HTTPS",
    )


def test_a_check_may_be_plain_where_the_targets_are_not() -> None:
    tls = variant(protocol="HTTPS", healthCheck={"protocol": "HTTP", "port": 8081})
    found = deploy(config(variants={"a": tls, "b": VARIANT}))
    group = found.of_type(":TargetGroup")["abtest-a"].inputs
    assert (group["protocol"], group["healthCheck"]["protocol"], group["healthCheck"]["port"]) == (
        "HTTPS",
        "HTTP",
        "8081",
    )
    assert {r.inputs["fromPort"] for r in found.of_type("EgressRule").values()} == {8080, 8081}


def test_ipv6_reaches_from_the_name_to_the_targets(edge: Deployment) -> None:
    assert edge.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"].inputs["ipAddressType"] == "dualstack"
    assert {"abtest-dns-a", "abtest-dns-aaaa"} <= edge.of_type(":Record").keys()
    groups = edge.of_type(":TargetGroup")
    assert {name: r.inputs["ipAddressType"] for name, r in groups.items()} == {"abtest-a": "ipv4", "abtest-b": "ipv6"}
    admitted = {r.inputs.get("cidrIpv6") for r in edge.of_type("IngressRule").values()}
    spoken = {r.inputs.get("cidrIpv6") for r in edge.of_type("EgressRule").values()}
    assert "::/0" in admitted
    assert {"2001:db8:0:1::20/128", "2001:db8:0:2::20/128"} <= spoken


def test_a_load_balancer_may_do_without_public_ipv4() -> None:
    network = {"vpcId": "vpc-0abc", "ipAddressType": "dualstack-without-public-ipv4", "ingressCidrs": ["::/0"]}
    found = deploy(config(network=network, dns={"zone": "example.com", "name": "m.example.com"}))
    balancer = found.of_type("aws:lb/loadBalancer:LoadBalancer")["abtest"].inputs
    assert balancer["ipAddressType"] == "dualstack-without-public-ipv4"
    assert {r.inputs["cidrIpv6"] for r in found.of_type("IngressRule").values()} == {"::/0"}
    assert "abtest-dns-aaaa" in found.of_type(":Record")


# Anomaly mitigation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loadBalancing": "weighted_random", "anomalyMitigation": True}, "on"),
        ({"loadBalancing": "weighted_random"}, "off"),
        ({}, None),
    ],
)
def test_anomaly_mitigation_is_said_on_or_off_where_it_can_be_on(changes: dict[str, Any], said: str | None) -> None:
    found = deploy(config(variants={"a": variant(**changes), "b": VARIANT})).of_type(":TargetGroup")["abtest-a"]
    assert found.inputs.get("loadBalancingAnomalyMitigation") == said
