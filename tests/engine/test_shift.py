"""Moving traffic: as few changes as can be, all of them in place."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Step

pytestmark = pytest.mark.engine

LISTENER = Step("update", "aws:lb/listener:Listener", "listener-80")


def update_of_rule(priority: int) -> Step:
    return Step("update", "aws:lb/listenerRule:ListenerRule", f"rule-{priority}")


def test_a_shift_is_one_update_of_the_listener_and_nothing_else(standing: Engine) -> None:
    run = standing.up(changed(BASE, weights={"a": 75, "b": 25})).succeeded()

    assert run.steps == (LISTENER,)
    assert run.writes == ["ModifyListener"]
    assert standing.cloud.weights("80 default") == {"abtest-a": 75, "abtest-b": 25}

    back = standing.up(BASE).succeeded()

    assert back.steps == (LISTENER,)
    assert back.writes == ["ModifyListener"]


def test_a_shift_takes_rules_that_forward_to_the_split_along(standing: Engine) -> None:
    split = changed(BASE, rules__halves__forward="split")
    standing.stand(split)

    run = standing.up(changed(split, weights={"a": 0, "b": 100})).succeeded()

    assert sorted(run.steps) == sorted((LISTENER, update_of_rule(20)))
    assert sorted(run.writes) == ["ModifyListener", "ModifyRule"]
    assert standing.cloud.weights("80 default") == standing.cloud.weights("80 20") == {"abtest-a": 0, "abtest-b": 100}


def test_the_weights_of_a_rule_are_one_update_of_that_rule(standing: Engine) -> None:
    run = standing.up(changed(BASE, rules__halves__forward={"a": 10, "b": 90})).succeeded()

    assert run.steps == (update_of_rule(20),)
    assert run.writes == ["ModifyRule"]
    assert standing.cloud.weights("80 20") == {"abtest-a": 10, "abtest-b": 90}


def test_no_alarm_and_no_dashboard_knows_a_weight_and_a_share_that_begins_or_ends_is_one_alarm(fresh: Engine) -> None:
    watched = changed(BASE, alarms={})
    fresh.up(watched).succeeded()

    assert fresh.up(changed(watched, weights={"a": 75, "b": 25})).succeeded().writes == ["ModifyListener"]
    ended = fresh.up(changed(watched, weights={"a": 100, "b": 0})).succeeded()
    assert ended.writes == ["ModifyListener", "DeleteAlarms"]
    assert ended.did("delete") == ["abtest-b-no-traffic"]
    begun = fresh.up(watched).succeeded()
    assert begun.writes == ["ModifyListener", "PutMetricAlarm"]
    assert begun.did("create") == ["abtest-b-no-traffic"]
