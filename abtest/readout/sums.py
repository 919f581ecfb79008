"""What a ratio metric needs of the traffic: sums over units, whichever source they come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sums"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """Sums over units: for each unit its number of requests n, and what the metric adds up to over them, y.

    A unit is what was given a variant: a client, in the terms of an access log its address. For errors y counts the
    unit's failed requests; for latency it is their time together, in seconds.
    """

    units: int = 0
    n: float = 0.0
    y: float = 0.0
    nn: float = 0.0
    ny: float = 0.0
    yy: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        """The sums over both. No unit may be in both, or it would count as two."""
        return Sums(
            units=self.units + other.units,
            n=self.n + other.n,
            y=self.y + other.y,
            nn=self.nn + other.nn,
            ny=self.ny + other.ny,
            yy=self.yy + other.yy,
        )
