"""A readout on the terminal: what to make of it, whether to trust it, then the figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from abtest.cli.readout import figures
from abtest.cli.tables import columns

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from abtest.readout.breakdown import By, Row
    from abtest.readout.readout import Readout
    from abtest.readout.route import RouteReadout

__all__ = ["brief", "show", "shown"]

STYLES = {"worse": "bold red", "better": "bold green", "different": "bold yellow", "no verdict": "bold red"}
LEVELS = {"fine": "green", "look": "yellow", "broken": "bold red"}

#: Characters of a bar.
_WIDTH = 10


def show(readout: Readout, console: Console, by: Collection[By] = ()) -> None:
    for part in shown(readout, by):
        console.print(part)


def shown(readout: Readout, by: Collection[By] = ()) -> Iterator[RenderableType]:
    """From top to bottom."""
    from rich.text import Text

    yield from _conclusions(readout)
    if readout.sure:
        yield Text(readout.sure, style="dim")
    yield Text()
    yield _health(readout)
    for route in readout.routes:
        yield Text()
        yield _facts(route)
        for variant in route.variants[1:] if route.effects else ():
            yield Text()
            yield _effects(route, variant.name)
            if words := figures.would_show(route, variant.name):
                yield Text(words, style="dim")
    for name in by:
        yield Text()
        yield _breakdown(name, readout.breakdowns.get(name, ()))
    yield Text()
    yield from _rest(readout)


def brief(readout: Readout) -> Iterator[RenderableType]:
    """What fits on a screen that is looked at again and again: verdicts, what is not fine, differences."""
    from rich.text import Text

    yield from _conclusions(readout)
    for finding in readout.health:
        if finding.level != "fine":
            yield Text(f"{figures.MARKS[finding.level]}: {finding.text}", style=LEVELS[finding.level])
    for route in readout.routes:
        for variant in route.variants[1:] if route.effects else ():
            yield Text()
            yield _effects(route, variant.name)


def _conclusions(readout: Readout) -> Iterator[Text]:
    from rich.text import Text

    yield Text(f"{figures.headline(readout)}, {figures.span(readout.asked)}", style="bold")
    for each in readout.conclusions:
        yield Text(each.text, style=STYLES.get(each.standing, "bold"))


def _health(readout: Readout) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    table.add_row("source", readout.source)
    if readout.seen:
        table.add_row("seen", figures.span(readout.seen))
    table.add_row("unit", readout.unit)
    for each in readout.health:
        table.add_row(Text(figures.MARKS[each.level], style=LEVELS[each.level]), each.text)
    return table


def _facts(route: RouteReadout) -> Table:
    names = [figures.name_of(each) for each in route.variants]
    table = columns(route.name, *names, right=frozenset(names))
    for name, *cells in figures.facts(route):
        table.add_row(name, *cells)
        if name.startswith("share seen"):
            table.add_row("", *(_bar(each.share.seen) for each in route.variants))
    return table


def _bar(share: float | None) -> str:
    """The share as a bar of eighths of a character."""
    whole, eighths = divmod(round((share or 0) * _WIDTH * 8), 8)
    return ("█" * whole + " ▏▎▍▌▋▊▉"[eighths]).strip().ljust(_WIDTH, "·")


def _effects(route: RouteReadout, variant: str) -> Table:
    from rich.text import Text

    table = columns(f"{variant} against {route.control}", *figures.EFFECTS[:-1], right=frozenset({"difference"}))
    for effect, (label, verdict, *cells, _) in figures.effects(route, variant):
        table.add_row(label, Text(verdict, style=STYLES.get(effect.verdict, "")), *cells)
    return table


def _breakdown(name: By, rows: tuple[Row, ...]) -> Table:
    heads, lines = figures.breakdown(rows)
    table = columns(f"by {name}", *heads, right=frozenset(heads[1:]))
    for line in lines:
        table.add_row(*line)
    return table


def _rest(readout: Readout) -> Iterator[RenderableType]:
    from rich.text import Text

    for when, weights in figures.periods(readout):
        yield Text(f"split {when}: {weights}", style="dim")
    if readout.not_randomised:
        yield Text(f"not compared, since nothing is chosen there: {figures.not_compared(readout)}", style="dim")
    for note in readout.notes:
        yield Text(note, style="dim")
