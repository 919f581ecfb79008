"""Lines in the load balancer's format, written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from abtest.readout.periods import Period
from abtest.readout.question import Question

OURS = "app/abtest-1a2b3c4/50dc6c495c0c9188"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def group(variant: str, number: str = "1a2b3c4") -> str:
    name = f"abtest-{variant}-{number}"
    return f"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/{name}/6d0ecf831eec9f09"


def line(
    *,
    at: float = 0,
    client: str = "192.0.2.1:50000",
    variant: str | None = "a",
    status: int = 200,
    seconds: tuple[str, str, str] = ("0.001", "0.048", "0.000"),
    sent: int = 366,
    agent: str = "curl/8.5.0",
    priority: str = "0",
    kind: str = "https",
    elb: str = OURS,
    arn: str | None = None,
    request: str = "POST https://models.example.com:443/predict HTTP/2.0",
    trace: str = "Root=1-692198c0-0123456789abcdef01234567",
    rest: str = ' "-" "-" "-" 203.0.113.7',
) -> str:
    """A line of 34 fields. ``at`` is when its request was received, in seconds after noon; without a variant no target
    was chosen.
    """
    received = NOON + timedelta(seconds=at)
    arn = arn or (group(variant) if variant else "-")
    target = "10.0.0.66:8080" if arn != "-" else "-"
    return (
        f"{kind} {received + timedelta(seconds=0.1):%Y-%m-%dT%H:%M:%S.%fZ} {elb} {client} {target} {' '.join(seconds)} "
        f'{status} {status if status < 502 else "-"} 251 {sent} "{request}" "{agent}" '
        f'TLS_AES_128_GCM_SHA256 TLSv1.3 {arn} "{trace}" "models.example.com" '
        f'"arn:aws:acm:us-east-1:123456789012:certificate/12345678" {priority} {received:%Y-%m-%dT%H:%M:%S.%fZ} '
        f'"forward" "-" "-" "{target}" "{status if status < 502 else "-"}" "-" "-" '
        f"TID_0123456789abcdef0123456789abcdef{rest}"
    )


def period(start: float = 0, end: float = 3600, **changes: Any) -> Period:
    """In seconds after noon; half of the clients each, without stickiness."""
    values: dict[str, Any] = {"weights": {"a": 50, "b": 50}, "stickiness_seconds": 0, "earlier_stickiness": 0}
    return Period(start=NOON + timedelta(seconds=start), end=NOON + timedelta(seconds=end), **values | changes)


GROUPS: Mapping[str, str] = {group("a"): "a", group("b"): "b"}


def question(*periods: Period, **changes: Any) -> Question:
    values: dict[str, Any] = {"periods": periods or (period(),), "variants": GROUPS, "load_balancer": OURS}
    return Question(**values | changes)
