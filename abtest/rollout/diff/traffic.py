"""Which requests two routing tables treat differently.

Routes are compared by what they take. A rule of the one table and a rule of the other meet in the requests that ask for
what both ask for, and that no earlier rule of either table takes: those went to the first and go to the second now.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from abtest.rollout.diff.overlap import are_apart, narrowed
from abtest.routing import Request, Route, RoutingTable, example
from abtest.routing.conditions import Condition
from abtest.routing.examples import attempts, one_value_each
from abtest.routing.inclusion import includes, is_known, without_implied

__all__ = ["Move", "asks_for", "moves"]

Asked = frozenset[Hashable]


@dataclass(frozen=True, kw_only=True)
class Move:
    """Requests that ``before`` took and ``after`` takes now, which does something else.

    ``example`` is one of them. Where it is None there may be none: none was found, nor was that proven.
    """

    before: Route
    after: Route
    example: Request | None


def asks_for(route: Route) -> Asked:
    """What a route asks for, whatever it is called, and however its values are written and ordered."""
    return frozenset(_normal(condition, route) for condition in route.conditions)


def _normal(condition: Condition, route: Route) -> Hashable:
    """All that is known of what is encrypted is whose it is."""
    return condition.normal if is_known(condition) else (condition.normal, route.name)


#: Pairs of routes for which requests are tried, requests each, and earlier rules that are looked through for proofs.
#: Behind that, what may meet counts as met. Changes that people make take some hundreds.
_PAIRS, _REQUESTS, _RULES = 500, 8, 2_000
#: Sets of single values for which a proof is tried.
_SETS = 100


def moves(before: RoutingTable, after: RoutingTable) -> Iterator[Move]:
    """Every two routes that do different things and meet, or may meet.

    When there are none, every request has the same action on both sides: a pair is left out only where both do the
    same, where earlier rules take all that both ask for, or where nothing asks for both.
    """
    left = _RULES
    for n, (owner, taker, earlier) in enumerate(_candidates(before, after)):
        met = _Meeting(owner, taker, earlier, after)
        found = met.plain_example() if n < _PAIRS else None
        if found is None and left > 0:
            left -= 1 + len(earlier)
            if met.is_empty():
                continue
            found = met.example()
        yield Move(before=owner, after=taker, example=found)


def _candidates(before: RoutingTable, after: RoutingTable) -> Iterator[tuple[Route, Route, list[Route]]]:
    """Pairs of routes that may meet, with the earlier rules of both tables that ask for anything of the same."""
    asked = [asks_for(route) for route in before.routes], [asks_for(route) for route in after.routes]
    # The first rule of the other table that asks for no more than this one: nothing gets past it.
    stops = _stops(*asked), _stops(asked[1], asked[0])
    for j, taker in enumerate(after.routes):
        for i, owner in enumerate(before.routes):
            if owner.action == taker.action or stops[0][i] < j or stops[1][j] < i:
                continue
            if not are_apart(owner.conditions, taker.conditions):
                both = (*owner.conditions, *taker.conditions)
                earlier = (*before.routes[:i], *after.routes[:j])
                yield owner, taker, [route for route in earlier if not are_apart(route.conditions, both)]


def _stops(asked: Sequence[Asked], others: Sequence[Asked]) -> list[int]:
    return [next(n for n, other in enumerate(others) if other <= conditions) for conditions in asked]


@dataclass(frozen=True)
class _Meeting:
    """What two routes both ask for and no ``earlier`` rule takes; ``table`` is one of theirs."""

    owner: Route
    taker: Route
    earlier: Sequence[Route]
    table: RoutingTable

    def _narrowed(self) -> tuple[RoutingTable, Route]:
        """A table in which a rule of its own takes it, or a part of it."""
        default = self.table.routes[-1]
        conditions = narrowed(self.owner.conditions, self.taker.conditions)
        route = Route(priority=0, name=None, conditions=conditions, action=default.action)
        return replace(self.table, routes=(*self.earlier, route, default)), route

    def plain_example(self) -> Request | None:
        table, route = self._narrowed()
        return next((request for request, by in islice(attempts(table, route), _REQUESTS) if by is route), None)

    def example(self) -> Request | None:
        return example(*self._narrowed())

    def is_empty(self) -> bool:
        """Whether that is certainly nothing: value by value, an earlier rule takes it."""
        sets = one_value_each(without_implied((*self.owner.conditions, *self.taker.conditions)))
        return all(n < _SETS and self._is_taken(one) for n, one in enumerate(sets))

    def _is_taken(self, conditions: Sequence[Condition]) -> bool:
        return any(includes(route.conditions, conditions) for route in self.earlier)
