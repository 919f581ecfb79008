"""Reads flow charts: the few forms that this project writes, and with mermaid itself where it is at hand."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

__all__ = ["charts_in", "check", "parse_with_mermaid"]

#: Text in quotes: nothing that mermaid or its Markdown would read.
_LABEL = r'"(?:[^"#<>&\\`*\n]|#(?:\d+|quot|lt|gt);)+"'
_FORMS = (
    r"  client\(\[client\]\) --> (?P<to>r0)",
    rf"  (?P<node>r\d+)(?:\{{\{{{_LABEL}\}}\}}|\[{_LABEL}\])",
    rf"  (?P<node>e\d+)\(\[{_LABEL}\]\)",
    r"  (?P<from>r\d+) -->\|no\| (?P<to>r\d+)",
    rf"  (?P<from>r\d+) ==>\|{_LABEL}\| (?P<to>e\d+)",
)


def charts_in(markdown: str) -> list[str]:
    return re.findall(r"^```mermaid\n(.*?)\n```$", markdown, re.DOTALL | re.MULTILINE)


def check(chart: str) -> None:
    """Fail unless each line has one of the forms, and each node is made once and led to."""
    first, *lines = chart.splitlines()
    assert first == "flowchart LR"
    found = [next((m for form in _FORMS if (m := re.fullmatch(form, line))), None) for line in lines]
    assert None not in found, [line for line, m in zip(lines, found, strict=True) if m is None]
    named = [match.groupdict() for match in found if match is not None]
    nodes = [groups["node"] for groups in named if "node" in groups]
    assert sorted(nodes) == sorted({groups["to"] for groups in named if "to" in groups})
    assert {groups["from"] for groups in named if "from" in groups} <= {*nodes}


_PARSER = """
import { JSDOM } from "jsdom";
globalThis.window = new JSDOM("").window;
globalThis.document = window.document;
const mermaid = (await import("mermaid")).default;
let text = "";
for await (const part of process.stdin.setEncoding("utf8")) text += part;
for (const chart of text.split("\\0")) await mermaid.parse(chart);
"""


def parse_with_mermaid(charts: Iterable[str]) -> str:
    """What mermaid says against some charts, "" if nothing."""
    folder = os.environ.get("ABTEST_MERMAID", "")
    if not (Path(folder) / "node_modules" / "mermaid").is_dir():
        pytest.skip("mermaid is not here: npm install mermaid jsdom, and name that folder in ABTEST_MERMAID")
    command = ["node", "--input-type=module", "--eval", _PARSER]
    done = subprocess.run(
        command, cwd=folder, input="\0".join(charts), capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr if done.returncode else ""
