"""The split that was asked for: a window of time, cut where the split changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

__all__ = ["DeployedSplit", "Period", "periods"]


@dataclass(frozen=True, kw_only=True)
class DeployedSplit:
    """A split that was deployed: from some moment between ``started`` and ``ended`` on, ``weights`` held."""

    started: datetime
    ended: datetime
    weights: Mapping[str, int]
    stickiness_seconds: int


@dataclass(frozen=True, kw_only=True)
class Period:
    """A time in which one split held. ``earlier_stickiness`` is how long clients keep what earlier splits gave them:
    the longest of those that may still hold at the start; 0 where nobody can be stuck any more.
    """

    start: datetime
    end: datetime
    weights: Mapping[str, int]
    stickiness_seconds: int
    earlier_stickiness: int


def periods(history: Iterable[DeployedSplit], start: datetime, end: datetime) -> tuple[Period, ...]:
    """The periods of a window, the oldest first, from the splits that were deployed, the oldest first.

    What happens while an update runs belongs to no period: nobody knows which split a request met. Updates that leave
    the split as it is cut nothing. Before the first known split there is no period.
    """
    return tuple(_cut(list(_changes(history)), start, end))


def _changes(history: Iterable[DeployedSplit]) -> Iterator[DeployedSplit]:
    """Those that changed something."""
    before = None
    for found in history:
        if before is None or (found.weights, found.stickiness_seconds) != (before.weights, before.stickiness_seconds):
            yield found
        before = found


def _cut(changes: list[DeployedSplit], start: datetime, end: datetime) -> Iterator[Period]:
    for n, found in enumerate(changes):
        since = max(found.ended, start)
        until = min(changes[n + 1].started if n + 1 < len(changes) else end, end)
        if since < until:
            yield Period(
                start=since,
                end=until,
                weights=found.weights,
                stickiness_seconds=found.stickiness_seconds,
                earlier_stickiness=max(_stuck(changes[: n + 1], since), default=0),
            )


def _stuck(changes: Iterable[DeployedSplit], at: datetime) -> Iterator[int]:
    """The stickiness of those before the last one that some client may still be stuck to."""
    for earlier, later in pairwise(changes):
        if later.ended + timedelta(seconds=earlier.stickiness_seconds) > at:
            yield earlier.stickiness_seconds
