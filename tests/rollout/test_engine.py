"""Asking the Pulumi CLI, with one that is told what to say."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abtest.rollout import engine
from abtest.rollout.engine import EngineError, PulumiEngine
from abtest.rollout.locks import Note

CLI = """\
#!/bin/sh
case "$*" in *version*) echo v3.274.1; exit;; esac
echo asked >> {folder}/asked
if [ $(wc -l < {folder}/asked) -le {failures} ]; then
    echo 'error: failed to load checkpoint: EOF' >&2
    exit 255
fi
echo '{{"url": "http://x"}}'
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_PAUSES", (0.0, 0.0, 0.0))


def with_cli(folder: Path, monkeypatch: pytest.MonkeyPatch, failures: int) -> PulumiEngine:
    cli = folder / "pulumi"
    cli.write_text(CLI.format(folder=folder, failures=failures))
    cli.chmod(0o755)
    (folder / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return PulumiEngine(folder, "dev")


def test_a_state_that_is_being_written_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_cli(tmp_path, monkeypatch, failures=2).outputs() == {"url": "http://x"}


def test_a_state_that_stays_broken_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineError, match="failed to load checkpoint: EOF"):
        with_cli(tmp_path, monkeypatch, failures=9).outputs()
    assert (tmp_path / "asked").read_text().count("asked") == 4


# Locks ----------------------------------------------------------------------------------------------------------------

LOCKED = """\
#!/bin/sh
case "$*" in *version*) echo v3.274.1; exit;; esac
case "$2" in
up)
    for lock in {locks}/*.json; do
        test -e "$lock" || exit 0
        set -- $(tr -d '",{{}}:' < "$lock")
        echo 'error: the stack is currently locked by 1 lock(s).' >&2
        echo "  file://$lock: created by $4@$6 (pid $2) at 2026-01-01T00:00:00Z" >&2
    done
    exit 255;;
*) echo "$@" >> {folder}/asked;;
esac
"""


class Locked:
    """A stack whose CLI refuses an update while there are lock files."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = with_cli(folder, monkeypatch, failures=0)
        self.locks = folder / ".pulumi/locks/organization/abtest/dev"
        (folder / "pulumi").write_text(LOCKED.format(locks=self.locks, folder=folder))
        self.folder = folder

    def lock(self, pid: int) -> Path:
        file = self.locks / f"{pid}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f'{{"pid": {pid}, "username": "ann", "hostname": "{socket.gethostname()}", '
            f'"timestamp": "{datetime.now(UTC).isoformat()}"}}'
        )
        return file

    def up(self) -> list[str]:
        said: list[str] = []
        self.engine.up("a test", said.append)
        return said


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locked:
    return Locked(tmp_path, monkeypatch)


def test_a_lock_without_proof_stays_and_the_message_names_its_file(locked: Locked) -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    lock = locked.lock(process.pid)
    with pytest.raises(EngineError) as caught:
        locked.up()
    assert f"process {process.pid} of ann on " in str(caught.value)
    assert "; it was not started by abtest in this folder\nwait for it; if you" in str(caught.value)
    assert str(caught.value).endswith(f"if you know that it died: rm {lock}, then this command again")
    assert lock.exists()


def test_the_lock_of_our_own_dead_update_is_removed_without_pulumi_cancel(locked: Locked) -> None:
    start = time.time()
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        lock, note = locked.lock(process.pid), Note.now(start)
        process.kill()
    assert note
    note.write(locked.folder, "dev")
    (said,) = locked.up()
    assert said.startswith(f"cleared the lock of an update that died: process {process.pid} of ann on ")
    assert not lock.exists()
    assert not (locked.folder / "asked").exists(), "no other command ran"
