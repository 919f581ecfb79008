"""Which two values enclose a quantile."""

from __future__ import annotations

import random

import pytest
import scipy  # its parts are loaded when they are used

from abtest.readout.statistics import design_effect, quantile_positions
from abtest.readout.sums import Sums
from tests.readout.statistics.units import sums_of


def test_of_independent_requests_they_are_the_order_statistics_of_the_binomial() -> None:
    n, q = 100_000, 0.9
    found = quantile_positions(q, sums_of([(1, 1)] * 90_000 + [(1, 0)] * 10_000))
    assert found is not None
    low, high = (scipy.stats.binom.ppf(p, n, q) / n for p in (0.025, 0.975))
    assert found == pytest.approx((low, high), abs=2e-5)


def test_requests_that_come_in_equal_threes_count_as_one() -> None:
    alone, threes = sums_of([(1, 1)] * 900 + [(1, 0)] * 100), sums_of([(3, 3)] * 900 + [(3, 0)] * 100)
    assert design_effect(0.9, alone) == pytest.approx(1, abs=0.01)
    assert design_effect(0.9, threes) == pytest.approx(3, abs=0.01)
    assert quantile_positions(0.9, threes) == pytest.approx(quantile_positions(0.9, alone), abs=1e-4)


def test_clients_that_balance_their_own_requests_bring_no_more_certainty_than_independent_ones() -> None:
    assert design_effect(0.5, sums_of([(2, 1)] * 100)) == 1


def test_a_side_beyond_what_was_seen_is_open() -> None:
    found = quantile_positions(0.99, sums_of([(1, 1)] * 99 + [(1, 0)]))
    assert found is not None
    low, high = found
    assert low == pytest.approx(0.97, abs=0.001)
    assert high is None
    first = quantile_positions(0.02, sums_of([(1, 1)] * 2 + [(1, 0)] * 98))
    assert first is not None
    assert first[0] is None
    assert first[1] == pytest.approx(0.047, abs=0.001)


def test_where_all_are_within_the_quantile_it_is_not_certain() -> None:
    found = quantile_positions(0.5, sums_of([(1, 1)] * 100))
    assert found == pytest.approx((0.402, 0.598), abs=0.001)


@pytest.mark.parametrize("within", [Sums(), sums_of([(9, 4)]), sums_of([(0, 0), (0, 0)])])
def test_of_one_client_nothing_can_be_said(within: Sums) -> None:
    assert quantile_positions(0.5, within) is None
    assert design_effect(0.5, within) is None


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_they_enclose_the_true_quantile_of_clustered_requests(q: float) -> None:
    """In about 95 of 100 experiments; with independent requests taken for granted it would be 70 or fewer."""
    rng = random.Random(2)
    truth = scipy.stats.norm.ppf(q)
    held = naive = 0
    for _ in range(200):
        units = []
        for _ in range(150):
            own = rng.gauss(0, 0.8)
            units.append([own + rng.gauss(0, 0.6) for _ in range(1 + int(rng.expovariate(0.1)))])
        ordered = sorted(value for unit in units for value in unit)
        quantile = ordered[int(q * len(ordered))]
        within = sums_of([(len(unit), sum(value <= quantile for value in unit)) for unit in units])
        found = quantile_positions(q, within)
        assert found is not None
        low, high = found
        assert low is not None
        assert high is not None
        held += ordered[int(low * len(ordered))] <= truth <= ordered[int(high * len(ordered))]
        half = 1.96 * (q * (1 - q) / len(ordered)) ** 0.5
        naive += ordered[int((q - half) * len(ordered))] <= truth <= ordered[int((q + half) * len(ordered))]
    assert 180 <= held <= 199
    assert naive < 150
