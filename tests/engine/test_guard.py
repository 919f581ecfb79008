"""The guard on the real engine: what it refuses is not made, in a preview or in an update."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.engine.configs import BASE, changed, launching, rule
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

GUARDED = changed(BASE, guardrails={"maxStep": 25, "requireHealthy": True, "minHealthy": 1})


def refused(run: Run, *words: str) -> None:
    assert run.code != 0, run.output
    assert run.routing == [], "nothing of it is made"
    assert "Traceback" not in run.output
    for each in words:
        assert each in run.output, run.output


@pytest.fixture
def guarded(standing: Engine) -> Engine:
    """Without guardrails every stack can be brought back to where the tests begin."""
    return standing.stand(GUARDED).write_tags()


def test_the_first_deployment_is_exempt(fresh: Engine) -> None:
    fresh.preview(GUARDED).succeeded()
    fresh.up(GUARDED).succeeded()
    assert fresh.up().succeeded().steps == ()


def test_a_step_that_is_too_large_is_refused_in_preview_and_up(guarded: Engine) -> None:
    config = changed(GUARDED, weights={"a": 50, "b": 50})
    words = "b would go from 10 % to 50 % on the main split, 40 points at once; maxStep allows 25: go to 35 % first"
    refused(guarded.preview(config), words)
    refused(guarded.up(config), words)
    assert guarded.cloud.weights("80 default") == {"abtest-a": 90, "abtest-b": 10}


def test_a_step_that_is_small_enough_is_one_write(guarded: Engine) -> None:
    run = guarded.up(changed(GUARDED, weights={"a": 65, "b": 35})).succeeded()
    assert run.writes == ["ModifyListener"]


def test_the_control_may_gain_all_at_once(guarded: Engine) -> None:
    guarded.up(changed(GUARDED, weights={"a": 100, "b": 0})).succeeded()


def test_renamed_renumbered_and_swapped_rules_are_compared_with_their_own_past(guarded: Engine) -> None:
    swapped = changed(
        GUARDED, rules={"to-b": rule(20, "/v2/*", "b"), "halves": rule(10, "/halves/*", {"a": 50, "b": 50})}
    )
    guarded.preview(swapped).succeeded()
    guarded.up(swapped).succeeded()
    guarded.write_tags()
    renamed = changed(
        GUARDED, rules={"to-new": rule(30, "/v2/*", "b"), "halves": rule(10, "/halves/*", {"a": 50, "b": 50})}
    )
    guarded.preview(renamed).succeeded()
    guarded.up(renamed).succeeded()


def test_a_rule_that_moves_and_gains_is_refused(guarded: Engine) -> None:
    config = changed(GUARDED, rules={"to-b": rule(20, "/v2/*", "b"), "halves": rule(10, "/halves/*", "b")})
    refused(guarded.preview(config), "b would go from 50 % to 100 % on rule halves")
    refused(guarded.up(config), "b would go from 50 % to 100 % on rule halves")


def test_a_new_rule_is_compared_with_the_split_that_its_requests_left(guarded: Engine) -> None:
    config = changed(GUARDED, rules__all=rule(40, "/*", "b"))
    refused(guarded.preview(config), "b would go from 10 % to 100 % on rule all")
    guarded.up(changed(GUARDED, rules__all=rule(40, "/*", "split"))).succeeded()


def test_a_group_with_share_is_not_replaced(guarded: Engine) -> None:
    config = changed(GUARDED, variants__b__port=9090)
    refused(guarded.preview(config), "b has 100 % of clients, and its target group would be replaced")
    run = guarded.up(config)  # without its preview, so that a group is made before the listener is refused
    assert run.code != 0
    assert run.gaps == []
    assert guarded.cloud.weights("80 default") == {"abtest-a": 90, "abtest-b": 10}


def test_a_new_variant_is_warmed_first(guarded: Engine) -> None:
    config = changed(GUARDED, variants__c=launching(), weights={"a": 90, "b": 5, "c": 5})
    refused(guarded.preview(config), "no rule forwards to it yet", "abtest:weights.c' 0")
    guarded.up(changed(config, weights={"a": 90, "b": 10, "c": 0})).succeeded()
    guarded.up(config).succeeded()


def test_a_held_variant_gains_nothing_until_an_update_leaves_its_share_as_it_is(guarded: Engine) -> None:
    rolled_back = changed(GUARDED, weights={"a": 100}, held=["b"])
    guarded.up(rolled_back).succeeded()
    guarded.write_tags()
    refused(guarded.preview(GUARDED), "but it is held; the deployed listener holds it")
    refused(guarded.up(GUARDED), "but it is held; the deployed listener holds it")
    guarded.up(changed(rolled_back, held=[])).succeeded()
    guarded.write_tags()
    guarded.up(GUARDED).succeeded()


def test_an_override_lets_an_emergency_through(guarded: Engine) -> None:
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    guarded.up(
        changed(GUARDED, weights={"a": 0, "b": 100}, guardrails__override={"reason": "a is broken", "until": until})
    ).succeeded()
