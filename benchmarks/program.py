"""What the program costs beyond a literal one: time and memory of whole processes, at few and at many rules.

Both programs run under the same mocks (runner.py), started fresh each time, in the order A B B A, so that whatever
else the machine does falls on both alike. CPU time is the sum of user and system time. It is a report: the exit code
is 0 whether the goals are met or missed, and 1 only where the two programs do not do the same, so that there is
nothing to compare.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAMS = {"abtest": HERE.parent, "literal": HERE / "literal"}
FEW, MANY = 2, 100
ROUNDS = int(os.environ.get("ROUNDS", "15"))
MOST_TIME, MOST_MEMORY = 1.10, 1.15


@dataclass(frozen=True)
class Run:
    """A process: seconds of CPU and of the clock, and its largest resident memory in megabytes."""

    cpu: float
    wall: float
    memory: float


def config(rules: int) -> dict[str, str]:
    """The config as the engine hands it over: texts, objects as JSON. Rules ask for a path and for a header in turn."""
    variant = {"port": 8080, "healthCheck": {"path": "/healthz"}, "targets": {"launch": {"instanceType": "t3.small"}}}
    whens: list[dict[str, Any]] = [
        {"path": [f"/v{n}/*"]} if n % 2 else {"header": {"X-Model": [f"m{n}"]}} for n in range(1, rules + 1)
    ]
    return {
        "aws:region": "us-east-1",
        "abtest:control": "a",
        "abtest:weights": json.dumps({"a": 90, "b": 10}),
        "abtest:stickinessSeconds": "3600",
        "abtest:variants": json.dumps({"a": variant, "b": variant}),
        "abtest:rules": json.dumps(
            {f"rule-{n}": {"priority": n, "when": when, "forward": "b"} for n, when in enumerate(whens, 1)}
        ),
    }


def start(program: str, rules: int, record: Path | None = None) -> Run:
    """Run a program once, in a process of its own, and wait for it."""
    command = [sys.executable, str(HERE / "runner.py"), str(PROGRAMS[program]), *([str(record)] if record else [])]
    environment = {**os.environ, "PULUMI_CONFIG": json.dumps(config(rules))}
    began = time.perf_counter()
    # A child's largest memory counts from its start, when it is still this process: this one must stay small.
    child = os.posix_spawn(sys.executable, command, environment)
    _, status, used = os.wait4(child, 0)
    wall = time.perf_counter() - began
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"{program} with {rules} rules ended with {code}")
    # Linux counts in kilobytes, macOS in bytes.
    return Run(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / (1e3 if sys.platform == "linux" else 1e6))


def differences(rules: int) -> Iterator[str]:
    """Where the two programs do not ask and register the same. Runs each once, which also compiles them."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for program in PROGRAMS:
            record = Path(folder) / f"{program}.json"
            start(program, rules, record)
            found[program] = json.loads(record.read_text(encoding="utf-8"))
    ours, theirs = found["abtest"], found["literal"]
    if sorted(map(str, ours["calls"])) != sorted(map(str, theirs["calls"])):
        yield f"look-ups: {ours['calls']}\n  literal: {theirs['calls']}"
    left, right = ({f"{kind} {name}": inputs for kind, name, inputs in side["resources"]} for side in (ours, theirs))
    for resource in sorted(left.keys() | right.keys()):
        here, there = left.get(resource), right.get(resource)
        if here is None or there is None:
            yield f"{resource}: only in {'literal' if here is None else 'abtest'}"
        elif here != there:
            keys = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
            yield f"{resource}: differs in {', '.join(keys)}"


def measure() -> dict[tuple[str, int], list[Run]]:
    """Every program at every size, ``ROUNDS`` times, in turns."""
    cases = [(program, rules) for rules in (FEW, MANY) for program in PROGRAMS]
    runs: dict[tuple[str, int], list[Run]] = {case: [] for case in cases}
    for n in range(ROUNDS):
        for case in cases if n % 2 == 0 else cases[::-1]:
            runs[case].append(start(*case))
    return runs


def report(runs: Mapping[tuple[str, int], list[Run]]) -> Iterator[str]:
    """The table, a line each."""
    yield f"{'':24}{'abtest':>10}{'literal':>10}{'ratio':>8}{'goal':>8}"
    for what, words, unit, goal in (
        ("cpu", "CPU time", "s", MOST_TIME),
        ("wall", "wall time", "s", MOST_TIME),
        ("memory", "memory", "MB", MOST_MEMORY),
    ):
        few, many = (
            [statistics.median(float(getattr(run, what)) for run in runs[program, rules]) for program in PROGRAMS]
            for rules in (FEW, MANY)
        )
        yield _line(f"{words}, {FEW} rules", unit, goal, *few)
        yield _line(f"{words}, {MANY} rules", unit, goal, *many)
        if unit == "s":
            slopes = [(high - low) / (MANY - FEW) * 1000 for low, high in zip(few, many, strict=True)]
            yield _line(f"{words}, each rule", "ms", goal, *slopes)


def _line(words: str, unit: str, goal: float, ours: float, theirs: float) -> str:
    places = {"s": 3, "ms": 2, "MB": 1}[unit]
    ratio = ours / theirs
    numbers = f"{ours:7.{places}f} {unit:2}{theirs:7.{places}f} {unit:2}{ratio:8.3f}{goal:8.2f}"
    return f"{words:24}{numbers}  {'met' if ratio <= goal else 'missed'}"


def main() -> None:
    found = [f"{rules} rules: {difference}" for rules in (FEW, MANY) for difference in differences(rules)]
    if found:
        sys.exit("\n".join(["the two programs do not do the same, so there is nothing to compare", *found]))
    print(f"both programs do the same at {FEW} and at {MANY} rules: look-ups, resources, names, inputs")
    print(f"medians of {ROUNDS} runs, each a fresh process\n")
    for line in report(measure()):
        print(line)


if __name__ == "__main__":
    main()
