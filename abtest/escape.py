r"""Text from files, logs and AWS on its way out: it cannot move a cursor, turn text around, begin a line or a command
of GitHub's runner, or be read as markup.

Every output passes ``lines``; what has a form of its own (a table, Markdown, HTML, a chart) passes that form's function
first. Escapes are those of JSON (``\u001b``), so that JSON stays JSON.
"""

from __future__ import annotations

import re

__all__ = ["code", "html", "line", "lines", "markdown", "mermaid", "table_row"]

# C0 but for tab and line end, DEL, C1, bidirectional controls, line and paragraph separators, lone surrogates. Then
# what GitHub's runner takes for a command: "##[" anywhere, "::" at the start of a line (actions/runner,
# ActionCommand.cs).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
    r"|\#(?=\#\[)|(?<![^\n]):(?=:)"
)
_INDENTED_COMMAND = re.compile(r"^([^\S\n]+):(?=:)", re.MULTILINE)


def lines(text: str) -> str:
    """A text of any number of lines, as it may be written to a terminal, a pipe or a log."""
    return _INDENTED_COMMAND.sub(r"\1\\u003a", _UNSAFE.sub(_as_json, text))


def line(text: str) -> str:
    r"""A text on one line: a line end in it is shown as ``\n``."""
    return lines(text.replace("\n", "\\n"))


def _as_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def html(text: str, *, quote: bool = True) -> str:
    """A text without marks of HTML; with ``quote`` also for an attribute. The module ``html`` takes 2 ms to load."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace('"', "&quot;").replace("'", "&#x27;") if quote else text


# Markdown -------------------------------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """A text that Markdown on GitHub shows as it is: no tag, link, mention, reference or emphasis.

    GitHub looks for mentions and references in what Markdown makes, so that only a character between helps.
    """
    text = html(line(" ".join(text.split())), quote=False)
    text = re.sub(r"[\\`*_\[\]~]", r"\\\g<0>", text)
    text = re.sub(r"@|#(?=\d)|:(?=//)", r"\g<0>&#8203;", text)
    return re.sub(r"(?i)\b(www)\.", r"\1&#46;", text)


def code(text: str) -> str:
    """A text as code in Markdown. Source: CommonMark, "Code spans"."""
    text = line(re.sub(r"\s+", " ", text))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def table_row(*cells: str) -> str:
    """A row of a table: a pipe would end its cell, in code too. Source: GitHub Flavored Markdown, "Tables"."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


# Charts ---------------------------------------------------------------------------------------------------------------


def mermaid(text: str) -> str:
    r"""Text inside a quoted label. Mermaid reads ``\n`` and Markdown's own characters too, not only quotes and marks.

    Source: mermaid's documentation, "Entity codes to escape characters" and "Markdown formatting".
    """
    return re.sub(r"[#\"<>&\\`*\x00-\x1f]", lambda found: _ENTITIES.get(found[0]) or f"#{ord(found[0])};", text)


_ENTITIES = {'"': "#quot;", "<": "#lt;", ">": "#gt;"}
