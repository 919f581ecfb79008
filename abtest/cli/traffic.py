"""What became of requests to the local balancer, on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from abtest.cli.tables import columns
from abtest.local.traffic import RouteTraffic, Tally, interval, plan
from abtest.routing import Request, Route, percent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from abtest.local import Deployment
    from abtest.local.balancer import Balancer

__all__ = ["curl_lines", "show_traffic"]


def show_traffic(
    console: Console,
    deployment: Deployment,
    balancer: Balancer,
    tally: Tally,
    left_out: Sequence[Route],
    failed: int,
    seconds: float,
) -> None:
    """The share seen beside the share asked for, by route and variant."""
    sent = sum(route.statuses.total() for route in tally.routes.values())
    console.print(f"\nTraffic: {sent:,} requests in {seconds:.1f} s", style="bold")
    console.print(_table(deployment, balancer, tally))
    if deployment.experiment.stickiness_seconds:
        console.print(
            "Shares are of choices: a request whose cookie keeps it with its variant is none. "
            "Half of the clients keep their cookies.",
            style="dim",
            soft_wrap=True,
        )
    console.print(_verdict(balancer, tally), soft_wrap=True)
    for route in left_out:
        console.print(f"Not tried from here: {route}", style="dim", soft_wrap=True)
    if failed:
        console.print(f"{failed:,} requests got no answer.", style="red")


def _table(deployment: Deployment, balancer: Balancer, tally: Tally) -> Table:
    numbers = frozenset({"asked", "seen", "choices", "requests"})
    table = columns(
        "route", "variant", "asked", "seen", "95 % interval", "choices", "requests", "answers", right=numbers
    )
    variants = _variants(balancer)
    overrides = deployment.experiment.override_priorities.values()
    for route in balancer.serving.deployed.listeners[0].table.routes:
        found = tally.routes.get(route.priority or 0)
        if found is None:
            continue
        name = "override" if route.priority in overrides else route.name or ""
        first = [f"{route.label} {name}".strip()]
        answers = ", ".join(f"{status}: {count:,}" for status, count in sorted(found.statuses.items()))
        if not route.action.shares:
            what = f"{route.action.kind} {route.action.status}"
            table.add_row(*first, what, "", "", "", "", f"{found.statuses.total():,}", answers)
        for arn in sorted(route.action.shares, key=variants.__getitem__):
            table.add_row(*(first or [""]), variants[arn], *_share(route, found, arn), answers)
            first, answers = [], ""
    return table


def _share(route: Route, found: RouteTraffic, arn: str) -> tuple[str, str, str, str, str]:
    chosen, of = found.chosen[arn], found.chosen.total()
    low, high = interval(chosen, of)
    is_split = len(route.action.shares) > 1
    return (
        percent(route.action.shares[arn]),
        f"{chosen / of * 100:.1f} %" if of else "-",
        f"{low * 100:.1f} to {high * 100:.1f} %" if is_split else "",
        f"{chosen:,}",
        f"{found.requests[arn]:,}",
    )


def _verdict(balancer: Balancer, tally: Tally) -> str:
    """Whether the shares asked for lie in the intervals of the shares seen."""
    variants = _variants(balancer)
    outside, compared = [], 0
    for route in balancer.serving.deployed.listeners[0].table.routes:
        found = tally.routes.get(route.priority or 0)
        if found is None or len(route.action.shares) < 2:
            continue
        for arn, share in route.action.shares.items():
            low, high = interval(found.chosen[arn], found.chosen.total())
            compared += 1
            if not low <= share <= high:
                outside.append(f"{variants[arn]} on {route}")
    if not compared:
        return "There is no split to compare: every route leads to one place."
    if not outside:
        return "The split is as asked: every share asked for lies in its interval."
    return f"Outside of its interval: {', '.join(outside)}. By chance that happens to 1 interval in 20."


def _variants(balancer: Balancer) -> dict[str, str]:
    return {arn: group.deployed.variant for arn, group in balancer.serving.groups.items()}


def curl_lines(deployment: Deployment, balancer: Balancer, *, show_secrets: bool) -> Iterator[str]:
    """A command for each route; an override's has ``<token>`` unless secrets may be shown."""
    table, ports = balancer.serving.deployed.listeners[0].table, balancer.serving.ports
    overrides = frozenset(deployment.experiment.override_priorities.values())
    token = deployment.outputs.get("override_token")
    for route, request in plan(table)[0]:
        local = replace(request, host=f"localhost:{ports[0]}")
        shown = local if table.decide(local).route is route else request
        line = _curl(shown, ports[0])
        if token and not show_secrets:
            line = line.replace(token, "<token>")
        yield f"{line}  # {'override' if route.priority in overrides else route}"
    for listener, port in zip(balancer.serving.deployed.listeners[1:], ports[1:], strict=True):
        yield f"curl -i http://localhost:{port}/  # {listener.protocol}:{listener.port}"


def _curl(request: Request, port: int) -> str:
    words = ["curl", "-i"]
    if request.method not in {None, "GET"}:
        words += ["-I"] if request.method == "HEAD" else ["-X", str(request.method)]
    if request.host and not request.host.startswith("localhost:"):
        words += ["-H", f"Host: {request.host}"]
    for name, values in (request.headers or {}).items():
        words += [part for value in values for part in ("-H", f"{name}: {value}")]
    query = f"?{request.query}" if request.query else ""
    return shlex.join([*words, f"http://localhost:{port}{request.path}{query}"])
