"""Locks of a backend of files: which one is proven to be of a process that has died."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from abtest.rollout import locks
from abtest.rollout.locks import Lock, Note, locks_in
from tests.configs import ROOT

pytestmark = pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="nothing is proven without /proc")


def lock_of(folder: Path, pid: int, at: datetime | None = None, host: str | None = None) -> Lock:
    """A lock as the engine writes and reports it."""
    at, host = at or datetime.now(UTC), host or socket.gethostname()
    file = folder / f".pulumi/locks/organization/abtest/dev/{uuid4()}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    time_text = f"{at:%Y-%m-%dT%H:%M:%S.%f}789Z"
    file.write_text(json.dumps({"pid": pid, "username": "ann", "hostname": host, "timestamp": time_text}))
    message = f"\n  file://{file}?no_tmp_dir=true: created by ann@{host} (pid {pid}) at {at:%Y-%m-%dT%H:%M:%SZ}"
    (lock,) = locks_in(f"the stack is currently locked by 1 lock(s).{message}")
    return lock


class Update:
    """An update that holds its lock: a shell that the engine runs below, as with a wrapper on PATH."""

    def __init__(self, folder: Path) -> None:
        start = time.time()
        self.process = subprocess.Popen(["/bin/sh", "-c", "sleep 60; :"], stdout=subprocess.DEVNULL)
        self.engine = until(lambda: child_of(self.process.pid))
        self.lock = lock_of(folder, self.engine)
        note = Note.now(start)
        assert note
        self.note = note

    def kill(self) -> None:
        self.process.kill()
        os.kill(self.engine, 9)
        self.process.wait()
        until(lambda: locks._began(self.engine) is None)


def child_of(pid: int) -> int:
    return next((child for child, _ in locks._descendants(pid)), 0)


def until(condition: object) -> int:
    for _ in range(200):
        if found := condition():  # type: ignore[operator]
            return int(found)
        time.sleep(0.02)
    raise AssertionError


@pytest.fixture
def update(tmp_path: Path) -> Iterator[Update]:
    made = Update(tmp_path)
    yield made
    if made.process.poll() is None:
        made.kill()


def test_an_update_below_a_wrapper_runs(update: Update) -> None:
    assert update.lock.runs_here
    assert update.lock.doubt(update.note) == "it runs"


def test_an_update_that_was_killed_is_proven_dead(update: Update, tmp_path: Path) -> None:
    other = lock_of(tmp_path, 7)
    update.kill()
    assert not update.lock.runs_here
    assert update.lock.doubt(update.note) == ""
    update.lock.remove()
    assert update.lock.file
    assert not update.lock.file.exists()
    assert other.file
    assert other.file.exists(), "the other lock stays"


def test_a_zombie_has_died() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        until(lambda: locks._stat(process.pid)[:1] == ["Z"])
        assert locks._began(process.pid) is None


def test_a_process_that_got_the_number_later_is_another(update: Update) -> None:
    later = replace(update.note, processes={str(update.engine): 1})
    assert update.lock.doubt(later) == ""


def test_a_process_younger_than_the_lock_does_not_hold_it(tmp_path: Path) -> None:
    assert not lock_of(tmp_path, os.getpid(), datetime.now(UTC) - timedelta(days=300)).runs_here


UNKNOWN = "it was not started by abtest in this folder"
ELSEWHERE = "it was started in another container, or before a reboot"


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        (None, UNKNOWN),
        ({"processes": {"7": 1}}, UNKNOWN),
        ({"end": 1.0, "start": 0.0}, UNKNOWN),
        ({"start": 1e11, "end": 1e12}, UNKNOWN),
        ({"boot": "another"}, ELSEWHERE),
        ({"namespace": "pid:[1]"}, ELSEWHERE),
        ({"host": "another"}, ELSEWHERE),
    ],
    ids=["no note", "process", "earlier update", "later update", "boot", "PID namespace", "host"],
)
def test_nothing_is_proven_by_another_note(changes: dict[str, object] | None, doubt: str, update: Update) -> None:
    update.kill()
    note = None if changes is None else replace(update.note, **changes)  # type: ignore[arg-type]
    assert update.lock.doubt(note) == doubt


def test_nothing_is_proven_of_another_machine_or_another_lock(update: Update, tmp_path: Path) -> None:
    update.kill()
    elsewhere = lock_of(tmp_path, update.engine, host="elsewhere")
    assert elsewhere.doubt(update.note) == "it is on another machine, or may be"
    in_bucket = replace(update.lock, url="s3://state/.pulumi/locks/organization/abtest/dev/1.json")
    assert in_bucket.doubt(update.note) == "it is on another machine, or may be"
    assert update.lock.file
    for text in ("", "{}", update.lock.file.read_text().replace("ann", "bob")):
        update.lock.file.write_text(text)
        assert update.lock.doubt(update.note) == UNKNOWN


@pytest.mark.parametrize("options", ["rw,hidepid=2", "rw,hidepid=invisible", "rw,hidepid=1", "rw,subset=pid"])
def test_nothing_is_proven_where_proc_hides_processes(
    options: str, update: Update, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update.kill()
    proc = proc_of(tmp_path, os.getpid(), options)
    monkeypatch.setattr(locks, "_PROC", proc)
    assert update.lock.doubt(update.note) == "this system does not show which processes run"
    assert Note.now(0) is None


def test_nothing_is_proven_by_the_proc_of_another_namespace(
    update: Update, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update.kill()
    monkeypatch.setattr(locks, "_PROC", proc_of(tmp_path, 1))
    assert update.lock.doubt(update.note) == "this system does not show which processes run"
    monkeypatch.setattr(locks, "_PROC", tmp_path / "missing")  # as on macOS
    assert update.lock.doubt(update.note) == "this system does not show which processes run"


def proc_of(folder: Path, own: int, options: str = "rw") -> Path:
    """A /proc without processes."""
    proc = folder / "proc"
    (proc / str(own) / "ns").mkdir(parents=True)
    (proc / "sys/kernel/random").mkdir(parents=True)
    (proc / "self").symlink_to(str(own))
    (proc / "self/ns/pid").symlink_to(Path("/proc/self/ns/pid").readlink())
    (proc / "sys/kernel/random/boot_id").write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    (proc / "self/mountinfo").write_text(f"22 27 0:21 / {proc} rw,relatime - proc proc {options}\n")
    return proc


def test_a_live_update_is_not_judged_dead_from_another_pid_namespace(update: Update, tmp_path: Path) -> None:
    """As two containers with one host name and one state folder."""
    command = ["unshare", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no PID namespace can be made here")
    update.note.write(tmp_path, "dev")
    script = f"""
from pathlib import Path
from abtest.rollout.locks import Lock, Note
lock = {update.lock!r}
print(lock.runs_here, lock.doubt(Note.read(Path({str(tmp_path)!r}), "dev")))
"""
    ran = subprocess.run([*command, sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout == f"False {ELSEWHERE}\n"


def test_a_note_is_read_back_and_a_broken_one_is_none(tmp_path: Path) -> None:
    note = Note.now(1.0)
    assert note
    note.write(tmp_path, "org/abtest/dev")
    assert Note.read(tmp_path, "org/abtest/dev") == note
    file = Note.file(tmp_path, "org/abtest/dev")
    assert [each.name for each in file.parent.iterdir()] == [file.name]
    for text in ("", "[]", "{}", file.read_text().replace('"start": 1.0', '"start": "1"')):
        file.write_text(text)
        assert Note.read(tmp_path, "org/abtest/dev") is None


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("file:///s/.pulumi/locks/o/p/dev/1.json?no_tmp_dir=true", "/s/.pulumi/locks/o/p/dev/1.json"),
        ("file:///s?no_tmp_dir=true/.pulumi/locks/o/p/dev/1.json", "/s/.pulumi/locks/o/p/dev/1.json"),
        ("file:///my%20state/.pulumi/locks/o/p/dev/1.json", "/my state/.pulumi/locks/o/p/dev/1.json"),
        ("file:///etc/passwd", None),
        ("s3://s/.pulumi/locks/o/p/dev/1.json", None),
    ],
)
def test_a_lock_is_a_file_of_the_backend(url: str, file: str | None) -> None:
    lock = Lock(url, "ann", "host", 1, "")
    assert lock.file == (Path(file) if file else None)
