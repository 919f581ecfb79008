"""Files that a config or an option names, read with a bound: a device or a huge file is an error, not a hang."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

__all__ = ["LARGEST", "read_file", "read_script"]

#: In bytes. Far more than a stack file, a start-up script or the rules of a listener need.
LARGEST = 10_000_000


def read_file(file: Path, at_most: int = LARGEST, *, allow_pipe: bool = False) -> bytes:
    """The contents of a regular file; with ``allow_pipe`` also of a pipe, such as a shell's ``<(command)``. Raises
    OSError, whose ``strerror`` completes "cannot be read: …".
    """
    with open(file, "rb", opener=None if allow_pipe else _without_waiting) as opened:
        mode = os.fstat(opened.fileno()).st_mode
        if not (stat.S_ISREG(mode) or (allow_pipe and stat.S_ISFIFO(mode))):
            raise OSError(errno.EINVAL, "it is not a regular file")
        data = opened.read(at_most + 1)
    if len(data) > at_most:
        raise OSError(errno.EFBIG, f"it has more than {at_most:,} bytes")
    return data


def _without_waiting(file: str, flags: int) -> int:
    """Opens a named pipe that has no writer at once."""
    return os.open(file, flags | os.O_NONBLOCK)


def read_script(folder: Path, name: str) -> bytes:
    """A ``userDataFile`` of the project in ``folder``. Raises OSError for a path that leads out of the project, since
    instances would get the contents.
    """
    if "\0" in name:
        raise OSError(errno.EINVAL, "a path has no NUL character")
    root, file = os.path.realpath(folder), os.path.realpath(folder / name)
    if os.path.commonpath((root, file)) != root:
        raise OSError(errno.EACCES, "it is outside; copy the script into the project folder")
    return read_file(Path(file), 1_000_000)
