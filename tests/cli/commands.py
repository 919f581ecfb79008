"""Running the command line in tests: in this process, or as a user's shell does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from abtest.cli import run
from tests.configs import ROOT

__all__ = ["Ran", "run_here", "run_python", "run_shell"]


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run_here(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run a command in this process, in the current folder."""
    code = run(list(arguments))
    return Ran(code, *capsys.readouterr())


def run_shell(*arguments: str, folder: Path = ROOT) -> Ran:
    """Run ``python -m abtest`` as a process of its own."""
    return run_python("-m", "abtest", *arguments, folder=folder)


def run_python(*arguments: str, folder: Path = ROOT) -> Ran:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)
