"""How to start this program again, for the commands that messages tell people to run."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["command", "near", "program"]


def command(words: str, stack: str) -> str:
    """A command as it can be pasted into the user's shell: ``.venv/bin/abtest rollback --stack prod``."""
    return f"{program()} {words} --stack {shlex.quote(stack)}"


def program() -> str:
    """``abtest`` where that is this very installation, else the way to its script, or to its Python."""
    python = Path(sys.executable)
    script = python.with_name("abtest")
    if not script.is_file():  # `pulumi install` installs only what abtest needs
        return f"{_quoted(python)} -m abtest"
    on_path = shutil.which("abtest")
    return "abtest" if on_path and Path(on_path).samefile(script) else _quoted(script)


def _quoted(file: Path) -> str:
    return shlex.quote(str(near(file)))


def near(file: Path) -> Path:
    """A path as short as the current folder allows."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
