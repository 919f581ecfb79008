"""Edits of stack files: the value changes, every other byte stays."""

from __future__ import annotations

import difflib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from abtest.experiment.engine_yaml import parse
from abtest.rollout.edit import GONE, EditError, edited
from tests.configs import ROOT

WEIGHTS = ("abtest:weights",)


def lines_changed(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(True), after.splitlines(True)) if line[0] in "+-"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_shift_changes_one_line_of_a_committed_stack(stack: str) -> None:
    before = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    after = edited(before, {(*WEIGHTS, "a"): 75, (*WEIGHTS, "b"): 25})
    assert [line[0] for line in lines_changed(before, after)] == ["-", "+"]
    assert "abtest:weights: {a: 75, b: 25}\n" in after


def test_a_hold_is_a_line_more() -> None:
    before = (ROOT / "Pulumi.dev.yaml").read_text()
    after = edited(before, {(*WEIGHTS, "b"): GONE, ("abtest:held",): ["b"]})
    assert lines_changed(before, after) == [
        "-   abtest:weights: {a: 90, b: 10}\n",
        "+   abtest:weights: {a: 90}\n",
        "+   abtest:held: [b]\n",
    ]


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("config:\n  x: {a: 1, b: 2} # why\n", {("x", "a"): 10}, "config:\n  x: {a: 10, b: 2} # why\n"),
        ("config:\n  x: {a: 1, b: 2}\n", {("x", "c"): 3}, "config:\n  x: {a: 1, b: 2, c: 3}\n"),
        ("config:\n  x: {a: 1, b: 2}\n", {("x", "a"): GONE}, "config:\n  x: {b: 2}\n"),
        ("config:\n  x: {a: 1, b: 2}\n", {("x", "b"): GONE}, "config:\n  x: {a: 1}\n"),
        ("config:\n  x: { a: 1 , b: 2 }\n", {("x", "b"): 30}, "config:\n  x: { a: 1 , b: 30 }\n"),
        (
            "config:\n  x:\n    a: 1 # the old\n    # the new\n    b: 2\n  y: 1\n",
            {("x", "a"): 5, ("x", "b"): GONE},
            "config:\n  x:\n    a: 5 # the old\n    # the new\n  y: 1\n",
        ),
        ("config:\n  x:\n    a: 1\n    b: 2\n  y: 1\n", {("x", "c"): 3}, "config:\n  x:\n    a: 1\n    b: 2\n    c: 3\n  y: 1\n"),
        ("config:\n  x: 1", {("y",): ["b"]}, "config:\n  x: 1\n  y: [b]\n"),
        ("config:\n  x: 1 # why\n\n# end\n", {("y",): ["b"]}, "config:\n  x: 1 # why\n  y: [b]\n\n# end\n"),
        ("config:\n  x:\n    - a\n    - b\n# end\n", {("y",): 2}, "config:\n  x:\n    - a\n    - b\n  y: 2\n# end\n"),
        ("config:\r\n  x: {a: 1}\r\n", {("x", "a"): 2, ("y",): ["b"]}, "config:\r\n  x: {a: 2}\r\n  y: [b]\r\n"),
        ("config: {x: {a: 1}}\n", {("x", "a"): 2, ("y",): 3}, "config: {x: {a: 2}, y: 3}\n"),
        ('config:\n  x: \'{"a": 1}\'\n', {("x",): {"a": 2}}, "config:\n  x: {a: 2}\n"),
        ("config:\n  x: [b]\n  y: 1\n", {("x",): GONE}, "config:\n  y: 1\n"),
        ("config:\n  x:\n    - b\n  y: 1\n", {("x",): GONE}, "config:\n  y: 1\n"),
        ("config:\n  ä: {a: 1}\n  x: {a: 1}\n", {("x", "a"): 2}, "config:\n  ä: {a: 1}\n  x: {a: 2}\n"),
        ("config:\n  x: {a: 1}\n", {("x", "on"): 2, ("x", "1"): 3}, 'config:\n  x: {a: 1, on: 2, "1": 3}\n'),
        ("config:\n  x:\n    <<: {a: 1}\n", {("x", "a"): 2}, "config:\n  x:\n    <<: {a: 1}\n    a: 2\n"),
        ("config:\n  x: |\n    many\n    lines\n# end\n", {("y",): 2}, "config:\n  x: |\n    many\n    lines\n  y: 2\n# end\n"),
        ("config:\n  x: {a: 1}\n", {("x", "true"): 2}, 'config:\n  x: {a: 1, "true": 2}\n'),
        ("config:\n  x:\n    - c\n    - d\n  y: 1\n", {("x",): ["b", "c"]}, "config:\n  x: [b, c]\n  y: 1\n"),
        ("config:\n  x: {}\n", {("x",): {"a": 1}}, "config:\n  x: {a: 1}\n"),
        ("--- # one\nconfig: {x: 1}\n--- # two\n", {("x",): 2}, "--- # one\nconfig: {x: 2}\n--- # two\n"),
    ],
)  # fmt: skip
def test_what_is_not_changed_stays(before: str, changes: dict[tuple[str, ...], object], after: str) -> None:
    assert edited(before, changes) == after
    assert parse(after)


@pytest.mark.parametrize(
    ("before", "weights", "after"),
    [
        ("x: {a: 90, b: 10} # why\n", {"a": 100}, "x: {a: 100} # why\n"),
        ("x: {a: 90, b: 10}\n", {"b": 1, "c": 2}, "x: {b: 1, c: 2}\n"),
        ("x: {a: 90, b: 10}\n", {"c": 2}, "x: {c: 2}\n"),
        ("x:\n    # the old\n    a: 90 # why\n    b: 10\n", {"a": 100}, "x:\n    # the old\n    a: 100 # why\n"),
        ("x:\n    a: 90\n    b: 10\n", {"c": 2}, "x:\n    c: 2\n"),
        ("x: {a: 90,\n    b: 10}\n", {"a": 90, "b": 10}, "x: {a: 90,\n    b: 10}\n"),
    ],
)
def test_a_mapping_is_changed_key_by_key_and_keeps_its_style(before: str, weights: dict[str, int], after: str) -> None:
    assert edited(f"config:\n  {before}", {("x",): weights}) == f"config:\n  {after}"


RULES = "config:\n  rules:\n    halves:\n      forward: {a: 50, b: 50}\n    to-b: {priority: 10, forward: b} # v2\n"


def test_a_rule_loses_a_variant() -> None:
    after = edited(RULES, {("rules", "halves", "forward", "b"): GONE, ("rules", "to-b", "forward"): "a"})
    assert after == RULES.replace("{a: 50, b: 50}", "{a: 50}").replace("forward: b", "forward: a")


NAMES = st.sampled_from(["a", "b", "model-2", "on", "1", "null"])
WEIGHTS_OF_ANY = st.dictionaries(NAMES, st.integers(0, 999), min_size=1)


@given(WEIGHTS_OF_ANY, WEIGHTS_OF_ANY, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_weights_become_any_others_and_the_rest_stays(
    before: dict[str, int],
    after: dict[str, int],
    flow: bool,  # noqa: FBT001 hypothesis gives it
    newline: str,
) -> None:
    values = {"config": {"x": before, "y": ["é"]}}
    text = f"# top\n{yaml.dump(values, allow_unicode=True, default_flow_style=flow)}# end\n".replace("\n", newline)
    made = edited(text, {("x",): after})
    assert parse(made).value == {"config": {"x": after, "y": ["é"]}}
    assert made.startswith(f"# top{newline}")
    assert made.endswith(text[text.index("y") :])
    assert "\n" not in made.replace(newline, "")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("w: &w {a: 1}\nconfig:\n  x: *w\n", ("x", "a")),
        ("config:\n  x: 5\n", ("x", "a")),
        ("config:\n  x: {}\n", ("x", "a")),
        ("other: 1\n", ("x", "a")),
        ("config:\n  x:\n    a:\n      - 1 # why\n      - 2\n", ("x", "a")),
    ],
)
def test_what_cannot_be_edited_is_said_and_left(text: str, path: tuple[str, ...]) -> None:
    with pytest.raises(EditError, match="by hand"):
        edited(text, {path: 2})
