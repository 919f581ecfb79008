"""A stack that stands on an embedded AWS for as long as a test looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from abtest.experiment import Source, load, stack_file
from abtest.local.assumed import create_assumed
from abtest.local.clients import Clients
from abtest.local.embedded import embedded_aws
from abtest.local.program import EmbeddedAws, Monitor, run_program

__all__ = ["standing"]


@contextmanager
def standing(stack: str) -> Iterator[Any]:
    """Deploy a stack file, by name or path; a client of its load balancing API."""
    source = Source.from_file(*stack_file(stack))
    aws = Clients("us-east-1")
    with embedded_aws():
        create_assumed(aws, load(source)[0])
        run_program(source, Monitor(EmbeddedAws(aws, lambda _type, _name: None)))
        yield aws.elbv2
