"""Calls that AWS refuses in the middle of an up: the next up repairs everything."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine

pytestmark = pytest.mark.engine


def test_after_a_throttled_first_up_the_next_one_ends_where_a_clean_one_does(fresh: Engine, standing: Engine) -> None:
    with fresh.cloud.proxy.throttling("CreateRule"):
        failed = fresh.up(BASE)

    assert failed.code != 0
    assert "Throttling" in failed.output
    assert set(failed.refusals) == {"CreateRule: Throttling"}
    assert failed.gaps == []

    repaired = fresh.up(BASE).succeeded()

    assert {step.op for step in repaired.steps} == {"create"}
    assert fresh.cloud.layout == standing.cloud.layout
    assert fresh.resources() == standing.resources()


def test_after_a_throttled_replacement_the_next_up_ends_it_behind_the_traffic(standing: Engine) -> None:
    config = changed(BASE, variants__a__port=9090)
    with standing.cloud.proxy.throttling("ModifyListener"):
        failed = standing.up(config)

    assert failed.code != 0
    assert failed.gaps == []

    repaired = standing.up(config).succeeded()

    assert repaired.gaps == []
    assert repaired.refusals == []
    groups = standing.cloud.layout["groups"]
    assert {name: group["targets"] for name, group in groups.items()} == {"abtest-a": [9090], "abtest-b": [8080]}
    assert standing.preview().steps == ()


def test_deletion_protection_refuses_before_anything_is_deleted(fresh: Engine) -> None:
    fresh.up(changed(BASE, deletionProtection="true")).succeeded()
    before = fresh.cloud.layout

    refused = fresh.destroy()

    assert refused.code != 0
    assert refused.routing == []
    assert fresh.cloud.layout == before

    fresh.up(BASE).succeeded()
    fresh.destroy("--skip-preview").succeeded()
    assert fresh.cloud.arns == set()
