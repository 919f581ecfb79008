"""What became of requests to the local balancer, on the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
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

__all__ = ["curl_lines", "failures", "show_traffic"]


def show_traffic(
    console: Console,
    deployment: Deployment,
    balancer: Balancer,
    tally: Tally,
    left_out: Sequence[Route],
    seconds: float,
    log: str,
    expected: Collection[str],
) -> None:
    """The share seen beside the share asked for, by route and variant. ``expected`` are told to fail."""
    console.print(f"\nTraffic: {tally.total:,} requests in {seconds:.1f} s", style="bold")
    console.print(_table(deployment, balancer, tally))
    if deployment.experiment.stickiness_seconds:
        console.print(
            "Only a request without a cookie is a choice; half of the clients keep their cookies.", style="dim"
        )
    for route in left_out:
        console.print(f"Not tried from here: {route}", style="dim", soft_wrap=True)
    console.print(f"Access log: {log}", style="dim", soft_wrap=True)
    for variant, failed, of in failures(balancer, tally, expected):
        console.print(f"{variant} failed: {failed:,} of {of:,} requests were answered with 5xx.", style="red")


def failures(balancer: Balancer, tally: Tally, expected: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Variant, requests answered with 5xx, and all requests, where there are any of the former. A 500 of the variants
    in ``expected`` is none.
    """
    for arn, variant in _variants(balancer).items():
        failed, of = tally.failures(arn, least=501 if variant in expected else 500)
        if failed:
            yield variant, failed, of


def _table(deployment: Deployment, balancer: Balancer, tally: Tally) -> Table:
    numbers = frozenset({"asked", "seen", "choices"})
    table = columns("route", "variant", "asked", "seen", "95 % interval", "choices", "answers", right=numbers)
    variants = _variants(balancer)
    overrides = deployment.experiment.override_priorities.values()
    for route in balancer.serving.deployed.listeners[0].table.routes:
        found = tally.routes.get(route.priority or 0)
        if found is None:
            continue
        name = "override" if route.priority in overrides else route.title
        title = f"{route.label} {name}".strip()
        if not route.action.shares:
            what = f"{route.action.kind} {route.action.status}"
            table.add_row(title, what, "", "", "", "", _answers(found, "-"))
        for arn in sorted(route.action.shares, key=variants.__getitem__):
            table.add_row(title, variants[arn], *_share(route, found, arn), _answers(found, arn))
            title = ""
    return table


def _answers(found: RouteTraffic, group: str) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in found.statuses(group).items())


def _share(route: Route, found: RouteTraffic, arn: str) -> tuple[str, str, str, str]:
    chosen, of = found.chosen[arn], found.chosen.total()
    low, high = interval(chosen, of)
    is_split = len(route.action.shares) > 1
    return (
        percent(route.action.shares[arn]),
        f"{chosen / of * 100:.1f} %" if of else "-",
        f"{low * 100:.1f} to {high * 100:.1f}" if is_split else "",
        f"{chosen:,}",
    )


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
    return shlex.join([*words, f"http://localhost:{port}{request.target}"])
