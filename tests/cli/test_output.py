"""Every command prints on terminals of every encoding."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from abtest.cli import run
from tests.configs import STACKS
from tests.readout.log_lines import line


@pytest.fixture
def log(tmp_path: Path) -> str:
    file = tmp_path / "access.log"
    file.write_text("".join(f"{line(at=n / 10, client=f'10.0.0.{n}:5', variant='ab'[n % 2])}\n" for n in range(100)))
    return str(file)


def printed(monkeypatch: pytest.MonkeyPatch, encoding: str, *arguments: str) -> bytes:
    """What a command writes to a stream of that encoding."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    run(list(arguments))
    out.flush()
    return out.buffer.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_report_is_printed_in_every_encoding(encoding: str, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = printed(monkeypatch, encoding, "report", "--logs", log, "--weights", "a=50,b=50").decode(encoding)
    assert "access logs" in report
    assert ("━━" in report) == (encoding == "utf-8")
    assert "?" not in report
    assert ("█" if encoding == "utf-8" else "#") in report


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_json_and_html_are_utf8_in_every_encoding(encoding: str, log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = ("report", "--logs", log, "--weights", "a=50,b=50", "--format")
    html = printed(monkeypatch, encoding, *report, "html").decode("utf-8")
    assert 'charset="utf-8"' in html
    assert not html.isascii()
    for command in [(*report, "json"), ("schema",), ("check", "--format", "json")]:
        json.loads(printed(monkeypatch, encoding, *command).decode("utf-8"))


@pytest.mark.parametrize("stack", STACKS)
def test_rules_are_printed_in_ascii(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "default" in printed(monkeypatch, "ascii", "explain", "--stack", stack).decode("ascii")


def test_a_character_that_an_encoding_lacks_is_shown_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from abtest.cli.output import take_every_character

    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    take_every_character()
    out.write("10 → 25 … é ж \udcff")
    out.flush()
    assert out.buffer.getvalue() == rb"10 -> 25 ... \u00e9 \u0436 \udcff"
