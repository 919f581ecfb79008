"""Tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from abtest.escape import line, lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.table import Table

    from abtest.routing import RoutingTable

__all__ = ["columns", "plain_console", "routing"]


def plain_console() -> Console:
    """A console that shows what a config says as it is: "[a-z]" is no style, ":b:" no picture."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
            """Escapes what could act on a terminal; colours come later."""
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else lines(text), style, control)

        def on_broken_pipe(self) -> None:
            """As elsewhere: the reader has seen enough."""
            raise BrokenPipeError

    console = Plain(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = max(console.width, 200)  # a pipe has no width, and wrapped lines cannot be searched
    return console


def columns(*names: str, right: frozenset[str]) -> Table:
    """An empty table; numbers stand to the right."""
    from rich.table import Table

    class Escaped(Table):
        def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
            """Cells are escaped before they are measured."""
            super().add_row(*(lines(cell) if isinstance(cell, str) else cell for cell in cells), **options)

    table = Escaped(show_edge=False, pad_edge=False)
    for name in names:
        table.add_column(line(name), justify="right" if name in right else "left", overflow="fold")
    return table


def routing(found: RoutingTable, overrides: frozenset[int] = frozenset()) -> Table:
    """The rules as the load balancer evaluates them; ``overrides`` are the priorities of abtest:override."""
    from abtest.routing.render import rows

    table = columns("priority", "rule", "when", "then", right=frozenset({"priority"}))
    for label, name, when, then in rows(found):
        shown = "override" if label.isdigit() and int(label) in overrides else name
        table.add_row(label, shown, "\nand ".join(when) or "everything else", then)
    return table
