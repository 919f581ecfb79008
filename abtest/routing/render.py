"""A routing table in the forms that people and tools read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from abtest.escape import code, markdown, mermaid, table_row
from abtest.routing.table import Action, Route, RoutingTable

__all__ = ["as_json", "as_markdown", "as_mermaid", "flow_chart", "route_as_json", "rows"]


def rows(table: RoutingTable) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Priority, name, conditions and action of each route, in words."""
    return [(route.label, route.title, tuple(map(str, route.conditions)), route.then) for route in table.routes]


def as_json(table: RoutingTable) -> list[dict[str, Any]]:
    """A list of rules: priority or "default", rule, when (words), action, shares; and what the action has besides."""
    return [route_as_json(route) for route in table.routes]


def route_as_json(route: Route) -> dict[str, Any]:
    action = route.action
    found: dict[str, Any] = {
        "priority": "default" if route.priority is None else route.priority,
        "rule": route.name,
        "when": list(map(str, route.conditions)),
        "action": action.kind,
        "shares": {name: float(share) for name, share in action.shares.items()},
    }
    if action.stickiness_seconds:
        found["stickinessSeconds"] = action.stickiness_seconds
    if action.location:
        found["location"] = action.location
    return found | ({"status": action.status} if action.status else {}) | route.more_as_json


def as_markdown(table: RoutingTable) -> str:
    lines = ["| priority | rule | when | then |", "|-|-|-|-|"]
    for route in table.routes:
        when = " and ".join(code(str(condition)) for condition in route.conditions) or "everything else"
        name = code(route.name) if route.name else markdown(route.title)
        lines.append(table_row(route.label, name, when, _then(route)))
    return "\n".join(lines)


def _then(route: Route) -> str:
    """A route's action in Markdown. The target of a redirect and a rewrite are code, so that neither becomes a link."""
    action = route.action
    before, target, after = str(action).partition(action.location) if action.location else (str(action), "", "")
    words = f"{markdown(before)}{' ' if before.endswith(' ') else ''}{code(target) if target else ''}{markdown(after)}"
    return "; ".join([words, *(f"rewrites {code(str(rewrite))}" for rewrite in route.rewrites)])


def as_mermaid(table: RoutingTable) -> str:
    """A flow chart: rules in their order, each leading to what it does. GitHub draws it."""
    return flow_chart(
        (f"{f'{route.label} {route.title}'.strip()}: {_step(route)}", _ends(route.action)) for route in table.routes
    )


def _step(route: Route) -> str:
    when = " and ".join(map(str, route.conditions)) or "everything else"
    return "; ".join([when, *route.action.before, *(f"rewrites {rewrite}" for rewrite in route.rewrites)])


def flow_chart(steps: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> str:
    """Steps that requests pass in their order, the last of which takes the rest. Each is what it asks for, and the ends
    that it leads to, with the share of each.
    """
    lines, ends = ["flowchart LR", "  client([client]) --> r0"], dict[str, str]()
    steps = list(steps)
    for n, (words, leads) in enumerate(steps):
        is_last = n == len(steps) - 1
        opened, closed = ("[", "]") if is_last else ("{{", "}}")
        lines.append(f'  r{n}{opened}"{mermaid(words)}"{closed}')
        if not is_last:
            lines.append(f"  r{n} -->|no| r{n + 1}")
        for end, share in leads:
            if end not in ends:
                ends[end] = f"e{len(ends)}"
                lines.append(f'  {ends[end]}(["{mermaid(end)}"])')
            lines.append(f'  r{n} ==>|"{mermaid(share)}"| {ends[end]}')
    return "\n".join(lines)


def _ends(action: Action) -> list[tuple[str, str]]:
    """Where an action leads, and with which share."""
    if action.kind in {"redirect", "respond"}:
        return [(str(action), "yes")]
    return [
        (name, str(Action(kind="forward", shares={name: share})).removeprefix(f"{name} "))
        for name, share in action.shares.items()
    ]
