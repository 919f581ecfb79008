"""Units made up for tests: for each its requests and what its metric adds up to."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import reduce
from operator import add

from hypothesis import strategies as st

from abtest.readout.sums import Sums

__all__ = ["FEW", "UNITS", "Unit", "clients", "repeated", "sums_of"]

Unit = tuple[float, float]

#: Units with a share as their metric.
UNITS = st.lists(st.integers(1, 50).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))), max_size=30)
#: Anything that a source may deliver.
FEW = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 10**9)), st.one_of(st.just(0.0), st.floats(-1e200, 1e200))),
    max_size=5,
)


def sums_of(units: Iterable[Unit]) -> Sums:
    each = (Sums(units=1, n=n, y=y, nn=n * n, ny=n * y, yy=y * y) for n, y in units)
    return reduce(add, each, Sums())


def repeated(sums: Sums, times: int) -> Sums:
    """So many times the same units."""
    return reduce(add, [sums] * times)


def clients(count: int, rate: float, seed: int) -> list[Unit]:
    """Clients that send 1 to many requests, whose part that fails is alike for one client."""
    rng = random.Random(seed)
    found: list[Unit] = []
    for _ in range(count):
        n = 1 + int(rng.expovariate(0.2))
        own = rng.betavariate(rate * 9, (1 - rate) * 9)
        found.append((n, sum(rng.random() < own for _ in range(n))))
    return found
