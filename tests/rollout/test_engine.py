"""Asking the Pulumi CLI, with one that is told what to say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from abtest.rollout import engine
from abtest.rollout.engine import EngineError, PulumiEngine

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
