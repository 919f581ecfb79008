"""The committed production stack, deployed whole: its override token is told to nobody who does not ask for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.engine.harness import ROOT, Cloud, Engine

pytestmark = pytest.mark.engine


def production() -> dict[str, Any]:
    """What the committed file says, by keys without their namespace."""
    config = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    return {key.removeprefix("abtest:"): value for key, value in config.items() if key.startswith("abtest:")}


def create_what_it_names(cloud: Cloud, config: dict[str, Any]) -> None:
    """The VPC, the hosted zone and the certificate that the stack file takes for granted."""
    network = config["network"]
    with cloud.client("ec2") as ec2:

        def tags(kind: str, values: dict[str, str]) -> list[dict[str, Any]]:
            return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in values.items()]}]

        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tags("vpc", network["vpcTags"]))["Vpc"]["VpcId"]
        for n, (key, zone) in enumerate((key, zone) for key in ("subnetTags", "targetSubnetTags") for zone in "ab"):
            ec2.create_subnet(
                VpcId=vpc,
                CidrBlock=f"10.0.{n}.0/24",
                AvailabilityZone=f"us-east-1{zone}",
                TagSpecifications=tags("subnet", network[key]),
            )
    with cloud.client("route53") as route53:
        route53.create_hosted_zone(Name=config["dns"]["zone"], CallerReference="tests")
    with cloud.client("acm") as acm:
        config["listener"]["certificateArn"] = acm.request_certificate(DomainName=config["dns"]["name"])[
            "CertificateArn"
        ]


def test_the_override_token_is_in_no_plain_output_and_no_plain_state(fresh: Engine) -> None:
    config = production()
    create_what_it_names(fresh.cloud, config)

    run = fresh.up(config).succeeded()

    token = fresh.outputs("--show-secrets")["override_token"]
    assert len(token) >= 32
    assert fresh.cloud.layout["rules"]["443 1"]["if"][0]["HttpHeaderConfig"]["Values"] == [f"{token}-a"]
    assert token not in run.output
    assert token not in json.dumps(fresh.outputs())
    assert fresh.outputs()["override_token"] == "[secret]"  # noqa: S105 what stands in its place
    shown = fresh.preview(config | {"override": {"header": "X-Other", "secret": True}}, "--diff")
    assert shown.did("update") == ["rule-1", "rule-2"]
    assert token not in shown.output
    resources = fresh.state()["deployment"]["resources"]
    (password,) = [each for each in resources if each["type"] == "random:index/randomPassword:RandomPassword"]
    assert token not in json.dumps(password["outputs"]["result"])
    # The rest of the password's own record is its provider's.
    assert token not in json.dumps([each for each in resources if each is not password])
