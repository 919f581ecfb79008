"""A parser's error in the words of the person who wrote the file: the likely mistake, its line, and what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

__all__ = ["mistake"]

_CONFLICT = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)
_UNKNOWN = (
    "this cannot be read; look here and just above for a quote or bracket that is not closed, a missing space after a "
    "colon, or wrong indentation"
)


def mistake(text: str, error: yaml.YAMLError) -> tuple[str, int]:
    """The message, and its line from 1 (0 where none is known)."""
    if conflict := _CONFLICT.search(text):
        return f"a merge conflict of Git is left here ({conflict[1]}); resolve it", _line_of(text, conflict.start())
    if isinstance(error, yaml.reader.ReaderError):
        number = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        return f"the character U+{number:04X} is not allowed in YAML; remove it", _line_of(text, int(error.position))
    if not isinstance(error, yaml.MarkedYAMLError):
        return _UNKNOWN, 0
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _UNKNOWN, 0
    line = _lines(text)[mark.line]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "there is a tab; YAML is indented with spaces", mark.line + 1
    return next(_mistakes(text, error, mark, error.context_mark or mark), (_UNKNOWN, mark.line + 1))


def _mistakes(text: str, error: yaml.MarkedYAMLError, mark: yaml.Mark, context: yaml.Mark) -> Iterator[tuple[str, int]]:
    """By the words of PyYAML (scanner.py, parser.py) and of libyaml (scanner.c, parser.c)."""
    words, lines = f"{error.context}, {error.problem}", _lines(text)
    if "quoted scalar" in words and "escape character" not in words:
        yield f"the quote {lines[context.line][context.column :][:1]} that opens here is not closed", context.line + 1
    if "flow" in words:
        yield _of_flow(text, mark)
    start = (lines[mark.line][mark.column :].split() or [""])[0]
    for part, remedy in (
        ("escape character", "in double quotes a \\ starts an escape; take single quotes, such as '^\\d+$'"),
        ("alias", 'a text that starts with * is in quotes, such as "*.example.com"'),
        ("cannot start any token", f'a text that starts with {start[:1]} is in quotes: "{start}"'),
        ("mapping keys are not allowed", "a text that starts with ? is in quotes"),
    ):
        if part in words:
            yield remedy, mark.line + 1
    if "mapping values are not allowed" in words:
        yield from _of_values(lines, mark)
    if "could not find expected ':'" in words:
        yield "there is no colon after this key; write KEY: VALUE", context.line + 1
    if "block" in words:
        yield _of_block(lines, mark, context)


def _of_flow(text: str, mark: yaml.Mark) -> tuple[str, int]:
    """A list or a mapping in brackets that goes wrong before ``mark``."""
    opened: list[int] = []
    before = text[: mark.index]
    # Quotes and comments only start after white space or a bracket: not in it's or a#b.
    for found in re.finditer(r"""(?<![^\s\[{,:])(?:"[^"]*"|'[^']*'|#.*)|[\[\]{}]""", before):
        if found[0] in "[{":
            opened.append(found.start())
        elif found[0] in "]}" and opened:
            opened.pop()
    at = opened[-1] if opened else mark.index - 1
    bracket = "{" if before[at : at + 1] == "{" else "["
    closing = "]" if bracket == "[" else "}"
    if (line := _line_of(text, at)) != mark.line + 1:
        return f"the {bracket} that opens here is not closed; add {closing}", line
    many = f"between {bracket} and {closing} entries are separated by commas"
    return f"{many}, and a text with [ ] {{ }} , # or quotes in it is in quotes as a whole", line


def _of_values(lines: list[str], mark: yaml.Mark) -> Iterator[tuple[str, int]]:
    """A colon where no value can come."""
    above = next((n for n in range(mark.line - 1, -1, -1) if lines[n].strip()), 0)
    if mark.line and ":" not in lines[above]:
        yield f"there is no colon in this line; write {lines[above].strip()}: VALUE", above + 1
    if glued := re.fullmatch(r"\s*([\w.:-]*\w):([^\s:].*)", lines[above]):
        yield f"a space is missing after the colon: write {glued[1]}: {glued[2]}", above + 1
    if len(two := re.split(r":\s", lines[mark.line].strip(), maxsplit=1)) == 2 and re.search(r":(\s|$)", two[1]):
        yield f'a text that holds ": " is in quotes: write {two[0]}: "{two[1]}"', mark.line + 1
    words = f"this line is indented deeper than line {above + 1}, which has a value already; give both the same"
    yield f"{words} indentation", mark.line + 1


def _of_block(lines: list[str], mark: yaml.Mark, context: yaml.Mark) -> tuple[str, int]:
    """Something that is not the next key, or the next entry."""
    line, here = lines[mark.line], mark.line + 1
    if line[: mark.column].strip():
        rest = line[mark.column :].strip()
        return f'"{rest}" comes after the value has ended; remove it, or put the whole value in quotes', here
    if line.lstrip().startswith("- "):
        return "a list entry (-) is among keys; indent it below the key that it belongs to", here
    spaces = len(line) - len(line.lstrip())
    words = f"this line is indented by {spaces} space{'s' * (spaces != 1)}, and those around it by {context.column}"
    return f"{words}; give it the same", here


def _lines(text: str) -> list[str]:
    return [*text.splitlines(), ""]


def _line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
