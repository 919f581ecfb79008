"""The control is named, unless only one variant can be it: a rollback sends all clients there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import load_stack
from tests.configs import VARIANT, config, errors, experiment, lines_of, problems, write_stack

STACK = """\
config:
  abtest:weights: {stable: 95, canary: 5}
  abtest:guardrails: {}
  abtest:variants:
    stable: {port: 8080, targets: {external: ip}}
    canary: {port: 8080, targets: {external: ip}}
"""


def split(weights: dict[str, Any], *others: str, **changes: Any) -> dict[str, Any]:
    """A config with these weights, and further variants outside of the split."""
    changes = {"control": None, **changes}
    return config(weights=weights, variants=dict.fromkeys((*weights, *others), VARIANT), **changes)


def test_the_control_of_several_variants_is_required(tmp_path: Path) -> None:
    file = write_stack(tmp_path, STACK)
    assert lines_of(file) == [
        f"{file}:1: error: abtest:control: missing; it is the variant that the others are compared with, and that a "
        "rollback sends all clients to; write abtest:control: stable, the variant with the largest weight"
    ]


@pytest.mark.parametrize(
    ("weights", "remedy"),
    [
        ({"a": 1, "b": 2, "c": 0}, "write abtest:control: b, the variant with the largest weight"),
        ({"a": 5, "b": 5, "c": 0}, "write abtest:control: a or b, the one that the others are compared with"),
    ],
)
def test_the_variant_with_the_largest_weight_is_proposed(weights: dict[str, int], remedy: str) -> None:
    (error,) = errors(split(weights))
    assert error.startswith("abtest:control: missing; ")
    assert error.endswith(remedy)


@pytest.mark.parametrize(
    ("keys", "control"),
    [
        (split({"b": 1}), "b"),
        (split({"b": 1}, "a"), "b"),
        (split({"a": 90, "control": 10}), "control"),
        (split({"a": 90, "b": 10}, control="b"), "b"),
        (split({"a": 90, "control": 10}, control="a"), "a"),
    ],
)
def test_one_variant_of_the_split_or_one_named_control_is_it(keys: dict[str, Any], control: str) -> None:
    assert experiment(keys).control == control


def test_pulumi_yaml_can_name_the_control(tmp_path: Path) -> None:
    file = write_stack(tmp_path, STACK, "name: abtest\nruntime: python\nconfig:\n  abtest:control: stable\n")
    assert lines_of(file) == []
    assert load_stack(str(file))[0].control == "stable"


def test_a_control_outside_of_the_split_is_refused() -> None:
    assert errors(split({"b": 1}, "a", control="a")) == [
        "abtest:control: a is not in abtest:weights, so a rollback could not send clients to it; add a: 0 to "
        "abtest:weights, or name a variant that is in it"
    ]


def test_a_control_with_weight_0_is_only_doubted() -> None:
    (problem,) = problems(split({"a": 0, "b": 1}, control="a"))
    assert problem.startswith("warning: abtest:control: a has no new clients")


def test_an_encrypted_control_is_refused(tmp_path: Path) -> None:
    """No command could tell which variant a rollback goes to."""
    file = write_stack(tmp_path, STACK.replace("config:\n", "config:\n  abtest:control: {secure: v1:abc}\n"))
    assert lines_of(file) == [
        f"{file}:2: error: abtest:control: is encrypted, so `abtest rollback` could not read it; write the variant's "
        "name in plain text"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"contol": "a"},
        {"weights": None},
        {"weights": {}},
        {"weights": "a"},
        {"variants": None},
        {"weights": {"a": 1, "x": 1}, "variants": {"a": VARIANT}},
        {"weights": {"A_1": 1, "B_1": 1}, "variants": {"A_1": VARIANT, "B_1": VARIANT}},
    ],
)
def test_a_missing_control_is_not_reported_on_top_of_its_cause(changes: dict[str, Any]) -> None:
    found = errors(config(**{"control": None, **changes}))
    assert found
    assert not any(error.startswith("abtest:control") for error in found), found
