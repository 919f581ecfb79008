"""How a command ends when the user has to do something."""

from __future__ import annotations

import click

__all__ = ["Failure"]


class Failure(click.ClickException):
    """Ends a command with exit code 1. Its message stands as it is: problem lines say themselves what they are."""

    def show(self, file: object = None) -> None:
        click.echo(self.message, err=True)
