"""A stack with everything at its edge: made, left alone, changed in its parts, and taken away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine

pytestmark = pytest.mark.engine


def edge(web_acl: str, *certificates: str) -> dict[str, Any]:
    first, *more = certificates
    return changed(
        BASE,
        listener={
            "certificateArn": first,
            "certificateArns": more,
            "responseHeaders": {"strictTransportSecurity": "max-age=300", "xFrameOptions": "DENY", "server": False},
        },
        waf={"webAclArn": web_acl, "failOpen": True},
        variants__b__loadBalancing="weighted_random",
        variants__b__anomalyMitigation=True,
    )


def test_an_edge_is_made_once_changed_in_its_parts_and_taken_away(fresh: Engine) -> None:
    with fresh.cloud.client("acm") as acm:
        names = ("models.example.com", "a.example.com", "b.example.com")
        one, two, three = sorted(acm.request_certificate(DomainName=name)["CertificateArn"] for name in names)
    with fresh.cloud.client("wafv2") as wafv2:
        seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "main"}
        made = wafv2.create_web_acl(Name="main", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=seen)
    web_acl = made["Summary"]["ARN"]

    fresh.up(edge(web_acl, one, two, three)).succeeded()

    assert fresh.up().succeeded().steps == (), "nothing is different, so nothing is done"

    fewer = fresh.up(edge(web_acl, one, two)).succeeded()
    assert fewer.did("delete") == [f"certificate-{three.rpartition('/')[2]}"]
    assert {step.op for step in fewer.steps} == {"delete"}

    # As another web ACL would have it: the provider replaces the association.
    (urn,) = (r["urn"] for r in fresh.state()["deployment"]["resources"] if r["type"].endswith(":WebAclAssociation"))
    replaced = fresh.up(None, "--replace", urn).succeeded()
    done = [step.op for step in replaced.steps if step.name == "abtest-waf"]
    assert done.index("delete-replaced") < done.index("create-replacement"), "the old one would take the new one along"
    assert {step.name for step in replaced.steps} == {"abtest-waf"}

    fresh.destroy().succeeded()
    assert fresh.cloud.arns == set()
