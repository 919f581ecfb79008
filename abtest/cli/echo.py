"""The one way out of a command: text from files, logs and AWS cannot act on a terminal, or on GitHub's runner."""

from __future__ import annotations

import click

from abtest.escape import lines

__all__ = ["echo"]


def echo(text: object = "", *, err: bool = False, end: str = "\n", start: str = "") -> None:
    """Print a text of any number of lines; ``start`` and ``end`` are our own, and may move the cursor."""
    click.echo(f"{start}{lines(str(text))}{end}", err=err, nl=False)
