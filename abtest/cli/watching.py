"""``--watch``: the same again and again on a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from abtest.cli.failure import Failure
from abtest.cli.tables import plain_console

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["check_terminal", "watch", "watch_option"]

watch_option = click.option(
    "--watch",
    "watch_seconds",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="Show it anew that often, until Ctrl-C.",
)

_Found = TypeVar("_Found")


def check_terminal(form: str) -> None:
    """Raises UsageError where nobody watches."""
    if form != "text" or not plain_console().is_terminal:
        raise click.UsageError("--watch shows text on a terminal; elsewhere run the command again and again")


def watch(read: Callable[[], _Found], shown: Callable[[_Found], Iterable[RenderableType]], seconds: float) -> _Found:
    """Returns what was seen last. Raises Failure only where the first reading fails."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    found = read()
    try:
        with Live(Group(*shown(found)), console=plain_console(), auto_refresh=False) as display:
            while True:
                time.sleep(seconds)
                try:
                    found = read()
                except Failure as failure:  # of the network, say: what was seen last stays, and says that it is old
                    display.update(Group(*shown(found), Text(f"not read again: {failure}", style="red")), refresh=True)
                else:
                    display.update(Group(*shown(found)), refresh=True)
    except KeyboardInterrupt:
        return found
