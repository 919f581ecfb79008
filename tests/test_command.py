"""The commands that messages name work as they are printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abtest.command import command
from tests.configs import ROOT


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space in its name, an installation in its .venv, and another abtest on the PATH."""
    folder = tmp_path / "my project"
    for name in (folder / ".venv" / "bin" / "abtest", tmp_path / "other" / "abtest"):
        name.parent.mkdir(parents=True)
        name.write_text("#!/bin/sh\n")
        name.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    monkeypatch.setattr(sys, "executable", str(folder / ".venv" / "bin" / "python"))
    monkeypatch.chdir(folder)
    return folder


def test_an_active_environment_needs_the_name_only(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(elsewhere / ".venv" / "bin"))
    assert command("rollback", "prod") == "abtest rollback --stack prod"


@pytest.mark.usefixtures("elsewhere")
def test_another_abtest_on_the_path_is_not_meant() -> None:
    assert command("rollback", "prod") == ".venv/bin/abtest rollback --stack prod"


def test_from_another_folder_the_whole_path_is_quoted(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(elsewhere.parent)
    assert command("status", "a b") == "'my project/.venv/bin/abtest' status --stack 'a b'"


def test_without_the_script_python_runs_the_package(elsewhere: Path) -> None:
    """`pulumi install` installs what abtest needs, and not abtest itself."""
    (elsewhere / ".venv" / "bin" / "abtest").unlink()
    assert command("rollback", "prod") == ".venv/bin/python -m abtest rollback --stack prod"


@pytest.mark.parametrize("path", ["", "/usr/bin:/bin"])
def test_the_printed_program_starts(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path:
        monkeypatch.setenv("PATH", path)
    words = shlex.split(command("check", "dev"))
    assert subprocess.run(words, cwd=ROOT, capture_output=True, check=False).returncode == 0
