"""Mistakes in the config: a list with lines, before anything is registered."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine


def assert_nothing_was_done(run: Run) -> None:
    assert run.code != 0
    assert run.steps == ()
    assert run.writes == []
    assert "Traceback" not in run.output


def test_mistakes_are_listed_with_their_lines_and_nothing_is_registered(fresh: Engine) -> None:
    fresh.write(changed(BASE, weights={"a": 1000, "b": 10}, sticky=True))

    for run in (fresh.preview(), fresh.up()):
        assert f"Pulumi.dev.yaml:{fresh.line_of('a: 1000')}: error: abtest:weights.a: " in run.output
        assert f"Pulumi.dev.yaml:{fresh.line_of('abtest:sticky: ')}: error: abtest:sticky: " in run.output
        assert "the config has 2 errors, nothing was changed" in run.output
        assert_nothing_was_done(run)
        assert run.calls == ()


def test_a_look_up_that_finds_nothing_is_listed_like_any_other_mistake(fresh: Engine) -> None:
    run = fresh.up(changed(BASE, network={"vpcTags": {"Name": "nowhere"}}))

    assert f"Pulumi.dev.yaml:{fresh.line_of('vpcTags')}: error: abtest:network.vpcTags: " in run.output
    assert "Name=nowhere" in run.output
    assert "the config has 1 error, nothing was changed" in run.output
    assert_nothing_was_done(run)
