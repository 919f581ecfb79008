"""``abtest schema``."""

from __future__ import annotations

import json
from typing import Any

import click

from abtest.cli.output import write_utf8
from abtest.experiment.schema import one_line
from abtest.experiment.schema import schema as of_stack_files

__all__ = ["NAMES", "schema", "schema_of"]

#: What has a schema: stack files, and what commands print as JSON.
NAMES = ("stack", "ramp", "report", "status")


@click.command()
@click.argument("name", type=click.Choice(NAMES), default="stack")
def schema(name: str) -> None:
    """Print a JSON Schema: of stack files, for editors, or of what a command prints as JSON.

    A stack file names it on its first line: # yaml-language-server: $schema=abtest.schema.json
    """
    write_utf8(json.dumps(schema_of(name), indent=2, ensure_ascii=False))


def schema_of(name: str) -> dict[str, Any]:
    """JSON Schema 2020-12. ``name`` is one of NAMES."""
    if name == "stack":
        return of_stack_files()
    import msgspec

    made = json.loads(json.dumps(msgspec.json.schema(_printed(name))))  # a default may be a tuple
    for definition in made["$defs"].values():
        definition["description"] = one_line(definition.get("description"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _printed(name: str) -> type:
    if name == "ramp":
        from abtest.rollout.ramp import Event

        return Event
    if name == "report":
        from abtest.readout.readout import Readout

        return Readout
    from abtest.rollout.status import Status

    return Status
