"""What a reader is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from abtest.readout.statistics import (
    BYTES,
    ERROR_RATE,
    LATENCY,
    Comparison,
    Design,
    Difference,
    Interval,
    Metric,
    Split,
    Verdict,
    check_split,
    compare,
    conclusion,
    effect,
    outcome,
    sentence,
    single_look,
    slower_than,
    split_sentence,
    standing,
    would_show,
)
from abtest.readout.statistics.metrics import number
from abtest.readout.sums import Sums

OFF = check_split([({"a": 90, "b": 10}, {"a": 8500, "b": 1500})])
FINE = check_split([({"a": 90, "b": 10}, {"a": 8987, "b": 1013})])


def seen(verdict: Verdict, value: float, low: float, high: float, metric: Metric = ERROR_RATE) -> Comparison:
    return Comparison(
        metric=metric,
        control="a",
        variant="b",
        control_units=900,
        variant_units=100,
        verdict=verdict,
        difference=Difference(control=1.0, variant=1.0 + value, error=0.1),
        always=Interval(low, high),
    )


NONE = compare(ERROR_RATE, "a", "b", [(Sums(units=900), Sums(units=12))], Design())
WORSE = seen("worse", 0.0124, 0.0078, 0.0171)
BETTER = seen("better", -0.0312, -0.0379, -0.0244, LATENCY)
HARMLESS = seen("no evidence", 0.0002, -0.0008, 0.0011, slower_than(0.5))


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (WORSE, "b is worse: error rate +1.2 points [0.8, 1.7]"),
        (BETTER, "b is better: mean latency \N{MINUS SIGN}31 ms [\N{MINUS SIGN}38, \N{MINUS SIGN}24]"),
        (HARMLESS, "no evidence of harm: share slower than 0.5 s +0.02 points [\N{MINUS SIGN}0.08, 0.11]"),
        (seen("different", 4e6, 3e6, 5e6, BYTES), "b is different: mean size +4,000,000 bytes [3,000,000, 5,000,000]"),
        (seen("no evidence", 1.5, -9, 12, BYTES), "no evidence of a difference: mean size +2 bytes [\N{MINUS SIGN}9, 12]"),
        (seen("better", 0.5, 0.25, 0.75, outcome("clicks")), "b is better: clicks +0.50 [0.25, 0.75]"),
        (NONE, "error rate: no data: b has 12 clients, 50 are needed"),
    ],
)  # fmt: skip
def test_a_verdict_is_a_sentence(comparison: Comparison, words: str) -> None:
    assert sentence(comparison) == words


@pytest.mark.parametrize(
    ("value", "low", "high", "words"),
    [
        (0.05, 0.0004, 0.1, "+5.00 points [0.04, 10.00]"),
        (0.05, 0.004, 0.1, "+5.0 points [0.4, 10.0]"),
        (0.02, 0.0164, 0.0236, "+2.0 points [1.6, 2.4]"),
        (0.02, 0.0171, 0.0229, "+2.00 points [1.71, 2.29]"),
        (0.01, 0.01, 0.01, "+1 point [1, 1]"),
        (0.0, 0.0, 0.0, "+0 points [0, 0]"),
        (1e-12, 1e-30, 2e-12, "+0.000000000 points [0.000000000, 0.000000000]"),
    ],
)
def test_an_interval_that_leaves_out_0_does_not_seem_to_touch_it(
    value: float, low: float, high: float, words: str
) -> None:
    assert effect(seen("worse", value, low, high)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (1.0, "1"),
        (0.123456, "0.123"),
        (1500.0, "1,500"),
        (1234567.0, "1,230,000"),
        (-0.05, "\N{MINUS SIGN}0.05"),
    ],
)
def test_a_number_has_three_digits_that_count_and_no_exponent(value: float, words: str) -> None:
    assert number(value) == words


def test_an_effect_needs_data() -> None:
    with pytest.raises(ValueError, match="without data"):
        effect(NONE)


def test_the_split_is_told_in_shares() -> None:
    assert (
        split_sentence(FINE) == "split is as asked: a 89.9 % (asked 90.0 %), b 10.1 % (asked 10.0 %) of 10,000 clients"
    )
    assert (
        split_sentence(OFF)
        == "split is not as asked: a 85.0 % (asked 90.0 %), b 15.0 % (asked 10.0 %) of 10,000 clients"
    )
    assert split_sentence(None) == "split: no data"


@pytest.mark.parametrize(
    ("metric", "size", "hours", "words"),
    [
        (ERROR_RATE, 0.01, 6.2, "1 point of error rate would show in about 6 h"),
        (ERROR_RATE, 0.002, 75, "0.2 points of error rate would show in about 3 days"),
        (ERROR_RATE, 0.01, 480, "1 point of error rate would show in about 20 days"),
        (ERROR_RATE, 0.01, 48, "1 point of error rate would show in about 2 days"),
        (ERROR_RATE, 0.01, 47, "1 point of error rate would show in about 47 h"),
        (ERROR_RATE, 0.01, 2, "1 point of error rate would show in about 2 h"),
        (BYTES, 12345.6, 1.5, "12,300 bytes of mean size would show in about 90 min"),
        (LATENCY, 0.012, 0.3, "12 ms of mean latency would show in about 18 min"),
        (LATENCY, 0.012, 0.0001, "12 ms of mean latency would show in about 1 min"),
        (ERROR_RATE, 0.01, 0, "1 point of error rate would show by now"),
        (ERROR_RATE, 0.01, -3, "1 point of error rate would show by now"),
        (ERROR_RATE, 0.01, None, "1 point of error rate would not show at this rate"),
    ],
)
def test_a_reader_is_told_when_a_difference_would_show(
    metric: Metric, size: float, hours: float | None, words: str
) -> None:
    assert would_show(metric, size, hours) == words


def test_latency_is_told_in_milliseconds() -> None:
    assert LATENCY.amount(1.5, 0) == LATENCY.amount(1.5) == "1,500 ms"


def test_the_difference_worth_seeing_is_a_point_or_a_tenth() -> None:
    assert ERROR_RATE.step(0.3) == 0.01
    assert LATENCY.step(0.25) == 0.025
    assert outcome("margin").step(-4) == 0.4


@pytest.mark.parametrize(
    ("comparisons", "split", "words"),
    [
        (
            [BETTER, WORSE, HARMLESS],
            FINE,
            "b is worse: error rate +1.2 points [0.8, 1.7]; better: mean latency \N{MINUS SIGN}31 ms [\N{MINUS SIGN}38, \N{MINUS SIGN}24]",
        ),
        ([WORSE, WORSE], None, "b is worse: error rate +1.2 points [0.8, 1.7], error rate +1.2 points [0.8, 1.7]"),
        (
            [HARMLESS, BETTER],
            FINE,
            "b is better: mean latency \N{MINUS SIGN}31 ms [\N{MINUS SIGN}38, \N{MINUS SIGN}24]",
        ),
        (
            [HARMLESS, NONE],
            FINE,
            "b: no evidence of harm: share slower than 0.5 s +0.02 points [\N{MINUS SIGN}0.08, 0.11]",
        ),
        (
            [HARMLESS, seen("different", 4e6, 3e6, 5e6, BYTES)],
            FINE,
            "b is different: mean size +4,000,000 bytes [3,000,000, 5,000,000]; no evidence of harm: share slower than 0.5 s +0.02 points [\N{MINUS SIGN}0.08, 0.11]",
        ),
        ([NONE], FINE, "b: no data: b has 12 clients, 50 are needed"),
        ([], None, "b: no data"),
        ([WORSE], OFF, f"no verdict on b: the {split_sentence(OFF)}; find out why first"),
    ],
)
def test_health_comes_first_then_harm_then_gain(comparisons: list[Comparison], split: Split | None, words: str) -> None:
    assert conclusion("b", comparisons, split) == words


@pytest.mark.parametrize(
    ("comparisons", "split", "word"),
    [
        ([BETTER, WORSE], FINE, "worse"),
        ([HARMLESS, BETTER], FINE, "better"),
        ([NONE, HARMLESS], None, "no evidence"),
        ([NONE], FINE, "no data"),
        ([], None, "no data"),
        ([WORSE], OFF, "no verdict"),
    ],
)
def test_a_variant_stands_as_the_conclusion_says(comparisons: list[Comparison], split: Split | None, word: str) -> None:
    assert standing("b", comparisons, split) == word


def test_the_interval_for_a_single_look_is_told_beside() -> None:
    assert single_look(replace(WORSE, fixed=Interval(0.0091, 0.0154))) == "[0.9, 1.5]"
    assert not single_look(NONE)


def test_without_stickiness_requests_are_what_was_split() -> None:
    assert split_sentence(FINE, "requests").endswith(" of 10,000 requests")
    assert "of 10,000 requests; find out why" in conclusion("b", [WORSE], OFF, "requests")


def test_a_conclusion_is_of_its_variant_alone() -> None:
    assert conclusion("c", [WORSE], FINE) == "c: no data"
