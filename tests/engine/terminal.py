"""A terminal with somebody at it: what a command shows there, and what is typed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from select import select

__all__ = ["CTRL_C", "Terminal", "terminal"]

#: As the terminal sends it: to every process in the foreground, whoever started it.
CTRL_C = "\x03"

_IN_FRONT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """``shown`` is everything so far."""

    def __init__(self, process: subprocess.Popen[bytes], end: int) -> None:
        self.shown = ""
        self._process, self._end = process, end

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, words: str, seconds: float = 60) -> None:
        """Wait until the command has shown ``words``, after what was waited for last."""
        seen, deadline = len(self.shown), time.monotonic() + seconds
        while words not in self.shown[seen:]:
            assert time.monotonic() < deadline, f"{words} never came: {self.shown}"
            assert self._read(), f"{words} never came: {self.shown}"

    def code(self, seconds: float = 120) -> int:
        """Wait for the end of the command; its exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read():
            pass
        try:
            return self._process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.shown}") from None

    def _read(self) -> bool:
        """Whether there may be more."""
        if select([self._end], [], [], 0.2)[0]:
            try:
                read = os.read(self._end, 65536)
            except OSError:  # Linux's way to say that nobody has the other end any more
                return False
            self.shown += read.decode(errors="replace")
            return bool(read)
        return True


@contextmanager
def terminal(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a command in the foreground of a terminal of its own."""
    end, other = os.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-c", _IN_FRONT, *command],
            cwd=folder,
            env=env,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        ) as process:
            os.close(other)
            try:
                yield Terminal(process, end)
            finally:
                process.kill()
    finally:
        os.close(end)
