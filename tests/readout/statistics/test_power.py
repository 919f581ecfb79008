"""When a difference would show."""

from __future__ import annotations

from typing import Any

import pytest

from abtest.readout.statistics import Design, compare, outcome, units_to_see
from abtest.readout.statistics.difference import Pair
from abtest.readout.sums import Sums
from tests.readout.statistics.units import clients, repeated, sums_of

PAIR = sums_of(clients(900, 0.05, 1)), sums_of(clients(100, 0.05, 2))


def needed(pair: Pair = PAIR, size: float = 0.02, *, is_share: bool = True, power: float = 0.9, **design: Any) -> int:
    found = units_to_see(pair, size, is_share=is_share, design=Design(**design), power=power)
    assert found is not None
    return found


@pytest.mark.parametrize("others", [1, 3])
def test_with_so_many_clients_the_interval_leaves_out_0_nine_times_in_ten(others: int) -> None:
    """Each client's value is 0 or 2, and of b's 0.1 more: at the clients asked for, the margin of the interval and 1.28
    standard errors are that difference.
    """
    half, half_more = sums_of([(1, 0.0), (1, 2.0)]), sums_of([(1, 0.1), (1, 2.1)])
    units = needed((repeated(half, 50), repeated(half, 50 * others)), 0.1, is_share=False)
    pairs = units // (2 + 2 * others)
    pair = repeated(half, pairs), repeated(half_more, pairs * others)
    seen = compare(outcome("value"), "a", "b", [pair], Design())
    assert seen.difference is not None
    assert seen.always is not None
    margin = (seen.always.high - seen.always.low) / 2
    assert margin + 1.2816 * seen.difference.error == pytest.approx(0.1, rel=0.005)


def test_smaller_differences_more_comparisons_and_more_power_need_more_clients() -> None:
    assert needed() < needed(size=0.01) < needed(size=0.001)
    assert needed() < needed(comparisons=10)
    assert needed(power=0.5) < needed(power=0.8) < needed()


def test_a_small_share_takes_longer_than_a_half() -> None:
    even = sums_of(clients(500, 0.05, 1)), sums_of(clients(500, 0.05, 2))
    assert needed(even) < needed() / 1.5


def test_failures_bring_their_own_variance() -> None:
    """Where nothing failed so far, two points of failures would not show at once."""
    never = sums_of([(5, 0)] * 9000), sums_of([(5, 0)] * 1000)
    assert needed(never, 0.02) > 500
    assert needed(never, 0.02) > needed(never, 0.02, is_share=False)


@pytest.mark.parametrize("usual", [0.01, 0.2])
def test_both_variants_are_given_the_variance_that_the_difference_brings(usual: float) -> None:
    """With 50/50 and a difference of 20 points, that of both together, 10 points above the usual, is the control's."""

    def half(share: float) -> Sums:
        return sums_of([(1, 1)] * round(1000 * share) + [(1, 0)] * round(1000 * (1 - share)))

    now, then = half(usual), (half(usual + 0.1), half(usual + 0.2))
    assert needed((now, now), 0.2, min_units=1) == pytest.approx(
        needed(then, 0.2, is_share=False, min_units=1), rel=0.1
    )


def test_it_never_asks_for_fewer_than_a_verdict_needs() -> None:
    same = sums_of([(1, 3.0)] * 900), sums_of([(1, 3.0)] * 100)
    assert needed(same, 0.1, is_share=False) == needed((same[1], same[0]), 0.1, is_share=False) == 500
    assert needed(same, 0.1, is_share=False, min_units=200) == 2000


@pytest.mark.parametrize(
    ("pair", "size"), [((Sums(), Sums()), 0.1), ((PAIR[0], sums_of([(2, 1)])), 0.1), (PAIR, 0.0), (PAIR, -0.1)]
)
def test_what_cannot_be_told_is_not(pair: Pair, size: float) -> None:
    assert units_to_see(pair, size, is_share=True, design=Design()) is None


def test_more_than_everything_failing_is_no_mistake() -> None:
    odd = sums_of([(1, 3.0)] * 60 + [(1, 0.0)] * 60), sums_of([(1, 3.0)] * 60)
    assert needed(odd, 2.0) > 0
