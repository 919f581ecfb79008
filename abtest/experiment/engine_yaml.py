"""Stack files read as Pulumi's engine reads them, with the line of every key.

The engine parses YAML with go-yaml v3, which follows YAML 1.2 where PyYAML follows 1.1 (``no`` and ``on`` are texts)
but keeps some of 1.1 (``010`` is 8, ``1_000`` is 1000), turns dates into texts of its own, and refuses keys that are
not text. Sources: gopkg.in/yaml.v3 resolve.go; pulumi/pulumi sdk/go/common/resource/config/object.go and
sdk/go/common/workspace/project.go (SimplifyMarshalledValue).
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import yaml
from msgspec import Struct

from abtest.experiment.problems import Path
from abtest.experiment.yaml_mistakes import mistake

__all__ = ["Document", "YamlError", "parse", "scalar"]

#: Far more than a stack file needs. What an alias names counts each time that it is used.
MOST_ENTRIES, DEEPEST = 10_000, 50

_PLAIN = "plain"
_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc, valid-type]
    """Marks plain scalars without a tag, so that they can be resolved by the engine's rules."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        if kind is yaml.ScalarNode and implicit[0]:
            return _PLAIN
        return str(super().resolve(kind, value, implicit))


class YamlError(Exception):
    """Not YAML that the engine takes; ``line`` is 0 where none is known."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message, self.line = message, line


class Document(Struct, frozen=True):
    """A parsed file: plain values, and the line on which each key or list entry stands."""

    value: Any
    lines: dict[Path, int]


def parse(text: str) -> Document:
    """Parse the first document of ``text``. Raises YamlError with the line."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_node() if loader.check_node() else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        words, line = mistake(text, error)
        raise YamlError(f"not valid YAML: {words}", line) from None
    except RecursionError:  # from the parser in Python, where libyaml is not installed
        raise YamlError(f"nested more than {DEEPEST} levels deep", 0) from None
    if node is None:
        return Document(None, {})
    _check_size(node)
    lines: dict[Path, int] = {}
    return Document(_value(node, (), lines), lines)


def _check_size(root: yaml.Node) -> None:
    """Refuse a file whose aliases make it enormous: 258 bytes can hold 672,605 entries."""
    waiting, entries, line = [(root, 1)], 0, 0
    while waiting:
        node, depth = waiting.pop()
        entries += 1
        line = max(line, node.start_mark.line + 1)  # an alias leads back to an earlier line
        if entries > MOST_ENTRIES:
            raise YamlError(
                f"more than {MOST_ENTRIES:,} entries, counting an alias each time it is used; write fewer", line
            )
        if depth > DEEPEST:
            raise YamlError(f"nested more than {DEEPEST} levels deep, or an alias that contains itself", line)
        if isinstance(node, yaml.CollectionNode):
            children = node.value if isinstance(node, yaml.SequenceNode) else [n for pair in node.value for n in pair]
            waiting += [(child, depth + 1) for child in reversed(children)]


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, n), lines) for n, item in enumerate(node.value)]
    tag = node.tag.removeprefix("tag:yaml.org,2002:")
    if tag == _PLAIN:
        return scalar(node.value)
    if tag == "str":
        return node.value
    resolved = scalar(node.value)
    kinds = {"int": int, "float": int | float, "bool": bool, "null": type(None), "timestamp": str}
    if tag not in kinds or not isinstance(resolved, kinds[tag]):
        raise YamlError(f"{node.value!r:.60} cannot be read as !!{tag}", node.start_mark.line + 1)
    return resolved


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if key_node.tag == _PLAIN and key_node.value == "<<":
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            for source in reversed(sources):
                if not isinstance(source, yaml.MappingNode):
                    raise YamlError("<< merges mappings only", line)
                merged |= _mapping(source, path, {})
            continue
        key = _value(key_node, (), {}) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            raise YamlError(f"the key {key_node.value!r:.60} is not text to Pulumi: put it in quotes", line)
        if key in own:
            raise YamlError(f"the key {key} is a duplicate key; it is also on line {lines[(*path, key)]} already", line)
        lines[(*path, key)] = line
        own[key] = _value(value_node, (*path, key), lines)
    return {**merged, **own}


_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGERS = (
    (re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)"), 16),
    (re.compile(r"([-+]?)0[bB]([01]+)"), 2),
    (re.compile(r"0b([-+])([01]+)"), 2),
    (re.compile(r"([-+]?)0[oO]?([0-7]+)"), 8),
    (re.compile(r"0o([-+])([0-7]+)"), 8),
    (re.compile(r"([-+]?)(0|[1-9][0-9]{0,19})"), 10),  # 64 bits have 20 digits; int() refuses 4,301
)
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?:[Tt](?P<zoned>\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?)(?P<zone>Z|[-+]\d\d:\d\d))|"
    r"(?: +(?P<local>\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d+)?)))?",
    re.ASCII,
)


def scalar(text: str) -> Any:
    """What go-yaml v3 makes of a plain scalar. Dates come as the texts that Pulumi makes of them."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if not text or text[0] not in "+-.0123456789":
        return text
    date = _date(text)
    if date is not None:
        return date
    plain = text.replace("_", "")
    for pattern, base in _INTEGERS:
        if match := pattern.fullmatch(plain):
            number = int(match[1] + match[2], base)
            if -(2**63) <= number < 2 ** (63 if match[1] else 64):
                return number
    return float(plain) if _FLOAT.fullmatch(plain) and math.isfinite(float(plain)) else text


def _date(text: str) -> str | None:
    """Go's ``time.Time.String`` for the date forms that go-yaml reads; None for any other text."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    clock, _, fraction = (match["zoned"] or match["local"] or "0:0:0").partition(".")
    try:
        moment = datetime(*map(int, (match[1], match[2], match[3], *clock.split(":"))), tzinfo=UTC)  # type: ignore[arg-type, misc]
        zone = _zone(match["zone"] or "Z")
    except ValueError:
        return None
    fraction = fraction[:9].rstrip("0")
    return f"{str(moment)[:19]}{'.' * bool(fraction)}{fraction} {zone}"


def _zone(text: str) -> str:
    if text == "Z":
        return "+0000 UTC"
    hours, minutes = int(text[1:3]), int(text[4:])
    if hours > 24 or minutes > 60:
        raise ValueError(text)
    offset = text.replace(":", "")
    return f"{offset} {offset}" if hours or minutes else "+0000 UTC"
