"""What two rules both ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from ipaddress import ip_network

from abtest.routing.conditions import Condition
from abtest.routing.inclusion import is_known

__all__ = ["are_apart", "narrowed"]


def are_apart(one: Collection[Condition], other: Collection[Condition]) -> bool:
    """Whether no request can meet all conditions of both; False where that cannot be shown."""
    return any(not _shared(a, b) for a in one for b in other if _is_same_field(a, b))


def narrowed(one: Collection[Condition], other: Collection[Condition]) -> tuple[Condition, ...]:
    """Conditions that ask for what both ask for, or for less of it, with at most one on a field where that is possible;
    both must not be apart.
    """
    found = list(one)
    for condition in other:
        twin = next((n for n, known in enumerate(found) if _is_same_field(known, condition)), None)
        if twin is None:
            found.append(condition)
        else:
            found[twin] = Condition(condition.kind, _shared(found[twin], condition))
    return tuple(found)


def _is_same_field(one: Condition, other: Condition) -> bool:
    """Whether both ask for a field that a request has once, in values that can be compared."""
    return one.kind == other.kind in {"path", "host", "method", "source-ip"} and not any(
        condition.is_regex or not is_known(condition) for condition in (one, other)
    )


def _shared(one: Condition, other: Condition) -> tuple[str, ...]:
    """Values that both conditions take; none where there is no such value."""
    found = (value for a in one.values for b in other.values for value in _of_both(one.kind, a, b))
    return tuple(dict.fromkeys(found))


def _of_both(kind: str, one: str, other: str) -> Iterator[str]:
    if kind == "method":
        yield from {one} & {other}
    elif kind == "source-ip":
        blocks = sorted(map(ip_network, (one, other)), key=lambda block: -block.prefixlen)
        if blocks[0].overlaps(blocks[1]):
            yield str(blocks[0])
    else:
        pattern = _pattern(one, other) if kind == "path" else _pattern(one.lower(), other.lower())
        if pattern is not None:
            yield pattern


@cache
def _pattern(one: str, other: str) -> str | None:
    """A pattern for texts that meet both patterns; None if there are none."""
    if not one or not other:
        return None if (one or other).strip("*") else ""
    if one[0] == other[0] == "*":
        return _behind("*", _pattern(one[1:], other[1:])) or _pattern(one[1:], other) or _pattern(one, other[1:])
    if one[0] == "*":
        skipped = _pattern(one[1:], other)
        return _behind(other[0], _pattern(one, other[1:])) if skipped is None else skipped
    if other[0] == "*":
        return _pattern(other, one)
    if one[0] != other[0] and "?" not in {one[0], other[0]}:
        return None
    return _behind(other[0] if one[0] == "?" else one[0], _pattern(one[1:], other[1:]))


def _behind(char: str, rest: str | None) -> str | None:
    return None if rest is None else char + rest
