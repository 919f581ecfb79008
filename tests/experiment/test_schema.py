"""The JSON Schema and the reference in the docs are the types', and agree with the loader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from abtest.experiment.schema import reference, schema
from tests.aws.probes import observed_table
from tests.configs import ROOT, STACKS, VARIANT, config, errors, rule, variant
from tests.write_generated import presets


def verdicts(keys: dict[str, Any]) -> list[str]:
    """What an editor would underline."""
    found = jsonschema.Draft202012Validator(schema()).iter_errors({"config": keys})
    return [error.json_path for error in found]


def test_the_committed_schema_is_the_types() -> None:
    """Not so? Then: make schema."""
    assert json.loads((ROOT / "abtest.schema.json").read_text()) == schema()


def test_the_readmes_reference_is_the_types() -> None:
    """Not so? Then: make schema."""
    assert reference().strip() in (ROOT / "docs" / "config.md").read_text()


def test_a_default_that_is_empty_is_left_out_of_the_reference() -> None:
    assert "``" not in reference()


def test_the_guides_table_of_model_servers_is_the_presets() -> None:
    """Not so? Then: make schema."""
    assert presets().strip() in (ROOT / "docs" / "serving.md").read_text()


def test_the_guides_table_of_observations_is_what_was_observed() -> None:
    """Not so? Then: make schema."""
    assert observed_table().strip() in (ROOT / "docs" / "aws.md").read_text()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_name_the_schema_and_satisfy_it(stack: str) -> None:
    text, folder = (ROOT / stack).read_text(), "../" if "/" in stack else ""
    assert text.startswith(f"# yaml-language-server: $schema={folder}abtest.schema.json\n")
    assert verdicts(yaml.safe_load(text)["config"]) == []


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_examples_name_the_schema_and_satisfy_it(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# yaml-language-server: $schema=../abtest.schema.json\n")
    assert verdicts(yaml.safe_load(text)["config"]) == []


@pytest.mark.parametrize(
    "keys",
    [
        config(wieghts={}),
        config(weights={"a": 1000}),
        config(weights={"A": 1}),
        config(stickinessSeconds="soon"),
        config(variants={"a": variant(port=0), "b": VARIANT}),
        config(variants={"a": variant(targets={"lanch": {}}), "b": VARIANT}),
        config(rules={"r": rule(when={"path": ["/a b"]})}),
        config(rules={"r": rule(priority=50_001)}),
        config(rules={"r": rule(forward=None, redirect={"status": 303})}),
    ],
)
def test_what_a_single_value_shows_wrong_the_editor_shows_too(keys: dict[str, Any]) -> None:
    assert errors(keys)
    assert verdicts(keys)


def test_what_is_fine_is_fine_in_the_editor_too() -> None:
    keys = config(
        stickinessSeconds="60",
        deletionProtection="true",
        override={},
        rules={"r": rule(forward={"a": 1}), "s": rule(priority=11)},
    )
    assert verdicts(keys) == []
    assert verdicts({"aws:region": "us-east-1", "other:key": [1]}) == []


def test_every_key_has_a_description() -> None:
    def without(node: Any, path: str) -> list[str]:
        found = []
        for name, entry in node.get("properties", {}).items():
            if "description" not in entry:
                found.append(f"{path}.{name}")
        return found

    made = schema()
    missing = without(made["properties"]["config"], "config")
    for name, definition in made["$defs"].items():
        missing += without(definition, name)
    assert missing == []
