"""The one way out of a command, to terminals and pipes of every encoding.

Text from files, logs and AWS cannot act on a terminal, or on GitHub's runner.
"""

from __future__ import annotations

import codecs
import io
import json
import sys

import click

from abtest.escape import lines

__all__ = ["echo", "take_every_character", "write_utf8"]

#: What to show where an encoding lacks a character; others are shown by their code.
_PLAIN = {"→": "->", "…": "...", "·": ".", "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", **dict.fromkeys("▏▎▍▌▋▊▉█", "#")}


def take_every_character() -> None:
    """Let the standard streams replace what their encoding lacks, instead of failing."""
    codecs.register_error("abtest", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="abtest")


def echo(text: object = "", *, err: bool = False, end: str = "\n", start: str = "") -> None:
    """Print a text of any number of lines; ``start`` and ``end`` are our own, and may move the cursor."""
    click.echo(f"{start}{lines(str(text))}{end}", err=err, nl=False)


def write_utf8(text: str) -> None:
    """Write JSON or HTML, which are UTF-8 whatever the terminal's encoding is."""
    click.echo(lines(text).rstrip("\n").encode(errors="backslashreplace"))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or _code(character) for character in lacking), error.end


def _code(character: str) -> str:
    return json.dumps(character)[1:-1]
