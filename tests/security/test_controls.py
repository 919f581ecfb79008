"""Every committed stack and every example against Security Hub's controls, and the deviations that the docs give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from abtest.local import Deployment, Resource
from tests.configs import ROOT
from tests.security.controls import CONTROLS
from tests.security.deviations import DEVIATIONS, table
from tests.security.things import things

EXAMPLES = {file.stem: file for file in sorted((ROOT / "examples").glob("*.yaml"))}

#: By control, a thing that it is to find: what matters of it.
BAD: dict[str, dict[str, Any]] = {
    "ELB.1": {"protocol": "HTTP", "defaultActions": [{"type": "forward"}]},
    "ELB.4": {"dropInvalidHeaderFields": False},
    "ELB.5": {"accessLogs": {"bucket": "b"}},
    "ELB.6": {},
    "ELB.12": {"desyncMitigationMode": "monitor"},
    "ELB.13": {"zones": 1},
    "ELB.16": {"hasWebAcl": False},
    "ELB.17": {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06"},
    "ELB.18": {"protocol": "HTTP"},
    "ELB.21": {"targetType": "ip", "healthCheck": {"protocol": "HTTP"}},
    "ELB.22": {"targetType": "instance", "protocol": "HTTP"},
    "EC2.3": {"volumes": [{"encrypted": True}, {}]},
    "EC2.8": {"metadataOptions": {"httpTokens": "optional"}},
    "EC2.9": {"networkInterfaces": [{}]},
    "EC2.13": {"ipProtocol": "tcp", "fromPort": 20, "toPort": 30, "cidrIpv6": "::/0"},
    "EC2.14": {"ipProtocol": "-1", "cidrIpv4": "0.0.0.0/0"},
    "EC2.17": {"networkInterfaces": [{}, {}]},
    "EC2.18": {"ipProtocol": "tcp", "fromPort": 81, "toPort": 81, "cidrIpv4": "0.0.0.0/0"},
    "EC2.19": {"ipProtocol": "tcp", "fromPort": 8080, "toPort": 8080, "cidrIpv4": "0.0.0.0/0"},
    "EC2.25": {"networkInterfaces": [{"associatePublicIpAddress": "true"}]},
    "EC2.170": {},
    "EC2.180": {"sourceDestCheck": False},
    "EC2.181": {"blockDeviceMappings": [{"ebs": {}}]},
    "ECS.2": {"networkConfiguration": {"assignPublicIp": True}},
    "ECS.4": {"privileged": True},
    "ECS.5": {},
    "ECS.8": {"environment": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]},
    "ECS.9": {"logConfiguration": {}},
    "ECS.10": {"platformVersion": "1.3.0"},
    "ECS.12": {"settings": [{"name": "containerInsights", "value": "disabled"}]},
    "ECS.20": {"user": "0:1000"},
    "S3.2": {"statements": []},
    "S3.3": {"statements": [{"Effect": "Allow", "Principal": "*"}]},
    "S3.5": {"statements": []},
    "S3.6": {"statements": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::210987654321:root"}}]},
    "S3.8": {"PublicAccessBlock": {"blockPublicAcls": True}},
    "S3.9": {},
    "S3.10": {"Versioning": {"versioningConfiguration": {"status": "Enabled"}}},
    "S3.12": {"acl": "public-read"},
    "S3.13": {"LifecycleConfiguration": {"rules": [{"status": "Disabled"}]}},
    "S3.14": {"Versioning": {"versioningConfiguration": {"status": "Suspended"}}},
    "S3.15": {},
    "S3.17": {"ServerSideEncryptionConfiguration": {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}]}},
    "S3.20": {"Versioning": {"versioningConfiguration": {"status": "Enabled"}}},
}  # fmt: skip


@pytest.mark.parametrize("stack", ["dev", "prod", *EXAMPLES])
def test_a_stack_deviates_where_the_docs_say_so_and_nowhere_else(
    stack: str, dev: Deployment, prod: Deployment, examples: Callable[[str], Deployment]
) -> None:
    found = {"dev": dev, "prod": prod}.get(stack) or examples(stack)
    failing = {control.id: names for control in CONTROLS if (names := control.failing(found))}
    listed = {deviation.control for deviation in DEVIATIONS if stack in deviation.stacks}
    assert {control: names for control, names in failing.items() if control not in listed} == {}, "not listed"
    assert listed - set(failing) == set(), "listed, but it holds"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_a_control_finds_what_breaks_it(control: Any) -> None:
    assert not control.holds(BAD[control.id])


def test_a_control_is_asked_of_everything_of_its_kind(prod: Deployment) -> None:
    assert {kind: list(things(prod, kind)) for kind in ("load balancer", "listener", "target group", "bucket")} == {
        "load balancer": ["abtest"],
        "listener": ["listener-443", "listener-80"],
        "target group": ["abtest-a", "abtest-b"],
        "bucket": ["abtest-logs"],
    }
    assert len(things(prod, "instance")) == 4
    assert len(things(prod, "ingress")) == 4


def test_instances_of_a_group_and_containers_of_a_task_are_asked_too(dev: Deployment) -> None:
    def made(kind: str, **inputs: Any) -> Resource:
        return Resource(urn=kind, type=kind, name="abtest-a", id="", parent="", inputs=inputs, state={})

    open_template = made(
        "aws:ec2/launchTemplate:LaunchTemplate",
        blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"volumeType": "gp3"}}],
        networkInterfaces=[{"associatePublicIpAddress": "true"}],
    )
    task = made("aws:ecs/taskDefinition:TaskDefinition", containerDefinitions='[{"name": "model", "privileged": true}]')
    service = made("aws:ecs/service:Service", networkConfiguration={"assignPublicIp": True}, platformVersion="1.3.0")
    found = replace(dev, resources=(open_template, task, service, made("aws:ecs/cluster:Cluster")))
    assert {control.id: names for control in CONTROLS if (names := control.failing(found))} == {
        **{key: ["of abtest-a"] for key in ("EC2.3", "EC2.8", "EC2.9")},
        **{key: ["abtest-a"] for key in ("EC2.25", "EC2.170", "EC2.181", "ECS.2", "ECS.10", "ECS.12")},
        **{key: ["model of abtest-a"] for key in ("ECS.4", "ECS.5", "ECS.9", "ECS.20")},
    }


def test_a_deviation_has_one_reason_for_a_stack_and_names_a_control() -> None:
    pairs = Counter((deviation.control, stack) for deviation in DEVIATIONS for stack in deviation.stacks)
    assert set(pairs.values()) == {1}
    assert {deviation.control for deviation in DEVIATIONS} <= {control.id for control in CONTROLS}


def test_the_docs_have_the_deviations() -> None:
    assert table() in (ROOT / "docs" / "security.md").read_text()
