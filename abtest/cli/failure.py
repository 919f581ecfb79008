"""How a command ends when the user has to do something."""

from __future__ import annotations

from typing import IO, Any

import click

__all__ = ["Failure"]


class Failure(click.ClickException):
    """Ends a command with an exit code. Its message stands as it is: problem lines say themselves what they are."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self.message, file=file, err=True)
