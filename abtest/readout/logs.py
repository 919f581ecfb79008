"""Access logs as a source: from files to the table that the statistics work on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb

from abtest.readout import outcomes
from abtest.readout.files import LogsError, is_gzip
from abtest.readout.lines import check, prepare, read
from abtest.readout.query import summarise
from abtest.readout.question import Question
from abtest.readout.table import Table

__all__ = ["read_logs"]

#: What DuckDB may use; what does not fit waits on the disk. The process as a whole stays below 600 MB.
_MEMORY = "300MB"
#: Each thread reads 32 MB at a time.
_THREADS = 4


def read_logs(files: Sequence[Path], question: Question) -> Table:
    """What the logs say. A broken gzip file is left out as a whole, and named in the table's ``lines``.

    Raises LogsError for files that cannot be read, and for outcomes that cannot be used.
    """
    try:
        return _read_whole(files, question)
    except duckdb.Error as error:
        raise LogsError(f"the logs cannot be read: {str(error).splitlines()[0]}") from error


def _read_whole(files: Sequence[Path], question: Question) -> Table:
    gzip = {file: is_gzip(file) for file in files}
    packed, plain = ([file for file in files if gzip[file] == wanted] for wanted in (True, False))
    try:
        return _read(plain, packed, question)
    except duckdb.IOException:
        reasons = dict(_why_broken(packed))
        if not reasons:
            raise
    table = _read(plain, [file for file in packed if file not in reasons], question)
    broken = tuple(f"{file}: {reason}" for file, reason in reasons.items())
    return replace(table, lines=replace(table.lines, unreadable=broken))


def _read(plain: Sequence[Path], packed: Sequence[Path], question: Question) -> Table:
    with _database() as connection:
        prepare(connection, question)
        if question.outcomes:
            outcomes.load(connection, question.outcomes, question)
        connection.execute("SET preserve_insertion_order = false")
        read(connection, plain, packed, question)
        return summarise(connection, question)


def _why_broken(packed: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    with _database() as connection:
        for file in packed:
            try:
                check(connection, file)
            except duckdb.IOException as error:
                yield file, str(error).removeprefix("IO Error: ").removesuffix(f": {file}")


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """One that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="abtest-") as folder,
        duckdb.connect(str(Path(folder) / "requests.duckdb")) as connection,
    ):
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        connection.execute(f"SET threads = least({_THREADS}, current_setting('threads'))")
        yield connection
