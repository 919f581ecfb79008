"""The lines of access logs, as DuckDB reads them into a table of requests. Source: ALB guide, "Access logs".

A line is taken as text and split at its quotes, then at the blanks between them. AWS escapes quotes inside of a field,
and adds fields at the end with no notice, as in 2024 and 2025: what follows the fields that are needed is not looked
at. A line that has not the form of an entry there is skipped as a whole, so that no field is taken for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abtest.readout.question import Question

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = ["NO_RULE", "check", "prepare", "read", "utc"]

#: The priority where no rule was reached, or one could not be evaluated.
NO_RULE = -1

#: A trace is called by a number, as a client is: a tenth of the text's size. Callers may send a root of their own; the
#: load balancer keeps it, and may add more before and after. A trace id alone is taken for its root.
_TRACE = """
    CREATE MACRO trace_of(header) AS
        CASE WHEN trim(header) NOT IN ('', '-')
            THEN hash(coalesce(nullif(regexp_extract(header, 'Root=([^;]+)', 1), ''), trim(header)))
        END
"""
_GROUPS = "CREATE TABLE groups AS SELECT unnest($groups) AS target_group, unnest($variants) AS variant"
_PERIODS = """
    CREATE TABLE periods AS SELECT
        unnest($numbers)::USMALLINT AS number, unnest($begins)::TIMESTAMP AS begins, unnest($ends)::TIMESTAMP AS ends
"""
_LINES = """
    CREATE TABLE lines (
        is_entry BOOLEAN, is_own BOOLEAN, received TIMESTAMP, period USMALLINT, unit UBIGINT, priority INTEGER,
        variant VARCHAR, unknown_group VARCHAR, load_balancer VARCHAR, status SMALLINT, milliseconds BIGINT,
        bytes BIGINT, path VARCHAR, trace UBIGINT
    )
"""

# The separator is what no text has, so that a line is one column. A line that is no UTF-8, or is longer than 2 MB, is
# rejected: AWS escapes what is not ASCII, and cuts what is long. (One longer than DuckDB's buffer of 32 MB is not even
# counted.)
_TEXT = """
    read_csv(
        $files, columns = {'line': 'VARCHAR'}, delim = '\x01\x02\x03\x04', quote = '', escape = '', header = false,
        auto_detect = false, strict_mode = false, compression = $compression, ignore_errors = true, store_rejects = true
    )
"""
_COUNT = "SELECT count(*) FROM {text}"
# The load balancer logs a status of 000 as well. Source: ALB guide, "Troubleshoot your Application Load Balancers".
_READ = """
    INSERT INTO lines
    WITH parts AS (
        SELECT string_split(line, '"') AS part FROM {text} WHERE line IS NOT NULL
    ), split AS (
        SELECT
            part, part[2] AS request, part[4] AS agent,
            string_split(part[1], ' ') AS start,
            string_split(part[5], ' ') AS target, part[6] AS header,
            string_split(part[11], ' ') AS rule
        FROM parts
    ), fields AS (
        SELECT
            len(start) = 13 AND start[13] = '' AND part[3] = ' '
                AND len(target) = 5 AND target[1] = '' AND target[5] = ''
                AND part[7] = ' ' AND part[9] = ' '
                AND len(rule) = 4 AND rule[1] = '' AND rule[4] = '' AS is_form,
            start[1] AS type,
            start[3] AS load_balancer,
            regexp_replace(start[4], ':[0-9]+$', '') AS address,
            agent, request, header,
            try_cast(start[6] AS DOUBLE) AS request_seconds,
            try_cast(start[7] AS DOUBLE) AS target_seconds,
            try_cast(start[8] AS DOUBLE) AS response_seconds,
            try_cast(start[9] AS SMALLINT) AS status,
            try_cast(start[12] AS BIGINT) AS bytes,
            target[4] AS target_group,
            CASE rule[2] WHEN '-' THEN -1 ELSE try_cast(rule[2] AS INTEGER) END AS priority,
            try_strptime(rule[3], '%Y-%m-%dT%H:%M:%S.%fZ') AS received
        FROM split
    ), entries AS (
        SELECT
            coalesce(
                is_form AND received IS NOT NULL AND priority BETWEEN -1 AND 50000
                    AND status BETWEEN 0 AND 999 AND bytes >= 0
                    AND request_seconds + target_seconds + response_seconds IS NOT NULL,
                false
            ) AS is_entry,
            coalesce(load_balancer = $load_balancer, true) AS is_own,
            CASE WHEN $load_balancer IS NULL THEN load_balancer END AS load_balancer,
            received,
            CASE WHEN $with_agent THEN hash(address, agent) ELSE hash(address) END AS unit,
            priority,
            target_group,
            split_part(target_group, '/', 2) AS group_name,
            status,
            CASE WHEN least(request_seconds, target_seconds, response_seconds) >= 0 AND type NOT IN ('ws', 'wss')
                THEN try_cast(round(1000 * (request_seconds + target_seconds + response_seconds)) AS BIGINT)
            END AS milliseconds,
            bytes,
            CASE WHEN $with_path
                THEN regexp_extract(
                    split_part(regexp_replace(request, ' [^ ]*$', ''), '?', 1), '^[^ ]+ [a-z]+://[^/]*(.*)$', 1
                )
            END AS path,
            CASE WHEN $with_trace THEN trace_of(header) END AS trace
        FROM fields
    )
    SELECT
        is_entry, is_own AND coalesce({own}, false), received, number, unit, priority,
        {known} AS known,
        CASE WHEN known IS NULL AND entries.target_group <> '-' THEN entries.target_group END,
        load_balancer, status, milliseconds, bytes, path, trace
    FROM entries
    LEFT JOIN periods ON received >= begins AND received < ends
    LEFT JOIN groups AS by_arn ON by_arn.target_group = entries.target_group
    LEFT JOIN groups AS by_name ON by_name.target_group = group_name
    LEFT JOIN groups AS by_stem
        ON by_stem.target_group = left(group_name, -8) AND regexp_full_match(right(group_name, 8), '-[0-9a-f]{{7}}')
"""

#: The variant of a line, by its target group.
_KNOWN = "coalesce(by_arn.variant, by_name.variant, by_stem.variant)"

# A line can be wrong in several ways.
_REJECTED = """
    INSERT INTO lines (is_entry)
    SELECT false FROM (SELECT DISTINCT scan_id, file_id, line_byte_position FROM reject_errors)
"""


def prepare(connection: DuckDBPyConnection, question: Question) -> None:
    """Make the table ``lines``, and those that say what target groups and times mean."""
    connection.execute(_GROUPS, {"groups": list(question.variants), "variants": list(question.variants.values())})
    periods = question.periods
    connection.execute(
        _PERIODS,
        {
            "numbers": list(range(len(periods))),
            "begins": [utc(period.start) for period in periods],
            "ends": [utc(period.end) for period in periods],
        },
    )
    connection.execute(_TRACE)
    connection.execute(_LINES)


def read(connection: DuckDBPyConnection, plain: Sequence[Path], packed: Sequence[Path], question: Question) -> None:
    """Add the lines of text files and of gzip files to the table. Raises duckdb.IOException for a broken file."""
    asked = {
        "load_balancer": question.load_balancer,
        "with_agent": question.unit == "address+agent",
        "with_path": question.by_path,
        "with_trace": question.outcomes is not None,
    }
    statement = _READ.format(text=_TEXT, own=_own(question), known=_KNOWN)
    for compression, files in (("none", plain), ("gzip", packed)):
        if files:
            connection.execute(statement, {**_named(files, compression), **asked})
    if plain or packed:
        connection.execute(_REJECTED)


def _own(question: Question) -> str:
    """Which lines of the load balancer are the stack's. On somebody else's listener those of its rules, not of the
    default action; another listener may have rules of the same number, whose target groups are others.
    """
    if not question.is_shared:
        return "true"
    rules = ", ".join(str(priority) for priority in question.routes if priority)
    return f"priority IN ({rules}) AND (entries.target_group = '-' OR {_KNOWN} IS NOT NULL)"


def check(connection: DuckDBPyConnection, packed: Path) -> None:
    """Read a gzip file to its end. Raises duckdb.IOException for a broken one."""
    connection.execute(_COUNT.format(text=_TEXT), _named([packed], "gzip"))


def _named(files: Sequence[Path], compression: str) -> dict[str, Any]:
    """DuckDB takes names for patterns."""
    return {"files": [escape(str(file)) for file in files], "compression": compression}


def utc(moment: datetime) -> datetime:
    """The moment as the table has it: in UTC, and without saying so."""
    return moment.astimezone(UTC).replace(tzinfo=None)
