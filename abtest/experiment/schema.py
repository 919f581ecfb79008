"""The JSON Schema of stack files and the config reference, both made from the types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from abtest.experiment.limits import Length, Measure, Shape
from abtest.experiment.problems import NAMESPACE
from abtest.experiment.type_tree import experiment_type, unwrapped
from abtest.experiment.types import Experiment

__all__ = ["one_line", "reference", "schema"]


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a stack file, for editors. ``abtest check`` knows more: what holds between the keys."""
    definitions = msgspec.json.schema(Experiment)["$defs"]
    for definition in definitions.values():
        definition["description"] = one_line(definition.get("description"))
    top = experiment_type()
    for kind in (top, *(section for _, section in _sections(top, ""))):
        for field in kind.fields:  # msgspec gives a section that may be left out no description
            node = definitions[kind.cls.__name__]["properties"][field.encode_name]
            node.setdefault("description", next(_descriptions(field.type)))
    config = definitions.pop(Experiment.__name__)
    keys = {f"{NAMESPACE}:{name}": _or_text(_without_null(field)) for name, field in config["properties"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stack file of abtest",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": keys,
                # Keys of other namespaces (aws:region) are their owners' business.
                "propertyNames": {"anyOf": [{"enum": list(keys)}, {"not": {"pattern": f"^{NAMESPACE}:"}}]},
            }
        },
        "$defs": {name: _without_null(definition) for name, definition in sorted(definitions.items())},
    }


def one_line(docstring: str | None) -> str:
    """A docstring as a description. Versions of msgspec differ in how they indent one."""
    return " ".join((docstring or "").replace("``", "`").split())


def _or_text(node: dict[str, Any]) -> dict[str, Any]:
    """`pulumi config set` writes numbers and booleans of the top level as texts, and the engine takes both."""
    texts = {"integer": {"type": "string", "pattern": r"^-?\d+$"}, "boolean": {"enum": ["true", "false"]}}
    kind = node.get("type")
    if kind not in texts:
        return node
    about = {key: value for key, value in node.items() if key in {"description", "default"}}
    return {**about, "anyOf": [{key: value for key, value in node.items() if key not in about}, texts[kind]]}


def _without_null(node: Any) -> Any:
    """Keys that may be left out are simply left out: offering null would only clutter an editor's suggestions."""
    if isinstance(node, list | tuple):
        return [_without_null(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value in (None, {}))}
    choices = [choice for choice in found.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        found = {**{key: value for key, value in found.items() if key != "anyOf"}, **choices[0]}
    elif choices:
        found["anyOf"] = choices
    return found


def reference() -> str:
    """The config reference as Markdown tables: a section for the top level and for each mapping below it."""
    kind = experiment_type()
    parts = [_table(f"{NAMESPACE}:", kind)]
    parts += [
        f"**`{NAMESPACE}:{path}`** {one_line(section.cls.__doc__)}\n\n{_table('', section)}"
        for path, section in _sections(kind, "")
    ]
    return "\n\n".join(parts) + "\n"


def _sections(kind: inspect.StructType, path: str) -> Iterator[tuple[str, inspect.StructType]]:
    """Every mapping with fixed keys below ``kind``, with the path that leads there."""
    for field in kind.fields:
        here = f"{path}.{field.encode_name}" if path else field.encode_name
        for member, _ in _members(field.type):
            plain, where = member, here
            if isinstance(plain, inspect.DictType):
                plain, where = unwrapped(plain.value_type)[0], f"{here}.<name>"
            if isinstance(plain, inspect.StructType):
                yield where, plain
                yield from _sections(plain, where)


def _table(prefix: str, kind: inspect.StructType) -> str:
    rows = ["| key | value | default | meaning |", "|-|-|-|-|"]
    for field in kind.fields:
        meaning = next((words for words in _descriptions(field.type)), "")
        words, default = meaning, _default(field)
        if " Default: " in f" {meaning}":
            words, _, rest = meaning.partition("Default: ")
            default = rest.rstrip(".")
        rows.append(f"| `{prefix}{field.encode_name}` | {_value_words(field.type)} | {default} | {words.strip()} |")
    return "\n".join(rows)


def _default(field: inspect.Field) -> str:
    if field.required:
        return "required"
    value = None if field.default is msgspec.NODEFAULT else field.default
    if value in (None, "", ()):
        return ""
    shown = (
        ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
    return f"`{shown}`"


def _members(kind: inspect.Type) -> Iterator[tuple[inspect.Type, Any]]:
    plain, limit = unwrapped(kind)
    if isinstance(plain, inspect.UnionType):
        for member in plain.types:
            yield from _members(member)
    elif not isinstance(plain, inspect.NoneType):
        yield plain, limit


def _descriptions(kind: inspect.Type) -> Iterator[str]:
    if isinstance(kind, inspect.Metadata):
        if description := (kind.extra_json_schema or {}).get("description"):
            yield description
        yield from _descriptions(kind.type)
    if isinstance(kind, inspect.UnionType):
        for member in kind.types:
            yield from _descriptions(member)


def _value_words(kind: inspect.Type) -> str:
    return " or ".join(dict.fromkeys(_one_value(member, limit) for member, limit in _members(kind)))


def _one_value(kind: inspect.Type, limit: Measure | Shape | Length | None) -> str:
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(f"`{value}`" for value in kind.values)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return str(limit) if limit else "number"
    if isinstance(kind, inspect.BoolType):
        return "`true`, `false`"
    if isinstance(kind, inspect.VarTupleType):
        return f"list of {_value_words(kind.item_type)}"
    if isinstance(kind, inspect.DictType):
        return f"name -> {_value_words(kind.value_type)}"
    if isinstance(kind, inspect.StructType):
        return "mapping"
    return str(limit).replace("|", "\\|").replace("*", "\\*") if limit else "text"
