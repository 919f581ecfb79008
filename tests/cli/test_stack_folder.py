"""Every command finds the stack files in the folder that Pulumi.yaml's ``stackConfigDir`` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abtest.cli import moves
from abtest.rollout.engine import EngineError
from abtest.rollout.stack_file import StackFile
from tests.cli.commands import run_here
from tests.cli.test_diff import SHIFTED, STACK, commit, git

Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose first commit has the stack file beside Pulumi.yaml; then it moves to stacks/."""
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK.replace("../start.sh", "start.sh"))
    (tmp_path / "start.sh").write_text("#!/bin/sh\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.dev.yaml").rename(tmp_path / "stacks" / "Pulumi.dev.yaml")
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\nstackConfigDir: stacks\n")
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_check_reads_all_of_them(capsys: Capsys) -> None:
    ran = run_here(capsys, "check")
    assert ran.code == 0
    assert ran.out.endswith("1 stack file: 0 errors, 1 warning\n")


def test_a_shift_edits_the_file_and_names_it(project: Path, capsys: Capsys) -> None:
    ran = run_here(capsys, "shift", "b=25", "--file-only")
    assert ran.code == 0
    assert ran.out.endswith("commit it: git commit -m 'abtest shift b=25' stacks/Pulumi.dev.yaml\n")
    assert "{a: 75, b: 25}" in (project / "stacks" / "Pulumi.dev.yaml").read_text()


def test_diff_finds_the_file_of_a_base_that_had_it_elsewhere(project: Path, capsys: Capsys) -> None:
    ran = run_here(capsys, "diff", "--base", "main")
    assert (ran.code, ran.err) == (0, "")
    (project / "stacks" / "Pulumi.dev.yaml").write_text(SHIFTED.replace("../start.sh", "start.sh"))
    ran = run_here(capsys, "diff", "--base", "main")
    assert (ran.code, ran.err) == (2, "")
    assert "**dev: b gets 25 % of requests instead of 10 % on the main split" in ran.out


def test_the_engine_reads_the_file_by_itself(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Engine:
        def __init__(self, *arguments: Any) -> None:
            made.append(arguments)

        def outputs(self) -> dict[str, str]:
            return {"listener_arn": "arn"}

    monkeypatch.setattr(moves, "PulumiEngine", Engine)
    moves.deployed(StackFile.read("dev"))
    moves.deployed(StackFile.read("stacks/Pulumi.dev.yaml"))
    (project / "Pulumi.dev.yaml").write_text((project / "stacks" / "Pulumi.dev.yaml").read_text())
    moves.deployed(StackFile.read("./Pulumi.dev.yaml"))
    assert made == [(project, "dev", None), (project, "dev", None), (project, "dev", project / "Pulumi.dev.yaml")]


def test_a_folder_without_pulumi_yaml_is_read_and_not_deployed(
    project: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "Pulumi.yaml").unlink()
    monkeypatch.chdir(project / "stacks")
    (project / "stacks" / "start.sh").write_text("#!/bin/sh\n")
    assert run_here(capsys, "check").code == 0
    assert run_here(capsys, "explain").code == 0
    with pytest.raises(EngineError, match=r"has no Pulumi\.yaml"):
        moves.deployed(StackFile.read("dev"))
