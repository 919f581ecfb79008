"""Access logs read line by line into lists: slow, simple, and the oracle of the reader that is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from abtest.readout.query import MOST_PATHS
from abtest.readout.question import Question
from abtest.readout.steps import step_seconds
from abtest.readout.sums import Sums
from abtest.readout.table import (
    BYTES,
    ERRORS,
    LATENCY,
    OTHER_PATHS,
    POSITIONS,
    Latencies,
    Lines,
    Step,
    Table,
    slower_than,
)

_FIELD, _QUOTED = r'([^ "]*)', r'"([^"]*)"'
_ENTRY = re.compile(
    " ".join([_FIELD] * 12 + [_QUOTED] * 2 + [_FIELD] * 3 + [_QUOTED] * 3 + [_FIELD] * 2) + r' (?:".*)?', re.DOTALL
)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A line that is an entry. ``group`` is "-", and ``route``, ``period`` and ``variant`` None, where there is none."""

    load_balancer: str
    received: datetime
    unit: Hashable
    route: Any
    group: str
    status: int
    milliseconds: int | None
    sent: int
    period: Any
    variant: Any
    trace: str
    path: str


def parse(line: bytes, question: Question) -> Request | None:
    """None where it is no entry."""
    try:
        match = _ENTRY.fullmatch(line.decode())
        fields = match.groups() if match else ()
        kind, _, elb, client, _, *times = fields[:8]
        first, second, third = (float(each) for each in times)
        status, sent = int(fields[8]), int(fields[11])
        agent, group, priority = fields[13], fields[16], -1 if fields[20] == "-" else int(fields[20])
        received = datetime.strptime(fields[21], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    if not (0 <= status <= 999 and 0 <= sent < 2**63 and -1 <= priority <= 50000):
        return None
    address = re.sub(":[0-9]+$", "", client)
    answered = min(first, second, third) >= 0 and kind not in ("ws", "wss")
    periods = [n for n, each in enumerate(question.periods) if each.start <= received < each.end]
    name = group.split("/")[1] if "/" in group else ""
    stem = re.sub("-[0-9a-f]{7}$", "", name)
    return Request(
        load_balancer=elb,
        received=received,
        unit=(address, agent) if question.unit == "address+agent" else address,
        route=None if priority == -1 else question.route(priority),
        group=group,
        status=status,
        milliseconds=int(1000 * (first + second + third) + 0.5) if answered else None,
        sent=sent,
        period=periods[0] if periods else None,
        variant=next((found for key in (group, name, stem) if (found := question.variants.get(key))), None),
        trace=root(fields[17]),
        path=_path(fields[12]),
    )


def root(header: str) -> str:
    """What a trace is called by; empty where there is none."""
    for part in header.split(";"):
        if part.startswith("Root="):
            return part.removeprefix("Root=")
    return "" if header == "-" else header


def _path(request: str) -> str:
    """Empty where the line names none."""
    method, _, rest = request.partition(" ")
    uri, _, _ = rest.rpartition(" ")
    scheme, mark, place = uri.partition("://")
    path = place.partition("?")[0]
    is_form = method and mark and re.fullmatch("[a-z]+", scheme)
    return path[path.index("/") :] if is_form and "/" in path else ""


def chosen_of(text: bytes, question: Question) -> tuple[list[Request], list[Request]]:
    """All requests, and those that are compared."""
    parsed = [request for line in _lines(text) if (request := parse(line, question))]
    own = own_of(parsed, question)
    stuck = stuck_of(own, question)
    compared = [each for each in own if each.variant and _is_compared(each, question)]
    return parsed, [each for each in compared if (each.period, each.unit) not in stuck]


def own_of(parsed: list[Request], question: Question) -> list[Request]:
    return [each for each in parsed if question.load_balancer in (None, each.load_balancer)]


def stuck_of(own: list[Request], question: Question) -> dict[tuple[int, Hashable], bool]:
    """By period and unit that may have a cookie from before, whether it was seen before."""
    found: dict[tuple[int, Hashable], bool] = {}
    logs_from = question.logs_from or min((each.received for each in own), default=_EPOCH)
    for number, period in enumerate(question.periods):
        if not period.stickiness_seconds or not period.earlier_stickiness:
            continue
        stuck = timedelta(seconds=period.earlier_stickiness)
        seen = {each.unit for each in own if period.start - stuck <= each.received < period.start}
        for each in own:
            too_early = each.received < min(period.start, logs_from) + stuck
            if each.period == number and (each.unit in seen or too_early):
                found[number, each.unit] = each.unit in seen
    return found


def _lines(text: bytes) -> list[bytes]:
    return [line for line in re.split(b"\r\n|\r|\n", text) if line]


def read(text: bytes, question: Question) -> Table:
    """The table of one file's lines."""
    lines = _lines(text)
    parsed, chosen = chosen_of(text, question)
    own = own_of(parsed, question)
    within = [each for each in own if each.period is not None]
    window = (min(e.received for e in within), max(e.received for e in within)) if within else None
    step = question.step_seconds or step_seconds(window)
    steps, so_far = _steps(chosen, question, timedelta(seconds=step))
    stuck = stuck_of(own, question)
    left_out = {True: Counter[str](), False: Counter[str]()}
    for each in own:
        if each.variant and _is_compared(each, question) and (each.period, each.unit) in stuck:
            left_out[stuck[each.period, each.unit]][each.route] += 1
    known = [each for each in within if each.variant or each.group == "-"]
    return Table(
        lines=Lines(
            parsed=len(own),
            foreign=len(parsed) - len(own),
            skipped=len(lines) - len(parsed),
            outside=len(own) - len(within),
            unknown=Counter(each.group for each in own if each.group != "-" and not each.variant),
            load_balancers=() if question.load_balancer else tuple(sorted({each.load_balancer for each in own})),
        ),
        window=window,
        cells=_summed(chosen, question),
        stuck=left_out[True],
        untold=left_out[False],
        first_seen=_first_seen(chosen, question),
        mixed=_mixed(chosen),
        step_seconds=step,
        steps=steps,
        so_far=so_far,
        latencies=_latencies(chosen),
        statuses=Counter((each.route, each.variant, each.status) for each in known),
        not_randomised=Counter(each.route for each in within if each.route and not _is_compared(each, question)),
        paths=_paths(chosen, question) if question.by_path else {},
    )


def _paths(chosen: list[Request], question: Question) -> dict[tuple[str, str], dict[str, Sums]]:
    """Of periods, routes and variants that are called by the path instead."""
    counts = Counter(each.path for each in chosen if each.path)
    most = sorted(counts, key=lambda path: (-counts[path], path))[:MOST_PATHS]
    named = [replace(each, period=0, route=each.path if each.path in most else OTHER_PATHS) for each in chosen]
    return {(path, variant): sums for (_, path, variant), sums in _summed(named, question).items()}


def _is_compared(request: Request, question: Question) -> bool:
    if request.period is None or request.route is None:
        return False
    return question.is_randomised(question.periods[request.period], request.route)


def _values(request: Request, question: Question) -> dict[str, float]:
    """What the request adds to each metric; nothing to those that it does not count for."""
    found = {ERRORS: float(request.status >= 500), BYTES: float(request.sent)}
    if request.milliseconds is not None:
        found[LATENCY] = request.milliseconds / 1000
        found |= {
            slower_than(limit): float(request.milliseconds > round(1000 * limit, 6)) for limit in question.slower_than
        }
    return found


def sums(requests: Iterable[tuple[Hashable, float]]) -> Sums:
    """Of units and values."""
    units: dict[Hashable, list[float]] = {}
    for unit, value in requests:
        units.setdefault(unit, []).append(value)
    pairs = [(len(values), sum(values)) for values in units.values()]
    return Sums(
        units=len(pairs),
        n=sum(n for n, _ in pairs),
        y=sum(y for _, y in pairs),
        nn=sum(n * n for n, _ in pairs),
        ny=sum(n * y for n, y in pairs),
        yy=sum(y * y for _, y in pairs),
    )


def _summed(requests: list[Request], question: Question) -> dict[tuple[int, str, str], dict[str, Sums]]:
    metrics = [ERRORS, LATENCY, BYTES, *map(slower_than, question.slower_than)]
    found: dict[tuple[int, str, str], list[Request]] = {}
    for each in requests:
        found.setdefault((each.period, each.route, each.variant), []).append(each)
    return {
        cell: {
            metric: sums((each.unit, value[metric]) for each in here if metric in (value := _values(each, question)))
            for metric in metrics
        }
        for cell, here in found.items()
    }


def _steps(
    requests: list[Request], question: Question, length: timedelta
) -> tuple[dict[Step, Mapping[str, Sums]], dict[Step, Mapping[str, Sums]]]:
    steps: dict[Step, Mapping[str, Sums]] = {}
    so_far: dict[Step, Mapping[str, Sums]] = {}
    for begin in sorted({_EPOCH + (each.received - _EPOCH) // length * length for each in requests}):
        here = [each for each in requests if begin <= each.received < begin + length]
        steps |= {(*cell, begin): sums for cell, sums in _summed(here, question).items()}
        until = [each for each in requests if each.received < begin + length]
        so_far |= {(*cell, begin): sums for cell, sums in _summed(until, question).items() if (*cell, begin) in steps}
    return steps, so_far


def _first_seen(chosen: list[Request], question: Question) -> dict[tuple[int, str, str], int]:
    found: Counter[tuple[int, str, str]] = Counter()
    first: dict[tuple[int, Hashable], datetime] = {}
    for each in chosen:
        key = each.period, each.unit
        first[key] = min(first.get(key, each.received), each.received)
    for each in chosen:
        if not question.periods[each.period].stickiness_seconds or each.received == first[each.period, each.unit]:
            found[each.period, each.route, each.variant] += 1
    return dict(found)


def _mixed(chosen: list[Request]) -> dict[tuple[int, str], int]:
    variants: dict[tuple[int, str, Hashable], set[str]] = {}
    for each in chosen:
        variants.setdefault((each.period, each.route, each.unit), set()).add(each.variant)
    return dict(Counter((period, route) for (period, route, _), names in variants.items() if len(names) > 1))


def _latencies(chosen: list[Request]) -> dict[tuple[str, str], Latencies]:
    found: dict[tuple[str, str], list[Request]] = {}
    for each in chosen:
        if each.milliseconds is not None:
            found.setdefault((each.route, each.variant), []).append(each)
    return {key: _latency(requests) for key, requests in found.items()}


def _latency(requests: list[Request]) -> Latencies:
    pairs = [(each.unit, each.milliseconds or 0) for each in requests]
    ordered = sorted(taken for _, taken in pairs)
    limits = {position: ordered[ceil(round(position * 100) * len(ordered) / 100) - 1] for position in POSITIONS}
    within = {p: sums((unit, float(taken <= limit)) for unit, taken in pairs) for p, limit in limits.items()}
    return Latencies(counts=Counter(ordered), within=within)
