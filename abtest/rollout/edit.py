"""Changes of values in a stack file that leave every other byte as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from abtest.experiment.engine_yaml import YamlError, parse, scalar

__all__ = ["GONE", "EditError", "edited"]

Path = tuple[str, ...]

#: In place of a value: take the key out.
GONE = object()

#: A text that is the same in and out of quotes, and inside of a flow mapping.
_PLAIN = re.compile(r"[A-Za-z_][\w-]*(:\w+)?", re.ASCII)


class EditError(Exception):
    """A stack file is written in a way that cannot be edited; the text says what to do by hand."""


def edited(text: str, changes: Mapping[Path, Any]) -> str:
    """The text with other values at these paths below ``config:``; ``GONE`` takes a key out.

    A path is a top-level key with its namespace, then keys of mappings. Values are numbers, texts, lists and mappings
    of them; a mapping is changed key by key, so that it keeps its style and its comments. Raises EditError where the
    file has an anchor, a merge or a text in the way; also if the outcome, parsed again, were anything but the old
    values with these changes. The text has the line ends of the file.
    """
    wanted, made = parse(text).value, text
    for whole, new in changes.items():
        for path, value in _by_key(whole, _at(wanted, whole), new):
            try:
                made = _one(made, path, value)
            except yaml.YAMLError as error:  # what the engine reads, and this parser does not
                raise _refusal(path, " ".join(str(error).split())) from None
            _set(wanted, path, value)
    try:
        is_right = parse(made).value == wanted
    except YamlError:
        is_right = False
    if not is_right:
        raise EditError(f"{', '.join(map('.'.join, changes))} cannot be edited here; change it by hand")
    return made


def _by_key(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Any]]:
    """What to set and take out to make one value the other. A mapping gets its new keys first: it is never empty."""
    if not (old and isinstance(old, Mapping) and new and isinstance(new, Mapping)):
        if old != new:
            yield path, new
        return
    for key in [*new, *(key for key in old if key not in new)]:
        yield from _by_key((*path, key), old.get(key, GONE), new.get(key, GONE))


def _one(text: str, path: Path, value: Any) -> str:
    parent = next(yaml.compose_all(text, yaml.SafeLoader))
    for key in ("config", *path[:-1]):
        entry = _entry(parent, key)
        if entry is None:
            raise _refusal(path, f"there is no mapping {key}")
        parent = entry[1]
    if not isinstance(parent, yaml.MappingNode) or not parent.value:
        raise _refusal(path, "it is in no mapping with entries")
    entry = _entry(parent, path[-1])
    if value is GONE:
        return text if entry is None else _without(text, parent, entry)
    if entry is None:
        return _with(text, parent, path[-1], value)
    return _changed(text, path, entry, value)


def _refusal(path: Path, why: str) -> EditError:
    return EditError(f"{'.'.join(path)} cannot be edited: {why}; change it by hand")


Entry = tuple[yaml.Node, yaml.Node]


def _entry(parent: yaml.Node | None, key: str) -> Entry | None:
    entries: list[Entry] = parent.value if isinstance(parent, yaml.MappingNode) else []
    return next((entry for entry in entries if entry[0].value == key), None)


def _changed(text: str, path: Path, entry: Entry, value: Any) -> str:
    key, old = entry
    if not isinstance(old, yaml.CollectionNode) or old.flow_style:
        return f"{text[: old.start_mark.index]}{_flow(value)}{text[_end(old) :]}"
    block = text[key.end_mark.index + 1 : _end(old)]
    if re.search(r"\s#", block):
        raise _refusal(path, "it has comments")
    return f"{text[: key.end_mark.index + 1]} {_flow(value)}{text[_end(old) :]}"


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


def _at(file: Any, path: Path) -> Any:
    """The value at a path below ``config:``; GONE where there is none."""
    for key in ("config", *path):
        file = file.get(key, GONE) if isinstance(file, dict) else GONE
    return file


def _set(file: Any, path: Path, value: Any) -> None:
    parent = _at(file, path[:-1])
    if value is GONE:
        parent.pop(path[-1])
    else:
        parent[path[-1]] = value
