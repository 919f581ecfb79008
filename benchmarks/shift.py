"""What `abtest shift --yes` costs beyond `pulumi up --yes --skip-preview` of the same change: wall time and writes.

Both move the same stack to and fro between two splits, in the order A B B A, so that whatever else the machine does
falls on both alike. AWS is a server on this machine, as in the tests with the engine; on the real one both would take
longer, and by the same time. It is a report: the exit code is 0 whether the goal is met or missed, 1 where a command
failed. Without `pulumi` on PATH it says so and does nothing.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, cloud

ROUNDS = int(os.environ.get("ROUNDS", "8"))
MOST_TIME = 1.3
LOW, HIGH = {"a": 90, "b": 10}, {"a": 80, "b": 20}
COMMANDS = ("abtest", "pulumi")


class Shift(NamedTuple):
    """Seconds, and the calls that changed something."""

    wall: float
    writes: int


@contextmanager
def standing() -> Iterator[Engine]:
    """A guarded stack of two variants, deployed."""
    with tempfile.TemporaryDirectory() as folder, cloud() as aws:
        engine = Engine(Path(folder), aws)
        engine.up(config(LOW)).succeeded()
        yield engine


def config(weights: Mapping[str, int]) -> dict[str, object]:
    return changed(BASE, weights=weights, guardrails={"maxStep": 25, "requireHealthy": True, "minHealthy": 1})


def shift(engine: Engine, command: str, weights: Mapping[str, int]) -> Shift:
    """One shift, the same by either command. `pulumi up` finds the stack file edited already."""
    if command == "pulumi":
        engine.write(config(weights))
    began = time.perf_counter()
    run = engine.abtest("shift", f"b={weights['b']}", "--yes") if command == "abtest" else engine.up()
    return Shift(time.perf_counter() - began, len(run.succeeded().writes))


def measure(engine: Engine) -> dict[str, list[Shift]]:
    """Each command ``ROUNDS`` times, in turns, to and fro; the first of each, which fills caches, does not count."""
    shifts: dict[str, list[Shift]] = {command: [] for command in COMMANDS}
    splits = cycle((HIGH, LOW))
    for n in range(ROUNDS + 1):
        for command in COMMANDS if n % 2 == 0 else COMMANDS[::-1]:
            shifts[command].append(shift(engine, command, next(splits)))
    return {command: made[1:] for command, made in shifts.items()}


def main() -> None:
    if shutil.which("pulumi") is None:
        print("skipped: pulumi is not on PATH")
        return
    with standing() as engine:
        shifts = measure(engine)
    ours, theirs = (statistics.median(each.wall for each in shifts[command]) for command in COMMANDS)
    ratio = ours / theirs
    print(f"medians of {ROUNDS} shifts, to and fro\n")
    print(f"{'':24}{'abtest':>10}{'pulumi':>10}{'ratio':>8}{'goal':>8}")
    met = "met" if ratio <= MOST_TIME else "missed"
    print(f"{'wall time':24}{ours:8.3f} s{theirs:8.3f} s{ratio:8.3f}{MOST_TIME:8.2f}  {met}")
    writes = [max(each.writes for each in shifts[command]) for command in COMMANDS]
    print(f"{'writes on AWS, at most':24}{writes[0]:8}  {writes[1]:8}")


if __name__ == "__main__":
    main()
