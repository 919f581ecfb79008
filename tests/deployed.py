"""Deployments that tests share: one per config and test process, which refuses every change."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from abtest import local
from abtest.local import Deployment

__all__ = ["deploy", "unshared"]

_shares = True


@contextmanager
def unshared() -> Iterator[None]:
    """Deployments of their own, for tests that patch the program or the embedded AWS."""
    global _shares  # noqa: PLW0603 the process runs one test at a time
    _shares, before = False, _shares
    try:
        yield
    finally:
        _shares = before


def deploy(stack: str | Mapping[str, Any], *, assume: bool = True) -> Deployment:
    """`abtest.local.deploy`, done once for each stack file or config; the order of keys counts."""
    deployed = _deployed if _shares else _deployed.__wrapped__
    return deployed(stack if isinstance(stack, str) else json.dumps(stack), assume=assume, folder=Path.cwd())


@functools.cache
def _deployed(stack: str, *, assume: bool, folder: Path) -> Deployment:  # noqa: ARG001 where files are found
    made = local.deploy(json.loads(stack) if stack.startswith("{") else stack, assume=assume)
    return replace(
        made,
        resources=tuple(replace(r, inputs=_frozen(r.inputs), state=_frozen(r.state)) for r in made.resources),
        outputs=_frozen(made.outputs),
        described=_frozen(made.described),
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return _FrozenDict({key: _frozen(item) for key, item in value.items()})
    return _FrozenList(map(_frozen, value)) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError("tests share this deployment; change a copy of it (copy.deepcopy)")


class _Frozen:
    """A dict or a list without the methods that change it. Its deep copies, and those in other processes, are plain."""

    __setitem__ = __delitem__ = __ior__ = __iadd__ = __imul__ = _refuse
    clear = pop = popitem = setdefault = update = append = extend = insert = remove = reverse = sort = _refuse

    def __deepcopy__(self, _: object) -> Any:
        return _plain(self)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _plain, (_plain(self),)


class _FrozenDict(_Frozen, dict[str, Any]):
    pass


class _FrozenList(_Frozen, list[Any]):
    pass
