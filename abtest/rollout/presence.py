"""Whether a ramp runs on this machine: a lock that its process holds, and that the system frees however it ends."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Self

if sys.platform != "win32":
    import fcntl

__all__ = ["Presence"]


class Presence:
    """The ramp of a stack, in a project's folder. Failing to lock or to ``mark`` never stops a ramp."""

    def __init__(self, folder: Path, stack: str) -> None:
        self._path = folder / ".abtest" / f"ramp-{stack}.lock"
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            self._file = self._path.open("ab")
            if sys.platform != "win32":
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.mark()
        return self

    def __exit__(self, *_: object) -> None:
        self.mark()
        if self._file is not None:
            self._file.close()

    def mark(self) -> None:
        with suppress(OSError):
            self._path.touch()

    def runs(self, since: datetime) -> bool | None:
        """Whether a ramp runs here; None if that is not known, since no ramp was here after ``since``."""
        if sys.platform == "win32":
            return None
        try:
            with self._path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            marked = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return None if marked < since else False
