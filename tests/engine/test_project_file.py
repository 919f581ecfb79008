"""Pulumi.yaml's ``config:``: the real engine refuses and takes what `abtest check` does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.configs import write_stack
from tests.experiment.test_project_file import ACCEPTED, CASES, STACK, project

pytestmark = pytest.mark.engine

#: The beginnings of Pulumi's refusals.
REFUSALS = ("could not validate", "could not unmarshal", "is missing configuration value", "must be of type")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a stack, and a program that does nothing."""
    made = tmp_path_factory.mktemp("project")
    write_stack(made, STACK)
    (made / "__main__.py").write_text("")
    pulumi(made, "stack", "init", "test").check_returncode()
    return made


def pulumi(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "PULUMI_CONFIG_PASSPHRASE": "x",
        "PULUMI_BACKEND_URL": f"file://{folder}", "PULUMI_SKIP_UPDATE_CHECK": "1",
    }  # fmt: skip
    command = ["pulumi", "--non-interactive", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "line", "is_refused"), [*((*case[:2], True) for case in CASES), *((*case, False) for case in ACCEPTED)]
)
def test_pulumi_refuses_and_takes_the_same(folder: Path, name: str, line: str, *, is_refused: bool) -> None:
    """The project and the config are read before the program runs."""
    (folder / "Pulumi.yaml").write_text(project(name, line))
    ran = pulumi(folder, "preview", "--stack", f"organization/{name}/test")
    output = ran.stdout + ran.stderr
    assert any(words in output for words in REFUSALS) == is_refused, output
