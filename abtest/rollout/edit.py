"""Changes of values in a stack file that leave every other byte as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from abtest.experiment.engine_yaml import YamlError, parse, scalar

__all__ = ["GONE", "EditError", "edited"]

#: In place of a value: take the key out.
GONE = object()

#: A text that is the same in and out of quotes, and inside of a flow mapping.
_PLAIN = re.compile(r"[A-Za-z_][\w-]*(:\w+)?", re.ASCII)


class EditError(Exception):
    """A stack file is written in a way that cannot be edited; the text says what to do by hand."""


def edited(text: str, changes: Mapping[tuple[str, ...], Any]) -> str:
    """The text with other values at these paths below ``config:``; ``GONE`` takes a key out.

    A path is a top-level key with its namespace, or that and a key in its mapping. Values are numbers, texts, lists and
    mappings of them. Raises EditError where the file has an anchor, a merge or a text in the way; also if the outcome,
    parsed again, were anything but the old values with these changes.
    """
    made = text
    for path, value in changes.items():
        made = _one(made, path, value)
    wanted = parse(text).value
    for path, value in changes.items():
        _set(wanted, ("config", *path), value)
    try:
        is_right = parse(made).value == wanted
    except YamlError:
        is_right = False
    if not is_right:
        raise EditError(f"{_shown(changes)} cannot be edited here; change it by hand")
    return made


def _one(text: str, path: tuple[str, ...], value: Any) -> str:
    parent = yaml.compose(text, yaml.SafeLoader)
    for key in ("config", *path[:-1]):
        entry = _entry(parent, key)
        if entry is None:
            raise EditError(f"{_shown([path])} cannot be edited: there is no mapping {key}; change it by hand")
        parent = entry[1]
    if not isinstance(parent, yaml.MappingNode) or not parent.value:
        raise EditError(f"{_shown([path])} cannot be edited: it is no mapping with entries; change it by hand")
    entry = _entry(parent, path[-1])
    if value is GONE:
        return text if entry is None else _without(text, parent, entry)
    if entry is None:
        return _with(text, parent, path[-1], value)
    start, end = entry[1].start_mark.index, entry[1].end_mark.index
    if isinstance(entry[1], yaml.CollectionNode) and not entry[1].flow_style:
        raise EditError(f"{_shown([path])} cannot be edited: it stands over several lines; change it by hand")
    return f"{text[:start]}{_flow(value)}{text[end:]}"


Entry = tuple[yaml.Node, yaml.Node]


def _entry(parent: yaml.Node | None, key: str) -> Entry | None:
    entries: list[Entry] = parent.value if isinstance(parent, yaml.MappingNode) else []
    return next((entry for entry in entries if entry[0].value == key), None)


def _without(text: str, parent: yaml.MappingNode, entry: Entry) -> str:
    start, end = entry[0].start_mark.index, _end(entry[1])
    if not parent.flow_style:
        return text[: text.rfind("\n", 0, start) + 1] + text[_next_line(text, end) :]
    n = parent.value.index(entry)
    if n + 1 < len(parent.value):
        return text[:start] + text[parent.value[n + 1][0].start_mark.index :]
    return text[: parent.value[n - 1][1].end_mark.index if n else start] + text[end:]


def _with(text: str, parent: yaml.MappingNode, key: str, value: Any) -> str:
    """The entry goes behind the last one, in the style of the mapping."""
    end = _end(parent.value[-1][1])
    made = f"{_flow(key)}: {_flow(value)}"
    if parent.flow_style:
        return f"{text[:end]}, {made}{text[end:]}"
    newline = "\r\n" if "\r\n" in text else "\n"
    at = _next_line(text, end)
    before = text[:at] if text[:at].endswith("\n") else text[:at] + newline
    return f"{before}{' ' * parent.value[0][0].start_mark.column}{made}{newline}{text[at:]}"


def _end(node: yaml.Node) -> int:
    """Where a value ends. A block reaches to the next token, behind the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    index: int = node.end_mark.index
    return index - 1 if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"} else index


def _next_line(text: str, at: int) -> int:
    """Where the line after this one begins."""
    return text.find("\n", at) + 1 or len(text)


def _flow(value: Any) -> str:
    """A value on one line, as `pulumi config set` and people write it."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_flow(key)}: {_flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_flow, value))}]"
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value) and scalar(value) == value
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)


def _set(config: Any, path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        config = config[key]
    if value is GONE:
        config.pop(path[-1], None)
    else:
        config[path[-1]] = value


def _shown(paths: Any) -> str:
    return ", ".join(".".join(path) for path in paths)
