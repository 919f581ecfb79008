"""The plan of a ramp: its steps, its message, its mistakes."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.rollout.schedule import _MESSAGE, Plan, check_step, schedule, seconds, short, steps

POINTS = st.decimals(0, 100, places=4).map(lambda points: Fraction(points) / 100)
NAMES = st.from_regex(r"[a-z0-9-]{1,17}", fullmatch=True)
PLANS = st.builds(
    Plan,
    variant=NAMES,
    shares=st.lists(POINTS, min_size=1, max_size=20, unique=True).map(lambda shares: tuple(sorted(shares))),
    bake_seconds=st.integers(0, 24 * 60 * 60),
    start=st.dictionaries(NAMES, st.integers(0, 999), min_size=1, max_size=5),
)


def shares(*points: float | str) -> tuple[Fraction, ...]:
    return tuple(Fraction(str(each)) / 100 for each in points)


# The message ----------------------------------------------------------------------------------------------------------

PLAN = Plan(variant="b", shares=shares(10, 20, 30, 40, 50), bake_seconds=600, start={"a": 100, "b": 0})


def test_a_message_tells_the_step_and_the_plan() -> None:
    assert PLAN.message(2) == ("abtest ramp b: step 2 of 5, 20 % (10, 20, 30, 40, 50 %; bake 10m; from a 100, b 0)")


@given(PLANS, st.data())
def test_a_plan_is_read_back_from_its_message(plan: Plan, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, len(plan.shares)))
    assert Plan.read(plan.message(step)) == (plan, step)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "abtest shift b=25",
        "Merge: abtest ramp b: step 2 of 5",
        PLAN.message(2).replace("step 2", "step 6"),
        PLAN.message(5).replace("step 5", "step 0"),
        PLAN.message(2).replace("10,", "1/0,"),
        PLAN.message(2).replace("of 5", "of 4"),
        PLAN.message(2).replace(", 20 % (", ", 25 % ("),
        PLAN.message(2).replace("a 100", "a"),
        PLAN.message(2).replace("10m", "600"),
        PLAN.message(2).replace("30", "x"),
        PLAN.message(2) + " (mine)",
    ],
)
def test_any_other_message_is_none(message: str) -> None:
    assert Plan.read(message) is None


@given(st.from_regex(_MESSAGE, fullmatch=True))
def test_what_only_looks_like_a_message_is_none_too(message: str) -> None:
    found = Plan.read(message)
    assert found is None or found[0].message(found[1]) == message


# Steps ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "to", "step", "expected"),
    [
        ("0", 50, 10, shares(10, 20, 30, 40, 50)),
        ("0", 100, 30, shares(30, 60, 90, 100)),
        ("5", 25, 50, shares(25)),
        ("12.5", 40, 12.5, shares(25, 37.5, 40)),
        ("100/3", 50, 10, shares(43.3, 50)),
        ("0", 99, 1, shares(*range(1, 100))),
        ("0.05", 0.1, 0.02, shares(0.06, 0.08, 0.1)),
    ],
)
def test_steps_go_from_the_current_share_to_the_last(
    current: str, to: float, step: float, expected: tuple[Fraction, ...]
) -> None:
    assert steps(Fraction(current) / 100, *shares(to, step)) == expected


@given(st.fractions(0, 1, max_denominator=1998), POINTS, POINTS)
def test_no_step_is_larger_than_asked_for_and_each_goes_up(current: Fraction, to: Fraction, step: Fraction) -> None:
    if current < to and step >= Fraction(1, 50):
        found = steps(current, to, step)
        assert found[-1] == to
        assert all(0 < after - before <= step for before, after in pairwise((current, *found)))


def test_a_schedule_is_percentages() -> None:
    assert schedule("1, 5,12.5%,25 %", Fraction(0)) == shares(1, 5, 12.5, 25)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: steps(*shares(25, 10, 5)),
            "10 % is not over the current share, 25 %; `shift` takes share away",
        ),
        (
            lambda: steps(*shares(25, 25, 5)),
            "25 % is not over the current share, 25 %; `shift` takes share away",
        ),
        (lambda: steps(*shares(0, 25, 0)), "steps of 0 points lead nowhere"),
        (
            lambda: steps(*shares(0, 100, 0.5)),
            "steps of 0.5 points are 200 steps; at most 100, so take larger ones",
        ),
        (lambda: schedule("1,5,5", Fraction(0)), "5 % comes after 5 %; each step is more than the one before"),
        (lambda: schedule("1,5,2", Fraction(0)), "2 % comes after 5 %; each step is more than the one before"),
        (lambda: schedule("1,500", Fraction(0)), "500 is over 100; a percentage is from 0 to 100"),
        (
            lambda: schedule("1,x", Fraction(0)),
            '"x" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5',
        ),
        (
            lambda: schedule("", Fraction(0)),
            '"" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5',
        ),
        (
            lambda: schedule("5,10", Fraction(1, 20)),
            "the first step, 5 %, is not over the current share, 5 %",
        ),
        (
            lambda: check_step(Fraction(0), shares(1, 5, 60, 100), 25),
            "step 3 goes from 5 % to 60 %, 55 points; maxStep allows 25: --schedule 1,5,30,55,60,85,100",
        ),
        (
            lambda: check_step(Fraction(1, 3), shares(60), 25),
            "step 1 goes from 33.33 % to 60 %, 26.67 points; maxStep allows 25: --schedule 58.3,60",
        ),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_one_message(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the whole message is compared
        make()
    assert str(caught.value) == message


@given(st.fractions(0, 1, max_denominator=1998), st.sets(POINTS, min_size=1, max_size=8), st.integers(1, 100))
def test_the_schedule_that_is_proposed_fits(current: Fraction, points: set[Fraction], max_step: int) -> None:
    asked = tuple(sorted(share for share in points if share > current))
    try:
        check_step(current, asked, max_step)
    except ValueError as error:
        proposed = schedule(str(error).partition("--schedule ")[2], current)
        check_step(current, proposed, max_step)
        assert set(asked) <= set(proposed)


# Times ----------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 24 * 60 * 60))
def test_a_time_is_read_as_it_is_written(number: int) -> None:
    assert seconds(short(number)) == number


@pytest.mark.parametrize(("text", "number"), [("90s", 90), ("10m", 600), ("1h30m", 5400), ("0s", 0), ("24h", 86400)])
def test_times_are_in_hours_minutes_and_seconds(text: str, number: int) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize("text", ["", "10", "m", "1.5h", "-1m", "30m1h", "10 m"])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError, match=f'"{text}" is not a valid time; write one such as 90s, 10m or 1h30m'):
        seconds(text)


def test_a_bake_is_a_day_at_most() -> None:
    with pytest.raises(ValueError, match="24h1s is over 24h, the longest time"):
        seconds("24h1s")
