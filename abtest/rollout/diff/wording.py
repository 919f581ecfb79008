"""The parts of a change in words that Markdown shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from abtest.escape import code
from abtest.rollout.diff.replacement import Replacement
from abtest.rollout.diff.settings import Setting
from abtest.rollout.diff.updates import Updates
from abtest.routing import Action, Request, Route, percent
from abtest.routing.analysis import duration

__all__ = [
    "MAIN",
    "action_words",
    "called",
    "client_words",
    "listed",
    "replacement_words",
    "request_words",
    "setting_words",
    "shortened",
    "title",
    "update_words",
    "with_points",
]

MAIN = "main split"


def title(route: Route) -> str:
    """What a person calls a route."""
    if route.is_split:
        return MAIN
    if route.priority is None:
        return "everything else"
    return route.name or f"override {', '.join(route.action.shares)}"


def called(route: Route) -> str:
    """A route within a sentence."""
    if route.is_split:
        return f"the {MAIN}"
    return f"rule {code(route.name)}" if route.name else title(route)


def action_words(action: Action, other: Action | None = None) -> str:
    """What an action does; beside another that reads the same, also what it differs in."""
    words = str(action)
    if action.kind == "redirect":
        words = f"redirect {action.status} to {code(shortened(action.location, 80))}"
    if other is None or action == other or str(action) != str(other):
        return words
    if action.shares:
        return f"{words}, kept for {duration(action.stickiness_seconds)}" if action.stickiness_seconds else words
    return f"{words} {code(shortened(action.body, 40) or 'nothing')} as {action.content_type}"


def with_points(now: Action, was: Action) -> str:
    """What an action does, with the points that a share has more or less than before: b 25 % (+15)."""
    if not now.shares or not was.shares or now.shares == was.shares:
        return action_words(now, was)
    words = [f"{name} {percent(share)}{_points(share - was.shares.get(name, 0))}" for name, share in now.shares.items()]
    gone = [f"{name} out{_points(-share)}" for name, share in was.shares.items() if name not in now.shares]
    return ", ".join([*words, *gone])


def shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def client_words(lag_seconds: int, freed: Sequence[str]) -> str:
    """What becomes of clients that have a variant; empty where nothing does."""
    lag = f"clients that have a variant keep it for up to {duration(lag_seconds)}" if lag_seconds else ""
    anew = f"those of {listed(freed)} are reassigned immediately" if freed else ""
    return "; ".join(filter(None, (lag, anew)))


def _points(change: Fraction) -> str:
    sign = "+" if change > 0 else "\N{MINUS SIGN}"
    return f" ({sign}{percent(abs(change)).removesuffix(' %')})" if change else ""


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names as a person lists them; of many, the first few."""
    if len(names) > most + 1:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _value(value: Any) -> str:
    """A value as a stack file would have it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_value(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, list) else str(value)


def setting_words(setting: Setting, longest: int) -> str:
    """What becomes of a value."""
    was, now = (code(shortened(_value(value), longest)) for value in (setting.before, setting.after))
    path = code(setting.path)
    if setting.before is None:
        return f"{path} is new: {now}"
    return f"{path} is gone, it was {was}" if setting.after is None else f"{path}: {was} → {now}"


def request_words(request: Request, routes: Sequence[Route]) -> str:
    """A request, in the fields that the routes ask for."""
    kinds = {condition.kind for route in routes for condition in route.conditions}
    names = {condition.name.lower() for route in routes for condition in route.conditions}
    parts = [f"{request.method} " if "method" in kinds else "", (request.host or "") if "host" in kinds else ""]
    query = f"?{request.query}" if "query" in kinds and request.query else ""
    headers = [f"{name}: {line}" for name, lines in (request.headers or {}).items() if name in names for line in lines]
    source = f" from {request.source_ip}" if "source-ip" in kinds else ""
    return "".join([*parts, request.path or "/", query, " with " * bool(headers), " and ".join(headers), source])


def replacement_words(found: Replacement) -> str:
    """What is replaced: the target group of b, 2 instances of b, the tasks of b."""
    if found.variant is None:
        return f"the {found.what}"
    many = "the" if found.what != "instance" else f"{found.count}" if found.exact else f"{found.count} or more"
    return f"{many} {found.what}{'s' * (not found.is_one)} of {found.variant}"


def update_words(updates: Updates) -> str:
    """How many updates the engine makes of listeners and rules."""
    kinds = (("", updates.updated), ("created", updates.created), ("replaced", updates.replaced))
    parts = [_counted(names, verb) for verb, names in (*kinds, ("deleted", updates.deleted)) if names]
    return ", ".join(parts)


def _counted(names: Sequence[str], verb: str) -> str:
    if not verb:
        return f"{len(names)} update{'s' * (len(names) != 1)} ({listed(names)})"
    return f"{len(names)} {verb} ({listed(names)})"
