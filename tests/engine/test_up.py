"""The life of a stack: made, left alone, given another experiment's name, destroyed."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine

pytestmark = pytest.mark.engine


def test_an_up_creates_everything_the_next_one_nothing_and_a_destroy_leaves_nothing(fresh: Engine) -> None:
    first = fresh.up(BASE).succeeded()

    assert {step.op for step in first.steps} == {"create"}
    assert first.refusals == []
    layout = fresh.cloud.layout
    assert sorted(layout["rules"]) == ["80 10", "80 20", "80 default"]
    assert [layout["groups"][name]["targets"] for name in ("abtest-a", "abtest-b")] == [[8080], [8080]]

    second = fresh.up().succeeded()

    assert second.steps == ()
    assert second.writes == []

    last = fresh.destroy("--skip-preview").succeeded()

    assert last.refusals == []
    assert last.gaps == []
    assert not any(fresh.cloud.layout.values())


def test_a_new_experiment_name_changes_tags_and_the_salt_alone(standing: Engine) -> None:
    layout, arns = standing.cloud.layout, standing.cloud.arns
    salt = standing.outputs()["assignment_salt"]

    run = standing.up(changed(BASE, experiment="second")).succeeded()

    assert run.replaced == ["abtest-salt"]
    assert {step.op for step in run.steps if step.name != "abtest-salt"} == {"update"}
    assert standing.outputs()["assignment_salt"] != salt
    assert standing.cloud.layout == layout
    assert standing.cloud.arns == arns
    assert run.gaps == []
