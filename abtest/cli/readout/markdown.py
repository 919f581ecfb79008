"""A readout as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from abtest.cli.readout import figures
from abtest.escape import markdown

if TYPE_CHECKING:
    from abtest.readout.breakdown import By
    from abtest.readout.readout import Readout
    from abtest.readout.route import RouteReadout

__all__ = ["write"]


def write(readout: Readout, by: Collection[By] = ()) -> str:
    return "\n".join(_lines(readout, by)) + "\n"


def _lines(readout: Readout, by: Collection[By]) -> Iterator[str]:
    yield f"## {markdown(figures.headline(readout))}"
    yield ""
    for each in readout.conclusions:
        yield f"**{markdown(each.text)}**"
        yield ""
    if readout.sure:
        yield markdown(readout.sure)
        yield ""
    yield markdown(f"{figures.span(readout.asked)}; source: {readout.source}; unit: {readout.unit}.")
    yield ""
    for finding in readout.health:
        yield f"- {figures.MARKS[finding.level]}: {markdown(finding.text)}"
    yield ""
    for route in readout.routes:
        yield from _route(route)
    for name in by:
        heads, lines = figures.breakdown(readout.breakdowns.get(name, ()))
        yield from _table((f"by {name}", *heads), lines)
    for when, weights in figures.periods(readout):
        yield f"- split {when}: {markdown(weights)}"
    if readout.not_randomised:
        yield f"- not compared, since nothing is chosen there: {markdown(figures.not_compared(readout))}"
    for note in readout.notes:
        yield f"- {markdown(note)}"


def _route(route: RouteReadout) -> Iterator[str]:
    for variant in route.variants[1:] if route.effects else ():
        head = f"{route.name}: {variant.name} against {route.control}"
        yield from _table((head, *figures.EFFECTS), (line for _, line in figures.effects(route, variant.name)))
        if words := figures.would_show(route, variant.name):
            yield markdown(words)
            yield ""
    yield from _table((route.name, *map(figures.name_of, route.variants)), figures.facts(route))


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    """The first column to the left, figures to the right."""
    yield _row(heads)
    yield _row(["-", *["-:"] * (len(heads) - 1)])
    for line in lines:
        yield _row(line)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"|{'|'.join(markdown(cell).replace('|', chr(92) + '|') for cell in cells)}|"
