"""What a source gives: a small table, from which the statistics work whatever its source was."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from math import ceil

from abtest.readout.sums import Sums

__all__ = [
    "BYTES",
    "ERRORS",
    "LATENCY",
    "POSITIONS",
    "Cell",
    "Latencies",
    "Lines",
    "Step",
    "Table",
    "Targets",
    "slower_than",
]

#: Answers with 5xx, those that the load balancer gave for a variant's targets (502, 503, 504) included.
ERRORS = "errors"
#: Seconds, of requests that were answered; a WebSocket is none of them.
LATENCY = "latency"
#: Sent to the client.
BYTES = "bytes"
#: The quantiles of latency that are described.
POSITIONS = (0.5, 0.9, 0.99)

#: What all paths but those with most requests are called together.
OTHER_PATHS = "(other)"

#: Period (its number), route and variant.
Cell = tuple[int, str, str]
#: The same, and when the step begins.
Step = tuple[int, str, str, datetime]


def slower_than(seconds: float) -> str:
    """The metric of the share of answered requests that took longer."""
    return f"slower than {seconds:g} s"


@dataclass(frozen=True, kw_only=True)
class Lines:
    """What became of the lines that were read. Each counts once: as parsed, as foreign (of another load balancer) or as
    skipped (no access log line). ``unreadable`` are files that cannot be read to their end; none of their lines counts.

    Of the parsed ones, ``outside`` are in no period, ``unknown`` of target groups that have no variant, by ARN.
    ``load_balancers`` are those that wrote them, where none was asked for.
    """

    parsed: int = 0
    foreign: int = 0
    skipped: int = 0
    unreadable: tuple[str, ...] = ()
    outside: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    load_balancers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """How long a variant's answers on a route took: how many each millisecond, the unit that the load balancer logs.

    ``within`` are, by position, the Sums of being no slower than the quantile there: what its interval needs.
    """

    counts: Mapping[int, int]
    within: Mapping[float, Sums] = field(default_factory=dict)

    @cached_property
    def n(self) -> int:
        return sum(self.counts.values())

    @cached_property
    def _ranks(self) -> tuple[list[int], list[int]]:
        """Milliseconds in their order, and how many answers took no longer."""
        milliseconds = sorted(self.counts)
        return milliseconds, list(accumulate(self.counts[each] for each in milliseconds))

    def quantile(self, position: float) -> float:
        """The seconds within which that part of the answers came, for a position from 0 to 1. Needs an answer."""
        milliseconds, ranks = self._ranks
        # A position such as 1 - 0.9 must not fall on the next rank for its last bit.
        rank = min(max(ceil(position * self.n - 1e-9), 1), self.n)
        return milliseconds[bisect_left(ranks, rank)] / 1000


@dataclass(frozen=True, kw_only=True)
class Targets:
    """How a variant's targets were at their worst: the fewest that were healthy, and the most that were not."""

    fewest_healthy: int
    most_unhealthy: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the values of one name. Each counts once: as ``matched`` to the variant that answered, and else

    - ``unmatched``: no request in the logs has its trace.
    - ``not_compared``: one has, and is not compared: of another route, time, load balancer, target group, or ``stuck``.
    - ``ambiguous``: several have, answered by different variants.
    - ``duplicates``: the trace had a value already, and the first counts.
    - ``unreadable``: not a number, and not one of true, false, yes and no; ``example`` is one of these texts.

    ``is_share``: all that can be read are 0 or 1, or false or true.
    """

    matched: int = 0
    unmatched: int = 0
    not_compared: int = 0
    ambiguous: int = 0
    duplicates: int = 0
    unreadable: int = 0
    is_share: bool = False
    example: str = ""


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What became of a file of outcomes. ``unreadable`` of its rows are broken or have no trace; none of their values
    counts.
    """

    rows: int
    unreadable: int
    by_name: Mapping[str, Outcome]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Counts and Sums over units of one source.

    - ``window``: when the first and the last request within the periods were received; None without one.
    - ``cells``: by metric, of routes and periods that choose between variants, and of units that were free to choose in
      the period. Outcomes are metrics by their names: n are a unit's matched outcomes, y what they add up to.
    - ``stuck``: requests that are left out of those, by route: their units may have kept what an earlier split gave
      them. ``untold``: of units of which the logs begin too late to tell.
    - ``first_seen``: independent choices. Under stickiness, of units that chose within the period: the requests of the
      millisecond in which each was seen first, none of which had a cookie yet; without it, all requests.
    - ``mixed``: units that one period's route gave several variants: clients behind one address, or without cookies.
    - ``steps``: as cells, of each stretch of ``step_seconds`` alone. ``so_far``: of the period up to its end. Both have
      the steps in which there were requests, in their order.
    - ``latencies``: of compared requests, by route and variant.
    - ``statuses``: of all requests within the periods, by route, variant and status. No route: no rule was reached. No
      variant: no target group was chosen, or one that has no variant.
    - ``not_randomised``: requests of routes and periods that do not choose between variants, by route.
    - ``paths``: of compared requests, by path and variant, the paths with most requests first; the rest are
      ``OTHER_PATHS``. Empty unless asked for.
    - ``outcomes``: None unless there is a file of them.

    Of CloudWatch alone, which knows no clients:

    - ``described``: quantiles of latency in seconds over the whole window, by variant and position.
    - ``unattributed``: the load balancer's own answers with a 5xx, by status; of which variant, only logs say.
    - ``targets``: by variant.
    """

    lines: Lines
    window: tuple[datetime, datetime] | None = None
    cells: Mapping[Cell, Mapping[str, Sums]] = field(default_factory=dict)
    stuck: Mapping[str, int] = field(default_factory=dict)
    untold: Mapping[str, int] = field(default_factory=dict)
    first_seen: Mapping[Cell, int] = field(default_factory=dict)
    mixed: Mapping[tuple[int, str], int] = field(default_factory=dict)
    step_seconds: int = 3600
    steps: Mapping[Step, Mapping[str, Sums]] = field(default_factory=dict)
    so_far: Mapping[Step, Mapping[str, Sums]] = field(default_factory=dict)
    latencies: Mapping[tuple[str, str], Latencies] = field(default_factory=dict)
    statuses: Mapping[tuple[str | None, str | None, int], int] = field(default_factory=dict)
    not_randomised: Mapping[str, int] = field(default_factory=dict)
    paths: Mapping[tuple[str, str], Mapping[str, Sums]] = field(default_factory=dict)
    outcomes: Outcomes | None = None
    described: Mapping[str, Mapping[float, float]] = field(default_factory=dict)
    unattributed: Mapping[int, int] = field(default_factory=dict)
    targets: Mapping[str, Targets] = field(default_factory=dict)
