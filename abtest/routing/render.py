"""A routing table in the forms that people and tools read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from abtest.routing.table import Action, Route, RoutingTable

__all__ = ["as_json", "as_markdown", "as_mermaid", "rows"]


def rows(table: RoutingTable) -> list[tuple[str, str, tuple[str, ...], str]]:
    """Priority, name, conditions and action of each route, in words."""
    return [
        (route.label, route.name or "", tuple(map(str, route.conditions)), str(route.action)) for route in table.routes
    ]


def as_json(table: RoutingTable) -> list[dict[str, Any]]:
    """A list of rules: priority or "default", rule, when (words), action, shares; and what the action has besides."""
    return [_route(route) for route in table.routes]


def _route(route: Route) -> dict[str, Any]:
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
    return found | ({"status": action.status} if action.status else {})


def as_markdown(table: RoutingTable) -> str:
    lines = ["| priority | rule | when | then |", "|-|-|-|-|"]
    for label, name, when, then in rows(table):
        asked = " and ".join(f"`{_cell(words)}`" for words in when) or "everything else"
        lines.append(f"| {label} | {_cell(name)} | {asked} | {_cell(then)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def as_mermaid(table: RoutingTable) -> str:
    """A flow chart: rules in their order, each leading to what it does. GitHub draws it."""
    return "\n".join(["flowchart LR", "  client([client]) --> r0", *_edges(table)])


def _edges(table: RoutingTable) -> Iterator[str]:
    ends: dict[str, str] = {}
    for n, (route, (label, name, when, _)) in enumerate(zip(table.routes, rows(table), strict=True)):
        words = " and ".join(when) if route.priority is not None else "everything else"
        shape = ("{{", "}}") if route.priority is not None else ("[", "]")
        yield f'  r{n}{shape[0]}"{_label(f"{label} {name}".strip())}: {_label(words)}"{shape[1]}'
        if route.priority is not None:
            yield f"  r{n} -->|no| r{n + 1}"
        for end, share in _ends(route.action):
            if end not in ends:
                ends[end] = f"e{len(ends)}"
                yield f'  {ends[end]}(["{_label(end)}"])'
            yield f'  r{n} ==>|"{_label(share)}"| {ends[end]}'


def _ends(action: Action) -> list[tuple[str, str]]:
    """Where an action leads, and with which share."""
    if action.kind in {"redirect", "respond"}:
        return [(str(action), "yes")]
    return [
        (name, str(Action(kind="forward", shares={name: share})).removeprefix(f"{name} "))
        for name, share in action.shares.items()
    ]


def _label(text: str) -> str:
    """Text inside a quoted label. Source: mermaid's documentation, "Entity codes to escape characters"."""
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")
