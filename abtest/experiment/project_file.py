"""Refusals of Pulumi.yaml's ``config:`` by Pulumi itself: what it does not load, and what it demands of a stack.

Source: pulumi/pulumi sdk/go/common/workspace/project.go (ValidateProject, Project.Validate, ValidateConfigValue),
sdk/go/common/workspace/project.json, and pkg/workspace/config.go (mergeConfig, validateStackConfigValue).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from abtest.experiment.problems import Path, nearest
from abtest.experiment.remedies import quoted

__all__ = ["full_key", "project_refusals", "stack_refusals"]

#: The path of a refused value in its file, and the reason.
Refusal = tuple[Path, str]

#: The attributes of a declaration, and what each has to be.
_ATTRIBUTES: Mapping[str, type | None] = {
    "type": str, "items": dict, "description": str, "secret": bool, "default": None, "value": None,
}  # fmt: skip
_TYPES = ("string", "integer", "boolean", "array", "object")
_WORDS = {str: "text", dict: "a mapping", bool: "true or false"}


def full_key(key: str, project: str) -> str:
    """A key with its namespace. The form ``aws:config:region`` is an old one of ``aws:region``."""
    return re.sub(r"^([^:]+):config:([^:]+)$", r"\1:\2", key) if ":" in key else f"{project}:{key}"


def _is_own(key: str, project: str) -> bool:
    return ":" not in key or key.startswith(f"{project}:")


def project_refusals(project: str, config: Mapping[str, Any]) -> Iterator[Refusal]:
    """What Pulumi refuses in a Pulumi.yaml, whatever the stack."""
    for key, entry in config.items():
        if isinstance(entry, dict):
            attribute, why = next(_of_declaration(key, entry, is_own=_is_own(key, project)), ("", ""))
            if why:
                yield ("config", key, *([attribute] if attribute in entry else [])), why
        elif entry is None:
            yield ("config", key), "has no value, which Pulumi refuses; give one, or remove the key"
        elif isinstance(entry, float):
            yield (
                ("config", key),
                f"Pulumi refuses a fraction in this short form; write {key}: {{value: {quoted(entry)}}}",
            )


def _of_declaration(key: str, entry: Mapping[str, Any], *, is_own: bool) -> Iterator[tuple[str, str]]:
    """An attribute, and why Pulumi refuses it."""
    if unknown := [name for name in entry if name not in _ATTRIBUTES]:
        yield unknown[0], _of_unknown(key, entry, unknown[0])
    for name, kind in _ATTRIBUTES.items():
        if name in entry and kind is not None and not isinstance(entry[name], kind):
            yield name, f"{name} has to be {_WORDS[kind]}, got {quoted(entry[name])}"
    if "type" in entry and entry["type"] not in _TYPES:
        yield "type", f"{quoted(entry['type'])} is not a type of Pulumi; write one of {', '.join(_TYPES)}"
    if entry.get("default") is not None and entry.get("value") is not None:
        yield "default", "has both default and value; remove one of them"
    yield from (_of_own if is_own else _of_foreign)(entry)


def _of_own(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind, items, default = entry.get("type"), entry.get("items"), entry.get("default")
    if kind == "array" and items is None:
        yield "type", "an array declares the type of its items; add items: {type: string}, or another type"
    elif kind is not None and default is not None and not _is_of(kind, items, default):
        yield "default", f"{quoted(default)} is not of the type {_type_words(kind, items)}"


def _of_foreign(entry: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A key of another namespace than the project's only has a value."""
    if "type" in entry:
        yield "type", "only keys of the project's own namespace have a type; remove it"
    if (default := entry.get("default")) is not None:
        yield "default", f"only keys of the project's own namespace have a default; write value: {quoted(default)}"
    if entry.get("value") is None:
        yield "value", "has no value, which a key with a namespace needs; write {value: …}"


def _of_unknown(key: str, entry: Mapping[str, Any], unknown: str) -> str:
    if not any(name in _ATTRIBUTES for name in entry):
        return (
            "in Pulumi.yaml a mapping declares a key, so Pulumi takes its keys for attributes and refuses the project; "
            f"write {key}: {{value: {quoted(entry)}}}"
        )
    return f"there is no such attribute, so Pulumi refuses the project; {nearest(unknown, _ATTRIBUTES)}"


def stack_refusals(
    project: str, config: Mapping[str, Any], stack: Mapping[str, tuple[Path, Any]], *, is_whole: bool
) -> Iterator[tuple[bool, Refusal]]:
    """What Pulumi refuses in a stack file: whether it is the place in the stack file, the place, and why.

    ``stack`` maps full keys to the place and the value in the stack file. It is not ``is_whole`` if an environment of
    Pulumi ESC may give further values.
    """
    for key, entry in config.items():
        if not isinstance(entry, dict):
            continue
        kind, items = entry.get("type"), entry.get("items")
        place, value = stack.get(full_key(key, project), (None, None))
        if place is None:
            has_none = entry.get("value") is None and entry.get("default") is None
            if has_none and is_whole and _is_own(key, project):
                yield (
                    False,
                    (("config", key), f"the stack file gives no value, and there is no default; add {key} there"),
                )
            continue
        is_encrypted = isinstance(value, dict) and list(value) == ["secure"]
        if not isinstance(kind, str):
            continue
        if entry.get("secret") is True and not is_encrypted:
            yield (
                True,
                (place, f"Pulumi.yaml declares it secret; encrypt it: pulumi config set --secret {key} VALUE"),
            )
        elif not is_encrypted and not _is_of(kind, items, _as_pulumi(value)):
            yield True, (place, f"Pulumi.yaml declares the type {_type_words(kind, items)}, got {quoted(value)}")


def _as_pulumi(value: Any) -> Any:
    """A value of a stack file as Pulumi checks it: a scalar is text."""
    return value if isinstance(value, dict | list) else quoted(value).strip('"') if value is not None else ""


def _is_of(kind: str, items: Any, value: Any) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    if kind == "integer":
        if isinstance(value, str):
            return bool(re.fullmatch(r"[+-]?\d+", value))
        return isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if kind == "object":
        return isinstance(value, dict)
    if not isinstance(value, list) or not isinstance(items, dict):
        return False
    return all(_is_of(str(items.get("type")), items.get("items"), item) for item in value)


def _type_words(kind: str, items: Any) -> str:
    return f"array<{_type_words(str(items.get('type')), items.get('items'))}>" if isinstance(items, dict) else kind
