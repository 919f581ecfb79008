"""Clients that may still be stuck to a variant that is taken out of a route.

A cookie holds for the duration that was set when it was made, at weight 0 too (ALB guide, "Sticky sessions"). What
leaves the route leaves its clients free at once: they get another model in the middle of what they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from abtest.experiment import Experiment
from abtest.routing import Route, RoutingTable

__all__ = ["Leaving", "leaving", "stuck_until"]


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """A variant that leaves a route, given as it was, which keeps its clients."""

    variant: str
    route: Route

    @property
    def share(self) -> Fraction:
        """What it still has of new clients."""
        return self.route.action.shares[self.variant]

    def __str__(self) -> str:
        return f"{self.variant} leaves {self.route.called}"


def leaving(before: RoutingTable, experiment: Experiment) -> Iterator[Leaving]:
    """Every variant that leaves a route, but those that are held: a rollback takes them out on purpose.

    Clients of a route that is no more are left to where its requests go then.
    """
    for route in RoutingTable.from_experiment(experiment).routes:
        was = _same_route(before, route)
        if was is not None and was.action.stickiness_seconds and route.action.kind == "forward":
            gone = was.action.shares.keys() - route.action.shares.keys() - {*experiment.held}
            yield from (Leaving(variant=name, route=was) for name in sorted(gone))


def stuck_until(found: Leaving, now: datetime, history: Iterable[tuple[datetime, RoutingTable]]) -> datetime:
    """Until when clients may be stuck to it; ``now`` if none is. ``history`` are the updates that succeeded, the newest
    first: when each ended, and the routes from then on.
    """
    if found.share:
        return now + timedelta(seconds=found.route.action.stickiness_seconds)
    until = next_end = now
    for ended, table in history:
        route = _same_route(table, found.route)
        if route is not None and route.action.shares.get(found.variant):
            until = max(until, next_end + timedelta(seconds=route.action.stickiness_seconds))
        next_end = ended
    return until


def _same_route(table: RoutingTable, route: Route) -> Route | None:
    """The route of another table that has the name of this one, else the one that asks for the same."""
    if route.is_split:
        return next((other for other in table.routes if other.is_split), None)
    named = (other for other in table.routes if route.name is not None and other.name == route.name)
    alike = (other for other in table.routes if other.asked == route.asked)
    return next(named, None) or next(alike, None)
