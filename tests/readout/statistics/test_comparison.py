"""Verdicts: who is worse, who is better, and when nobody can say."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given

from abtest.readout.statistics import (
    BYTES,
    ERROR_RATE,
    LATENCY,
    Comparison,
    Design,
    Metric,
    compare,
    compare_all,
    outcome,
    slower_than,
)
from abtest.readout.statistics.intervals import always_valid, one_sided_reach
from abtest.readout.sums import Sums
from tests.readout.statistics.units import FEW, Unit, sums_of


def of(failing: int, clients: int = 1000) -> Sums:
    """Clients of five requests, of which so many fail one."""
    return sums_of([(5, 1)] * failing + [(5, 0)] * (clients - failing))


def judged(control: Sums, variant: Sums, metric: Metric = ERROR_RATE, **design: Any) -> Comparison:
    return compare(metric, "a", "b", [(control, variant)], Design(**design))


@pytest.mark.parametrize(
    ("metric", "control", "variant", "verdict"),
    [
        (ERROR_RATE, 20, 200, "worse"),
        (ERROR_RATE, 200, 20, "better"),
        (ERROR_RATE, 100, 110, "no evidence"),
        (slower_than(0.5), 20, 200, "worse"),
        (LATENCY, 20, 200, "worse"),
        (outcome("clicks"), 20, 200, "better"),
        (outcome("clicks"), 200, 20, "worse"),
        (outcome("complaints", better="lower"), 20, 200, "worse"),
        (BYTES, 20, 200, "different"),
        (BYTES, 100, 110, "no evidence"),
    ],
)
def test_the_verdict_is_that_of_the_interval_that_holds_at_every_look(
    metric: Metric, control: int, variant: int, verdict: str
) -> None:
    assert judged(of(control), of(variant), metric).verdict == verdict


def test_a_difference_that_shows_in_one_look_alone_is_no_verdict() -> None:
    found = judged(of(100), of(131))
    assert found.fixed is not None
    assert found.always is not None
    assert found.fixed.low > 0 > found.always.low
    assert found.verdict == "no evidence"


def test_it_says_how_sure_it_is() -> None:
    found = judged(of(20), of(200), comparisons=4, expected_units=700)
    assert found.difference is not None
    value, error = found.difference.value, found.difference.error
    assert value == pytest.approx(0.036)
    assert found.fixed == pytest.approx((value - 1.959964 * error, value + 1.959964 * error))
    assert found.always == always_valid(value, error, 2000, 0.05 / 4, 700)
    assert found.at_least == pytest.approx(value - one_sided_reach(2000, 0.05 / 4, 700) * error)


def test_more_comparisons_ask_more_of_each() -> None:
    one, many = judged(of(100), of(160)), judged(of(100), of(160), comparisons=20)
    assert (one.verdict, many.verdict) == ("worse", "no evidence")
    assert one.fixed == many.fixed


@pytest.mark.parametrize(("clients", "verdict"), [(49, "no data"), (50, "worse")])
def test_few_clients_are_no_data_however_bad_they_look(clients: int, verdict: str) -> None:
    found = judged(of(0, 5000), of(clients, clients))
    assert found.verdict == verdict
    assert (found.control_units, found.variant_units) == (5000, clients)
    assert found.worse_by(0.1) == (verdict == "worse")
    if verdict == "no data":
        assert (found.difference, found.fixed, found.always, found.at_least) == (None, None, None, None)
        assert found.missing == "b has 49 clients, 50 are needed"


def test_the_floor_is_for_the_control_too_and_can_be_chosen() -> None:
    assert judged(of(1, 1), of(200)).missing == "a has 1 client, 50 are needed"
    assert judged(of(0, 3000), of(20, 20), min_units=20).verdict == "worse"


def test_a_client_of_several_periods_counts_once() -> None:
    """40 clients in each of two periods may be 40 clients."""
    found = compare(ERROR_RATE, "a", "b", [(of(1), of(1, 40)), (of(1), of(1, 40))], Design())
    assert (found.verdict, found.variant_units) == ("no data", 40)


def test_periods_that_have_one_variant_each_have_nothing_to_compare() -> None:
    found = compare(ERROR_RATE, "a", "b", [(of(1), Sums()), (Sums(), of(1))], Design())
    assert (found.verdict, found.missing) == ("no data", "no period has requests of both variants")


def test_a_guard_acts_only_past_its_limit() -> None:
    found = judged(of(20), of(200))
    assert found.at_least is not None
    assert 0.02 < found.at_least < 0.036
    assert found.worse_by(0.02)
    assert found.worse_by(found.at_least - 1e-9)
    assert not found.worse_by(found.at_least)
    assert not found.worse_by(0.036)


def test_a_guard_knows_which_side_is_worse() -> None:
    assert judged(of(200), of(20), outcome("clicks")).worse_by(0.02)
    assert not judged(of(20), of(200), outcome("clicks")).worse_by(0)
    assert not judged(of(200), of(20)).worse_by(0)
    assert judged(of(20), of(200), BYTES).at_least is None


@pytest.mark.parametrize("sums", [of(30), sums_of([(4, 2)] * 100)])
def test_identical_variants_differ_in_nothing(sums: Sums) -> None:
    found = judged(sums, sums, LATENCY)
    assert found.difference is not None
    assert (found.verdict, found.difference.value) == ("no evidence", 0)
    assert not found.worse_by(0)


def test_a_design_asks_for_what_the_documents_say() -> None:
    assert Design() == Design(alpha=0.05, comparisons=1, expected_units=5000, min_units=50)
    assert Design().alpha_each == 0.05
    assert Design(comparisons=4).alpha_each == 0.0125
    assert Design(comparisons=0).alpha_each == 0.05


def test_without_periods_there_are_no_clients() -> None:
    found = compare(ERROR_RATE, "a", "b", [], Design())
    assert (found.control_units, found.variant_units, found.missing) == (0, 0, "b has 0 clients, 50 are needed")


def test_every_variant_is_compared_with_the_control_in_every_metric() -> None:
    cells = {
        "a": {"errors": of(20), "latency": of(20)},
        "b": {"errors": of(200), "latency": of(20)},
        "c": {"errors": of(20)},
    }
    found = compare_all([ERROR_RATE, LATENCY], [cells], "a", ["a", "b", "c", "d"], Design())
    assert [(each.variant, each.metric.name, each.verdict) for each in found] == [
        ("b", "errors", "worse"),
        ("b", "latency", "no evidence"),
        ("c", "errors", "no evidence"),
        ("c", "latency", "no data"),
        ("d", "errors", "no data"),
        ("d", "latency", "no data"),
    ]
    assert {each.control for each in found} == {"a"}


@given(FEW, FEW)
def test_any_sums_have_a_verdict(control: list[Unit], variant: list[Unit]) -> None:
    found = judged(sums_of(control), sums_of(variant), min_units=0)
    assert (found.always is None) == (found.verdict == "no data")
    if found.always and found.fixed:
        assert all(map(math.isfinite, [*found.always, *found.fixed]))
        assert found.always.low <= found.fixed.low <= found.fixed.high <= found.always.high
