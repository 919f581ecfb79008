"""A CloudWatch dashboard: the variants side by side, a line for each in every graph.

It knows no weight, so that a shift stays one update of the listener. The share asked for is therefore not drawn beside
the share seen; a text says where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from abtest.experiment import types as config
from abtest.stack.alarms import NAMESPACE, WINDOW
from abtest.stack.load_balancer import Front
from abtest.stack.variant import Variant

__all__ = ["Dashboard", "dashboard_name"]

TYPE = "abtest:stack:Dashboard"

#: A variant has the same color in every graph: the palette of Okabe and Ito, which the color-blind can tell apart.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

#: Where the console is, by partition; the region comes before it.
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}

#: A line of a graph, as the dashboard's JSON has it (CloudWatch API, "Dashboard Body Structure and Syntax").
Line = list[Any]


class Dashboard(pulumi.ComponentResource):
    """Requests, shares, errors, response times and healthy targets. A dashboard is known to its whole account by its
    name, which must be given: ``called``.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        limits: config.Alarms,
        load_balancer: Front,
        called: pulumi.Input[str],
        variants: Mapping[str, Variant],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        arn, suffix = load_balancer.arn, load_balancer.arn_suffix
        region = arn.apply(_region)
        lines = _Lines({v: [suffix, c.target_group.arn_suffix] for v, c in variants.items()})
        body = {"widgets": [_text(pulumi.get_stack()), *_graphs(limits, lines, region)]}
        dashboard = aws.cloudwatch.Dashboard(
            name,
            dashboard_name=pulumi.Output.from_input(called).apply(dashboard_name),
            dashboard_body=pulumi.Output.json_dumps(body),
            opts=pulumi.ResourceOptions(parent=self),
        )
        at = pulumi.Output.concat("#dashboards/dashboard/", dashboard.dashboard_name)
        self.url = pulumi.Output.concat("https://", arn.apply(_console), "/cloudwatch/home?region=", region, at)
        self.register_outputs({"url": self.url})


def dashboard_name(called: str) -> str:
    """The name with only the characters that CloudWatch allows; a project's name may have a dot (API PutDashboard)."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", called)


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _console(arn: str) -> str:
    return f"{_region(arn)}.{CONSOLES.get(arn.split(':')[1], 'console.aws.amazon.com')}"


class _Lines:
    """The lines of a graph, by variant -> its load balancer and target group. Ids are numbered: variants' names may
    hold hyphens, ids may not.
    """

    def __init__(self, groups: Mapping[str, Sequence[pulumi.Input[str]]]) -> None:
        self._groups = groups

    def metric(self, name: str, statistic: str, prefix: str = "m", *, visible: bool = True) -> Iterator[Line]:
        for n, (variant, (balancer, group)) in enumerate(self._groups.items()):
            where = [NAMESPACE, name, "LoadBalancer", balancer, "TargetGroup", group]
            yield [*where, {**_shown(n, variant), "id": f"{prefix}{n}", "stat": statistic, "visible": visible}]

    def expression(self, template: str) -> Iterator[Line]:
        """``{n}`` is the variant's number, ``{all}`` the sum of everybody's ``m``."""
        everybody = ", ".join(f"m{n}" for n in range(len(self._groups)))
        for n, variant in enumerate(self._groups):
            yield [{**_shown(n, variant), "expression": template.format(n=n, all=f"SUM([{everybody}])"), "id": f"e{n}"}]


def _shown(n: int, variant: str) -> dict[str, Any]:
    return {"label": variant, "color": COLORS[n % len(COLORS)]}


def _graphs(limits: config.Alarms, lines: _Lines, region: pulumi.Input[str]) -> Iterator[dict[str, Any]]:
    def graph(title: str, shown: Iterable[Line], *, limit: float | None = None, width: int = 12) -> dict[str, Any]:
        annotations = {"annotations": {"horizontal": [{"label": "alarm", "value": limit}]}} if limit is not None else {}
        return {
            "type": "metric",
            "width": width,
            "height": 6,
            "properties": {
                "title": title,
                "view": "timeSeries",
                "region": region,
                "period": WINDOW,
                "metrics": list(shown),
                "yAxis": {"left": {"min": 0}},
                **annotations,
            },
        }

    def hidden(name: str, prefix: str = "m") -> Iterator[Line]:
        return lines.metric(name, "Sum", prefix, visible=False)

    yield graph("requests in five minutes", lines.metric("RequestCount", "Sum"))
    yield graph("share of the requests, %", [*hidden("RequestCount"), *lines.expression("100 * m{n} / {all}")])
    yield graph(
        "requests that fail with a 5xx, %",
        [
            *hidden("RequestCount"),
            *hidden("HTTPCode_Target_5XX_Count", "f"),
            *lines.expression("100 * FILL(f{n}, 0) / m{n}"),
        ],
        limit=100 * limits.max_error_rate,
    )
    yield graph("healthy targets", lines.metric("HealthyHostCount", "Minimum"))
    for percentile, limit in (("p50", None), ("p90", None), ("p99", limits.max_p99_seconds)):
        yield graph(
            f"response time {percentile}, s", lines.metric("TargetResponseTime", percentile), limit=limit, width=8
        )


def _text(stack: str) -> dict[str, Any]:
    markdown = (
        "The share is that of all requests that reach a variant, those of rules and of the override among them. "
        f"**The share asked for** is on the listener: `abtest status --stack {stack}` shows both, "
        f"`pulumi stack output weights --stack {stack}` the weights alone."
    )
    return {"type": "text", "width": 24, "height": 2, "properties": {"markdown": markdown}}
