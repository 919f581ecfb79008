"""The split check, against scipy; and that it may be looked at as often as one likes."""

from __future__ import annotations

import math
from itertools import product

import pytest
import scipy  # its parts are loaded when they are used
from hypothesis import given
from hypothesis import strategies as st

from abtest.readout.statistics import Split, check_split
from abtest.readout.statistics.split import chi_square_tail

COUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 10**7))
WEIGHTS = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 999)).filter(lambda weights: any(weights.values()))


def checked(*periods: tuple[dict[str, int], dict[str, int]]) -> Split:
    found = check_split(periods)
    assert found is not None
    return found


@pytest.mark.parametrize("degrees", [*range(1, 9), 31, 200])
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 2, 11, 60, 250, 1400])
def test_the_tail_of_the_chi_square_is_exact(value: float, degrees: int) -> None:
    assert chi_square_tail(value, degrees) == pytest.approx(scipy.stats.chi2.sf(value, degrees), rel=1e-11, abs=1e-300)


def test_a_tail_beyond_all_numbers_is_nothing() -> None:
    assert chi_square_tail(1e9, 3) == 0


def test_chi_square_and_p_value_are_those_of_scipy() -> None:
    found = checked(({"a": 90, "b": 7, "c": 3}, {"a": 8800, "b": 800, "c": 350}))
    oracle = scipy.stats.chisquare([8800, 800, 350], [9950 * 0.9, 9950 * 0.07, 9950 * 0.03])
    assert (found.chi_square, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert found.degrees == 2


def test_evidence_is_the_odds_of_other_splits_against_the_one_asked_for() -> None:
    found = checked(({"a": 9, "b": 1}, {"a": 850, "b": 150}))
    other = scipy.stats.dirichlet_multinomial.logpmf([850, 150], [450, 50], 1000)
    asked = scipy.stats.multinomial.logpmf([850, 150], 1000, [0.9, 0.1])
    assert found.log_evidence == pytest.approx(other - asked)


def test_the_evidence_of_a_correct_split_is_one_on_the_average() -> None:
    """What makes looking often harmless: over all that eight clients may choose, whatever was seen before."""
    weights, shares = {"a": 3, "b": 1}, {"a": 0.75, "b": 0.25}
    expected = 0.0
    for chosen in product("ab", repeat=8):
        evidence = checked((weights, {v: chosen.count(v) for v in "ab"})).log_evidence
        expected += math.exp(evidence) * math.prod(shares[v] for v in chosen)
    assert expected == pytest.approx(1)


def test_a_variant_with_weight_0_is_no_degree_of_freedom_and_its_clients_are_strays() -> None:
    with_c = checked(({"a": 90, "b": 10, "c": 0}, {"a": 880, "b": 120, "c": 3, "d": 2, "e": 0}))
    without = checked(({"a": 90, "b": 10}, {"a": 880, "b": 120}))
    assert with_c.stray == {"c": 3, "d": 2}
    assert (with_c.degrees, with_c.p_value, with_c.log_evidence) == (1, without.p_value, without.log_evidence)
    assert with_c.seen == {"a": 880, "b": 120}


def test_periods_add_up() -> None:
    first = ({"a": 90, "b": 10}, {"a": 880, "b": 120})
    second = ({"a": 50, "b": 50, "c": 20}, {"a": 510, "b": 490, "c": 230})
    one, two, both = checked(first), checked(second), checked(first, second)
    assert both.chi_square == pytest.approx(one.chi_square + two.chi_square)
    assert both.degrees == 3
    assert both.p_value == pytest.approx(scipy.stats.chi2.sf(both.chi_square, 3))
    assert both.log_evidence == pytest.approx(one.log_evidence + two.log_evidence)
    assert both.expected == {"a": 900 + 1230 * 5 / 12, "b": 100 + 1230 * 5 / 12, "c": pytest.approx(205)}
    assert both.seen == {"a": 1390, "b": 610, "c": 230}


def test_errors_of_two_periods_do_not_cancel_out() -> None:
    """Together the counts are as asked, 100 of each; neither period is."""
    found = checked(({"a": 1, "b": 1}, {"a": 900, "b": 100}), ({"a": 1, "b": 1}, {"a": 100, "b": 900}))
    assert found.is_off()


@pytest.mark.parametrize(
    ("counts", "off"),
    [
        ({"a": 9000, "b": 1000}, False),
        ({"a": 8930, "b": 1070}, False),
        ({"a": 8800, "b": 1200}, True),
        ({"a": 400}, True),
    ],
)
def test_a_split_is_off_when_chance_hardly_explains_it(counts: dict[str, int], *, off: bool) -> None:
    assert checked(({"a": 90, "b": 10}, counts)).is_off() == off


def test_off_means_evidence_of_one_over_alpha() -> None:
    found = checked(({"a": 9, "b": 1}, {"a": 850, "b": 150}))
    exact = math.exp(-found.log_evidence)
    assert found.is_off(exact * 1.001)
    assert not found.is_off(exact * 0.999)


@pytest.mark.parametrize(
    "periods",
    [[], [({"a": 1, "b": 1}, {})], [({"a": 1}, {"a": 9})], [({"a": 1, "b": 0}, {"a": 9, "b": 1})], [({}, {"a": 3})]],
)
def test_without_a_choice_there_is_nothing_to_check(periods: list[tuple[dict[str, int], dict[str, int]]]) -> None:
    assert check_split(periods) is None


@given(st.lists(st.tuples(WEIGHTS, COUNTS), max_size=4))
def test_any_counts_have_a_meaning(periods: list[tuple[dict[str, int], dict[str, int]]]) -> None:
    found = check_split(periods)
    if found:
        assert 0 <= found.p_value <= 1
        assert math.isfinite(found.log_evidence)
        assert sum(found.expected.values()) == pytest.approx(sum(found.seen.values()))
