"""The declared types of a config, as the loader and the schema walk over them."""

from __future__ import annotations

import functools
from typing import Any, cast

from msgspec import inspect

from abtest.experiment.types import Experiment

__all__ = ["alternatives", "experiment_type", "unwrapped"]


@functools.cache
def experiment_type() -> inspect.StructType:
    """The type of a whole config."""
    return cast("inspect.StructType", inspect.type_info(Experiment))


def unwrapped(kind: inspect.Type) -> tuple[inspect.Type, Any]:
    """A type without its metadata, and the limit that the metadata holds."""
    limit = None
    while isinstance(kind, inspect.Metadata):
        limit = (kind.extra or {}).get("limit", limit)
        kind = kind.type
    return kind, limit


def alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    """The kinds that a value may have, without None and without their metadata."""
    if isinstance(kind, inspect.Metadata):
        return alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return tuple(k for member in kind.types for k in alternatives(member))
    return () if isinstance(kind, inspect.NoneType) else (kind,)
