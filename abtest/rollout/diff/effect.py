"""What a change of a stack file does, once it is deployed.

**No change in effect** is said only when all of these hold for both versions:

- every request has the same action: the same shares of new clients (90/10 and 9/1 are the same), the same variants at
  weight 0, the same stickiness, redirect or answer; so rules may be renamed, split, joined, and renumbered or reordered
  where no request tells;
- no rule newly stands where no request reaches it;
- nothing is replaced, and every other value is the same, defaults written out or not, in any order of keys and of
  list entries; scripts are compared by their contents, encrypted values as they are encrypted.

It is about the config. A newer version of this program or of its sample model server is no part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from abtest.experiment import Experiment
from abtest.rollout.diff.replacement import Replacement, replacements
from abtest.rollout.diff.settings import Setting, changed_settings, is_below
from abtest.rollout.diff.traffic import Move, asks_for, moves
from abtest.rollout.diff.updates import Updates, updates
from abtest.rollout.diff.version import Version
from abtest.rollout.drain import Leaving, leaving
from abtest.rollout.exposure import gains, without_rules
from abtest.rollout.judgement import ELSEWHERE, Standing, loosened, problems, unannounced, unmovable
from abtest.routing import Route, RoutingTable, Shadow, shadows

__all__ = ["Effect", "Pair", "compare"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A route before and after: what asks for the same, or else has the same name. None where one side has none."""

    before: Route | None
    after: Route | None

    @property
    def shown(self) -> Route:
        """The route as it is, or as it was."""
        return next(route for route in (self.after, self.before) if route is not None)

    @property
    def differs(self) -> bool:
        was, now = self.before, self.after
        return was is None or now is None or was.action != now.action or asks_for(was) != asks_for(now)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The difference between two versions; a version that is None is a stack that is not there.

    ``pairs`` are in the order of evaluation. ``lag_seconds`` is how long clients may keep a variant whose share goes
    down; ``freed`` are the variants whose clients are reassigned immediately, ``undrained`` those that leave a route
    which still gives them new clients. ``shadowed`` are the routes that no request reaches any more.
    ``refused`` says why the update would not be made, as far as files tell.
    """

    before: Version | None
    after: Version | None
    pairs: tuple[Pair, ...]
    moves: tuple[Move, ...] = ()
    shadowed: tuple[Shadow, ...] = ()
    lag_seconds: int = 0
    freed: tuple[str, ...] = ()
    undrained: tuple[Leaving, ...] = ()
    replaced: tuple[Replacement, ...] = ()
    settings: tuple[Setting, ...] = ()
    updates: Updates
    refused: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        return self.is_one_sided or bool(self.moves or self.shadowed or self.replaced or self.settings)

    @property
    def is_one_sided(self) -> bool:
        return self.before is None or self.after is None

    @cached_property
    def changed(self) -> tuple[Pair, ...]:
        """The routes that say something else, so that some request is treated differently."""
        moved = [route for move in self.moves for route in (move.before, move.after)]
        return tuple(
            pair
            for pair in self.pairs
            if self.is_one_sided or (pair.differs and (pair.before in moved or pair.after in moved))
        )

    @property
    def unguarded_by(self) -> str | None:
        """The key path that switches the guardrails off, by being there or by being gone; None where they hold, or were
        never there.
        """
        if self.before is None or self.after is None:
            return None
        was, now = self.before.experiment.guardrails, self.after.experiment.guardrails
        if was is not None and now is None:
            return "abtest:guardrails"
        return "abtest:guardrails.suspend" if now is not None and now.suspend is not None else None

    @property
    def loosened(self) -> tuple[Setting, ...]:
        """The limits of one update that get looser."""
        if self.before is None or self.after is None:
            return ()
        keys = loosened(self.before.experiment.guardrails, self.after.experiment.guardrails)
        return tuple(
            Setting(path=f"abtest:guardrails.{key}", before=was, after=now) for key, (was, now) in keys.items()
        )

    def is_told(self, setting: Setting) -> bool:
        """Whether a setting is told elsewhere, as the reason of something else."""
        reasons = (path for found in self.replaced for path in found.why)
        paths = [*reasons, self.unguarded_by or "", *(limit.path for limit in self.loosened)]
        return any(is_below(setting, path) for path in paths)

    @property
    def crossed(self) -> tuple[Move, ...]:
        """The moves from one route to another."""
        same = [(pair.before, pair.after) for pair in self.pairs]
        return tuple(move for move in self.moves if (move.before, move.after) not in same)


def compare(before: Version | None, after: Version | None) -> Effect:
    """What happens when ``after`` takes the place of ``before``."""
    tables = _table(before), _table(after)
    found = tuple(_pairs(*tables))
    if before is None or after is None:
        refused = tuple(unannounced(after.experiment)) if after is not None else ()
        return Effect(before=before, after=after, pairs=found, updates=updates(before, after, ()), refused=refused)
    replaced = replacements(before, after)
    groups = {r.variant for r in replaced if r.what == "target group" and r.certain and r.variant is not None}
    moved = tuple(moves(*tables))
    return Effect(
        before=before,
        after=after,
        pairs=found,
        moves=moved,
        shadowed=tuple(_shadowed(*tables, found)),
        lag_seconds=before.experiment.stickiness_seconds * any(_lags(move, groups) for move in moved),
        freed=tuple(sorted({*_left(moved), *(groups & _sticky(tables[0]))})),
        undrained=tuple(found for found in leaving(tables[0], after.experiment) if found.share),
        replaced=replaced,
        settings=changed_settings(before, after),
        refused=(*_elsewhere(before.experiment, after.experiment), *_refused(tables[0], before, after, groups)),
        updates=updates(
            before,
            after,
            groups,
            new_balancer=any(r.what == "load balancer" and r.certain for r in replaced),
        ),
    )


def _table(version: Version | None) -> RoutingTable:
    if version is None:
        return RoutingTable(routes=(), protocol="HTTP", port=80)
    return RoutingTable.from_experiment(version.experiment)


def _pairs(before: RoutingTable, after: RoutingTable) -> Iterator[Pair]:
    left = list(before.routes)
    found: dict[int, Route] = {}
    for same in (_are_splits, _ask_the_same, _are_called_the_same):
        for n, route in enumerate(after.routes):
            twin = next((other for other in left if n not in found and same(route, other)), None)
            if twin is not None:
                found[n] = twin
                left.remove(twin)
    both = [Pair(before=found.get(n), after=route) for n, route in enumerate(after.routes)]
    yield from sorted([*both, *(Pair(before=route, after=None) for route in left)], key=_place)


def _are_splits(route: Route, other: Route) -> bool:
    return route.is_split and other.is_split


def _ask_the_same(route: Route, other: Route) -> bool:
    return asks_for(route) == asks_for(other)


def _are_called_the_same(route: Route, other: Route) -> bool:
    return route.name is not None and route.name == other.name


def _place(pair: Pair) -> tuple[bool, int]:
    priority = pair.shown.priority
    return priority is None, priority or 0


def _shadowed(before: RoutingTable, after: RoutingTable, found: tuple[Pair, ...]) -> Iterator[Shadow]:
    """What certainly takes no request, and did before or is new."""
    already = [shadow.route for shadow in shadows(before) if shadow.certain]
    for shadow in shadows(after):
        twin = next(pair.before for pair in found if pair.after is shadow.route)
        if shadow.certain and twin not in already:
            yield shadow


def _elsewhere(before: Experiment, after: Experiment) -> Iterator[str]:
    one, other = ((side.listener.arn or "").rpartition("/")[0] for side in (before, after))
    if one != other:
        yield ELSEWHERE


def _refused(table: RoutingTable, before: Version, after: Version, groups: Collection[str]) -> Iterator[str]:
    """What the guard (abtest/rollout/guard.py) says if ``before`` is deployed, healthy and without an alarm."""
    was, now = before.experiment, after.experiment
    if now.guardrails is not None and now.guardrails.suspend is not None:
        return
    standing = Standing(
        split=table.split.action.shares,
        known={name for route in table.routes for name in route.action.shares},
        held=was.held,
        control=was.control,
        rails=was.guardrails,
        healthy=lambda _: sys.maxsize,
        alarms=tuple,
        stack=after.stack,
    )
    deployed, wanted = (
        without_rules(_table(side), side.experiment.override_priorities.values()) for side in (before, after)
    )
    yield from problems(now, standing, gains(deployed, wanted, now.dns.name if now.dns else None))
    yield from (unmovable(name) for name in sorted(groups) if name in now.services)


# Clients that have a variant ------------------------------------------------------------------------------------------
#
# A cookie holds for the duration that was set when it was made, in every forward that names its target group, at weight
# 0 too (ALB guide, "Sticky sessions"). What leaves the forward, or gets another target group, leaves its clients free.


def _lags(move: Move, groups: Collection[str]) -> bool:
    """Whether clients go on taking a variant whose share goes down."""
    was, now = move.before.action, move.after.action
    return bool(was.stickiness_seconds and now.stickiness_seconds) and any(
        now.shares[name] < share for name, share in was.shares.items() if name in now.shares and name not in groups
    )


def _left(found: Collection[Move]) -> Iterator[str]:
    """The variants that leave a forward."""
    for move in found:
        was, now = move.before.action, move.after.action
        if was.stickiness_seconds and now.kind == "forward" and asks_for(move.before) == asks_for(move.after):
            yield from was.shares.keys() - now.shares.keys()


def _sticky(table: RoutingTable) -> set[str]:
    """The variants that may have sticky clients."""
    return {name for route in table.routes if route.action.stickiness_seconds for name in route.action.shares}
