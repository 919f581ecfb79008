"""Outcomes: which of them count for which variant, and what becomes of the rest."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abtest.readout.files import LogsError
from abtest.readout.health import findings
from abtest.readout.logs import read_logs
from abtest.readout.question import Question
from abtest.readout.sums import Sums
from abtest.readout.table import ERRORS, Lines, Outcome, Outcomes, Table
from tests.readout import naive
from tests.readout.log_lines import NOON, group, line, period, question
from tests.readout.test_logs import same

ROOTS = [f"1-692198c0-{n:024x}" for n in range(9)]


def read(folder: Path, lines: Iterable[str], file: Path, **changes: Any) -> Table:
    log = folder / "access.log"
    log.write_text("".join(f"{each}\n" for each in lines))
    return read_logs([log], question(outcomes=file, **changes))


def write(folder: Path, text: str, suffix: str = ".csv") -> Path:
    file = folder / f"outcomes{suffix}"
    file.write_text(text)
    return file


def asked(table: Table) -> Outcomes:
    assert table.outcomes
    return table.outcomes


def sent(n: int, variant: str = "a", **changes: Any) -> str:
    """A request with a trace of its own."""
    return line(trace=f"Root={ROOTS[n]}", variant=variant, client=f"192.0.2.{n}:1", **changes)


# Joining --------------------------------------------------------------------------------------------------------------


def test_an_outcome_counts_for_the_variant_that_answered_and_the_client_that_asked(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[0]},3\n{ROOTS[1]},0.5\n{ROOTS[2]},-1\n")
    table = read(tmp_path, [sent(0), sent(1).replace("192.0.2.1", "192.0.2.0"), sent(2, "b"), sent(3, "b")], file)
    assert asked(table) == Outcomes(rows=3, unreadable=0, by_name={"outcome": Outcome(matched=3)})
    assert table.cells[0, "main split", "a"]["outcome"] == Sums(units=1, n=2, y=3.5, nn=4, ny=7, yy=12.25)
    assert table.cells[0, "main split", "b"]["outcome"] == Sums(units=1, n=1, y=-1, nn=1, ny=-1, yy=1)
    assert table.cells[0, "main split", "b"][ERRORS].n == 2


def test_traces_are_the_same_whatever_stands_around_their_roots(tmp_path: Path) -> None:
    logged = ["Root={}", "Self=1-692198c0-ffff;Root={}", "Root={};CalledFrom=app;Self=1-2-3"]
    given = ["{}", "Root={}", "Self=1-692198c0-eeee;Root={};Lineage=1"]
    pairs = list(zip(ROOTS, product(logged, given), strict=True))
    lines = [line(trace=header.format(root)) for root, (header, _) in pairs]
    file = write(tmp_path, "trace_id,value\n" + "".join(f"{header.format(root)},1\n" for root, (_, header) in pairs))
    assert asked(read(tmp_path, lines, file)).by_name["outcome"] == Outcome(matched=9, is_share=True)


def test_an_outcome_may_be_of_a_unit_of_its_own(tmp_path: Path) -> None:
    file = write(
        tmp_path, f"trace_id,value,unit\n{ROOTS[0]},1,ann\n{ROOTS[1]},1,ann\n{ROOTS[2]},1,\n{ROOTS[3]},1,bob\n"
    )
    sums = read(tmp_path, map(sent, range(4)), file).cells[0, "main split", "a"]["outcome"]
    assert sums == Sums(units=3, n=4, y=4, nn=6, ny=6, yy=6)


def test_what_does_not_count_is_said(tmp_path: Path) -> None:
    rows = [
        (ROOTS[0], "x"), (ROOTS[0], 1), (ROOTS[0], 0), (ROOTS[1], ""), (ROOTS[1], "nan"), (ROOTS[1], "1e300"),
        (ROOTS[2], 1), (ROOTS[3], 1), (ROOTS[4], 1), (ROOTS[5], 1), ("", 1), ("-", 1),
    ]  # fmt: skip
    file = write(tmp_path, "trace_id,value\n" + "".join(f"{trace},{value}\n" for trace, value in rows) + "1,2,3\n4\n")
    lines = [
        sent(0), sent(1), sent(2, arn=group("c")), sent(3, at=-1), sent(4), sent(4, "b"), line(trace="-"),
    ]  # fmt: skip
    table = read(tmp_path, lines, file)
    found = Outcome(matched=1, duplicates=1, unreadable=4, not_compared=2, ambiguous=1, unmatched=1, is_share=True)
    assert asked(table) == Outcomes(rows=14, unreadable=4, by_name={"outcome": found})
    assert table.cells[0, "main split", "a"]["outcome"] == Sums(units=1, n=1, y=1, nn=1, ny=1, yy=1)
    assert table.lines == Lines(parsed=7, outside=1, unknown={group("c"): 1})


def test_the_same_trace_twice_in_the_logs_is_one_answer_of_the_first(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[0]},1\n")
    lines = [sent(0, at=50).replace("192.0.2.0", "192.0.2.9"), sent(0, at=1), sent(1, at=50)]
    table = read(tmp_path, lines, file, step_seconds=10)
    assert table.steps[0, "main split", "a", NOON]["outcome"].n == 1
    assert table.steps[0, "main split", "a", NOON + timedelta(seconds=50)]["outcome"].n == 0


def test_sums_so_far_go_on_where_a_step_has_no_outcome(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[1]},5\n")
    table = read(tmp_path, [sent(n, at=60 * n) for n in range(3)], file, step_seconds=60)
    assert [sums["outcome"].y for sums in table.steps.values()] == [0, 5, 0]
    assert [sums["outcome"].y for sums in table.so_far.values()] == [0, 5, 5]


def test_yes_and_no_are_1_and_0(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[0]},yes\n{ROOTS[1]},No\n")
    table = read(tmp_path, map(sent, range(2)), file)
    assert asked(table).by_name["outcome"] == Outcome(matched=2, is_share=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [("good", '1 not a number, such as "good" (write a number, true or false)'), ("", "1 empty (write a number")],
)
def test_a_value_that_is_not_a_number_is_shown_with_what_to_write(tmp_path: Path, value: str, words: str) -> None:
    table = read(tmp_path, map(sent, range(2)), write(tmp_path, f"trace_id,value\n{ROOTS[0]},1\n{ROOTS[1]},{value}\n"))
    assert any(words in finding.text for finding in findings(table, question(), {}, "dev"))


def test_without_logs_outcomes_are_unmatched(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[0]},1\n")
    table = read_logs([], question(outcomes=file))
    assert asked(table).by_name["outcome"] == Outcome(unmatched=1, is_share=True)
    assert table.cells == {}


# Forms ----------------------------------------------------------------------------------------------------------------

WIDE = [
    {"trace_id": ROOTS[0], "clicked": True, "score": 0.5, "unit": "ann"},
    {"trace_id": ROOTS[1], "clicked": False, "score": None, "unit": None},
    {"trace_id": ROOTS[2], "score": 2},
]
LONG = [
    {"trace_id": row["trace_id"], "name": name, "value": row[name], "unit": row.get("unit")}
    for row in WIDE
    for name in ("clicked", "score")
    if row.get(name) is not None
]


@pytest.mark.parametrize("rows", [WIDE, LONG], ids=["wide", "long"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".parquet"])
def test_all_forms_say_the_same(tmp_path: Path, rows: list[dict[str, Any]], suffix: str) -> None:
    file = save(tmp_path / f"out [1]* it's{suffix}", rows)
    table = read(tmp_path, map(sent, range(3)), file)
    assert asked(table) == Outcomes(
        rows=len(rows),
        unreadable=0,
        by_name={"clicked": Outcome(matched=2, is_share=True), "score": Outcome(matched=2)},
    )
    sums = table.cells[0, "main split", "a"]
    assert sums["clicked"] == Sums(units=2, n=2, y=1, nn=2, ny=1, yy=1)
    assert sums["score"] == Sums(units=2, n=2, y=2.5, nn=2, ny=2.5, yy=4.25)


def save(file: Path, rows: list[dict[str, Any]]) -> Path:
    lines = file.with_name("rows.jsonl")
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if file.suffix in (".csv", ".parquet"):
        form = {".csv": "CSV, HEADER", ".parquet": "PARQUET"}[file.suffix]
        target = str(file).replace("'", "''")
        duckdb.connect().execute(f"COPY (FROM read_ndjson('{lines}')) TO '{target}' (FORMAT {form})")
        return file
    return lines.rename(file)


def test_names_of_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    header = """\ufefftrace_id,"it's a ""name\""",é {0}\r\n"""
    names = ['it\'s a "name"', "é {0}"]
    found = asked(read(tmp_path, [sent(0)], write(tmp_path, f"{header}{ROOTS[0]},1,2\r\n")))
    assert {name: each.matched for name, each in found.by_name.items()} == dict.fromkeys(names, 1)


def test_garbled_lines_of_json_hide_no_other(tmp_path: Path) -> None:
    bad = [
        '{"trace_id": ',
        "[1]",
        "5",
        "",
        "null",
        '{"value": 1}',
        json.dumps({"trace_id": ROOTS[1], "value": {"a": 1}}),
    ]
    good = [json.dumps({"trace_id": root, "value": 1}) for root in ROOTS[:2]]
    table = read(tmp_path, map(sent, range(2)), write(tmp_path, "\n".join([good[0], *bad, good[1]]), ".jsonl"))
    found = Outcome(matched=2, unreadable=1, is_share=True, example='{"a":1}')
    assert asked(table) == Outcomes(rows=8, unreadable=5, by_name={"outcome": found})


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".txt", "", "outcomes are read from files that end in .csv, .jsonl, .ndjson, .parquet"),
        (".csv", "", "has no trace_id; what it has is nothing"),
        (".csv", "trace,value\n", "has no trace_id; what it has is trace, value"),
        (".jsonl", '{"id": 1}\n', "has no trace_id; what it has is id"),
        (".csv", "trace_id,unit\n", "has no value, and nothing besides trace_id and unit that could be an outcome"),
        (".csv", "trace_id,errors\n1,1\n", "an outcome is called 'errors', as a metric of the logs is: give it another name"),
        (".jsonl", '{"trace_id": "1", "name": "slower than 0.5 s", "value": 1}', "an outcome is called 'slower than 0.5 s', as"),
        (".csv", "trace_id,name,value\n" + "".join(f"1,{n},1\n" for n in range(21)), "has outcomes of 21 names, 20 at most can be compared"),
        (".csv", "trace_id,a,a\n1,1,1\n", "several columns have the same name; what it has is trace_id, a, a"),
        (".csv", "trace_id,a,A\n1,1,1\n", "cannot be read: "),
        (".parquet", "trace_id", "cannot be read: "),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used_are_named(tmp_path: Path, suffix: str, text: str, message: str) -> None:
    file = write(tmp_path, text, suffix)
    with pytest.raises(LogsError) as caught:
        read(tmp_path, [], file)
    assert str(caught.value).startswith(f"{file}: {message}")


def test_a_header_or_a_name_too_long_to_read_is_named(tmp_path: Path) -> None:
    header = write(tmp_path, f"trace_id,{'x' * 200_000}\n")
    with pytest.raises(LogsError, match=r"outcomes.csv: cannot be read: field larger than field limit"):
        read(tmp_path, [], header)
    with pytest.raises(LogsError, match="cannot be read: File name too long"):
        read(tmp_path, [], tmp_path / f"{'x' * 300}.csv")


def test_outcomes_of_clients_that_were_not_free_to_choose_are_not_compared(tmp_path: Path) -> None:
    file = write(tmp_path, f"trace_id,value\n{ROOTS[0]},1\n{ROOTS[1]},1\n")
    lines = [sent(0, at=-1), sent(0), sent(1)]
    stuck = period(stickiness_seconds=60, earlier_stickiness=60)
    table = read(tmp_path, lines, file, periods=[stuck], logs_from=NOON - timedelta(hours=1))
    assert asked(table).by_name["outcome"] == Outcome(matched=1, not_compared=1, is_share=True)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsError, match=r"nowhere\.csv: there is no such file"):
        read(tmp_path, [], tmp_path / "nowhere.csv")


# Against a plain join -------------------------------------------------------------------------------------------------

_LINES = st.lists(
    st.fixed_dictionaries(
        {
            "trace": st.sampled_from(["-", *(f"Root={root}" for root in ROOTS), f"Self=1-0;Root={ROOTS[0]};a=b"]),
            "client": st.sampled_from(["192.0.2.1:1", "192.0.2.2:2"]),
            "variant": st.sampled_from(["a", "b", None]),
            "priority": st.sampled_from(["0", "0", "10"]),
        }
    ),
    max_size=15,
)
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "-", *ROOTS, *ROOTS, f"Root={ROOTS[1]}"]),
        st.sampled_from(["clicked", "score"]),
        st.sampled_from(["0", "1", "1", "true", "FALSE", "Yes", "no", "2.5", "-3", "x", ""]),
        st.sampled_from(["", "ann"]),
    ),
    min_size=1,
    max_size=20,
)


@given(_LINES, _ROWS)
@settings(max_examples=8)
def test_outcomes_are_what_a_plain_join_finds(lines: list[dict[str, Any]], rows: list[tuple[str, ...]]) -> None:
    text = "".join(f"{line(at=20 * n, **each)}\n" for n, each in enumerate(lines))
    asked_for = {"step_seconds": 60, "periods": [period(0, 100), period(120, 400)]}
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder), "trace_id,name,value,unit\n" + "".join(f"{','.join(row)}\n" for row in rows))
        table = read(Path(folder), text.splitlines(), file, **asked_for)
    matched, fates = plain_join(text, question(**asked_for), rows)
    traced = [row for row in rows if naive.root(row[0])]
    assert (asked(table).rows, asked(table).unreadable) == (len(rows), len(rows) - len(traced))
    for name in {name for _, name, _, _ in traced}:
        counts = asdict(asked(table).by_name[name])
        counts.pop("is_share")
        assert bool(counts.pop("example")) <= bool(counts["unreadable"])
        assert {fate: n for fate, n in counts.items() if n} == fates[name]
        for step, sums in table.steps.items():
            here = [each for each in matched if each[:4] == (name, *step[:3])]
            begin, ends = step[3], step[3] + timedelta(seconds=60)
            same(sums[name], naive.sums(each[-2:] for each in here if begin <= each[4] < ends))
            same(table.so_far[step][name], naive.sums(each[-2:] for each in here if each[4] < ends))


def plain_join(text: str, question: Question, rows: list[tuple[str, ...]]) -> tuple[list[Any], dict[str, Counter[str]]]:
    """Name, period, route, variant, time, unit and value of what is matched; and by name what became of how many."""
    parsed, chosen = naive.chosen_of(text.encode(), question)
    matched: list[Any] = []
    fates: dict[str, Counter[str]] = {}
    had = set()
    for header, name, value, unit in rows:
        if not (trace := naive.root(header)):
            continue
        number = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}.get(value.lower())
        try:
            number = float(value) if number is None else number
        except ValueError:
            fate = "unreadable"
        else:
            answers = [each for each in chosen if each.trace == trace]
            if (trace, name) in had:
                fate = "duplicates"
            elif len({each.variant for each in answers}) > 1:
                fate = "ambiguous"
            elif answers:
                fate, first = "matched", answers[0]
                matched.append(
                    (name, first.period, first.route, first.variant, first.received, unit or first.unit, number)
                )
            else:
                fate = "not_compared" if any(each.trace == trace for each in parsed) else "unmatched"
            had.add((trace, name))
        fates.setdefault(name, Counter())[fate] += 1
    return matched, fates


def test_a_csv_file_of_one_huge_line_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.csv"
    with file.open("wb") as opened:
        opened.truncate(1_000_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(LogsError, match=r"outcomes\.csv: "):
            read(tmp_path, [sent(0)], file)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
