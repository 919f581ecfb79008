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
from abtest.experiment.remedies import (
    FOREIGN_KEYS,
    as_arn,
    as_boolean,
    as_item,
    as_list,
    as_mapping,
    as_number,
    as_text,
    as_weights,
    quoted,
)
from abtest.experiment.source import Source, stack_file
from abtest.experiment.type_tree import alternatives, experiment_type, unwrapped
from abtest.experiment.types import SECRET, Experiment, Secret

__all__ = ["likely_controls", "load", "load_stack", "try_load"]


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
    for problem in source.refusals:
        report.refuse(problem)
    for note in source.notes:
        report.warning((), note)
    raw = _known_keys(source, report)
    variants = raw.get("variants")
    names = variants if isinstance(variants, dict) else ()
    # The engine sorts the keys of a mapping.
    in_order = sorted(names, key=lambda name: report.places.place(("variants", name)).line)
    loader = _Loader(report, tuple(in_order))
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
            hint = FOREIGN_KEYS["Experiment"].get(name, "")
            report.unknown_key((), name, fields, _homes().get(name, ()), hint)
            continue
        value = _decode(text, fields[name].type)
        if value is None:
            report.warning((name,), "has no value, so it counts as left out; give one, or remove the key")
        else:
            raw[name] = value
    raw.setdefault("experiment", source.project.name)
    if "control" not in raw:
        raw["control"] = _default_control(raw, report)
    return raw


def _default_control(raw: Mapping[str, Any], report: Report) -> str:
    """The variant that can only be the control: the one that is in the split, or is named so. Reports where there are
    several; SECRET stands for one that is not known.
    """
    weights, variants = raw.get("weights"), raw.get("variants")
    if not isinstance(weights, dict) or not isinstance(variants, dict):
        return SECRET
    names = [str(name) for name in weights if name in variants and re.fullmatch(VARIANT_NAME.pattern, name)]
    if "control" in names:
        return "control"
    if len(names) == 1:
        return names[0]
    if names:
        largest = likely_controls({name: weights[name] for name in names})
        is_one = len(largest) == 1
        which = "the variant with the largest weight" if is_one else "the one that the others are compared with"
        report.missing(
            ("control",),
            "it is the variant that the others are compared with, and that a rollback sends all clients to; write "
            f"{NAMESPACE}:control: {' or '.join(largest)}, {which}",
        )
    return SECRET


def likely_controls(weights: Mapping[str, Any]) -> list[str]:
    """The variants with the largest weight, by name."""
    numbers = {name: weight if isinstance(weight, int | float) else 0 for name, weight in weights.items()}
    return sorted(name for name, weight in numbers.items() if weight == max(numbers.values()))


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
_NO_VALUE = "has no value; give one, or remove the key"


class _Loader:
    """Converts plain values by their declared types. A value that is wrong is reported and stands in for itself."""

    def __init__(self, report: Report, variants: tuple[str, ...] = ()) -> None:
        """``variants`` are the names in the order of the file."""
        self._report = report
        self._variants = variants

    def section(self, kind: inspect.StructType, raw: Any, path: Path) -> Any:
        if not isinstance(raw, dict):
            self._wrong(path, raw, "a mapping", _write(as_mapping(raw, (), None)))
            raw = {}
        known = {field.encode_name: field for field in kind.fields}
        for name in raw:
            if name not in known and not self._lacks_space(path, name, raw[name]):
                hint = FOREIGN_KEYS.get(kind.cls.__name__, {}).get(name, "")
                self._report.unknown_key(path, name, known, _homes().get(name, ()), hint)
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

    def _lacks_space(self, path: Path, name: str, value: Any) -> bool:
        """Reports ``a:90``, which YAML reads as a key without a value."""
        key, _, rest = name.partition(":")
        if value is not None or not key or not rest:
            return False
        self._report.error((*path, name), f"has no value; write {key}: {rest}, with a space after the colon")
        return True

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
            return self._choice(kind.values, limit, raw, path)
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            return self._number(kind, limit, raw, path)
        if isinstance(kind, inspect.BoolType):
            if isinstance(raw, bool):
                return raw
            return self._wrong(path, raw, "true or false", _write(as_boolean(raw)), stand_in=False)
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
        hint = ""
        for member in members:
            bare, limit = unwrapped(member)
            if isinstance(bare, inspect.IntType | inspect.FloatType):
                hint = hint or _unquoted(raw, limit)
            elif isinstance(bare, inspect.DictType):
                hint = hint or _write(self._mapping_for(bare, raw))
        self._wrong(path, raw, " or ".join([*map(_article, kinds), *map(str, choices)]), hint)
        return _stand_in(members[0])

    def _mapping_for(self, kind: inspect.DictType, raw: Any) -> str:
        """What to write instead of a list or a text, if the values belong to the variants also by their names."""
        is_by_variant = unwrapped(kind.key_type)[1] is VARIANT_NAME
        return as_mapping(raw, self._variants if is_by_variant else (), unwrapped(kind.value_type)[1])

    def _mapping(self, kind: inspect.DictType, raw: Any, path: Path) -> Mapping[str, Any]:
        if not isinstance(raw, dict):
            self._wrong(path, raw, "a mapping", _write(self._mapping_for(kind, raw)))
            raw = {}
        found = {}
        limit = unwrapped(kind.value_type)[1]
        if weights := as_weights(raw, limit):
            self._wrong(path, raw, f"whole numbers ({limit})", _write(weights))
            raw = {name: value for name, value in raw.items() if isinstance(value, int)}
        for name in sorted(raw):
            if self._lacks_space(path, name, raw[name]):
                continue
            self.value(kind.key_type, name, (*path, name))
            if raw[name] is None:
                self._report.error((*path, name), _NO_VALUE)
                found[name] = _stand_in(kind.value_type)
            else:
                found[name] = self.value(kind.value_type, raw[name], (*path, name))
        return MappingProxyType(found)

    def _list(self, kind: inspect.VarTupleType, raw: Any, path: Path) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            self._wrong(path, raw, "a list", _write(as_list(raw, unwrapped(kind.item_type)[1])))
            return ()
        return tuple(self.value(kind.item_type, item, (*path, n)) for n, item in enumerate(raw))

    def _choice(self, values: tuple[Any, ...], limit: Measure | None, raw: Any, path: Path) -> Any:
        if raw in values and not isinstance(raw, bool):
            return raw
        hint = _write(as_number(raw, limit, values) or as_item(raw))
        if not hint and isinstance(raw, str):
            meant = nearest(raw, [value for value in values if isinstance(value, str)])
            hint = f"; {meant}" if meant.startswith("did") else ""
        return self._wrong(path, raw, "one of " + ", ".join(map(str, values)), hint, stand_in=values[0])

    def _number(self, kind: inspect.IntType | inspect.FloatType, limit: Measure | None, raw: Any, path: Path) -> Any:
        if not _fits(kind, raw):
            words = _article(kind) + (f" ({limit})" if limit else "")
            return self._wrong(path, raw, words, _unquoted(raw, limit), stand_in=limit.low if limit else 0)
        if limit and not limit.low <= raw <= limit.high:
            side, bound = ("below", limit.low) if raw < limit.low else ("over", limit.high)
            unit = f" {limit.unit}" if limit.unit else ""
            share = as_number(raw, limit)
            hint = f"; for {_shown(raw)} % write {share}" if share else ""
            self._report.error(
                path, f"{_shown(raw)} is {side} {bound}{unit}; {limit.what}: {limit} ({limit.source}){hint}"
            )
        return raw

    def _text(self, limit: Shape | Length | None, kind: inspect.Type, raw: Any, path: Path) -> str:
        if isinstance(raw, Secret):
            return raw
        if not isinstance(raw, str):
            text = str(raw).lower()
            right = quoted(text)
            if isinstance(limit, Shape) and not re.fullmatch(limit.pattern, text):
                right = limit.says
            self._wrong(path, raw, "text", _write(right if isinstance(raw, bool | int | float) else as_item(raw)))
            return SECRET
        shown = _shown(raw)
        longest = limit.longest if isinstance(limit, Shape) else limit.high if limit else None
        if limit and longest is not None and len(raw) > longest:
            message = f"{shown} has {len(raw)} characters, at most {longest} are allowed ({limit.what}; {limit.source})"
            self._report.error(path, message)
        elif isinstance(limit, Shape) and not re.fullmatch(limit.pattern, raw):
            hint = _write(as_text(raw, limit) or as_arn(raw, limit))
            self._report.error(path, f"{shown} is not a valid {limit.what}: expected {limit} ({limit.source}){hint}")
        elif not raw and isinstance(kind, inspect.StrType) and kind.min_length:
            self._report.error(path, "is empty; give a value or remove the key")
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
    return quoted(text) if isinstance(raw, str) else text


def _write(suggestion: str) -> str:
    return f"; write {suggestion}" if suggestion else ""


def _unquoted(raw: Any, limit: Measure | None) -> str:
    """What to do about a text where a number belongs."""
    if isinstance(raw, str) and _NUMBER.fullmatch(raw):
        return "; without quotes"
    return _write(as_number(raw, limit) or as_item(raw))


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
