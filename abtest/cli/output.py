"""Output on terminals and in pipes of every encoding."""

from __future__ import annotations

import codecs
import io
import json
import sys

import click

__all__ = ["take_every_character", "write_utf8"]

#: What to show where an encoding lacks a character; others are shown by their code.
_PLAIN = {"→": "->", "…": "...", "·": ".", "\N{MINUS SIGN}": "-", "\N{EN DASH}": "-", **dict.fromkeys("▏▎▍▌▋▊▉█", "#")}


def take_every_character() -> None:
    """Let the standard streams replace what their encoding lacks, instead of failing."""
    codecs.register_error("abtest", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="abtest")


def write_utf8(text: str) -> None:
    """Write JSON or HTML, which are UTF-8 whatever the terminal's encoding is."""
    click.echo(text.rstrip("\n").encode(errors="backslashreplace"))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character) or _code(character) for character in lacking), error.end


def _code(character: str) -> str:
    return json.dumps(character)[1:-1]
