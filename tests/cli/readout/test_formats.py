"""A readout on the terminal, as Markdown, as HTML and as JSON."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from abtest.cli.readout import html, markdown, terminal
from abtest.cli.readout.charts import nice_ticks, time_ticks
from abtest.cli.schema import schema_of
from abtest.readout.breakdown import By
from abtest.readout.question import DEFAULT_ROUTE as MAIN
from abtest.readout.readout import Readout
from abtest.readout.statistics import outcome
from abtest.readout.sums import Sums
from abtest.readout.table import Latencies, Lines, Table
from tests.configs import ROOT
from tests.readout.tables import BEGIN, HOUR, metrics, period, question, read, table

BY: tuple[By, ...] = ("route", "hour", "status", "path")
NASTY = "/predict/<script>alert(1)</script>|`*[x](javascript:0)[/red]"

FAULTY = {"a": metrics(1000, 0.02), "b": metrics(1000, 0.12)}
READOUT = read(replace(table(FAULTY, not_randomised={"path-b": 200}), paths={(NASTY, "b"): metrics(9)}))


def on_terminal(readout: Readout, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    terminal.show(readout, console, BY)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def as_json(readout: Readout) -> str:
    return msgspec.json.encode(readout).decode()


FORMATS: dict[str, Callable[[Readout], str]] = {
    "terminal": lambda readout: on_terminal(readout, 200),
    "markdown": lambda readout: markdown.write(readout, BY).replace("\\", ""),
    "html": lambda readout: html.write(readout, BY).replace("\N{NO-BREAK SPACE}", " "),
    "json": as_json,
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "fact",
    [
        "b is worse: error rate +2.0 points [1.0, 3.0]",
        "95 % sure however often one looks",
        "split is as asked: a 50.0 % (asked 50.0 %), b 50.0 %",
        "10,000 lines parsed, 0 skipped",
        "access logs in logs/",
        "clients are addresses: several behind one (NAT, a proxy, a service that calls) count as one",
        "no evidence",
        "11 ms of mean latency would show by now",
        "2.4 %",
        "path-b",
        "2026-11-22",
        "never judged",
    ],
)
def test_every_format_tells_the_facts(name: str, fact: str) -> None:
    assert fact in FORMATS[name](READOUT)


@pytest.mark.parametrize("name", ["terminal", "markdown", "html"])
def test_a_verdict_comes_before_its_health_and_both_before_figures(name: str) -> None:
    shown = FORMATS[name](READOUT)
    places = [shown.index(words) for words in ("b is worse", "lines parsed", "always-valid", "error rate")]
    assert places[:3] == sorted(places[:3])


def test_a_terminal_of_80_columns_is_enough() -> None:
    lines = on_terminal(READOUT).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("█████·····" in line for line in lines)
    assert any(re.match(r"error rate +│ worse +│ +\+2.0 points │ \[1.0, 3.0\] +│ \[1.5, 2.5\]", line) for line in lines)


# What a log says ------------------------------------------------------------------------------------------------------


def test_what_a_log_says_is_shown_as_it_is() -> None:
    assert NASTY in on_terminal(READOUT, 200)
    page = html.write(READOUT, BY)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    text = markdown.write(READOUT, BY)
    assert "<script" not in text
    (line,) = [line for line in text.splitlines() if "predict" in line]
    assert line.startswith(r"|/predict/&lt;script&gt;alert(1)&lt;/script&gt;\|\`\*\[x\](javascript:0)\[/red\]|b|")


def test_the_name_of_an_outcome_makes_no_tag() -> None:
    clicks = outcome("<script>clicks")
    variants = {name: {**found, clicks.name: found["errors"]} for name, found in FAULTY.items()}
    page = html.write(read(table(variants), judged=(clicks,)))
    assert "<figure" in page
    assert "<script" not in page


# JSON -----------------------------------------------------------------------------------------------------------------


def test_the_json_is_what_its_schema_says() -> None:
    check = jsonschema.Draft202012Validator(schema_of("report"))
    found = json.loads(as_json(READOUT))
    check.validate(found)
    check.validate(json.loads(as_json(read(Table(lines=Lines())))))
    assert found.keys() == schema_of("report")["$defs"]["Readout"]["properties"].keys()
    assert found["lines"] == {
        "parsed": 10000, "foreign": 0, "skipped": 0, "unreadable": [], "outside": 0, "unknown": {},
        "load_balancers": [],
    }  # fmt: skip
    assert not check.is_valid({**found, "conclusions": [{**found["conclusions"][0], "standing": "fine"}]})


def test_every_share_in_the_json_is_from_0_to_1() -> None:
    found = json.loads(as_json(READOUT))
    (route,) = found["routes"]
    (b,) = [variant for variant in route["variants"] if variant["name"] == "b"]
    assert b["share"] == {"set": 0.5, "seen": 0.5}
    means = {mean["metric"]: (mean["unit"], round(mean["value"], 3)) for mean in b["means"]}
    assert means["errors"] == ("share", 0.024)
    assert means["latency"] == ("ms", 110)
    (errors,) = [effect for effect in route["effects"] if effect["metric"] == "errors"]
    assert (errors["unit"], round(errors["difference"], 3)) == ("share", 0.02)
    assert errors["over_time"][-1]["difference"] == errors["difference"]
    (row,) = found["breakdowns"]["path"]
    assert row["share"] == 1
    assert 0 <= row["error_rate"] <= 1


# HTML -----------------------------------------------------------------------------------------------------------------


class _Tags(HTMLParser):
    """The tags of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def pictures(page: str) -> list[ET.Element]:
    return [ET.fromstring(found) for found in re.findall(r"<figure.*?(<svg.*)</figure>", page)]  # noqa: S314 of our own


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    page = html.write(READOUT, BY)
    links = [
        value for _, attributes in _Tags(page).found for name, value in attributes.items() if name in {"href", "src"}
    ]
    assert links == ["data:,"]
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page
    assert "default-src 'none'" in page


def test_the_page_is_readable_by_machines_on_phones_and_in_the_dark() -> None:
    page = html.write(READOUT, BY)
    tags = _Tags(page).found
    assert ("html", {"lang": "en"}) in tags
    assert any(attributes.get("name") == "viewport" for _, attributes in tags)
    assert "prefers-color-scheme: dark" in page
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")
    names = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {name for _, each in tags for name in (each.get("aria-labelledby") or "").split()} <= set(names)


def test_there_is_a_picture_of_each_difference_of_the_shares_and_of_latencies() -> None:
    page = html.write(READOUT)
    kinds = re.findall(r'<figure class="(\w+)"', page)
    assert kinds == ["difference"] * 4 + ["shares", "latencies"]
    first, *_ = pictures(page)
    assert [child.text for child in first[:2]] == [
        "error rate: b less the control, over time",
        "Last: +2.0 points [1.0, 3.0]. Verdict: worse.",
    ]
    assert len(first.findall(".//polygon")) == 1
    labels = [text.text for text in first.iter("text")]
    assert "points, up is worse" in labels
    assert {"0", "2"} <= {*labels}


def test_without_data_there_is_no_picture() -> None:
    assert "<figure" not in html.write(read(Table(lines=Lines())))


def test_the_package_ships_the_page_to_fill_in() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["abtest"]
    assert f"cli/readout/{html.TEMPLATE}" in shipped


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH")
def test_a_browser_shows_the_page_without_a_word_on_its_console(tmp_path: Path) -> None:
    """But for one on a script that was smuggled in, which shows that it can be heard, and that no script would run."""
    file = tmp_path / "report.html"
    file.write_text(html.write(READOUT, BY).replace("</main>", "<script>document.title = 'run'</script></main>"))
    command = [
        str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (said,) = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    assert "Executing inline script violates" in said
    assert "<title>dev: b against a</title>" in ran.stdout


# Odd tables -----------------------------------------------------------------------------------------------------------

_NUMBERS = st.one_of(st.just(0.0), st.floats(0, 1e6), st.floats(0, 1e300))
_SUMS = st.builds(Sums, units=st.integers(0, 10**6), n=_NUMBERS, y=_NUMBERS, nn=_NUMBERS, ny=_NUMBERS, yy=_NUMBERS)
_REQUESTS = st.fixed_dictionaries(
    {"errors": _SUMS}, optional=dict.fromkeys(["latency", "bytes", "slower than 0.5 s"], _SUMS)
)
_PERIODS, _ROUTES, _VARIANTS = st.integers(0, 1), st.sampled_from([MAIN, "beta"]), st.sampled_from(["a", "b", "c"])
_CELLS = st.tuples(_PERIODS, _ROUTES, _VARIANTS)
_STEPS = st.tuples(_PERIODS, _ROUTES, _VARIANTS, st.integers(0, 8).map(lambda n: BEGIN + n * HOUR))
_LATENCIES = st.dictionaries(st.integers(0, 10**7), st.integers(1, 1000), min_size=1, max_size=4).map(
    lambda counts: Latencies(counts=counts)
)
_TABLES = st.builds(
    Table,
    lines=st.just(Lines()),
    window=st.sampled_from([None, (BEGIN, BEGIN), (BEGIN, BEGIN + 8 * HOUR)]),
    cells=st.dictionaries(_CELLS, _REQUESTS, max_size=4),
    first_seen=st.dictionaries(_CELLS, st.integers(0, 1000), max_size=4),
    steps=st.dictionaries(_STEPS, _REQUESTS, max_size=4),
    so_far=st.dictionaries(_STEPS, _REQUESTS, max_size=4),
    latencies=st.dictionaries(st.tuples(st.just(MAIN), _VARIANTS), _LATENCIES, max_size=3),
)


@given(_TABLES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
def test_no_table_is_too_odd_to_be_shown(made: Table) -> None:
    asked = question(
        period(0, 4, a=50, b=50), period(4, 8, a=50, b=25, c=25), splits={MAIN: None, "beta": {"a": 1, "c": 1}}
    )
    readout = read(made, asked)
    shown = {name: write(readout) for name, write in FORMATS.items()}
    for picture in pictures(shown["html"]):
        numbers = " ".join(value for each in picture.iter() for value in each.attrib.values())
        assert not re.search(r"\b(nan|inf)\b", numbers)


# Axes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-0.3, 2.6, [0, 1, 2]),
        (-0.013, 0.031, [-0.01, 0, 0.01, 0.02, 0.03]),
        (1200, 4900, [2000, 3000, 4000]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("start", "hours", "labels"),
    [
        ("2026-11-22T00:30", 24, ["06:00", "12:00", "18:00", "23 Nov"]),
        ("2026-11-22T23:58", 0.1, ["23:58", "23 Nov", "00:02", "00:04"]),
        ("2026-11-22T00:00", 72, ["22 Nov", "23 Nov", "24 Nov", "25 Nov"]),
        ("2026-11-22T00:00", 0, ["22 Nov"]),
    ],
)
def test_times_are_full_hours_and_days(start: str, hours: float, labels: list[Any]) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    assert [label for _, label in time_ticks(begin, begin + timedelta(hours=hours))] == labels
