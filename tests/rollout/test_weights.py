"""Weights for a share: exact where whole weights can be, else as near as can be."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abtest.rollout.weights import asked, check_variant, share_of, weights_for
from abtest.routing import shares_of

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
WEIGHTS = st.dictionaries(NAMES, st.integers(0, 999), min_size=1).filter(lambda weights: any(weights.values()))
SHARES = st.decimals(0, 100, places=2).map(lambda points: Fraction(points) / 100)


@pytest.mark.parametrize(
    ("weights", "share", "expected"),
    [
        ({"a": 90, "b": 10}, "25", {"a": 75, "b": 25}),
        ({"a": 90, "b": 10}, "12.5", {"a": 875, "b": 125}),
        ({"a": 80, "c": 20}, "50", {"a": 40, "c": 10, "b": 50}),
        ({"a": 2, "b": 0, "c": 1}, "20", {"a": 8, "b": 3, "c": 4}),
        ({"a": 0, "b": 100}, "20", {"a": 80, "b": 20}),
        ({"b": 100, "c": 0}, "20", {"b": 20, "c": 0, "a": 80}),
        ({"a": 90, "b": 10}, "100", {"a": 0, "b": 100}),
        ({"a": 90, "b": 10}, "0", {"a": 100, "b": 0}),
        ({"a": 90, "b": 10}, "0.01", {"a": 999, "b": 1}),
        ({"a": 999, "b": 1, "c": 1}, "33.33", {"a": 999, "b": 500, "c": 1}),
        ({"a": 999, "b": 1, "c": 1}, "99", {"a": 9, "b": 990, "c": 1}),
    ],
    ids=[
        "of a hundred", "of a thousand", "new", "exact in another sum", "the control takes the rest",
        "the control enters", "all", "none", "hardly any", "the others keep their proportion",
        "nobody is left out",
    ],
)  # fmt: skip
def test_b_gets_its_share_and_the_others_the_rest(
    weights: dict[str, int], share: str, expected: dict[str, int]
) -> None:
    found = weights_for(weights, "a", "b", share_of(share))
    assert found == expected
    assert list(found) == list(expected)


def test_the_control_alone_cannot_leave_a_rest_to_nobody() -> None:
    with pytest.raises(ValueError, match="no other variant has a weight to take what a leaves"):
        weights_for({"a": 100, "b": 0}, "a", "a", Fraction(1, 2))
    assert weights_for({"a": 100, "b": 0}, "a", "a", Fraction(1)) == {"a": 100, "b": 0}


@given(WEIGHTS, NAMES, SHARES)
@settings(max_examples=40)
def test_weights_are_legal_and_leave_nobody_out(weights: dict[str, int], name: str, share: Fraction) -> None:
    found = made(weights, name, share)
    assert all(0 <= weight <= 999 for weight in found.values())
    assert {*weights, name} <= found.keys()
    others = [other for other in weights if other != name and weights[other]]
    assert all(bool(found[other]) == (share < 1) for other in others)
    assert bool(found[name]) == bool(share)


@given(WEIGHTS, NAMES, SHARES)
@settings(max_examples=40)
def test_the_share_is_met_to_a_tenth_of_a_point_and_exactly_in_tenths(
    weights: dict[str, int], name: str, share: Fraction
) -> None:
    found = shares_of(made(weights, name, share))
    least = Fraction(max(1, sum(bool(weights[other]) for other in weights if other != name)), 999)
    if least <= share <= 1 - least:
        assert abs(found[name] - share) <= Fraction(1, 2000)
        tenths = Fraction(round(share * 1000), 1000)
        assert shares_of(made(weights, name, tenths))[name] == tenths


@given(WEIGHTS, NAMES, SHARES)
@settings(max_examples=40)
def test_where_a_hundred_is_exact_the_weights_are_percentages(
    weights: dict[str, int], name: str, share: Fraction
) -> None:
    found = made(weights, name, share)
    others = shares_of({other: weight for other, weight in weights.items() if other != name})
    wanted = [share, *((1 - share) * other for other in others.values())]
    if others and all((part * 100).denominator == 1 for part in wanted):
        assert sum(found.values()) == 100
    if others and sum(found.values()) == 100:
        assert found[name] == round(share * 100)


@given(WEIGHTS, NAMES, st.integers(0, 1000))
@settings(max_examples=40)
def test_shifting_to_where_it_is_changes_nothing(weights: dict[str, int], name: str, tenths: int) -> None:
    once = made(weights, name, Fraction(tenths, 1000))
    assert made(once, name, Fraction(tenths, 1000)) == once


@given(st.integers(1, 999), st.integers(1, 999), st.integers(1, 99))
def test_two_others_keep_their_proportion_as_well_as_any_whole_weights_can(a: int, c: int, points: int) -> None:
    """Against every pair that has the same sum; where the share is in percent, it is met exactly."""
    found = made({"a": a, "c": c}, "b", Fraction(points, 100))
    rest, wanted = found["a"] + found["c"], Fraction(a, a + c)
    assert shares_of(found)["b"] == Fraction(points, 100)
    assert abs(Fraction(found["a"], rest) - wanted) == min(
        abs(Fraction(other, rest) - wanted) for other in range(1, rest)
    )


def made(weights: dict[str, int], name: str, share: Fraction) -> dict[str, int]:
    """With a control that can take the rest."""
    control = "a" if name != "a" else "b"
    return dict(weights_for(weights, control, name, share))


# What is asked for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "share"),
    [("b=25", "1/4"), ("b=12.5", "1/8"), ("b=25%", "1/4"), ("b=25 %", "1/4"), ("b=0", "0"), ("b=100", "1")],
)
def test_a_share_is_asked_for_in_percent(text: str, share: str) -> None:
    assert asked(text) == ("b", Fraction(share))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b", '"b" is not a valid share; write VARIANT=PERCENT, such as b=25'),
        ("=25", '"=25" is not a valid share; write VARIANT=PERCENT, such as b=25'),
        ("b=", '"" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5'),
        ("b=ten", '"ten" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5'),
        ("b=1e1", '"1e1" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5'),
        ("b=100.1", "100.1 is over 100; a percentage is from 0 to 100"),
        ("b=-5", "-5 is below 0; a percentage is from 0 to 100"),
    ],
)
def test_what_is_no_share_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole message is compared
        asked(text)
    assert str(caught.value) == message


def test_a_variant_that_is_not_there_is_told_with_the_nearest() -> None:
    check_variant("model-b", ["model-a", "model-b"])
    with pytest.raises(ValueError, match="there is no variant modle-b; did you mean model-b"):
        check_variant("modle-b", ["model-b"])
