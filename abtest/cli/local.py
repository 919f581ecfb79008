"""``abtest local``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.tree import Tree

    from abtest.local import Deployment, Resource

__all__ = ["local"]


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
def local(stack: str) -> None:
    """Deploy a stack on an embedded AWS, without an account or the Pulumi CLI.

    The program is the one that `pulumi up` runs; moto answers in this process instead of AWS.
    """
    from rich.console import Console

    console = Console(highlight=False, width=None if os.environ.get("COLUMNS") or os.isatty(1) else 140)
    deployment, seconds = _deploy(stack, console)
    region = deployment.source.setting("aws:region") or "us-east-1"
    console.print(
        f"[green]deployed[/green] {deployment.source.label} on the embedded AWS (moto, {region}): "
        f"{sum(not r.is_component for r in deployment.resources)} resources in {seconds:.1f} s"
    )
    for warning in deployment.warnings:
        console.print(f"[yellow]{warning}[/yellow]", markup=True)
    console.print("\n[bold]Assumed to exist[/bold]")
    for line in deployment.assumed:
        console.print(f"  {line}", soft_wrap=True)
    for title, part in (
        ("Resources", _tree(deployment)),
        ("Routing: the first rule that matches wins", _routing(deployment)),
        ("Variants", _variants(deployment)),
        ("Outputs", _outputs(deployment)),
    ):
        console.print(f"\n[bold]{title}[/bold]")
        console.print(part)


def _deploy(stack: str, console: Console) -> tuple[Deployment, float]:
    from rich.status import Status

    try:
        from abtest.local import DeployError, deploy
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install -r requirements-dev.txt") from None
    from abtest.experiment import ConfigError

    started, made = time.perf_counter(), 0

    def on_resource(_: str, name: str) -> None:
        nonlocal made
        made += 1
        status.update(f"deploying {stack}: {made} resources, now {name}")

    try:
        with Status(f"deploying {stack}", console=console) as status:
            deployment = deploy(stack, on_resource=on_resource)
    except (ConfigError, DeployError) as error:
        raise click.ClickException(str(error)) from None
    return deployment, time.perf_counter() - started


def _tree(deployment: Deployment) -> Tree:
    from rich.tree import Tree

    project, stack = deployment.source.project.name, deployment.source.stack
    root = Tree(f"{project}-{stack}")
    nodes: dict[str, Tree] = {}

    def node(resource: Resource) -> Tree:
        if resource.urn not in nodes:
            by_urn = {r.urn: r for r in deployment.resources}
            parent = node(by_urn[resource.parent]) if resource.parent in by_urn else root
            kind = resource.type.split(":")[-1]
            shown = "" if resource.is_component else f"  [dim]{_short(resource)}[/dim]"
            nodes[resource.urn] = parent.add(f"[cyan]{kind}[/cyan] {resource.name}{shown}")
        return nodes[resource.urn]

    for resource in deployment.resources:
        node(resource)
    return root


def _short(resource: Resource) -> str:
    """An id without what the name says already."""
    if resource.type.startswith("random:") or resource.type.endswith("TargetGroupAttachment"):
        return ""
    return resource.id.split(":")[-1] if resource.id.startswith("arn:") else resource.id


def _routing(deployment: Deployment) -> RenderableType:
    from rich.table import Table

    from abtest.routing import routing_table

    table = Table(show_edge=False, pad_edge=False)
    for column in ("priority", "rule", "when", "then"):
        table.add_column(column, justify="right" if column == "priority" else "left", overflow="fold")
    for row in routing_table(deployment.experiment):
        split = ", ".join(f"{name} {_percent(float(share))}" for name, share in row.shares.items())
        priority = "default" if row.priority is None else str(row.priority)
        table.add_row(priority, row.name, "\nand ".join(row.when) or "everything else", split or row.action)
    if deployment.experiment.listener.redirects_port_80:
        table.add_row(
            "", "port 80", "everything", f"redirect 301 to https, port {deployment.experiment.listener.listens_on}"
        )
    return table


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")


def _variants(deployment: Deployment) -> RenderableType:
    from rich.table import Table

    from abtest.routing.table import shares

    experiment = deployment.experiment
    split = shares(experiment.weights)
    table = Table(show_edge=False, pad_edge=False)
    for column in ("variant", "state", "weight", "share", "targets", "port"):
        table.add_column(column, justify="left" if column in {"variant", "state"} else "right")
    groups = deployment.of_type(":TargetGroup")
    for name, variant in experiment.variants.items():
        targets = deployment.described["TargetHealth"][groups[f"abtest-{name}"].id]
        role = f"{name} (control)" if name == experiment.control else name
        weight = str(experiment.weights.get(name, "-"))
        share = _percent(float(split[name])) if name in split else "-"
        table.add_row(role, experiment.state(name), weight, share, str(len(targets)), str(variant.port))
    return table


def _outputs(deployment: Deployment) -> RenderableType:
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in sorted(deployment.outputs.items()):
        table.add_row(name, escape("[secret]" if name in deployment.secret_outputs else _lines(value)))
    return table


def _lines(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_number(item)}" for key, item in sorted(value.items()))
    return str(value)


def _number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value
