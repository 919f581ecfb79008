"""A readout as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from abtest.cli.readout import figures

if TYPE_CHECKING:
    from abtest.readout.breakdown import By
    from abtest.readout.readout import Readout
    from abtest.readout.route import RouteReadout

__all__ = ["write"]


def write(readout: Readout, by: Collection[By] = ()) -> str:
    return "\n".join(_lines(readout, by)) + "\n"


def _lines(readout: Readout, by: Collection[By]) -> Iterator[str]:
    yield f"## {_plain(figures.headline(readout))}"
    yield ""
    for each in readout.conclusions:
        yield f"**{_plain(each.text)}**"
        yield ""
    if readout.sure:
        yield _plain(readout.sure)
        yield ""
    yield _plain(f"{figures.span(readout.asked)}; source: {readout.source}; unit: {readout.unit}.")
    yield ""
    for finding in readout.health:
        yield f"- {figures.MARKS[finding.level]}: {_plain(finding.text)}"
    yield ""
    for route in readout.routes:
        yield from _route(route)
    for name in by:
        heads, lines = figures.breakdown(readout.breakdowns.get(name, ()))
        yield from _table((f"by {name}", *heads), lines)
    for when, weights in figures.periods(readout):
        yield f"- split {when}: {_plain(weights)}"
    if readout.not_randomised:
        yield f"- not compared, since nothing is chosen there: {_plain(figures.not_compared(readout))}"
    for note in readout.notes:
        yield f"- {_plain(note)}"


def _route(route: RouteReadout) -> Iterator[str]:
    for variant in route.variants[1:] if route.effects else ():
        head = f"{route.name}: {variant.name} against {route.control}"
        yield from _table((head, *figures.EFFECTS), (line for _, line in figures.effects(route, variant.name)))
        if words := figures.would_show(route, variant.name):
            yield _plain(words)
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
    return f"|{'|'.join(_plain(cell) for cell in cells)}|"


def _plain(text: str) -> str:
    """What a log says is shown as it is: it makes no tag, no link, no emphasis and no cell."""
    text = escape(" ".join(text.split()), quote=False)
    for character in "\\`*_[]|":
        text = text.replace(character, f"\\{character}")
    return text
