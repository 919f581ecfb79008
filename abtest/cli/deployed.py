"""A deployment on the terminal."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.tree import Tree

    from abtest.experiment.types import Targets, Variant
    from abtest.local import Deployment, Resource

__all__ = ["show_deployment"]


def show_deployment(console: Console, deployment: Deployment, seconds: float) -> None:
    """What was built: what was assumed, resources, routing, variants and outputs."""
    region = deployment.source.setting("aws:region") or "us-east-1"
    console.print("deployed", style="green", end=" ")
    console.print(
        f"{deployment.source.label} on the embedded AWS (moto, {region}): "
        f"{sum(not r.is_component for r in deployment.resources)} resources in {seconds:.1f} s"
    )
    for warning in deployment.warnings:
        console.print(str(warning), style="yellow", soft_wrap=True)
    console.print("\nAssumed to exist", style="bold")
    for line in deployment.assumed:
        console.print(f"  {line}", soft_wrap=True)
    for title, part in (
        ("Resources", _tree(deployment)),
        ("Outputs", _outputs(deployment)),
        ("Variants", _variants(deployment)),
        ("Routing: the first rule that matches wins", _routing(deployment)),
    ):
        console.print(f"\n{title}", style="bold")
        console.print(part)
    for line in _notes(deployment):
        console.print(line, style="dim")


def _tree(deployment: Deployment) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    project, stack = deployment.source.project.name, deployment.source.stack
    root = Tree(f"{project}-{stack}")
    by_urn = {resource.urn: resource for resource in deployment.resources}
    nodes: dict[str, Tree] = {}

    def node(resource: Resource) -> Tree:
        if resource.urn not in nodes:
            parent = node(by_urn[resource.parent]) if resource.parent in by_urn else root
            kind = resource.type.split(":")[-1]
            nodes[resource.urn] = parent.add(
                Text.assemble((kind, "cyan"), " ", resource.name, "  ", (_short(resource), "dim"), overflow="fold")
            )
        return nodes[resource.urn]

    for resource in sorted(deployment.resources, key=_by_type_and_number):
        node(resource)
    return root


def _by_type_and_number(resource: Resource) -> tuple[str, list[tuple[int, str]]]:
    """Order of the tree: rule-2 comes before rule-10."""
    parts = re.findall(r"(\d+)|(\D+)", resource.name)
    return resource.type, [(int(digits or 0), text) for digits, text in parts]


def _short(resource: Resource) -> str:
    """An id without what the names around it say already."""
    if resource.is_component or resource.type.startswith("random:"):
        return ""
    if resource.type.endswith("TargetGroupAttachment"):
        return str(resource.inputs["targetId"])
    return resource.id.split("/")[-1] if resource.id.startswith("arn:") else resource.id


def _routing(deployment: Deployment) -> RenderableType:
    from abtest.cli.tables import routing
    from abtest.routing import RoutingTable

    experiment = deployment.experiment
    return routing(RoutingTable.from_experiment(experiment), frozenset(experiment.override_priorities.values()))


def _notes(deployment: Deployment) -> list[str]:
    """What holds for the routing as a whole."""
    experiment = deployment.experiment
    seconds = experiment.stickiness_seconds
    notes = [
        f"A client keeps its variant for {seconds} s."
        if seconds
        else "Every request is split independently (no stickiness)."
    ]
    if experiment.listener.redirects_port_80:
        notes.append(f"Port 80 redirects everything to https, port {experiment.listener.listens_on} (301).")
    return notes


def _variants(deployment: Deployment) -> RenderableType:
    from abtest.cli.tables import columns
    from abtest.routing import percent, shares_of

    experiment = deployment.experiment
    split = shares_of(experiment.weights)
    numbers = frozenset({"weight", "share", "targets", "port"})
    table = columns("variant", "state", "weight", "share", "targets", "port", "health check", right=numbers)
    groups = deployment.of_type(":TargetGroup")
    for name, variant in experiment.variants.items():
        targets = deployment.described["TargetHealth"][groups[f"abtest-{name}"].id]
        table.add_row(
            f"{name} (control)" if name == experiment.control else name,
            experiment.state(name),
            str(experiment.weights.get(name, "-")),
            percent(split[name]) if name in split else "-",
            _targets(variant.targets, len(targets)),
            str(variant.target_port or "-"),
            _health(variant),
        )
    return table


def _targets(targets: Targets, registered: int) -> str:
    launch = targets.launch
    if launch is not None and launch.scales:
        return f"{launch.min} to {launch.max}"
    if targets.ecs is None:
        return "external" if targets.external else str(registered)
    scaling = targets.ecs.autoscaling
    if scaling is not None:
        return f"{scaling.min} to {scaling.max} tasks"
    return f"{targets.ecs.count} task{'s' * (targets.ecs.count != 1)}"


def _health(variant: Variant) -> str:
    """What a target is asked, and with ``serving`` whose preset that is."""
    if not variant.is_checked:
        return "not checked"
    health = variant.health
    port = "" if health.port in {"traffic-port", variant.target_port} else f"port {health.port} "
    return f"{port}{health.path}{f' ({variant.serving})' if variant.serving else ''}"


def _outputs(deployment: Deployment) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in sorted(deployment.outputs.items()):
        table.add_row(name, "[secret]" if name in deployment.secret_outputs else _lines(value))
    return table


def _lines(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_number(item)}" for key, item in sorted(value.items()))
    return str(value)


def _number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
