"""A window of time, cut where the split changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from abtest.readout.periods import DeployedSplit, Period, periods

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def split(minutes: float, b: int, sticky: int = 0) -> DeployedSplit:
    """An update that takes a minute and leaves b with that percentage."""
    weights = {"a": 100 - b, "b": b}
    return DeployedSplit(started=at(minutes), ended=at(minutes + 1), weights=weights, stickiness_seconds=sticky)


def cut(*history: DeployedSplit, start: float = 0, end: float = 60) -> list[tuple[float, float, int]]:
    """Minutes and the percentage of b."""
    found = periods(history, at(start), at(end))
    return [
        ((p.start - NOON) / timedelta(minutes=1), (p.end - NOON) / timedelta(minutes=1), p.weights["b"]) for p in found
    ]


def test_a_window_is_cut_at_each_change_and_leaves_out_the_updates() -> None:
    assert cut(split(-100, 0), split(10, 10), split(30, 20)) == [(0, 10, 0), (11, 30, 10), (31, 60, 20)]


def test_updates_that_leave_the_split_as_it_is_cut_nothing() -> None:
    assert cut(split(-100, 10), split(10, 10), split(20, 10), split(30, 20)) == [(0, 30, 10), (31, 60, 20)]


def test_before_the_first_known_split_there_is_no_period() -> None:
    assert cut(split(40, 10)) == [(41, 60, 10)]
    assert cut() == []


def test_what_lies_outside_of_the_window_is_left_out() -> None:
    assert cut(split(-100, 10), split(-50, 20), split(70, 30)) == [(0, 60, 20)]
    assert cut(split(-100, 10), split(-0.5, 20), end=0.2) == []


def test_a_period_knows_how_long_clients_may_be_stuck_to_what_was_before() -> None:
    history = [split(-100, 0, sticky=3600), split(10, 10), split(20, 10, sticky=60), split(100, 20, sticky=60)]
    found = periods(history, at(0), at(120))
    assert [(p.stickiness_seconds, p.earlier_stickiness) for p in found] == [
        (3600, 0),
        (0, 3600),
        (60, 3600),
        (60, 60),
    ]
    assert isinstance(found[0], Period)


def test_in_a_window_long_after_a_change_nobody_is_stuck() -> None:
    history = [split(-300, 0, sticky=3600), split(-60, 10, sticky=3600)]

    def stuck(start: float) -> int:
        return periods(history, at(start), at(60))[-1].earlier_stickiness

    assert stuck(0) == 3600
    assert stuck(1) == 0
