"""The file of the access log."""

from __future__ import annotations

from pathlib import Path

from abtest.local.balancer import AccessLog


def test_a_new_log_without_entries_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "access.log"
    log = AccessLog(file)
    assert file.exists()
    log.close()
    assert not file.exists()


def test_an_existing_log_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.touch()
    AccessLog(file).close()
    assert file.exists()
