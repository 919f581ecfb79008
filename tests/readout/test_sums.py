"""Sums are the same however the units come together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from abtest.readout.sums import Sums
from tests.readout.statistics.units import UNITS, sums_of


@given(UNITS, UNITS)
def test_sums_of_two_groups_of_units_are_the_sums_of_all(
    some: list[tuple[int, int]], others: list[tuple[int, int]]
) -> None:
    assert sums_of(some) + sums_of(others) == sums_of([*some, *others])


@given(st.integers(1, 50), st.integers(-50, 50))
def test_one_unit_has_its_squares_and_its_product(n: int, y: int) -> None:
    assert sums_of([(n, y)]) == Sums(units=1, n=n, y=y, nn=n * n, ny=n * y, yy=y * y)


def test_nothing_adds_nothing() -> None:
    some = sums_of([(3, 1), (2, 0)])
    assert some + Sums() == some
