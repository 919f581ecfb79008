"""The clients that a variant gains by an update, kind by kind of request: pure.

Two routes, one of the deployed table and one of the wanted table, make a kind: the requests that the first takes now
and the second would take. All of them have the same shares before, and the same shares after. So rules may be renamed,
renumbered or reordered; only requests that change their shares count.

- A request that no variant answers has 0 of each: a fixed response, a redirect to another host, another owner's rule.
- A redirect to the same listener (the host of the request, of some rule or of the DNS record) has the shares of the
  request that it leads to. If a redirect is the same in both tables, so is its destination, which is a kind of its own.
  If not, rules take its place (abtest/routing/redirects.py). If no conditions can say where it leads, its requests
  count as having 0 before, and the largest share of any rule after.
- Rules that force a variant are left out of both tables: only testers use them.
- A kind without an example may be empty. It counts all the same, and the message says so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from abtest.rollout.diff.overlap import narrowed
from abtest.rollout.diff.traffic import Move, moves
from abtest.rollout.diff.wording import request_words, shortened
from abtest.routing import Route, RoutingTable, percent
from abtest.routing.conditions import Condition
from abtest.routing.redirects import UnclearError, follow

__all__ = ["Gain", "gains", "without_rules"]

Shares = Mapping[str, Fraction]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A variant that gets more of some requests than it does now."""

    variant: str
    before: Fraction
    after: Fraction
    move: Move

    @property
    def points(self) -> Fraction:
        return (self.after - self.before) * 100

    @property
    def is_of_split(self) -> bool:
        return self.move.before.is_split and self.move.after.is_split

    def __str__(self) -> str:
        was, now = self.move.before, self.move.after
        if (was.called, was.asked, was.action.kind) == (now.called, now.asked, now.action.kind):
            return f"{self.variant} would go from {percent(self.before)} to {percent(self.after)} on {now.called}"
        does = [f"{shortened(str(route.action), 80)} ({route.called})" for route in (was, now)]
        return f"requests {_whom(was, now)} would go from {does[0]} to {does[1]}, {self._example}"

    @property
    def _example(self) -> str:
        request = self.move.example
        if request is None:
            return "if there are any: no example was found, and no proof that none exists"
        words = request_words(request, (self.move.before, self.move.after)).removeprefix(f"{request.method} ")
        return f"for example {request.method} {shortened(words, 120)}"


def gains(before: RoutingTable, after: RoutingTable, host: str | None = None) -> tuple[Gain, ...]:
    """Every gain, the largest first; those without an example come last. ``host`` is a name of the listener."""
    found = [
        Gain(variant=name, before=was.get(name, Fraction(0)), after=share, move=move)
        for move, was, now in _kinds(before, after, host)
        for name, share in now.items()
        if share > was.get(name, 0)
    ]
    return tuple(sorted(found, key=lambda gain: (gain.move.example is None, -gain.points)))


def without_rules(table: RoutingTable, priorities: Collection[int]) -> RoutingTable:
    return replace(table, routes=tuple(route for route in table.routes if route.priority not in priorities))


def _kinds(before: RoutingTable, after: RoutingTable, host: str | None) -> Iterator[tuple[Move, Shares, Shares]]:
    """Requests that are treated differently, and their shares before and after."""
    found = list(moves(before, after))
    locations = {route.action.location for move in found for route in (move.before, move.after)} - {""}
    routes = (*before.routes, *after.routes) if locations else ()
    hosts = [condition for route in routes for condition in route.conditions if condition.kind == "host"]
    if host is not None:
        hosts.append(Condition("host", (host,)))
    clear = {x for x in locations if _is_clear(before, x, hosts) and _is_clear(after, x, hosts)}
    if clear:
        found = list(moves(follow(before, clear, hosts), follow(after, clear, hosts)))
    for move in found:
        was, now = move.before.action, move.after.action
        if {was.location, now.location} & (locations - clear):
            move = replace(move, example=None)  # noqa: PLW2901 nothing shows where it leads
        yield move, was.shares, _largest(after) if now.location in locations - clear else now.shares


def _is_clear(table: RoutingTable, location: str, hosts: Collection[Condition]) -> bool:
    try:
        follow(table, {location}, hosts)
    except UnclearError:
        return False
    return True


def _largest(table: RoutingTable) -> Shares:
    """The largest share that each variant has of any requests."""
    found: dict[str, Fraction] = {}
    for route in table.routes:
        for name, share in route.action.shares.items():
            found[name] = max(share, found.get(name, share))
    return found


def _whom(was: Route, now: Route) -> str:
    """The requests that both routes ask for, in words."""
    asked = narrowed(was.conditions, now.conditions)
    paths = [str(value) for condition in asked if condition.kind == "path" for value in condition.values]
    others = [str(condition) for condition in asked if condition.kind != "path"]
    words = [f"to {' or '.join(paths)}"] * bool(paths) + [f"with {' and '.join(others)}"] * bool(others)
    return shortened(" ".join(words) or "that no other rule takes", 120)
