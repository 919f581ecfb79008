"""Stack files: read offline as the engine reads them, and edited by `pulumi config set`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import Project, Source, load
from tests.engine.configs import BASE
from tests.engine.harness import ROOT, environment, pulumi, with_virtualenv_of_the_tests

pytestmark = pytest.mark.engine

#: Scalars that YAML 1.1, YAML 1.2, Go and Python understand in different ways.
SCALARS = """
no | on | y | "yes" | 'off' | True | FALSE | "true" | tRue | "~" | "" | = | !!str 010 | !!float 5
010 | 0o10 | 0O7 | 0x10 | -0x10 | +0x10 | 0X1F | 0b101 | -0b1 | 0b-1 | 0o-7 | 08 | 007 | 00 | 09.5 | 0o08 | 0b12 | 0x | "010"
1_000 | 1__0 | 0x1_0 | 1_0.5 | .1_0 | _1 | 1_ | +5 | -5 | -0 | -0.0 | 5. | .5 | +.5 | 90.0 | 0.50 | 1.10 | 10.0.0.1
1e3 | 1E-7 | 1e+3 | 1e20 | 1e21 | -1e21 | 1e400 | 1.5e300 | 0.000001 | 0.0000001 | 0.1234567890123456789 | 5e-324
9007199254740993 | 9223372036854775807 | -9223372036854775808 | 18446744073709551615 | 123456789012345678901234
2024-01-01 | 2024-1-1 | 2024-13-01 | 2024-02-30 | "2024-01-01" | 0001-01-01 | 2024-01-01T10:00:00Z | 2024-01-01T10:00:00
2024-01-01 10:00:00.500 | 2024-01-01T10:00:00.5+02:00 | 2024-01-01T10:00:00-00:00 | 2024-01-01 10:00 | 1:30 | 12:30:45
"<a&b>" | "\\u2028" | "\\x01" | é漢😀 | 5% | inf | nan | t3.small | -
"""

PROJECT = """
name: abtest
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: .venv
config:
  abtest:plain: 010
  of-the-project: 0x10
  abtest:given: {value: no}
  abtest:nested: {value: {on: 1_000, list: [no, 08, ~]}}
  text: {type: string, default: "yes"}
  number: {type: integer, default: 1_000}
  zero: {type: integer, default: 0}
  off: {type: boolean, default: false}
  names: {type: array, items: {type: string}, default: [no, "010"]}
  overridden: {type: string, default: by the project}
"""

#: What is not a scalar on one line; ``abtest:`` is for the engine a mapping like any other.
REST = """
  abtest:overridden: by the stack
  without-namespace: no
  aws:region: us-east-1
  abtest:block: |
    two
    lines
  abtest:folded: >-
    one
    line
  abtest:anchor: &anchor {a: 010, b: no}
  abtest:alias: *anchor
  abtest:merged: {<<: *anchor, b: on, "8": [[], {}, [{deep: 08}]]}
"""

PROGRAM = """
import json
from pathlib import Path
from pulumi.runtime import get_config_env
from pulumi.runtime.config import CONFIG
Path("seen.json").write_text(json.dumps({**get_config_env(), **CONFIG.get()}))
"""


def odd_stack_file() -> str:
    scalars = [scalar.strip() for line in SCALARS.strip().splitlines() for scalar in line.split(" | ")]
    scalars = ['"-"' if scalar == "-" else scalar for scalar in scalars]
    lines = ["config:"]
    lines += [f"  abtest:odd{n}: {scalar}" for n, scalar in enumerate(scalars)]
    scalars += ["~", "null", "NULL", ""]  # at the top level the engine is about to change what it makes of these
    lines += ["  abtest:tags:", *(f"    odd{n}: {scalar}" for n, scalar in enumerate(scalars))]
    lines += ["  abtest:list:", *(f"    - {scalar}" for scalar in scalars)]
    return "\n".join(lines) + REST


def decoded(text: Any) -> Any:
    """Objects by what they say: how JSON is spaced and its keys are ordered is of no matter, what is an integer is."""
    try:
        value = json.loads(text, parse_int=lambda digits: ("integer", int(digits)))
    except ValueError:
        return text
    return value if isinstance(value, dict | list) else text


def read_by_both(folder: Path, project: str, stack_file: str) -> tuple[Source, Source]:
    """A config as it is read offline, and as the engine hands it to a program."""
    state = folder / "state"
    state.mkdir()
    (folder / "Pulumi.yaml").write_text(with_virtualenv_of_the_tests(project), encoding="utf-8")
    (folder / "__main__.py").write_text(PROGRAM, encoding="utf-8")
    env = environment(state)
    pulumi(folder, env, "stack", "init", "dev", "--no-select").check_returncode()
    file = folder / "Pulumi.dev.yaml"
    salt = file.read_text(encoding="utf-8")
    file.write_text(f"{stack_file}\n{salt}", encoding="utf-8")  # not before: `stack init` writes odd scalars anew
    run = pulumi(folder, env, "preview", "--stack", "dev")
    assert run.returncode == 0, run.stdout + run.stderr
    seen: Mapping[str, str] = json.loads((folder / "seen.json").read_text(encoding="utf-8"))
    read = Project.read(folder)
    return Source.from_file(file, read), Source.from_engine(seen, frozenset(), read, "dev")


def test_the_engine_and_a_file_read_offline_give_the_same_values(tmp_path: Path) -> None:
    offline, engine = read_by_both(tmp_path, PROJECT, odd_stack_file())

    assert {key: decoded(text) for key, text in offline.values.items()} == {
        key: decoded(text) for key, text in engine.values.items()
    }


def test_a_key_without_a_value_is_the_same_experiment_to_the_engine_and_offline(tmp_path: Path) -> None:
    values = {"control": BASE["control"], "weights": BASE["weights"], "variants": BASE["variants"]}
    keys = [*(f"abtest:{key}: {json.dumps(value)}" for key, value in values.items()), "abtest:rules:", "abtest:tags: ~"]
    project = PROJECT.partition("config:")[0]

    offline, engine = read_by_both(tmp_path, project, "\n  ".join(["config:", *keys]))

    assert load(offline) == load(engine)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_config_set_moves_one_line_of_a_committed_stack_file(stack: str, tmp_path: Path) -> None:
    name = f"Pulumi.{stack}.yaml"
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    env = environment(state)
    pulumi(tmp_path, env, "stack", "init", stack, "--no-select").check_returncode()
    shutil.copy(ROOT / name, tmp_path)
    before = (ROOT / name).read_text(encoding="utf-8").splitlines()

    run = pulumi(tmp_path, env, "config", "set", "--stack", stack, "--path", "abtest:weights.b", "25")

    assert run.returncode == 0, run.stderr
    after = (tmp_path / name).read_text(encoding="utf-8").splitlines()
    assert len(after) == len(before)
    ((old, new),) = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert old.startswith("  abtest:weights: {")
    assert new.endswith("b: 25}")
