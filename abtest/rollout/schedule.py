"""The plan of a ramp: its steps, and the message of an update, which people read and the ramp finds its plan in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Self

from abtest.rollout.weights import share_of
from abtest.routing import percent

__all__ = ["Plan", "check_step", "schedule", "seconds", "short", "steps"]

MOST_STEPS = 100
LONGEST_BAKE = 24 * 60 * 60

_DURATION = re.compile(r"(?:(?P<h>\d{1,4})h)?(?:(?P<m>\d{1,6})m)?(?:(?P<s>\d{1,8})s)?")
_MESSAGE = re.compile(
    r"abtest ramp (?P<variant>\S+): step (?P<step>[1-9]\d*) of \d+, \S+ % "
    r"\((?P<shares>[\d., ]+) %; bake (?P<bake>\w+); from (?P<start>[^)]+)\)"
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A ramp. ``shares`` are of new clients, one a step, increasing; ``start`` are the weights before the first."""

    variant: str
    shares: tuple[Fraction, ...]
    bake_seconds: int
    start: Mapping[str, int]

    def message(self, step: int) -> str:
        """What the update that makes this step is called; steps count from 1."""
        points = [_points(share) for share in self.shares]
        start = ", ".join(f"{name} {weight}" for name, weight in self.start.items())
        return (
            f"abtest ramp {self.variant}: step {step} of {len(points)}, {points[step - 1]} % "
            f"({', '.join(points)} %; bake {short(self.bake_seconds)}; from {start})"
        )

    @property
    def options(self) -> str:
        """What to ask for on the command line, to have this plan again."""
        return f"--schedule {','.join(map(_points, self.shares))} --bake {short(self.bake_seconds)}"

    @classmethod
    def read(cls, message: str) -> tuple[Self, int] | None:
        """The plan and the step of such a message; None for any other."""
        match = _MESSAGE.fullmatch(message)
        if match is None:
            return None
        try:
            plan = cls(
                variant=match["variant"],
                shares=tuple(Fraction(points) / 100 for points in match["shares"].split(", ")),
                bake_seconds=seconds(match["bake"]),
                start={name: int(weight) for name, weight in (item.split(" ") for item in match["start"].split(", "))},
            )
            step = int(match["step"])
            return (plan, step) if plan.message(step) == message else None
        except (ValueError, IndexError):
            return None


def _points(share: Fraction) -> str:
    """The percentage just as somebody wrote it, so that it can be read back."""
    return str(float(share * 100)).removesuffix(".0")


# Steps ----------------------------------------------------------------------------------------------------------------


def steps(current: Fraction, to: Fraction, step: Fraction) -> tuple[Fraction, ...]:
    """From the current share by ``step``, the last one at ``to``. Raises ValueError.

    A current share such as 1/3 is taken as 33.3 %, since whole weights give every tenth of a percent.
    """
    if to <= current:
        raise ValueError(f"{percent(to)} is not over the current share, {percent(current)}; `shift` takes share away")
    if not step:
        raise ValueError("steps of 0 points lead nowhere")
    base = Fraction(floor(current * 1000), 1000)
    count = ceil((to - base) / step)
    if count > MOST_STEPS:
        raise ValueError(
            f"steps of {_points(step)} points are {count} steps; at most {MOST_STEPS}, so take larger ones"
        )
    made = (base + n * step for n in range(1, count))
    return (*(share for share in made if share > current), to)


def schedule(text: str, current: Fraction) -> tuple[Fraction, ...]:
    """The steps of a text such as ``1,5,10,25,50``, in percent. Raises ValueError."""
    shares = tuple(share_of(part.strip()) for part in text.split(","))
    for before, after in pairwise(shares):
        if after <= before:
            raise ValueError(f"{percent(after)} comes after {percent(before)}; each step is more than the one before")
    if shares[0] <= current:
        raise ValueError(f"the first step, {percent(shares[0])}, is not over the current share, {percent(current)}")
    return shares


def check_step(current: Fraction, shares: Sequence[Fraction], max_step: int) -> None:
    """Raises ValueError for a step of more points than ``maxStep``, with a schedule that has none."""
    most = Fraction(max_step, 100)
    for n, (before, after) in enumerate(pairwise((current, *shares)), 1):
        if after - before > most:
            fitting = ",".join(map(_points, _fitting((current, *shares), most)))
            raise ValueError(
                f"step {n} goes from {percent(before)} to {percent(after)}, "
                f"{percent(after - before).removesuffix(' %')} points; maxStep allows {max_step}: --schedule {fitting}"
            )


def _fitting(shares: Iterable[Fraction], most: Fraction) -> Iterable[Fraction]:
    """The same steps, with others in between where they are too large."""
    for before, after in pairwise(shares):
        yield from steps(before, after, most)


# Times ----------------------------------------------------------------------------------------------------------------


def seconds(text: str) -> int:
    """A time such as ``10m``, ``90s``, ``1h30m`` or ``0s``. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if not (match and text):
        raise ValueError(f'"{text}" is not a valid time; write one such as 90s, 10m or 1h30m')
    found = sum(int(match[unit] or 0) * size for unit, size in (("h", 3600), ("m", 60), ("s", 1)))
    if found > LONGEST_BAKE:
        raise ValueError(f"{text} is over {short(LONGEST_BAKE)}, the longest time")
    return found


def short(number: int) -> str:
    """Seconds as ``seconds`` reads them: 1h30m."""
    parts = ((number // 3600, "h"), (number // 60 % 60, "m"), (number % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
