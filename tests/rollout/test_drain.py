"""Clients that may be stuck to a variant that is taken out: pure, from routes and the times of updates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from abtest.rollout.drain import leaving, stuck_until
from abtest.routing import RoutingTable
from tests.configs import config, experiment, rule

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
HALVES = rule(priority=20, when={"path": ["/h"]}, forward={"a": 50, "b": 50})
BASE: dict[str, Any] = {"weights": {"a": 90, "b": 10}, "stickinessSeconds": 3600, "rules": {"halves": HALVES}}
WARM, OUT = {"weights": {"a": 1, "b": 0}}, {"weights": {"a": 1}}


def table(**changes: Any) -> RoutingTable:
    return RoutingTable.from_experiment(experiment(config(**BASE | changes)))


def left(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return list(map(str, leaving(table(**before), experiment(config(**BASE | after)))))


def ago(minutes: int, **changes: Any) -> tuple[datetime, RoutingTable]:
    """An update that ended so long ago."""
    return NOW - timedelta(minutes=minutes), table(**changes)


def minutes_left(before: dict[str, Any], *history: tuple[datetime, RoutingTable]) -> float:
    """For how long clients may be stuck to b, which leaves the main split now."""
    (found,) = leaving(table(**before), experiment(config(**BASE | OUT)))
    return (stuck_until(found, NOW, history) - NOW) / timedelta(minutes=1)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, OUT, ["b leaves the main split"]),
        (WARM, OUT, ["b leaves the main split"]),
        ({}, WARM, []),
        ({}, {"rules": {"halves": HALVES | {"forward": "a"}}}, ["b leaves rule halves"]),
        ({}, {"rules": {"renamed": HALVES | {"forward": "a"}}}, ["b leaves rule halves"]),
        ({}, {"rules": {}}, []),
        ({}, {"rules": {"halves": rule(priority=20, when={"path": ["/h"]}, forward=None, respond={"status": 404})}}, []),
        ({}, {**OUT, "held": ["b"]}, []),
        ({}, {"override": {}}, []),
        ({"stickinessSeconds": 0}, OUT, []),
    ],
    ids=["with a share", "warm", "weight 0", "out of a rule", "of another name", "a rule that is gone", "no forward", "held", "an override", "not sticky"],
)  # fmt: skip
def test_what_is_no_longer_in_a_sticky_forward_leaves_it(
    before: dict[str, Any], after: dict[str, Any], expected: list[str]
) -> None:
    assert left(before, after) == expected


def test_with_a_share_of_today_clients_are_stuck_from_now_on() -> None:
    assert minutes_left({}) == 60


def test_clients_are_stuck_until_the_update_that_took_the_share_and_the_stickiness_after_it() -> None:
    assert minutes_left(WARM, ago(20, **WARM), ago(300)) == 40
    assert minutes_left(WARM, ago(5, **WARM), ago(20, **WARM), ago(300)) == 40
    assert minutes_left(WARM, ago(61, **WARM), ago(300)) == 0


def test_the_stickiness_of_that_time_counts() -> None:
    assert minutes_left(WARM, ago(20, **WARM), ago(300, stickinessSeconds=7200)) == 100
    assert minutes_left(WARM, ago(20, **WARM), ago(300, stickinessSeconds=60), ago(400, stickinessSeconds=36000)) == 300
    assert minutes_left(WARM, ago(20, **WARM), ago(300, stickinessSeconds=0)) == 0


def test_a_share_that_no_successful_update_took_was_there_until_now() -> None:
    assert minutes_left(WARM, ago(300)) == 60


def test_without_any_share_in_the_history_nobody_is_stuck() -> None:
    assert minutes_left(WARM) == 0
    assert minutes_left(WARM, ago(20, **WARM), ago(300, **OUT)) == 0
