"""Locks that updates leave in a backend of files, and the proof that the process of one has died.

A lock names a process id, a user, a host and a time (pulumi/pulumi pkg/backend/diy/lock.go). That proves nothing:
containers can share a host name and have process ids of their own, and another machine can share the folder. So each
update of ours leaves a note of the processes that it started, and in which PID namespace of which boot.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Lock", "Note", "locks_in"]

_PROC = Path("/proc")
_LOCK = re.compile(r"(?P<url>\S+): created by (?P<user>\S*)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<at>\S+)")


@dataclass(frozen=True, kw_only=True)
class Note:
    """An update of ours that holds the lock, which it took between ``start`` and ``end``, in seconds since 1970.
    ``processes`` maps the ids of the processes that it started to when each began, in clock ticks since the boot.
    """

    boot: str
    namespace: str
    host: str
    start: float
    end: float
    processes: Mapping[str, int]

    @classmethod
    def now(cls, start: float) -> Self | None:
        """Of the processes below this one; None if /proc does not show them."""
        here = _here()
        if here is None:
            return None
        boot, namespace = here
        processes = {str(pid): began for pid, began in _descendants(os.getpid())}
        host = socket.gethostname()
        return cls(boot=boot, namespace=namespace, host=host, start=start, end=time.time(), processes=processes)

    @staticmethod
    def file(folder: Path, stack: str) -> Path:
        return folder / ".abtest" / "updates" / f"{quote(stack, safe='')}.json"

    @classmethod
    def read(cls, folder: Path, stack: str) -> Self | None:
        try:
            note = cls(**json.loads(cls.file(folder, stack).read_bytes()))
            is_whole = all(isinstance(began, int) for began in note.processes.values()) and note.start <= note.end
        except (OSError, ValueError, TypeError, AttributeError):
            return None
        return note if is_whole else None

    def write(self, folder: Path, stack: str) -> None:
        """Without a note there is only no proof later, so a folder that cannot be written is not an error."""
        file = self.file(folder, stack)
        new = file.with_suffix(f".{os.getpid()}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(asdict(self)), encoding="utf-8")
            new.replace(file)
        except OSError:
            pass


@dataclass(frozen=True)
class Lock:
    """A lock as the CLI reports it."""

    url: str
    user: str
    host: str
    pid: int
    at: str

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.at}"

    @property
    def file(self) -> Path | None:
        """The lock's own file; None if the backend is not a folder of this machine."""
        url = urlsplit(self.url)
        # Older CLIs append the lock to the backend's whole URL, behind its query.
        path = unquote(url.path + "".join(url.query.partition("/")[1:]))
        return Path(path) if url.scheme == "file" and "/.pulumi/locks/" in path and path.endswith(".json") else None

    @property
    def runs_here(self) -> bool:
        """Whether a process of this id that is older than the lock runs here, so that waiting for it makes sense."""
        taken, began = self._taken(), _began(self.pid)
        if self.file is None or self.host != socket.gethostname() or taken is None or began is None:
            return False
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")
        return time.time() - age < taken + 2  # clocks are adjusted

    def doubt(self, note: Note | None) -> str:
        """Why it is not proven that the lock's process has died; empty if it is."""
        here = _here()
        if self.file is None or self.host != socket.gethostname():
            return "it is on another machine, or may be"
        if here is None:
            return "this system does not show which processes run"
        taken = self._taken()
        if note is None or taken is None or not (note.start <= taken <= note.end and str(self.pid) in note.processes):
            return "it was not started by abtest in this folder"
        if (note.boot, note.namespace, note.host) != (*here, self.host):
            return "it was started in another container, or before a reboot"
        return "it runs" if _began(self.pid) == note.processes[str(self.pid)] else ""

    def remove(self) -> None:
        """Remove this lock and no other. Raises OSError."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _taken(self) -> float | None:
        """When, in seconds since 1970, as the file has it; None if the file holds another lock, or is gone."""
        if self.file is None:
            return None
        try:
            held: Any = json.loads(self.file.read_bytes())
            is_same = (held["pid"], held["username"], held["hostname"]) == (self.pid, self.user, self.host)
            # Go writes nine digits of a second, of which Python reads six.
            taken = datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", held["timestamp"])).timestamp()
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return taken if is_same else None


def locks_in(message: str) -> list[Lock]:
    """The locks that the CLI names when the stack is locked."""
    return [Lock(m["url"], m["user"], m["host"], int(m["pid"]), m["at"]) for m in _LOCK.finditer(message)]


def _here() -> tuple[str, str] | None:
    """The boot and the PID namespace; None if /proc is missing, of another namespace, or hides processes."""
    try:
        mounts = (_PROC / "self/mountinfo").read_text().splitlines()
        own = next(line for line in reversed(mounts) if line.split()[4] == str(_PROC))
        if (_PROC / "self").readlink() != Path(str(os.getpid())) or re.search(r"hidepid=(?!0|off)|subset=", own):
            return None
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip(), str((_PROC / "self/ns/pid").readlink())
    except (OSError, StopIteration, IndexError):
        return None


def _stat(pid: int | str) -> list[str]:
    """What /proc has of a process, from its state on; empty if it is gone. Source: proc(5)."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _began(pid: int | str) -> int | None:
    """When a process began, in clock ticks since the boot; None if it does not run. A zombie does not."""
    stat = _stat(pid)
    return int(stat[19]) if stat and stat[0] not in {"Z", "X"} else None


def _descendants(pid: int) -> Iterator[tuple[int, int]]:
    found = ((int(each.name), _stat(each.name)) for each in _PROC.glob("[0-9]*"))
    processes = {number: (int(stat[1]), int(stat[19])) for number, stat in found if stat}
    parents = {pid}
    while children := {number for number, (parent, _) in processes.items() if parent in parents} - parents:
        parents |= children
    yield from ((number, processes[number][1]) for number in parents - {pid})
