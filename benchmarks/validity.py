"""Whether the readout's statistics keep what they promise, on traffic of which the truth is known.

Clients choose a variant once and keep it, come back at different times, and send very different numbers of requests; a
client's requests are alike. `make validity` runs it; docs/statistics.md has what it printed.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abtest.readout.statistics import (
    BYTES,
    ERROR_RATE,
    LATENCY,
    Comparison,
    Design,
    check_split,
    compare,
    compare_all,
    outcome,
    slower_than,
    units_to_see,
)
from abtest.readout.sums import Sums

SEED = 20261122
LOOKS = 20
SLOW = slower_than(0.5)
CLICKS = outcome("clicks", is_share=True)
METRICS = (ERROR_RATE, SLOW, LATENCY, BYTES, CLICKS)

#: The correlation between two requests of one client.
ALIKE = 0.05
#: A true difference that has to be found.
TWO_POINTS = 0.02

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Weights = Mapping[str, int]
#: Variant -> metric -> Sums.
Arms = dict[str, dict[str, Sums]]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true. The looks are shared out evenly over periods, each with weights of its own, and with an error rate
    that is so many times the usual; that of a client's first request is ``times_first`` as high.
    """

    clients: int
    periods: Sequence[Weights]
    times_errors: Sequence[float] = (1.0,)
    times_first: float = 1.0
    error_rate: float = 0.01
    harm: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is there at a look: Sums and new clients, by period."""

    arms: list[Arms]
    new: list[dict[str, int]]


def experiment(rng: np.random.Generator, world: World) -> list[Look]:
    """All looks at one experiment with variants a and b."""
    clients, each = world.clients, LOOKS // len(world.periods)
    # A mean of 5 requests, and now and then hundreds.
    requests = 1 + np.floor(rng.lognormal(math.log(4) - 0.72, 1.2, clients)).astype(np.int64)
    client = np.repeat(np.arange(clients), requests)
    first = rng.integers(0, LOOKS, clients)
    look = _looks(rng, first, requests)
    has_b = rng.random(clients) < np.array([w["b"] / sum(w.values()) for w in world.periods])[first // each]
    rate = _alike(rng, np.where(has_b, world.error_rate + world.harm, world.error_rate))[client]
    seconds = rng.lognormal(math.log(0.1) + rng.normal(0, 0.4, clients)[client], 0.8)
    times = np.array(world.times_errors)[look // each]
    times[np.cumsum(requests) - requests] *= world.times_first
    values = {
        ERROR_RATE.name: rng.random(len(client)) < rate * times,
        SLOW.name: seconds > 0.5,
        LATENCY.name: seconds,
        BYTES.name: rng.lognormal(7 + rng.normal(0, 0.3, clients)[client], 1.0),
        CLICKS.name: rng.random(len(client)) < _alike(rng, np.full(clients, 0.1))[client],
    }
    # In a later period a client is stuck to what it got, and does not count.
    free = look // each == (first // each)[client]
    cells = (client * LOOKS + look)[free]
    arms = _arms(cells, {metric: value[free] for metric, value in values.items()}, has_b, each)
    new = {name: np.bincount(first[has_b == is_b], minlength=LOOKS) for name, is_b in (("a", False), ("b", True))}
    ends = [[min(look, (period + 1) * each - 1) for period in range(look // each + 1)] for look in range(LOOKS)]
    return [
        Look(
            arms=[arms[end] for end in periods],
            new=[{v: int(new[v][end // each * each : end + 1].sum()) for v in new} for end in periods],
        )
        for periods in ends
    ]


def _looks(rng: np.random.Generator, first: Ints, requests: Ints) -> Ints:
    """Before which look each request comes: a client's first one, the others at any later time."""
    since = np.repeat(first, requests)
    look = since + np.floor(rng.random(len(since)) * (LOOKS - since)).astype(np.int64)
    look[np.cumsum(requests) - requests] = first
    return look


def _alike(rng: np.random.Generator, rate: Floats) -> Floats:
    """Each client's own rate, around the given ones."""
    strength = (1 - ALIKE) / ALIKE
    return rng.beta(rate * strength, (1 - rate) * strength)


def _arms(cells: Ints, values: Mapping[str, NDArray[np.generic]], has_b: NDArray[np.bool_], each: int) -> list[Arms]:
    """The Sums at each look, of its period alone."""

    def so_far(value: Floats) -> Floats:
        added = np.bincount(cells, weights=value, minlength=len(has_b) * LOOKS)
        return added.reshape(len(has_b), LOOKS // each, each).cumsum(axis=2).reshape(len(has_b), LOOKS)

    n = so_far(np.ones(len(cells)))
    found: list[Arms] = [{"a": {}, "b": {}} for _ in range(LOOKS)]
    for metric, value in values.items():
        y = so_far(value.astype(float))
        for name, of in (("a", ~has_b), ("b", has_b)):
            columns = [column[of].sum(axis=0).tolist() for column in (n > 0, n, y, n * n, n * y, y * y)]
            for look, (k, *sums) in enumerate(zip(*columns, strict=True)):
                found[look][name][metric] = Sums(units=k, **dict(zip(("n", "y", "nn", "ny", "yy"), sums, strict=True)))
    return found


# What is promised -----------------------------------------------------------------------------------------------------


def no_effect(rng: np.random.Generator, world: World, experiments: int) -> dict[str, float]:
    """The part of experiments that raise an alarm at some look, and whose last 95 % interval holds the truth."""
    found: Counter[str] = Counter()
    for _ in range(experiments):
        looks = experiment(rng, world)
        alone = [compare_all(METRICS, look.arms, "a", ["b"], Design()) for look in looks]
        together = [compare_all(METRICS, look.arms, "a", ["b"], Design(comparisons=len(METRICS))) for look in looks]
        for n, metric in enumerate(METRICS):
            of = [look[n] for look in alone]
            found[f"{metric.label}: always-valid"] += any(each.always and _misses(each.always) for each in of)
            found[f"{metric.label}: guard"] += any(each.worse_by(0) for each in of)
            found[f"{metric.label}: fixed"] += any(each.fixed and _misses(each.fixed) for each in of)
            found[f"{metric.label}: coverage"] += _holds(of[-1], 0)
        found["any, corrected"] += any(each.always and _misses(each.always) for look in together for each in look)
        splits = [check_split(zip(world.periods, look.new, strict=False)) for look in looks]
        found["split: sequential"] += any(split.is_off() for split in splits if split)
        found["split: chi-square"] += any(split.p_value < 0.01 for split in splits if split)
    return {name: count / experiments for name, count in found.items()}


def power(rng: np.random.Generator, weights: Weights, experiments: int) -> tuple[float, float, float]:
    """A report on 1,000 clients says how many it needs to see two points. The median of that, the part of experiments
    with so many clients and that harm that find it at their last look, and the coverage of the 95 % interval there.
    """
    design = Design(comparisons=len(METRICS))
    needed, found, covered = [], 0, 0
    for _ in range(experiments):
        report = experiment(rng, World(clients=1000, periods=[weights]))[-1].arms[0]
        clients = units_to_see(_errors(report), TWO_POINTS, is_share=True, design=design)
        if clients is None:
            continue
        needed.append(clients)
        end = experiment(rng, World(clients=clients, periods=[weights], harm=TWO_POINTS))[-1].arms[0]
        seen = compare(ERROR_RATE, "a", "b", [_errors(end)], design)
        found += seen.verdict == "worse"
        covered += _holds(seen, TWO_POINTS)
    return float(np.median(needed)), found / experiments, covered / experiments


def _errors(arms: Arms) -> tuple[Sums, Sums]:
    return arms["a"][ERROR_RATE.name], arms["b"][ERROR_RATE.name]


def _misses(interval: tuple[float, float]) -> bool:
    return not interval[0] <= 0 <= interval[1]


def _holds(comparison: Comparison, truth: float) -> bool:
    return comparison.fixed is not None and comparison.fixed.low <= truth <= comparison.fixed.high


# The table ------------------------------------------------------------------------------------------------------------

WORLDS = {
    "90/10, 2,000 clients": World(clients=2000, periods=[{"a": 90, "b": 10}]),
    "50/50, 2,000 clients": World(clients=2000, periods=[{"a": 50, "b": 50}]),
    "90/10, error rate 0.2 %, 5,000 clients": World(clients=5000, periods=[{"a": 90, "b": 10}], error_rate=0.002),
    "90/10, then 50/50 with twice the errors, twenty times as many at first requests, 2,000 clients": World(
        clients=2000, periods=[{"a": 90, "b": 10}, {"a": 50, "b": 50}], times_errors=(1, 2), times_first=20
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=2000)
    experiments = parser.parse_args().experiments
    print(f"{experiments:,} experiments each, {LOOKS} looks, seed {SEED}\n")
    for n, (name, world) in enumerate(WORLDS.items()):
        found = no_effect(np.random.default_rng([SEED, n]), world, experiments)
        print(f"### {name}; no true effect\n")
        print("| metric | false alarms | as a guard | usual interval at each look | coverage of the 95 % interval |")
        print("|-|-:|-:|-:|-:|")
        for metric in METRICS:
            cells = (found[f"{metric.label}: {what}"] for what in ("always-valid", "guard", "fixed", "coverage"))
            print(f"| {metric.label} | {' | '.join(map(_percent, cells))} |")
        print(f"| any of the five, corrected | {_percent(found['any, corrected'])} | | | |")
        print(f"| split | {_percent(found['split: sequential'])} | | {_percent(found['split: chi-square'])} | |\n")
    print("### A true +2 points of error rate\n")
    print("| split | clients that the report asks for | found | coverage of the 95 % interval |\n|-|-:|-:|-:|")
    for n, weights in enumerate(({"a": 90, "b": 10}, {"a": 50, "b": 50})):
        needed, found_in, covered = power(np.random.default_rng([SEED, n + len(WORLDS)]), weights, experiments)
        print(f"| {weights['a']}/{weights['b']} | {needed:,.0f} | {_percent(found_in)} | {_percent(covered)} |")


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"


if __name__ == "__main__":
    main()
