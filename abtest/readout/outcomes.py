"""What became of requests (clicks, corrections, labels): a file of outcomes, joined to the variant that answered.

Each row has a ``trace_id``: the X-Amzn-Trace-Id that the model server was sent, or the root in it. Either it has one
``value``, and maybe a ``name`` for it, or each further column is an outcome, and an empty one says nothing. ``unit`` is
whose outcome it is; without one, it is the client's that sent the request.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from glob import escape
from pathlib import Path
from typing import Any

import duckdb

from abtest.readout.files import LogsError
from abtest.readout.question import Question
from abtest.readout.table import BYTES, ERRORS, LATENCY, Outcome, Outcomes, slower_than

__all__ = ["MOST_NAMES", "join", "load"]

#: Each name is compared, and makes all intervals wider.
MOST_NAMES = 20
#: A file without line ends is not read as a whole; csv refuses a field of that length.
_LONGEST_HEADER = 1_000_000
#: What a value without a name is called.
_NAMELESS = "outcome"

# The file -------------------------------------------------------------------------------------------------------------

_KEYS = """
    SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects($file, ignore_errors = true)
    WHERE json_type(json) = 'OBJECT' ORDER BY ALL
"""
_COLUMNS = "SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet($file))"
_JSON = "read_ndjson($file, columns = $columns, ignore_errors = true)"
_ROWS = {
    ".csv": """
        read_csv(
            $file, columns = $columns, header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
            ignore_errors = true, store_rejects = true, rejects_table = 'broken_rows', rejects_scan = 'row_scans'
        )
    """,
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".parquet": "read_parquet($file)",
}
_LOAD = """
    CREATE TABLE outcome_rows AS
    SELECT trace_of(trace_id::VARCHAR) AS trace, {unit} AS unit, {names} AS names, {texts} AS texts FROM {rows}
"""
_BROKEN = """
    INSERT INTO outcome_rows (trace)
    SELECT NULL FROM (SELECT DISTINCT scan_id, file_id, line_byte_position FROM broken_rows)
"""
# Rows are numbered as they are in the file. A number of 1e100 has a square that can still be summed.
_OUTCOMES = """
    CREATE VIEW outcomes AS
    SELECT row, trace, unit, name, text, CASE WHEN abs(number) < 1e100 THEN number END AS value
    FROM (
        SELECT *, CASE
            WHEN lower(text) IN ('true', 'yes') THEN 1
            WHEN lower(text) IN ('false', 'no') THEN 0
            ELSE try_cast(text AS DOUBLE)
        END AS number
        FROM (
            SELECT rowid AS row, trace, unit, unnest(names) AS name, unnest(texts) AS text
            FROM outcome_rows WHERE trace IS NOT NULL
        )
        WHERE text IS NOT NULL
    )
"""


def load(connection: duckdb.DuckDBPyConnection, file: Path, question: Question) -> None:
    """Make the view ``outcomes``. Raises LogsError for a file that has none that can be used."""
    if file.suffix not in _ROWS:
        raise LogsError(f"{file}: outcomes are read from files that end in {', '.join(_ROWS)}")
    try:
        if not file.is_file():
            raise LogsError(f"{file}: there is no such file")
        _load(connection, file)
        names = [name for (name,) in connection.execute("SELECT DISTINCT name FROM outcomes ORDER BY ALL").fetchall()]
    except OSError as error:
        raise LogsError(f"{file}: cannot be read: {error.strerror}") from error
    except (duckdb.Error, csv.Error) as error:
        raise LogsError(f"{file}: cannot be read: {str(error).splitlines()[0]}") from error
    if len(names) > MOST_NAMES:
        raise LogsError(f"{file}: has outcomes of {len(names):,} names, {MOST_NAMES} at most can be compared")
    for name in names:
        if name in (ERRORS, LATENCY, BYTES, *map(slower_than, question.slower_than)):
            raise LogsError(f"{file}: an outcome is called {name!r}, as a metric of the logs is: give it another name")


def _load(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    columns = _columns(connection, file)
    if "trace_id" not in columns:
        raise LogsError(f"{file}: has no trace_id; what it has is {', '.join(columns) or 'nothing'}")
    if len(set(columns)) < len(columns):
        raise LogsError(f"{file}: several columns have the same name; what it has is {', '.join(columns)}")
    others = [name for name in columns if name not in ("trace_id", "unit")]
    if not others:
        raise LogsError(f"{file}: has no value, and nothing besides trace_id and unit that could be an outcome")
    if "value" in columns:
        names = f"[coalesce(nullif(name::VARCHAR, ''), '{_NAMELESS}')]" if "name" in columns else f"['{_NAMELESS}']"
        texts = "[coalesce(value::VARCHAR, '')]"
    else:
        names = f"[{', '.join(map(_text, others))}]"
        texts = f"[{', '.join(f'{_identifier(name)}::VARCHAR' for name in others)}]"
    unit = "CASE WHEN unit::VARCHAR <> '' THEN hash(unit::VARCHAR) END" if "unit" in columns else "NULL::UBIGINT"
    values: dict[str, Any] = {"file": escape(str(file))}
    if file.suffix != ".parquet":
        values["columns"] = dict.fromkeys(columns, "VARCHAR")
    connection.execute(_LOAD.format(unit=unit, names=names, texts=texts, rows=_ROWS[file.suffix]), values)
    if file.suffix == ".csv":
        connection.execute(_BROKEN)
    connection.execute(_OUTCOMES)


def _columns(connection: duckdb.DuckDBPyConnection, file: Path) -> list[str]:
    if file.suffix == ".csv":
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
            return next(csv.reader(iter(lambda: opened.readline(_LONGEST_HEADER), "")), [])
    query = _COLUMNS if file.suffix == ".parquet" else _KEYS
    return [name for (name,) in connection.execute(query, {"file": escape(str(file))}).fetchall()]


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# The join -------------------------------------------------------------------------------------------------------------

# One step at a time, as each may need the memory for itself.
_ANSWERS = """
    CREATE TABLE answers AS
    SELECT
        trace, unit, period, route, variant, step, row_number() OVER of_trace AS number,
        variant <> first_value(variant) OVER of_trace AS is_other
    FROM chosen SEMI JOIN outcome_rows USING (trace) WINDOW of_trace AS (PARTITION BY trace ORDER BY received)
"""
_LOGGED = """
    CREATE TABLE logged AS SELECT DISTINCT trace FROM lines SEMI JOIN outcome_rows USING (trace)
"""
_NUMBERED = """
    CREATE TABLE numbered AS
    SELECT *, row_number() OVER (PARTITION BY trace, name, value IS NULL ORDER BY row) AS number FROM outcomes
"""
_FATES = """
    CREATE TABLE fates AS
    SELECT
        name, value, text, coalesce(numbered.unit, answers.unit) AS unit, period, route, variant, step,
        CASE
            WHEN value IS NULL THEN 'unreadable'
            WHEN numbered.number > 1 THEN 'duplicates'
            WHEN several.trace IS NOT NULL THEN 'ambiguous'
            WHEN answers.trace IS NOT NULL THEN 'matched'
            WHEN logged.trace IS NOT NULL THEN 'not_compared'
            ELSE 'unmatched'
        END AS fate
    FROM numbered
    LEFT JOIN answers ON answers.trace = numbered.trace AND answers.number = 1
    LEFT JOIN (SELECT DISTINCT trace FROM answers WHERE is_other) AS several ON several.trace = numbered.trace
    LEFT JOIN logged ON logged.trace = numbered.trace
"""
_STRETCHES = """
    CREATE TABLE outcome_stretches AS
    SELECT name, unit, period, route, variant, step, count(*)::DOUBLE AS outcomes, sum(value) AS total
    FROM fates WHERE fate = 'matched' GROUP BY ALL
"""
_BY_NAME = """
    SELECT name, fate, count(*), bool_and(value IN (0, 1)), min(text) FROM fates GROUP BY name, fate ORDER BY ALL
"""


def join(connection: duckdb.DuckDBPyConnection) -> Outcomes:
    """Make the table ``outcome_stretches`` of what is matched, and say what is not."""
    for step in (_ANSWERS, _LOGGED, _NUMBERED, _FATES, _STRETCHES):
        connection.execute(step)
    fates: dict[str, dict[str, int]] = defaultdict(dict)
    shares: dict[str, bool] = {}
    examples: dict[str, str] = {}
    for name, fate, count, is_share, text in connection.execute(_BY_NAME).fetchall():
        fates[name][fate] = count
        if fate == "unreadable":
            examples[name] = text
        else:
            shares[name] = is_share and shares.get(name, True)
    rows, unreadable = _counts(connection)
    by_name = {
        name: Outcome(**counts, is_share=shares.get(name, False), example=examples.get(name, ""))
        for name, counts in fates.items()
    }
    return Outcomes(rows=rows, unreadable=unreadable, by_name=by_name)


def _counts(connection: duckdb.DuckDBPyConnection) -> Sequence[int]:
    query = "SELECT count(*), count(*) FILTER (trace IS NULL) FROM outcome_rows"
    return connection.execute(query).fetchall()[0]
