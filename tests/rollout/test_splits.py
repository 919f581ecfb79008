"""What the updates of a stack set, as a readout needs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from abtest.rollout.engine import Update
from abtest.rollout.splits import History, routes_of, splits_of
from tests.configs import config, experiment, rule, source
from tests.rollout.test_status import NOW, SPLIT, update

RULES = {
    "canary": rule(priority=10, forward={"a": 1, "b": 3}),
    "mobile": rule(priority=20, forward="split"),
    "old": rule(priority=30, forward="a"),
    "gone": rule(priority=40, forward=None, respond={"status": 404}),
}


def found(*history: Update, **changes: Any) -> History:
    keys = config(**{"weights": SPLIT, **changes})
    return splits_of(history, source(keys), routes_of(experiment(keys)))


def weights(history: History) -> list[dict[str, int]]:
    return [dict(each.weights) for each in history.sets]


def test_routes_are_called_by_their_rules_and_those_that_choose_are_known() -> None:
    made = routes_of(experiment(config(weights=SPLIT, rules=RULES, override={"header": "X-Variant", "secret": False})))
    assert made.names == {
        0: "main split", 1: "override a", 2: "override b", 10: "canary", 20: "mobile", 30: "old", 40: "gone",
    }  # fmt: skip
    assert made.splits == {"main split": None, "canary": {"a": 1, "b": 3}, "mobile": None}


def test_the_history_is_turned_round_and_says_when_each_split_came() -> None:
    made = found(update(ago=60, weights={"a": 75, "b": 25}), update(kind="refresh", ago=600), update(ago=3600))
    assert weights(made) == [{"a": 90, "b": 10}, {"a": 75, "b": 25}]
    assert made.sets[0].started == NOW - timedelta(seconds=3610)
    assert made.sets[0].ended == NOW - timedelta(seconds=3600)
    assert made.since is None


def test_after_an_update_that_failed_nobody_knows_the_split() -> None:
    assert weights(found(update(ago=60), update(result="failed", ago=90), update(ago=100))) == [SPLIT, {}, SPLIT]


def test_an_update_that_runs_has_set_nothing_yet() -> None:
    running = update(result="in-progress", ago=60, weights={"a": 1, "b": 1})
    assert weights(found(Update(**{**vars(running), "ended": None}), update(ago=100))) == [SPLIT]


def test_what_was_before_the_rules_split_as_they_do_cannot_be_read() -> None:
    """The log has priorities alone, and 10 was another rule then."""
    moved = {**RULES, "canary": rule(priority=11, forward={"a": 1, "b": 3})}
    made = found(update(ago=60, rules=RULES), update(ago=600, rules=RULES), update(ago=900, rules=moved), rules=RULES)
    assert weights(made) == [{}, SPLIT, SPLIT]
    assert made.since == NOW - timedelta(seconds=600)


def test_rules_that_choose_nothing_may_come_and_go() -> None:
    fewer = {name: each for name, each in RULES.items() if name != "gone"}
    made = found(update(ago=60, rules=RULES), update(ago=600, rules=fewer), rules=RULES)
    assert len(made.sets) == 2
    assert made.since is None
