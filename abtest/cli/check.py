"""``abtest check``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from abtest.cli.output import echo, write_utf8
from abtest.experiment import ConfigError, Place, Problem, Source, find_project, stack_file, try_load
from abtest.routing import warnings

__all__ = ["check"]


@click.command()
@click.option(
    "--stack", "stacks", multiple=True, metavar="NAME|PATH", help="A stack, by name or path; may be repeated."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("files", nargs=-1, metavar="[STACK]...")
def check(stacks: tuple[str, ...], form: str, files: tuple[str, ...]) -> int:
    """Check stack files offline: all of the project's, or those named.

    Prints FILE:LINE: error|warning: KEY.PATH: MESSAGE, a line each. Warnings do not change the exit code.
    """
    try:
        names = (*stacks, *files) or find_project(Path()).stacks()
        found = [problem for name in names for problem in _problems(name)]
    except ConfigError as error:
        names, found = (), list(error.problems)
    if not names and not found:
        found = [Problem(Place("Pulumi.<stack>.yaml"), "error", "", "the project has no stack file")]
    errors = sum(problem.severity == "error" for problem in found)
    if form == "json":
        write_utf8(json.dumps([_as_object(problem) for problem in found], indent=2, ensure_ascii=False))
    else:
        for problem in found:
            echo(str(problem))
        echo(f"{_count(len(names), 'stack file')}: {_count(errors, 'error')}, {_count(len(found) - errors, 'warning')}")
    return 1 if errors else 0


def _problems(name: str) -> Iterable[Problem]:
    try:
        source = Source.from_file(*stack_file(name))
        experiment, problems = try_load(source)
    except ConfigError as error:
        return error.problems
    if any(problem.severity == "error" for problem in problems):
        return problems
    return (*problems, *warnings(experiment, source))


def _as_object(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.place.file,
        "line": problem.place.line or None,
        "severity": problem.severity,
        "path": problem.path or None,
        "message": problem.message,
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
