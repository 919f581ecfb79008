"""How to start this program again, for the commands that messages tell people to run."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["command", "program"]


def command(words: str, stack: str) -> str:
    """A command as it can be pasted into the user's shell: ``.venv/bin/abtest rollback --stack prod``."""
    return f"{program()} {words} --stack {shlex.quote(stack)}"


def program() -> str:
    """``abtest`` where that is this very installation, else the way to its script, or to its Python."""
    python = Path(sys.executable)
    script = python.with_name("abtest")
    if not script.is_file():  # `pulumi install` installs only what abtest needs
        return f"{_near(python)} -m abtest"
    on_path = shutil.which("abtest")
    return "abtest" if on_path and Path(on_path).samefile(script) else _near(script)


def _near(file: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(file.relative_to(here) if file.is_relative_to(here) else file))
