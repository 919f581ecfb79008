"""What differs between two versions by key path, apart from weights and rules: those are compared as traffic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from abtest.experiment import Experiment
from abtest.experiment.problems import NAMESPACE
from abtest.experiment.types import Listener, Variant
from abtest.rollout.diff.version import Version, scripts_of

__all__ = ["Setting", "changed_settings", "is_below", "resolved"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A value that differs, by its key path. None is a value that is not there; mappings and lists stay whole where
    one side has none.
    """

    path: str
    before: Any
    after: Any


def is_below(setting: Setting, path: str) -> bool:
    """Whether a setting is the value at a path, or a part of it."""
    return setting.path == path or setting.path.startswith(f"{path}.")


def changed_settings(before: Version, after: Version) -> tuple[Setting, ...]:
    """Every difference, in the order of the types."""
    return (
        *_changes("", dict(before.elsewhere), dict(after.elsewhere)),
        *_changes(f"{NAMESPACE}:", _tree(before), _tree(after)),
        *_scripts(before, after),
        *(
            Setting(path=path, before="[secret]", after="[secret, encrypted again]")
            for path in sorted(before.encrypted.keys() | after.encrypted.keys())
            if before.encrypted.get(path) != after.encrypted.get(path)
        ),
    )


def _changes(path: str, before: Any, after: Any) -> Iterator[Setting]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _changes(_below(path, key), before.get(key), after.get(key))
    elif before != after:
        yield Setting(path=path, before=before, after=after)


def _below(path: str, key: str) -> str:
    return f"{path}{key}" if not path or path.endswith(":") else f"{path}.{key}"


def _tree(version: Version) -> dict[str, Any]:
    tree: dict[str, Any] = _plain(resolved(version.experiment))
    for key in ("weights", "rules"):
        del tree[key]
    for variant in tree["variants"].values():
        (variant["targets"].get("launch") or {}).pop("userDataFile", None)
    return tree


def resolved(experiment: Experiment) -> Experiment:
    """An experiment with the defaults written out that follow from other values: to write them changes nothing."""
    return replace(
        experiment,
        listener=_listener(experiment.listener),
        variants={name: _variant(variant) for name, variant in experiment.variants.items()},
    )


def _variant(variant: Variant) -> Variant:
    return replace(variant, port=variant.target_port or None, health_check=variant.health)


def _listener(listener: Listener) -> Listener:
    if listener.arn is not None:
        return listener
    return replace(
        listener,
        port=listener.listens_on,
        ssl_policy=listener.policy,
        redirect_http=listener.redirects_port_80,
    )


def _plain(value: Any) -> Any:
    """Plain values by their keys in the file; what is not given is left out. The order of a list says nothing."""
    if isinstance(value, Struct):
        keys = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return {key: _plain(found) for key, name in keys if (found := getattr(value, name)) is not None}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return sorted(value) if isinstance(value, tuple) else value


def _scripts(before: Version, after: Version) -> Iterator[Setting]:
    """Scripts by what they hold: another name for the same contents starts the same server."""
    names = scripts_of(before.experiment), scripts_of(after.experiment)
    both = before.experiment.variants.keys() & after.experiment.variants.keys()
    for variant in sorted(both):
        old, new = before.scripts.get(variant), after.scripts.get(variant)
        if old != new:
            was, now = (found.get(variant) for found in names)
            shown = f"{now}, with other contents" if was == now else now
            path = f"{NAMESPACE}:variants.{variant}.targets.launch.userDataFile"
            yield Setting(path=path, before=was, after=shown)
