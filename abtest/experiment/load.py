"""From a ``Source`` to a checked ``Experiment``: values are converted entry by entry, and all problems collected."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import inspect

from abtest.experiment.checks import check
from abtest.experiment.engine_text import reveal
from abtest.experiment.limits import VARIANT_NAME, Length, Measure, Shape
from abtest.experiment.problems import NAMESPACE, ConfigError, Path, Problem, Report, nearest
from abtest.experiment.source import Source, stack_file
from abtest.experiment.type_tree import alternatives, experiment_type, unwrapped
from abtest.experiment.types import SECRET, Experiment, Secret

__all__ = ["load", "load_stack", "try_load"]


def load_stack(stack: str) -> tuple[Experiment, Source, tuple[Problem, ...]]:
    """Load a stack file by name or path. Raises ConfigError; returns the warnings too."""
    file, project = stack_file(stack)
    source = Source.from_file(file, project)
    experiment, warnings = load(source)
    return experiment, source, warnings


def load(source: Source) -> tuple[Experiment, tuple[Problem, ...]]:
    """The checked Experiment and the warnings. Raises ConfigError with every problem there is."""
    experiment, problems = try_load(source)
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    return experiment, problems


def try_load(source: Source) -> tuple[Experiment, tuple[Problem, ...]]:
    """What could be read, and all problems, errors among them; for tools that show both."""
    report = Report(source)
    for note in source.notes:
        report.warning((), note)
    raw = _known_keys(source, report)
    loader = _Loader(report)
    experiment: Experiment = loader.section(experiment_type(), raw, ())
    check(experiment, report, source.project.folder, region=source.setting("aws:region"))
    return experiment, report.sorted()


def _known_keys(source: Source, report: Report) -> dict[str, Any]:
    """The config's values under this program's namespace, decoded, with the defaults that depend on others."""
    fields = {field.encode_name: field for field in experiment_type().fields}
    raw: dict[str, Any] = {}
    for key, text in source.values.items():
        namespace, _, name = key.partition(":")
        if namespace != NAMESPACE:
            if name in fields and _is_slip(namespace, source.project.name):
                report.warning((key,), f"is not read; did you mean {NAMESPACE}:{name}?")
            continue
        if name not in fields:
            report.unknown_key((), name, fields, _homes().get(name, ()))
            continue
        value = _decode(text, fields[name].type)
        if value is None:
            report.warning((name,), "has no value, so it counts as left out; give one, or take the key out")
        else:
            raw[name] = value
    raw.setdefault("experiment", source.project.name)
    variants = raw.get("variants")
    if isinstance(variants, dict) and variants:
        first = min(variants)
        raw.setdefault("control", first if re.fullmatch(VARIANT_NAME.pattern, first) else SECRET)
    else:
        raw.setdefault("control", SECRET)
    return raw


@functools.cache
def _homes() -> Mapping[str, tuple[str, ...]]:
    """Key -> the paths of the mappings that have it, for keys that stand in the wrong place."""
    found: dict[str, tuple[str, ...]] = {}

    def collect(kind: inspect.StructType, path: str) -> None:
        for field in kind.fields:
            found[field.encode_name] = (*found.get(field.encode_name, ()), path)
            here = f"{path}.{field.encode_name}" if path else f"{NAMESPACE}:{field.encode_name}"
            for member in alternatives(field.type):
                entry, where = member, here
                if isinstance(member, inspect.DictType):
                    entry, where = (alternatives(member.value_type) or (member,))[0], f"{here}.<name>"
                if isinstance(entry, inspect.StructType):
                    collect(entry, where)

    collect(experiment_type(), "")
    return found


def _is_slip(namespace: str, project: str) -> bool:
    """Whether a namespace was probably meant to be ours: one that looks like it, or the project's, which keys without
    a namespace get.
    """
    return namespace == project or difflib.SequenceMatcher(a=namespace, b=NAMESPACE).ratio() > 0.7


def _decode(text: Any, kind: inspect.Type) -> Any:
    """A top-level text by the kind of its field: mappings are JSON, numbers and booleans are written as such."""
    if text is SECRET or not isinstance(text, str):
        return text
    if text in {"", "null"}:  # a key without a value: empty to the engine of today, null to later ones
        return None
    kinds = alternatives(kind)
    if any(isinstance(k, inspect.StructType | inspect.DictType | inspect.VarTupleType) for k in kinds):
        try:
            return reveal(json.loads(text))
        except (ValueError, RecursionError):
            return text
    if any(isinstance(k, inspect.IntType) for k in kinds) and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if any(isinstance(k, inspect.BoolType) for k in kinds) and text in {"true", "false"}:
        return text == "true"
    return text


_NUMBER = re.compile(r"\d+(\.\d+)?")
_NO_VALUE = "has no value; give one, or take the key out"


class _Loader:
    """Converts plain values by their declared types. A value that is wrong is reported and stands in for itself."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def section(self, kind: inspect.StructType, raw: Any, path: Path) -> Any:
        if not isinstance(raw, dict):
            self._wrong(path, raw, "a mapping")
            raw = {}
        known = {field.encode_name: field for field in kind.fields}
        for name in raw:
            if name not in known:
                self._report.unknown_key(path, name, known, _homes().get(name, ()))
        values: dict[str, Any] = {}
        for name, field in known.items():
            if name in raw and raw[name] is None:
                self._report.error((*path, name), _NO_VALUE)
            if raw.get(name) is not None:
                values[field.name] = self.value(field.type, raw[name], (*path, name))
            elif field.required:
                self._missing(path, name)
                values[field.name] = _stand_in(field.type)
        return kind.cls(**values)

    def _missing(self, path: Path, name: str) -> None:
        where = (*path, name)
        if not path:
            self._report.missing(where, "a stack needs abtest:variants and abtest:weights")
        elif not self._report.is_broken(path):
            self._report.missing(where, "it has no default")

    def value(self, kind: inspect.Type, raw: Any, path: Path) -> Any:
        """One value by its declared type."""
        kind, limit = unwrapped(kind)
        if isinstance(kind, inspect.UnionType):
            return self._union(kind, raw, path)
        if isinstance(kind, inspect.StructType):
            return self.section(kind, raw, path)
        if isinstance(kind, inspect.DictType):
            return self._mapping(kind, raw, path)
        if isinstance(kind, inspect.VarTupleType):
            return self._list(kind, raw, path)
        if isinstance(kind, inspect.LiteralType):
            return self._choice(kind.values, raw, path)
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            return self._number(kind, limit, raw, path)
        if isinstance(kind, inspect.BoolType):
            return raw if isinstance(raw, bool) else self._wrong(path, raw, "true or false", stand_in=False)
        return self._text(limit, kind, raw, path)

    def _union(self, kind: inspect.UnionType, raw: Any, path: Path) -> Any:
        members = [m for m in kind.types if not isinstance(m, inspect.NoneType)]
        if len(members) == 1:
            return self.value(members[0], raw, path)
        choices: list[Any] = []
        for member in members:
            plain = alternatives(member)
            if len(plain) > 1:
                return self._union(inspect.UnionType(plain), raw, path)
            if isinstance(plain[0], inspect.LiteralType):
                if raw in plain[0].values:
                    return raw
                choices += plain[0].values
            elif _fits(plain[0], raw):
                return self.value(member, raw, path)
        kinds = [k for m in members for k in alternatives(m) if not isinstance(k, inspect.LiteralType)]
        hint = _unquoted(raw) if any(isinstance(k, inspect.IntType | inspect.FloatType) for k in kinds) else ""
        self._wrong(path, raw, " or ".join([*map(_article, kinds), *map(str, choices)]), hint)
        return _stand_in(members[0])

    def _mapping(self, kind: inspect.DictType, raw: Any, path: Path) -> Mapping[str, Any]:
        if not isinstance(raw, dict):
            self._wrong(path, raw, "a mapping")
            raw = {}
        found = {}
        for name in sorted(raw):
            self.value(kind.key_type, name, (*path, name))
            if raw[name] is None:
                self._report.error((*path, name), _NO_VALUE)
                found[name] = _stand_in(kind.value_type)
            else:
                found[name] = self.value(kind.value_type, raw[name], (*path, name))
        return MappingProxyType(found)

    def _list(self, kind: inspect.VarTupleType, raw: Any, path: Path) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            example = f"; write [{_quoted(raw)}]" if isinstance(raw, str | int) and raw is not SECRET else ""
            self._wrong(path, raw, "a list", example)
            return ()
        return tuple(self.value(kind.item_type, item, (*path, n)) for n, item in enumerate(raw))

    def _choice(self, values: tuple[Any, ...], raw: Any, path: Path) -> Any:
        if raw in values and not isinstance(raw, bool):
            return raw
        hint = ""
        if isinstance(raw, str) and not isinstance(raw, Secret):
            meant = nearest(raw, [value for value in values if isinstance(value, str)])
            number = any(raw.endswith(str(value)) for value in values if isinstance(value, int))
            hint = "; write the number alone" if number else f"; {meant}" if meant.startswith("did") else ""
        return self._wrong(path, raw, "one of " + ", ".join(map(str, values)), hint, stand_in=values[0])

    def _number(self, kind: inspect.IntType | inspect.FloatType, limit: Measure | None, raw: Any, path: Path) -> Any:
        if not _fits(kind, raw):
            words = _article(kind) + (f" ({limit})" if limit else "")
            return self._wrong(path, raw, words, _unquoted(raw), stand_in=limit.low if limit else 0)
        if limit and not limit.low <= raw <= limit.high:
            side, bound = ("below", limit.low) if raw < limit.low else ("over", limit.high)
            unit = f" {limit.unit}" if limit.unit else ""
            self._report.error(path, f"{_shown(raw)} is {side} {bound}{unit}; {limit.what}: {limit} ({limit.source})")
        return raw

    def _text(self, limit: Shape | Length | None, kind: inspect.Type, raw: Any, path: Path) -> str:
        if isinstance(raw, Secret):
            return raw
        if not isinstance(raw, str):
            text = str(raw).lower()
            right = _quoted(text)
            if isinstance(limit, Shape) and not re.fullmatch(limit.pattern, text):
                right = limit.says
            self._wrong(path, raw, "text", f"; write {right}" if isinstance(raw, bool | int | float) else "")
            return SECRET
        shown = _shown(raw)
        longest = limit.longest if isinstance(limit, Shape) else limit.high if limit else None
        if limit and longest is not None and len(raw) > longest:
            message = f"{shown} has {len(raw)} characters, at most {longest} are allowed ({limit.what}; {limit.source})"
            self._report.error(path, message)
        elif isinstance(limit, Shape) and not re.fullmatch(limit.pattern, raw):
            self._report.error(path, f"{shown} is no {limit.what}: expected {limit} ({limit.source})")
        elif not raw and isinstance(kind, inspect.StrType) and kind.min_length:
            self._report.error(path, "is empty; give a value or take the key out")
        return str(raw)

    def _wrong(self, path: Path, raw: Any, expected: str, hint: str = "", stand_in: Any = None) -> Any:
        if isinstance(raw, Secret):
            hint = "; only texts can be encrypted, since everything else is checked before the engine decrypts it"
        self._report.error(path, f"expected {expected}, got {_kind_of(raw)}{hint}")
        return stand_in


def _kind_of(raw: Any) -> str:
    names = {
        bool: "",
        int: "the number ",
        float: "the number ",
        str: "the text ",
        list: "the list ",
        dict: "the mapping ",
    }
    return "an encrypted value" if isinstance(raw, Secret) else f"{names.get(type(raw), '')}{_shown(raw)}"


def _shown(raw: Any) -> str:
    """A value as a message shows it, shortened where it is long."""
    text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return _quoted(text) if isinstance(raw, str) else text


def _quoted(raw: Any) -> str:
    return json.dumps(raw, ensure_ascii=False) if isinstance(raw, str) else str(raw)


def _unquoted(raw: Any) -> str:
    """What to do about a text where a number belongs."""
    return "; without quotes" if isinstance(raw, str) and _NUMBER.fullmatch(raw) else ""


def _fits(kind: inspect.Type, raw: Any) -> bool:
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        numbers = int if isinstance(kind, inspect.IntType) else int | float
        return isinstance(raw, numbers) and not isinstance(raw, bool)
    if isinstance(kind, inspect.StrType):
        return isinstance(raw, str)
    return isinstance(raw, dict)


def _article(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.IntType):
        return "a whole number"
    if isinstance(kind, inspect.FloatType):
        return "a number"
    return "a text" if isinstance(kind, inspect.StrType) else "a mapping"


def _stand_in(kind: inspect.Type) -> Any:
    """A value for a place whose real one is missing or wrong and has been reported."""
    plain = alternatives(kind)[0]
    if isinstance(plain, inspect.StructType):
        values = {field.name: _stand_in(field.type) for field in plain.fields if field.required}
        return plain.cls(**values)
    if isinstance(plain, inspect.IntType | inspect.FloatType):
        return plain.ge or 0
    if isinstance(plain, inspect.DictType):
        return MappingProxyType({})
    if isinstance(plain, inspect.VarTupleType):
        return ()
    if isinstance(plain, inspect.LiteralType):
        return plain.values[0]
    return False if isinstance(plain, inspect.BoolType) else SECRET
