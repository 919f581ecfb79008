"""A short way to the rules that may take a request, so that not every rule is tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from abtest.routing.conditions import Condition, visible, without_port
from abtest.routing.request import Request

__all__ = ["Index"]


class Index:
    """Finds the rules whose path, host and method can fit a request: a few look-ups, however many rules there are.

    Bit n of a number stands for rule n. A field has a number for each key that some rule asks for, with the rules that
    this key fits, and one for all other keys.
    """

    def __init__(self, rules: Sequence[Sequence[Condition]]) -> None:
        self._paths, self._other_paths = _by_key(rules, "path")
        self._hosts, self._other_hosts = _by_key(rules, "host")
        self._methods, self._other_methods = _by_key(rules, "method")

    def find(self, request: Request) -> Iterator[int]:
        """The positions of those rules, in their order."""
        path, host = request.path, request.host
        found = (
            self._paths.get(path and _first_segment(visible(path)), self._other_paths)
            & self._hosts.get(host and without_port(visible(host)).lower(), self._other_hosts)
            & self._methods.get(request.method, self._other_methods)
        )
        while found:
            lowest = found & -found
            yield lowest.bit_length() - 1
            found ^= lowest


def _first_segment(path: str) -> str:
    """Of a path, or of a pattern: what a pattern says up to its second "/" holds for every path that meets it."""
    end = path.find("/", 1)
    return path if end < 0 else path[:end]


_KEYS: Mapping[str, Callable[[str], str]] = {"path": _first_segment, "host": str.lower, "method": str}


def _by_key(rules: Sequence[Sequence[Condition]], kind: str) -> tuple[Mapping[str | None, int], int]:
    by_key: dict[str | None, int] = {}
    others = 0
    for n, conditions in enumerate(rules):
        keys = next((keys for c in conditions if c.kind == kind and (keys := _keys(c))), None)
        if keys is None:
            others |= 1 << n
        for key in keys or ():
            by_key[key] = by_key.get(key, 0) | 1 << n
    return {key: bits | others for key, bits in by_key.items()}, others


def _keys(condition: Condition) -> set[str] | None:
    """The keys that a condition asks for; None where a wildcard or a regular expression leaves them open."""
    if condition.is_regex:
        return None
    keys = {_KEYS[condition.kind](value) for value in condition.values}
    return None if any("*" in key or "?" in key for key in keys) else keys
