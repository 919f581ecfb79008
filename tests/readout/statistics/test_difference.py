"""The difference of a variant from the control, against tea-tasting, and where plain formulas mislead."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from abtest.readout.statistics import Pair, difference, ratio
from abtest.readout.statistics.difference import pooled
from abtest.readout.sums import Sums
from tests.readout.statistics.units import UNITS, Unit, clients, repeated, sums_of


@pytest.mark.parametrize("seed", range(3))
def test_effect_and_error_are_those_of_tea_tasting_where_both_arms_are_large(seed: int) -> None:
    """Its own variances: the error here is theirs, or more where both variants together vary more than one of them."""
    import pandas as pd
    import tea_tasting  # takes over a second, which each worker of the tests would wait for

    arms = [clients(500, 0.1, seed), clients(500, 0.1, seed + 100)]
    rows = [(arm, n, y) for arm, units in enumerate(arms) for n, y in units]
    oracle = tea_tasting.Experiment(r=tea_tasting.RatioOfMeans("y", "n", use_t=False, equal_var=False)).analyze(
        pd.DataFrame(rows, columns=["variant", "n", "y"]), control=0
    )["r"]
    pair = sums_of(arms[0]), sums_of(arms[1])

    found = difference([pair], is_share=True)

    assert found is not None
    assert found.control == pytest.approx(oracle.control, rel=1e-12)
    assert found.variant == pytest.approx(oracle.treatment, rel=1e-12)
    assert found.value == pytest.approx(oracle.effect_size, abs=1e-14)
    own = [ratio(sums) for sums in pair]
    plain = math.hypot(*(each.error for each in own if each))
    assert plain == pytest.approx((oracle.effect_size_ci_upper - oracle.effect_size) / 1.959964, rel=1e-6)
    assert plain <= found.error <= plain * 1.15


def test_a_variant_that_met_no_rare_failure_yet_is_not_known_to_have_none() -> None:
    """At 1 % of failing clients, 100 clients meet none in one of three experiments."""
    control = sums_of([(5, 1)] * 9 + [(5, 0)] * 891)
    found = difference([(control, sums_of([(5, 0)] * 100))], is_share=True)
    assert found is not None
    assert abs(found.value) < 1.96 * found.error


def test_where_nothing_failed_a_failure_of_one_more_client_is_not_ruled_out() -> None:
    """By the rule of three, 3 of 100 clients may yet fail of those that did not."""
    found = difference([(sums_of([(5, 0)] * 900), sums_of([(5, 0)] * 100))], is_share=True)
    assert found is not None
    assert found.value == 0
    assert 0.001 < found.error < 0.01


def test_with_one_request_each_a_share_has_the_variance_of_agresti_and_caffo() -> None:
    found = pooled((sums_of([(1, 0)] * 60 + [(1, 1)] * 3), sums_of([(1, 0)] * 35)), is_share=True)
    share = (3 + 1) / (98 + 2)
    assert found is not None
    assert found.mean == pytest.approx(share)
    assert found.variance == pytest.approx(share * (1 - share) * 100 / 99)
    assert found.units == 100


def test_a_mean_that_never_varies_is_certain() -> None:
    pair = sums_of([(n, 2.0 * n) for n in range(1, 100)]), sums_of([(n, 2.0 * n) for n in range(1, 60)])
    found = difference([pair], is_share=False)
    assert found is not None
    assert (found.value, found.error) == (0, 0)


def test_the_own_variance_counts_where_it_is_the_larger() -> None:
    calm, wild = sums_of([(1, 1.0), (1, 1.2)] * 500), sums_of([(1, 0.0), (1, 9.0)] * 50)
    found, own = difference([(calm, wild)], is_share=False), ratio(wild)
    assert found is not None
    assert own is not None
    assert found.error >= own.error


def test_periods_of_other_weights_are_compared_each_by_itself() -> None:
    """Errors are 1 % in the morning and 10 % in the afternoon, with both variants; added up, b would seem far worse."""
    good, bad = [(100, 1)], [(100, 10)]
    morning = sums_of(good * 900), sums_of(good * 100)
    afternoon = sums_of(bad * 500), sums_of(bad * 500)

    found = difference([morning, afternoon], is_share=True)
    added = difference([(morning[0] + afternoon[0], morning[1] + afternoon[1])], is_share=True)

    assert found is not None
    assert added is not None
    assert found.value == pytest.approx(0, abs=1e-15)
    assert added.value > 0.04


def test_a_period_counts_by_its_requests_with_both() -> None:
    long = sums_of([(10, 1)] * 90), sums_of([(10, 2)] * 10)
    short = sums_of([(1, 0), (1, 1)] * 5), sums_of([(1, 1)] * 10)
    found = difference([long, short], is_share=True)
    assert found is not None
    weights = 900 * 100 / 1000, 10 * 10 / 20
    assert found.value == pytest.approx((weights[0] * 0.1 + weights[1] * 0.5) / sum(weights))


def test_clients_that_come_back_in_the_next_period_bring_no_certainty() -> None:
    """The same units twice have the error of one time: they may be the same clients, that do the same."""
    pair = sums_of(clients(300, 0.1, 1)), sums_of(clients(300, 0.1, 2))
    once, twice = difference([pair], is_share=True), difference([pair, pair], is_share=True)
    assert once is not None
    assert twice is not None
    assert twice.error == pytest.approx(once.error)
    assert twice.value == pytest.approx(once.value)


@pytest.mark.parametrize(
    "pair", [(Sums(), Sums()), (sums_of([(1, 0)] * 9), sums_of([(3, 1)])), (Sums(), sums_of([(1, 0)] * 9))]
)
def test_a_period_without_both_variants_does_not_count(pair: Pair) -> None:
    other = sums_of(clients(100, 0.1, 1)), sums_of(clients(100, 0.1, 2))
    assert difference([pair], is_share=True) is None
    assert difference([pair, other], is_share=True) == difference([other], is_share=True)
    assert difference([], is_share=True) is None


def test_four_times_the_units_have_half_the_error() -> None:
    pair = sums_of([(3, 0), (2, 1)] * 4000), sums_of([(3, 0), (2, 1)] * 1000)
    once = difference([pair], is_share=True)
    more = difference([(repeated(pair[0], 4), repeated(pair[1], 4))], is_share=True)
    assert once is not None
    assert more is not None
    assert more.error == pytest.approx(once.error / 2, rel=0.01)


@given(UNITS, UNITS)
def test_with_the_variants_swapped_it_has_the_other_sign(some: list[Unit], others: list[Unit]) -> None:
    there = difference([(sums_of(some), sums_of(others))], is_share=True)
    back = difference([(sums_of(others), sums_of(some))], is_share=True)
    assert (there is None) == (back is None)
    if there and back:
        assert there.value == pytest.approx(-back.value)
        assert there.error == pytest.approx(back.error)
