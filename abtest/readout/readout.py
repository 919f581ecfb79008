"""What a report says, whatever it is printed as: figures in the units that people read, verdicts in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from abtest.readout.breakdown import By, Row, breakdowns
from abtest.readout.health import Finding, findings, has_clients
from abtest.readout.periods import Period
from abtest.readout.question import DEFAULT_ROUTE, Question
from abtest.readout.route import Conclusion, Look, RouteReadout
from abtest.readout.statistics import Design, Metric
from abtest.readout.table import Lines, Outcomes, Table

__all__ = ["Readout", "corrected", "read_out"]


@dataclass(frozen=True, kw_only=True)
class Readout:
    """All that a report shows, in its order. ``asked`` is the window that was asked for, ``seen`` when its first and
    its last request were received. ``not_randomised`` are the requests of routes that choose nothing, which are
    compared with nothing. ``sure`` says what the brackets in ``conclusions`` mean, ``notes`` how to read the rest.
    """

    stack: str
    control: str
    asked: tuple[datetime, datetime]
    seen: tuple[datetime, datetime] | None
    source: str
    unit: str
    conclusions: tuple[Conclusion, ...]
    sure: str
    health: tuple[Finding, ...]
    lines: Lines
    outcomes: Outcomes | None
    periods: tuple[Period, ...]
    routes: tuple[RouteReadout, ...]
    not_randomised: Mapping[str, int]
    breakdowns: Mapping[By, tuple[Row, ...]]
    notes: tuple[str, ...]


def read_out(
    table: Table,
    question: Question,
    *,
    stack: str,
    control: str,
    metrics: Sequence[Metric],
    design: Design,
    source: str,
    asked: tuple[datetime, datetime],
    known: Sequence[Finding] = (),
) -> Readout:
    """``source`` says in words what was read, ``asked`` from when to when, ``known`` what else there is to know of it.
    The design's ``comparisons`` are counted here: all metrics of all variants on all routes.
    """
    variants = {route: _variants(table, question, route, control) for route in _routes(table, question)}
    design = corrected(design, variants, metrics)
    looks = [Look(table, question, route, names, metrics, design) for route, names in variants.items()]
    return Readout(
        stack=stack,
        control=control,
        asked=asked,
        seen=table.window,
        source=source,
        unit=_unit(table, question),
        conclusions=tuple(each for look in looks for each in look.conclusions(is_only=len(looks) == 1)),
        sure=_sure(table, design),
        health=tuple(findings(table, question, {look.route: look.split[1] for look in looks}, stack, known)),
        lines=table.lines,
        outcomes=table.outcomes,
        periods=tuple(question.periods),
        routes=tuple(look.readout() for look in looks),
        not_randomised=table.not_randomised,
        breakdowns=breakdowns(table),
        notes=tuple(_notes(table, question)),
    )


def corrected(design: Design, variants: Mapping[str, Sequence[str]], metrics: Sequence[Metric]) -> Design:
    """The design of all comparisons that are made: of each route's variants, of which the first is the control."""
    pairs = sum(len(names) - 1 for names in variants.values())
    return replace(design, comparisons=max(pairs * len(metrics), 1))


def _routes(table: Table, question: Question) -> list[str]:
    """Those that are compared, the main split first; or what a source that cannot tell routes calls all of them."""
    asked = [route for route in question.splits if any(question.is_randomised(p, route) for p in question.periods)]
    seen = {route for _, route, _ in table.cells}
    found = asked if not seen or seen.intersection(asked) else seen
    return sorted(found, key=lambda route: (route != DEFAULT_ROUTE, route))


def _variants(table: Table, question: Question, route: str, control: str) -> list[str]:
    """The control first. Where a route does not lead to the stack's control, it is the one with the most weight."""
    weights: dict[str, int] = {}
    for period in question.periods:
        for name, weight in question.weights(period, route).items():
            weights[name] = max(weight, weights.get(name, 0))
    names = {name for name, weight in weights.items() if weight}
    names |= {variant for _, where, variant in table.cells if where == route}
    return sorted(names, key=lambda name: (name != control, -weights.get(name, 0), name))


def _unit(table: Table, question: Question) -> str:
    if table.cells and not has_clients(table):
        return "requests only: this source has no clients, so there are no intervals"
    unit = {"address": "addresses", "address+agent": "addresses with an agent"}[question.unit]
    return f"clients are {unit}: several behind one (NAT, a proxy, a service that calls) count as one"


def _sure(table: Table, design: Design) -> str:
    if not has_clients(table):
        return ""
    all_of_them = f", for all {design.comparisons} comparisons together" if design.comparisons > 1 else ""
    percent = 100 * (1 - design.alpha)
    return f"In brackets: where the difference lies, {percent:g} % sure however often one looks{all_of_them}."


def _notes(table: Table, question: Question) -> Iterator[str]:
    if not has_clients(table):
        return
    yield (
        "A verdict uses the always-valid interval, which holds however often you look. The fixed-time interval is "
        "narrower, but only holds for one comparison, looked at once, at a planned time."
    )
    yield '"No evidence of harm" is not "equal": the interval says how much harm there may be.'
    if len(question.periods) > 1:
        yield (
            f"The split changed: a difference is that of the {len(question.periods)} periods, each compared by itself, "
            "and need not be that of the columns. Clients are those of the period that had most."
        )
    yield "p50, p90 and p99 are described, with their 95 % intervals over clients, and never judged."
