"""Access logs read into the table that a report needs: against GoAccess, and against a plain loop in Python.

Lines are made with a fixed seed, in the form of real ones, as one plain file and as 200 .gz objects. Every reader is a
process of its own, and all read the same files in turns. GoAccess (1.7 is Debian's) is left out where it is not on
PATH; it counts hits, and knows no target groups. The loop computes the sums over units alone. It is a report: the exit
code is 0 whether a goal is met or missed, and 1 only where the two tables are not the same.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from abtest.readout.logs import read_logs
from abtest.readout.periods import Period
from abtest.readout.question import DEFAULT_ROUTE, Question
from abtest.readout.table import BYTES, ERRORS, LATENCY, slower_than

LINES = [int(each) for each in os.environ.get("LINES_READ", "1000000,5000000").split(",")]
ROUNDS = int(os.environ.get("ROUNDS", "3"))
OBJECTS = 200
GOAL_GOACCESS, GOAL_LOOP, GOAL_MEGABYTES = 10, 1, 600

ELB = "app/abtest-1a2b3c4/50dc6c495c0c9188"
_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/abtest-{}-1a2b3c4/6d0ecf831eec9f09"
GROUPS = {_ARN.format(variant): variant for variant in ("a", "b")}
BEGIN = datetime(2026, 11, 22, tzinfo=UTC)
PERIOD = Period(
    start=BEGIN,
    end=BEGIN + timedelta(days=30),
    weights={"a": 90, "b": 10},
    stickiness_seconds=3600,
    earlier_stickiness=0,
)
LIMIT = 0.5
QUESTION = Question(periods=[PERIOD], variants=GROUPS, load_balancer=ELB, slower_than=(LIMIT,))

_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"


def lines(count: int) -> Iterator[str]:
    """100 requests a second, of clients of which some send thousands and most one or two, and who stay with a variant.
    One answer in a hundred is an error, one request in two hundred got no target group.
    """
    drawn = random.Random(6)  # noqa: S311 of a benchmark
    agents = [_AGENT.format(100 + n) for n in range(40)]
    groups = list(GROUPS)
    now = BEGIN.timestamp()
    for n in range(count):
        now += drawn.expovariate(100)
        client = int(drawn.paretovariate(0.6) * 100) % (count // 8)
        group = groups[client * 2654435761 % 100 < 10]
        seconds, status = drawn.lognormvariate(-3, 0.8), "200"
        if drawn.random() < 0.01:
            status = drawn.choice(("500", "502", "503", "504", "404"))
        answered = status not in ("502", "503", "504")
        times = f"0.000 {seconds:.3f} 0.000" if answered else "0.001 -1 -1"
        target, target_status = f"10.0.{n % 3}.{1 + n % 4}:8080", status if answered else "-"
        if n % 200 == 0:
            group, target, target_status, times, status = "-", "-", "-", "-1 -1 -1", "503"
        received = datetime.fromtimestamp(now, UTC)
        ended = received + timedelta(seconds=seconds)
        address = f"10.{client >> 16}.{client >> 8 & 255}.{client & 255}:{1024 + n % 60000}"
        yield (
            f"h2 {ended:%Y-%m-%dT%H:%M:%S.%fZ} {ELB} {address} {target} {times} {status} {target_status} "
            f"{200 + n % 700} {300 + n * 7919 % 9000} "
            f'"POST https://models.example.com:443/predict/{client % 50}?session={client} HTTP/2.0" '
            f'"{agents[client % 40]}" TLS_AES_128_GCM_SHA256 TLSv1.3 {group} '
            f'"Root=1-{int(now):08x}-{drawn.getrandbits(96):024x}" "models.example.com" '
            f'"arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012" '
            f"{10 if n % 10 == 0 else 0} {received:%Y-%m-%dT%H:%M:%S}.{received.microsecond // 1000:03}000Z "
            f'"forward" "-" "-" "{target}" "{target_status}" "-" "-" TID_{drawn.getrandbits(128):032x} '
            f'"-" "-" "-" 203.0.113.7\n'
        )


def write(folder: Path, count: int) -> dict[str, list[Path]]:
    """The same lines as one file, and as objects."""
    plain = folder / "access.log"
    made = lines(count)
    objects = [folder / f"{n:03}.log.gz" for n in range(OBJECTS)]
    with plain.open("w", encoding="ascii") as whole:
        for file in objects:
            text = "".join(islice(made, count // OBJECTS))
            whole.write(text)
            file.write_bytes(gzip.compress(text.encode("ascii"), compresslevel=6))
    return {"one file": [plain], f"{OBJECTS} .gz objects": objects}


# The readers ----------------------------------------------------------------------------------------------------------


def ours(files: Sequence[Path]) -> dict[str, Any]:
    """Requests of a variant, and sums over its units of each metric."""
    found = read_logs(files, QUESTION).cells
    return {
        f"{route} {variant} {metric}": [s.units, s.n, s.y, s.nn, s.ny, s.yy]
        for (_, route, variant), metrics in found.items()
        for metric, s in metrics.items()
    }


def loop(files: Sequence[Path]) -> dict[str, Any]:
    """The same, as a person would write it who is in a hurry, but knows the format and Python."""
    groups = {name.encode(): variant for name, variant in GROUPS.items()}
    begin, end = (f"{each:%Y-%m-%dT%H:%M:%S}".encode() for each in (PERIOD.start, PERIOD.end))
    limit = LIMIT * 1000
    units: dict[tuple[bytes, str], list[int]] = {}
    for file in files:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            for line in opened:
                parts = line.split(b'"')
                rule = parts[10].split(b" ")
                variant = groups.get(parts[4].split(b" ")[3])
                start = parts[0].split(b" ")
                if variant is None or rule[1] != b"0" or start[2] != ELB.encode() or not begin <= rule[2] < end:
                    continue
                unit = units.setdefault((start[3].rpartition(b":")[0], variant), [0, 0, 0, 0, 0, 0])
                unit[0] += 1
                unit[1] += start[8] >= b"500"
                unit[2] += int(start[11])
                if start[6] != b"-1":
                    milliseconds = round(1000 * (float(start[5]) + float(start[6]) + float(start[7])))
                    unit[3] += 1
                    unit[4] += milliseconds
                    unit[5] += milliseconds > limit
    metrics = ((ERRORS, 0, 1, 1), (BYTES, 0, 2, 1), (LATENCY, 3, 4, 0.001), (slower_than(LIMIT), 3, 5, 1))
    return {
        f"{DEFAULT_ROUTE} {variant} {metric}": sums(
            [(each[n], each[y] * scale) for (_, of), each in units.items() if of == variant]
        )
        for variant in groups.values()
        for metric, n, y, scale in metrics
    }


def sums(pairs: list[tuple[int, float]]) -> list[float]:
    return [
        sum(n > 0 for n, _ in pairs), sum(n for n, _ in pairs), sum(y for _, y in pairs),
        sum(n * n for n, _ in pairs), sum(n * y for n, y in pairs), sum(y * y for _, y in pairs),
    ]  # fmt: skip


READERS: dict[str, Callable[[Sequence[Path]], dict[str, Any]]] = {"abtest": ours, "loop": loop}


# Measuring ------------------------------------------------------------------------------------------------------------


def command(reader: str, files: Sequence[Path]) -> list[str]:
    names = [str(file) for file in files]
    if reader != "goaccess":
        return [sys.executable, __file__, reader, *names]
    counted = "goaccess - --log-format=AWSALB --no-global-config --no-progress --output=report.json"
    return ["sh", "-c", f'{"gzip -dc" if names[0].endswith(".gz") else "cat"} "$@" | {counted}', "sh", *names]


def measured(reader: str, files: Sequence[Path]) -> tuple[float, float, bytes]:
    """Seconds, megabytes at the peak, and what it printed."""
    began = time.perf_counter()
    with subprocess.Popen(command(reader, files), stdout=subprocess.PIPE, cwd=files[0].parent) as process:
        printed = process.stdout.read() if process.stdout else b""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{reader} failed")
    return time.perf_counter() - began, used.ru_maxrss / 1024, printed


def agree(found: dict[str, list[float]], expected: dict[str, list[float]]) -> bool:
    """Whether two tables are the same, but for the last bits."""
    return found.keys() == expected.keys() and all(
        abs(mine - other) <= 1e-6 * abs(other)
        for key, values in expected.items()
        for mine, other in zip(found[key], values, strict=True)
    )


def compare(files: Sequence[Path], count: int, readers: Sequence[str]) -> Iterator[str]:
    """A line for each reader. A ratio is the median of the rounds' own, each of neighbours in time."""
    runs: dict[str, list[tuple[float, float]]] = {reader: [] for reader in readers}
    for _ in range(ROUNDS):
        tables: dict[str, dict[str, list[float]]] = {}
        for reader in readers:
            seconds, megabytes, printed = measured(reader, files)
            runs[reader].append((seconds, megabytes))
            if reader in READERS:
                tables[reader] = json.loads(printed)
        if not agree(tables["abtest"], tables["loop"]):
            sys.exit(f"the tables differ:\n{tables['abtest']}\n{tables['loop']}")
    for reader in readers:
        seconds, megabytes = statistics.median(s for s, _ in runs[reader]), max(m for _, m in runs[reader])
        pairs = zip(runs[reader], runs["abtest"], strict=True)
        ratio = statistics.median(other / mine for (other, _), (mine, _) in pairs)
        met = {
            "abtest": megabytes <= GOAL_MEGABYTES,
            "loop": ratio > GOAL_LOOP,
            "goaccess": ratio >= GOAL_GOACCESS,
        }[reader]
        figures = f"{seconds:10.2f}{count / seconds:14,.0f}{ratio:10.1f}{megabytes:10.0f}"
        yield f"{reader:12}{figures}   {'met' if met else 'missed'}"


def main() -> None:
    readers = ["abtest", "loop", *(["goaccess"] if shutil.which("goaccess") else [])]
    print(f"medians of {ROUNDS} rounds; the loop's table is abtest's")
    print(
        f"goals: at most {GOAL_MEGABYTES} MB, lines a second more than {GOAL_LOOP} x the loop's, "
        f"and {GOAL_GOACCESS} x GoAccess's"
    )
    for count in LINES:
        with tempfile.TemporaryDirectory() as folder:
            for form, files in write(Path(folder), count).items():
                print(f"\n{count:,} lines, {form}")
                print(f"{'':12}{'seconds':>10}{'lines/s':>14}{'time x':>10}{'peak MB':>10}")
                for line in compare(files, count, readers):
                    print(line, flush=True)
    if "goaccess" not in readers:
        print("\nGoAccess is not on PATH: left out")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(READERS[sys.argv[1]]([Path(name) for name in sys.argv[2:]])))
    else:
        main()
