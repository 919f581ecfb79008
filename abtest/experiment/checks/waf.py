"""The web ACL in front of the load balancer."""

from __future__ import annotations

from abtest.experiment.checks.values import check_region
from abtest.experiment.problems import Report
from abtest.experiment.types import Experiment

__all__ = ["check_waf"]

#: Requests that pass a web ACL uninspected, by the protocol version of their target group.
_UNINSPECTED = {
    # API TargetGroupAttribute; the provider has no argument for it (internal/service/elbv2/target_group.go).
    "HTTP2": "WAF inspects a request of HTTP/2 as soon as its first data arrives, so a payload that is split over "
    "frames can pass. After each `pulumi up` that makes the target group, set waf.http2.traffic_inspection_behavior = "
    "inspect_after_sufficient_data on it (docs/edge.md has the command)",
    # WAF guide, "Considerations for managing body inspection".
    "GRPC": "WAF does not apply rules about the request body to gRPC; check the payload in the model server",
}


def check_waf(experiment: Experiment, report: Report, region: str | None) -> None:
    if experiment.waf is None:
        return
    check_region(experiment.waf.web_acl_arn, region, "web ACL", report, ("waf", "webAclArn"))
    for name, variant in experiment.variants.items():
        if variant.protocol_version in _UNINSPECTED:
            report.warning(("variants", name, "protocolVersion"), _UNINSPECTED[variant.protocol_version])
