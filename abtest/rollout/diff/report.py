"""What a change does, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from abtest.rollout.diff.effect import Effect, Pair
from abtest.rollout.diff.summary import summary, unguarded_words
from abtest.rollout.diff.traffic import Move
from abtest.rollout.diff.wording import title
from abtest.rollout.drain import Leaving
from abtest.routing import Request
from abtest.routing.render import route_as_json

__all__ = ["as_json"]


def as_json(effect: Effect, stack: str, sides: tuple[str, str]) -> dict[str, Any]:
    """A change as an object. Keys are always there; a side that has nothing is null.

    - ``stack``, ``before``, ``after``: what was compared; ``changed``; ``summary``: the sentence, in Markdown.
    - ``routes``: those that differ, as ``{"route", "before", "after"}``, each side as ``abtest explain`` has it.
    - ``moved``: ``{"from", "to", "example"}``: requests that went from one route to another; ``example`` is a request
      as ``abtest explain --requests`` takes it, null where it is not certain that there is any.
    - ``shadowed``: ``{"route", "by", "why"}``: routes that no request reaches any more.
    - ``stickySeconds``: how long clients keep a variant whose share goes down; ``chosenAnew``: variants whose clients
      are free at once.
    - ``notDrained``: ``{"variant", "route", "share", "stickySeconds"}``: variants that leave a route which still gives
      them new clients, and how long those would keep them.
    - ``guardrailsOff``: why no guardrail holds for the change, in Markdown; null where they do, or there are none.
    - ``guardrailsLoosened``: ``{"path", "before", "after"}``: limits of one update that get looser.
    - ``refused``: why the update would not be made, as far as files tell.
    - ``replaced``: ``{"what", "variant", "count", "exact", "certain", "why"}``: so many, or more where that is not
      exact; ``why`` holds key paths.
    - ``settings``: ``{"path", "before", "after"}``: every value that differs apart from weights and rules.
    - ``updates``: ``{"created", "updated", "replaced", "deleted"}``: names of listeners and rules.
    """
    return {
        "stack": stack,
        "before": sides[0],
        "after": sides[1],
        "changed": effect.is_change,
        "summary": summary(effect),
        "routes": [_pair(pair) for pair in effect.changed],
        "moved": [_move(move) for move in effect.crossed],
        "shadowed": [
            {"route": title(shadow.route), "by": list(map(title, shadow.by)), "why": shadow.why}
            for shadow in effect.shadowed
        ],
        "stickySeconds": effect.lag_seconds,
        "chosenAnew": list(effect.freed),
        "notDrained": [_leaving(found) for found in effect.undrained],
        "guardrailsOff": unguarded_words(effect) if effect.unguarded_by else None,
        "guardrailsLoosened": [asdict(limit) for limit in effect.loosened],
        "refused": list(effect.refused),
        "replaced": [asdict(found) for found in effect.replaced],
        "settings": [asdict(setting) for setting in effect.settings],
        "updates": asdict(effect.updates),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    was, now = (route and route_as_json(route) for route in (pair.before, pair.after))
    return {"route": title(pair.shown), "before": was, "after": now}


def _leaving(found: Leaving) -> dict[str, Any]:
    return {
        "variant": found.variant,
        "route": title(found.route),
        "share": float(found.share),
        "stickySeconds": found.route.action.stickiness_seconds,
    }


def _move(move: Move) -> dict[str, Any]:
    return {"from": title(move.before), "to": title(move.after), "example": move.example and _request(move.example)}


def _request(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "host": request.host,
        "path": request.path,
        "query": request.query,
        "headers": {name: list(lines) for name, lines in (request.headers or {}).items()},
        "sourceIp": str(request.source_ip),
    }
