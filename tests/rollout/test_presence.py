"""Whether a ramp runs on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from abtest.rollout.presence import Presence

BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_ramp_runs_until_it_ends(tmp_path: Path) -> None:
    with Presence(tmp_path, "dev"):
        assert Presence(tmp_path, "dev").runs(BEFORE) is True
    assert Presence(tmp_path, "dev").runs(BEFORE) is False


def test_a_ramp_that_was_killed_no_longer_runs(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from abtest.rollout.presence import Presence\n"
        f"with Presence(Path({str(tmp_path)!r}), 'dev'): print('runs', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        assert Presence(tmp_path, "dev").runs(BEFORE) is True
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert Presence(tmp_path, "dev").runs(BEFORE) is False


def test_nothing_is_known_of_a_ramp_elsewhere(tmp_path: Path) -> None:
    assert Presence(tmp_path, "dev").runs(BEFORE) is None
    with Presence(tmp_path, "dev"):
        assert Presence(tmp_path, "prod").runs(BEFORE) is None
    assert Presence(tmp_path, "dev").runs(datetime.now(UTC) + timedelta(minutes=1)) is None


def test_a_folder_that_cannot_be_written_does_not_stop_a_ramp(tmp_path: Path) -> None:
    (tmp_path / ".abtest").write_text("a file")
    with Presence(tmp_path, "dev") as presence:
        presence.mark()
        assert Presence(tmp_path, "dev").runs(BEFORE) is None


def test_a_second_ramp_goes_on_and_leaves_the_first_one_its_lock(tmp_path: Path) -> None:
    with Presence(tmp_path, "dev"):
        with Presence(tmp_path, "dev"):
            pass
        assert Presence(tmp_path, "dev").runs(BEFORE) is True
