"""``abtest schema``."""

from __future__ import annotations

import json

import click

from abtest.cli.echo import echo
from abtest.experiment.schema import schema as generated

__all__ = ["schema"]


@click.command()
def schema() -> None:
    """Print the JSON Schema of stack files, for editors.

    A stack file names it on its first line: # yaml-language-server: $schema=abtest.schema.json
    """
    echo(json.dumps(generated(), indent=2, ensure_ascii=False))
