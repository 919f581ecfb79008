"""The command line: ``abtest`` or ``python -m abtest``. One file a command; each imports what it needs when it runs."""

from __future__ import annotations

import importlib
import io
import os
import sys

import click

from abtest.cli.failure import Failure
from abtest.cli.output import echo, take_every_character
from abtest.command import program

__all__ = ["main"]

#: command -> first line of its help; the module of the same name holds the function of the same name.
COMMANDS = {
    "explain": "Show the rules of a stack, or what happens to a request and why.",
    "diff": "Compare two versions of a stack file by what happens to traffic.",
    "status": "Show what each variant gets, is and has: weights, health, alarms, moves, differences.",
    "shift": "Give a variant another share of new clients, such as b=25.",
    "ramp": "Raise a variant's share step by step, each of which has to prove itself.",
    "promote": "Ramp a variant to 100 % of new clients, and say how to retire the others.",
    "rollback": "Send all traffic of the main split to the control, in one update of the listener.",
    "report": "Say which variant is better, by how much, and how sure that is.",
    "check": "Check stack files offline: all of the project's, or those named.",
    "local": "Deploy a stack on an embedded AWS, and send real requests through it.",
    "schema": "Print a JSON Schema: of stack files, for editors, or of what a command prints as JSON.",
}


class _Commands(click.Group):
    """Loads a command's module only when it is asked for, so that the command line starts at once."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader (head, less) has seen enough. Without this, the interpreter would complain when it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"abtest.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="abtest", message="abtest %(version)s")
def abtest() -> None:
    """A/B traffic between ML model versions behind an AWS Application Load Balancer.

    Exit codes: 0 fine, 1 an error, a problem in the config or wrong usage, 2 the effect changed (diff, or drift in
    explain --live and status), 3 a guardrail is broken (status: Degraded), 5 aborted or rolled back.
    """


def main() -> None:
    """Run a command. Mistakes of the user end with a message and a code, never with a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code."""
    take_every_character()
    try:
        return int(abtest.main(arguments, prog_name=program(), standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        echo(error.format_message())
        return 0
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        echo(shown.getvalue(), err=True, end="")
        return error.code if isinstance(error, Failure) else 1
    except OSError as error:  # the output cannot be written: a disk that is full, say
        echo(f"error: {error.strerror or error}", err=True)
        return 1
    except (click.Abort, KeyboardInterrupt):
        echo("aborted", err=True)
        return 5
