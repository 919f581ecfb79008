"""Where the committed stacks and the examples deviate from Security Hub's controls, and why."""

from __future__ import annotations

from dataclasses import dataclass

from tests.security.controls import CONTROLS

__all__ = ["DEVIATIONS", "Deviation", "table"]


@dataclass(frozen=True)
class Deviation:
    """A control that does not hold for these stacks: Pulumi.<stack>.yaml, or examples/<stack>.yaml."""

    control: str
    stacks: tuple[str, ...]
    reason: str


_PLAIN_HTTP = ("dev", "autoscaling", "lambda", "serving")
_HTTPS = ("prod", "ecs", "edge")
_HTTP_TARGETS = ("dev", "prod", "autoscaling", "ecs", "existing-listener", "serving")

DEVIATIONS = (
    Deviation("ELB.1", _PLAIN_HTTP, "Works without a domain and a certificate. `listener.certificateArn` ends it."),
    Deviation("ELB.18", _PLAIN_HTTP, "As ELB.1."),
    Deviation(
        "ELB.18", _HTTPS,
        "Port 80 redirects to HTTPS, which ELB.1 is content with. `listener.redirectHttp: false` takes the port away.",
    ),
    Deviation(
        "ELB.5", ("dev", "autoscaling", "ecs", "edge", "lambda", "serving"),
        "Something to try, not to measure by. `accessLogs: {}` ends it.",
    ),
    Deviation(
        "ELB.6", ("dev", "autoscaling", "ecs", "edge", "lambda", "serving"),
        "`pulumi destroy` has to clear it away. `deletionProtection: true` ends it.",
    ),
    Deviation("ELB.13", ("dev", "serving"), "One instance a variant, to be cheap. `count: 2` puts them into two zones."),
    Deviation(
        "ELB.16", ("dev", "prod", "autoscaling", "ecs", "lambda", "serving"),
        "A web ACL costs, and its rules depend on the service: examples/edge.yaml has one.",
    ),
    Deviation(
        "ELB.21", _HTTP_TARGETS, "As ELB.22; a health check has the protocol of its variant unless it names another.",
    ),
    Deviation(
        "ELB.22", _HTTP_TARGETS,
        "Model servers speak HTTP, inside the VPC, to the load balancer alone. One that ends TLS takes `protocol: HTTPS`.",
    ),
    Deviation(
        "EC2.9", ("dev", "existing-listener", "serving"),
        "The subnet decides: those of the default VPC have no other way out, and start-up scripts fetch things. Only the "
        "load balancer can connect to the instances. `publicIp: false` ends it.",
    ),
    Deviation("S3.9", ("prod",), "The bucket holds access logs itself; who reads them, CloudTrail's data events tell."),
    Deviation("S3.14", ("prod",), "Each log is written once, under a name of its own, and deleted after `retainDays`."),
    Deviation("S3.15", ("prod",), "A locked log could not be deleted after `retainDays`, nor its addresses before."),
    Deviation("S3.17", ("prod",), 'The load balancer writes to SSE-S3 alone (ALB guide, "Enable access logs").'),
    Deviation("S3.20", ("prod",), "As S3.14; only the account's root user can switch it on."),
)  # fmt: skip


def table() -> str:
    """The deviations as Markdown, in the order of the controls."""
    titles = {control.id: control.title for control in CONTROLS}
    rows = sorted(DEVIATIONS, key=lambda deviation: list(titles).index(deviation.control))
    lines = [f"| {row.control}: {titles[row.control]} | {', '.join(row.stacks)} | {row.reason} |" for row in rows]
    return "\n".join(["| control | stacks | reason |", "|-|-|-|", *lines])
