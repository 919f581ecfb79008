"""What a source is asked: which requests count, and what they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from abtest.readout.periods import Period

__all__ = ["DEFAULT_ROUTE", "Question", "Unit"]

#: The default action, as people call it.
DEFAULT_ROUTE = "main split"

#: What is taken for a client. An access log has no cookie.
Unit = Literal["address", "address+agent"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """``variants`` are by target group: its ARN, its name, or its name without what the engine appends to it; several
    groups may be of one variant, as after a replacement. ``routes`` are by rule priority, 0 being the default action; a
    priority without a name is called by its number. With ``is_shared`` the listener is somebody else's: what takes
    none of these rules is foreign. ``splits`` are the routes that choose between variants: by their own weights, or,
    with None, by the main split's. ``load_balancer`` is ``app/NAME/ID``: what another one wrote is foreign; None takes
    any.

    ``step_seconds`` is how long a point in a picture is; None: as the window that was seen asks for.

    ``logs_from`` says since when every request is in the logs; None: since the first one in them.

    ``outcomes`` is a file that says what became of requests (outcomes.py); ``by_path`` adds sums by path.
    """

    periods: Sequence[Period]
    variants: Mapping[str, str]
    routes: Mapping[int, str] = field(default_factory=dict)
    is_shared: bool = False
    splits: Mapping[str, Mapping[str, int] | None] = field(default_factory=lambda: {DEFAULT_ROUTE: None})
    load_balancer: str | None = None
    unit: Unit = "address"
    slower_than: Sequence[float] = (0.5,)
    step_seconds: int | None = None
    logs_from: datetime | None = None
    outcomes: Path | None = None
    by_path: bool = False

    def route(self, priority: int) -> str:
        return self.routes.get(priority) or (f"rule {priority}" if priority else DEFAULT_ROUTE)

    def weights(self, period: Period, route: str) -> Mapping[str, int]:
        """The split of new clients that was asked for; empty where the route chooses nothing, or nobody knows what."""
        if route not in self.splits or not period.weights:
            return {}
        own = self.splits[route]
        return period.weights if own is None else own

    def is_randomised(self, period: Period, route: str) -> bool:
        """Whether new clients could meet one variant or another, so that the two can be compared."""
        return len(self.choices(period, route)) > 1

    def choices(self, period: Period, route: str) -> frozenset[str]:
        """The variants that new clients could meet. Another one's clients have kept it, and prove nothing."""
        return frozenset(name for name, weight in self.weights(period, route).items() if weight > 0)
