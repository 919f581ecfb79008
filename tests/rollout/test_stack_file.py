"""A stack file stays valid through the edits of commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from abtest.rollout.stack_file import StackFile
from tests.configs import write_stack

STACK = """\
config:
  abtest:weights: {{{weights}}}  # of new clients
  abtest:guardrails: {{}}
  abtest:variants:
    {one}: {{port: 8080, targets: {{external: ip}}}}
    c: {{port: 8080, targets: {{external: ip}}}}
"""
WEIGHTS = ("abtest:weights",)


def stack(folder: Path, one: str = "a", weights: str = "a: 100", project: str = "", more: str = "") -> StackFile:
    text = STACK.format(one=one, weights=weights) + more
    return StackFile.read(str(write_stack(folder, text, f"name: abtest\nruntime: python\n{project}")))


def test_a_second_variant_in_the_split_has_the_control_written_down(tmp_path: Path) -> None:
    file = stack(tmp_path)
    after = file.edited({WEIGHTS: {"a": 100, "c": 0}})
    assert after.text == file.text.replace("{a: 100}", "{a: 100, c: 0}") + "  abtest:control: a\n"
    assert after.experiment.control == "a"


@pytest.mark.parametrize(
    ("name", "project", "more"),
    [
        ("control", "", ""),
        ("a", "config: {'abtest:control': a}\n", ""),
        ("a", "config: {control: {default: a}}\n", ""),
        ("a", "", "  abtest:control: a\n"),
        ("a", "", "  control: a\n"),
    ],
)
def test_a_control_that_is_known_is_not_written_down(tmp_path: Path, name: str, project: str, more: str) -> None:
    file = stack(tmp_path, name, f"{name}: 100", project, more)
    after = file.edited({WEIGHTS: {name: 100, "c": 0}})
    assert after.text == file.text.replace(f"{{{name}: 100}}", f"{{{name}: 100, c: 0}}")
    assert after.experiment.control == name


def test_a_split_of_one_variant_needs_no_control(tmp_path: Path) -> None:
    file = stack(tmp_path, weights="a: 50, c: 50", more="  abtest:control: a\n")
    assert file.edited({WEIGHTS: {"a": 100}}).experiment.control == "a"
    alone = stack(tmp_path)
    assert alone.edited({WEIGHTS: {"a": 50}}).text == alone.text.replace("100", "50")
