"""Auto Scaling groups and Lambda functions: made, left alone, changed, destroyed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, IMAGE, changed, launching
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ranker"
SCALED = changed(BASE, variants__b=launching(min=1, max=3, requestsPerTarget=100))
INVOKED = changed(
    BASE, variants={name: {"targets": {"lambdaArn": f"{FUNCTION}:{n}"}} for n, name in enumerate("ab", 1)}
)


def when(run: Run, op: str, kind: str, name: str) -> int:
    """Which step of the run it was, by operation, end of the type and logical name."""
    return next(n for n, s in enumerate(run.steps) if (s.op, s.name) == (op, name) and s.type.endswith(kind))


@pytest.mark.parametrize("config", [pytest.param(SCALED, id="auto scaling"), pytest.param(INVOKED, id="lambda")])
def test_it_is_made_at_once_left_alone_and_destroyed(fresh: Engine, config: dict[str, Any]) -> None:
    fresh.cloud.create_function("ranker", "1", "2")
    first = fresh.up(config).succeeded()

    assert {step.op for step in first.steps} == {"create"}
    assert first.refusals == []

    second = fresh.up().succeeded()

    assert second.steps == ()
    assert second.writes == []

    last = fresh.destroy("--skip-preview").succeeded()

    assert last.refusals == []
    assert not any(fresh.cloud.layout.values())


def test_instances_leave_after_the_group_that_takes_over_came_and_come_before_it_leaves(standing: Engine) -> None:
    """Whether those of the group answer, the provider waits for: no stand-in of it can tell."""
    scaled = standing.up(SCALED).succeeded()

    assert scaled.replaced == []
    assert when(scaled, "create", ":Group", "abtest-b") < when(scaled, "delete", ":TargetGroupAttachment", "abtest-b-1")

    single = standing.up(BASE).succeeded()

    assert single.replaced == []
    assert when(single, "create", ":TargetGroupAttachment", "abtest-b-1") < when(single, "delete", ":Group", "abtest-b")


def test_another_target_group_has_another_auto_scaling_group(standing: Engine) -> None:
    standing.up(SCALED).succeeded()

    run = standing.up(changed(SCALED, variants__b__port=9090)).succeeded()

    forwards, leaves = (
        when(run, "update", ":Listener", "listener-80"),
        when(run, "delete-replaced", ":Group", "abtest-b"),
    )
    assert when(run, "create-replacement", ":Group", "abtest-b") < forwards < leaves


def test_another_script_is_another_version_of_the_template(standing: Engine) -> None:
    standing.up(SCALED).succeeded()
    (standing.folder / "start.sh").write_text("#!/bin/sh\nexec model-server\n", encoding="utf-8")

    run = standing.up(changed(SCALED, variants__b__targets__launch__userDataFile="start.sh")).succeeded()

    assert [step.type for step in run.steps if step.name == "abtest-b" and step.op == "update"][:1] == [
        "aws:ec2/launchTemplate:LaunchTemplate"
    ]
    assert run.replaced == []


def test_a_newer_default_image_and_other_tags_leave_the_instances_as_they_are(standing: Engine) -> None:
    standing.up(SCALED).succeeded()
    newest = launching(min=1, max=3, requestsPerTarget=100, ami=None)

    assert standing.up(changed(SCALED, variants__b=newest)).succeeded().steps == ()

    standing.up(changed(SCALED, variants__b=newest, experiment="second")).succeeded()

    (template,) = (r for r in standing.state()["deployment"]["resources"] if r["type"].endswith(":LaunchTemplate"))
    assert template["inputs"]["imageId"] == IMAGE
    assert "second" not in str(
        {key: value for key, value in template["inputs"].items() if key not in {"tags", "tagsAll"}}
    )


def test_another_function_takes_another_group_behind_the_traffic(shared: Engine) -> None:
    shared.cloud.create_function("ranker", "1", "2", "3")
    shared.stand(INVOKED)

    run = shared.up(changed(INVOKED, variants__b__targets__lambdaArn=f"{FUNCTION}:3")).succeeded()

    assert run.replaced == ["abtest-b", "abtest-b-function"]
    assert run.refusals == []
    assert run.gaps == []
    assert {name: group["targets"] for name, group in shared.cloud.layout["groups"].items()} == {
        "abtest-a": [0], "abtest-b": [0],
    }  # fmt: skip


def test_a_rollback_leaves_what_scales_a_group_where_it_is(fresh: Engine) -> None:
    """It touches the forwards alone, and the policy comes after them."""
    alone = changed(SCALED, weights={"a": 75, "b": 25}, rules={})
    fresh.up(alone).succeeded()

    back = fresh.abtest("rollback", "--stack", "dev", "--yes")

    assert back.code == 0, back.output
    assert fresh.cloud.weights("80 default") == {"abtest-a": 100}
    assert back.writes == ["AddTags", "ModifyListener"], "abtest:held, then the weights"
    assert fresh.abtest("rollback", "--stack", "dev", "--yes").code == 0
