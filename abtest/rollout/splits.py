"""The splits that were asked for: what the updates of a stack set, as a readout needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from abtest.experiment import Experiment, Source, try_load
from abtest.experiment.types import SPLIT
from abtest.readout.periods import DeployedSplit
from abtest.readout.question import DEFAULT_ROUTE
from abtest.rollout.engine import Update, updates
from abtest.routing import RoutingTable

__all__ = ["History", "Routes", "routes_of", "splits_of"]


@dataclass(frozen=True)
class Routes:
    """``names`` are routes by the priority of their rule, 0 being the default action. ``splits`` are those that choose
    between variants, by their own weights, or, with None, by the main split's.
    """

    names: Mapping[int, str]
    splits: Mapping[str, Mapping[str, int] | None]

    @property
    def choosing(self) -> Mapping[int, Mapping[str, int] | None]:
        """The splits by priority: as far as these are the same, a log can be read."""
        return {priority: self.splits[name] for priority, name in self.names.items() if name in self.splits}


@dataclass(frozen=True)
class History:
    """``sets`` are the oldest first, without weights where nobody knows the split. ``since`` is when the rules came to
    split as they do now: a log has priorities alone, so that requests before it cannot be told apart. None where that
    was always so.
    """

    sets: tuple[DeployedSplit, ...]
    since: datetime | None


def routes_of(experiment: Experiment) -> Routes:
    """What a log's priorities mean while this config is deployed."""
    rules = {rule.priority: (name, rule.forward) for name, rule in experiment.rules.items()}
    split = experiment.listener.split
    main = {split.priority: DEFAULT_ROUTE, 0: "default action"} if split else {0: DEFAULT_ROUTE}
    names = main | {priority: name for priority, (name, _) in rules.items()}
    for route in RoutingTable.from_experiment(experiment).routes:
        if route.priority is not None and route.priority not in names:
            names[route.priority] = f"override {', '.join(route.action.shares)}"
    splits: dict[str, Mapping[str, int] | None] = {DEFAULT_ROUTE: None}
    for name, forward in rules.values():
        if forward == SPLIT:
            splits[name] = None
        elif isinstance(forward, Mapping):
            splits[name] = forward
    return Routes(names, splits)


def splits_of(history: Sequence[Update], like: Source, routes: Routes) -> History:
    """What the updates set, of which the history has the newest first. After one that failed nobody knows the split."""
    sets: list[DeployedSplit] = []
    for update in updates(history):
        if update.ended is None:
            continue
        experiment, _ = try_load(update.source(like))
        is_other = update.succeeded and routes_of(experiment).choosing != routes.choosing
        sets.append(
            DeployedSplit(
                started=update.started,
                ended=update.ended,
                weights=dict(experiment.weights) if update.succeeded and not is_other else {},
                stickiness_seconds=experiment.stickiness_seconds,
            )
        )
        if is_other:  # clients may still be stuck to what it gave them
            return History(tuple(reversed(sets)), sets[-2].ended if len(sets) > 1 else update.ended)
    return History(tuple(reversed(sets)), None)
