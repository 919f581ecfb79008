"""A change as a flow chart: what the load balancer does afterwards, with before → after where that differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from abtest.rollout.diff.effect import Effect, Pair
from abtest.rollout.diff.wording import MAIN, shortened, title
from abtest.routing import percent
from abtest.routing.render import flow_chart

__all__ = ["as_mermaid"]

#: Changed routes that are drawn one by one; the rest is one box. mermaid draws at most 500 edges.
_MOST = 20
_LONGEST = 80  # characters of a label


@dataclass(frozen=True)
class _Box:
    """A route of its own, or several of which there is only to say ``what`` they are."""

    pairs: tuple[Pair, ...]
    what: str = ""


def as_mermaid(effect: Effect) -> str:
    """The routes in their order, unchanged ones that follow each other as one box; the main split is always drawn, and
    the default action.
    """
    return flow_chart((_asks(box), () if box.what else _edges(box.pairs[0])) for box in _boxes(effect))


def _boxes(effect: Effect) -> Iterator[_Box]:
    changed = [pair for pair in effect.changed if pair.after is not None]
    *rules, default = (pair for pair in effect.pairs if pair.after is not None)

    def what(pair: Pair) -> str:
        if pair.shown.is_split or pair in changed[:_MOST]:
            return ""
        return "not drawn" if pair in changed else "unchanged"

    for words, run in groupby(rules, key=what):
        pairs = tuple(run)
        yield from [_Box(pairs, words)] if words else [_Box((pair,)) for pair in pairs]
    yield _Box((default,))


def _asks(box: _Box) -> str:
    route = box.pairs[0].shown
    if box.what:
        return f"{len(box.pairs)} rule{'s' * (len(box.pairs) != 1)}, {box.what}"
    if route.priority is None:
        return f"{MAIN}: everything else" if route.is_split else "everything else"
    new = "new, " * (box.pairs[0].before is None)
    return shortened(f"{new}{route.priority} {title(route)}: {' and '.join(map(str, route.conditions))}", _LONGEST)


def _edges(pair: Pair) -> Iterator[tuple[str, str]]:
    """Where a route leads, and in which share."""
    now = pair.shown.action
    was = pair.before.action if pair.before is not None else now
    if not now.shares:
        yield shortened(str(now), _LONGEST), "yes"
        return
    for name in {**now.shares, **was.shares}:
        yield name, _share(was.shares, now.shares, name) if was.shares else percent(now.shares[name])


def _share(was: Mapping[str, Fraction], now: Mapping[str, Fraction], name: str) -> str:
    if name not in was:
        return f"new, {percent(now[name])}"
    words = [percent(was[name]), percent(now[name]) if name in now else "out"]
    return words[0] if words[0] == words[1] else " → ".join(words)
