"""Requests that a route takes: to show, to try, and to send."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product, takewhile
from string import ascii_letters, digits, punctuation

from abtest.routing.conditions import Condition, expression, pieces
from abtest.routing.inclusion import (
    BETWEEN,
    BUDGET,
    OverBudgetError,
    escape,
    is_known,
    is_opaque,
    is_possible,
    remaining,
)
from abtest.routing.request import Address, Request, RequestError
from abtest.routing.table import Route, RoutingTable

__all__ = ["attempts", "example", "one_value_each"]

#: What a request has where the route asks for nothing: something usual, or else anything.
_FREE = (
    Condition("method", ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "OTHER")),
    Condition("host", ("example.com", "*")),
    Condition("path", ("/", "/*")),
    Condition("source-ip", ("127.0.0.1/32", "0.0.0.0/0", "::/0")),
)
#: What may stand for a "*".
_FILLS = ("x", "7", "a-b.c", "")
#: Most requests in which several fields at once are other than plain.
_MIXED = 200


def example(table: RoutingTable, route: Route, source_ip: Address | None = None) -> Request | None:
    """A plain request, every field known, that ``table`` gives to ``route``; None where none can be made up.

    It comes from ``source_ip``, or from any address where that is None.
    """
    tried = attempts(table, route, source_ip)
    return next((request for request, taken_by in tried if taken_by is route), None)


def attempts(
    table: RoutingTable, route: Route, source_ip: Address | None = None, budget: int = BUDGET
) -> Iterator[tuple[Request, Route]]:
    """Requests that meet the conditions of a route, the plainest first, and the route that takes each.

    The first ones only know what the route itself asks for; later ones try to get past the rules before it.
    """
    if not all(map(is_known, route.conditions)):
        return
    earlier = [c for other in takewhile(lambda other: other is not route, table.routes) for c in other.conditions]
    for others in ([], earlier):
        for conditions in one_value_each(route.conditions):
            for request in _requests(conditions, others, source_ip, budget):
                if route.matches(request):
                    yield request, table.decide(request).route


def one_value_each(conditions: Sequence[Condition]) -> Iterator[tuple[Condition, ...]]:
    """The conditions as several sets, each condition with one value, which together say the same; without those that no
    request can meet.
    """
    singles = [[replace(condition, values=(value,)) for value in condition.values] for condition in conditions]
    return product(*([single for single in found if is_possible(single)] for found in singles))


def _requests(
    conditions: Sequence[Condition], others: Sequence[Condition], source_ip: Address | None, budget: int
) -> Iterator[Request]:
    kinds = {condition.kind for condition in conditions}
    fields = [*conditions, *(free for free in _FREE if free.kind not in kinds)]
    texts = [_texts(field, others, source_ip, budget) for field in fields]
    if not all(texts):
        return
    plain = [options[0] for options in texts]
    one_other = ([*plain[:n], text, *plain[n + 1 :]] for n, options in enumerate(texts) for text in options[1:])
    for chosen in (plain, *one_other, *(islice(product(*texts), _MIXED) if others else ())):
        yield _request(zip(fields, chosen, strict=True))


def _request(chosen: Iterable[tuple[Condition, str]]) -> Request:
    given: dict[str, str] = {}
    headers: dict[str, list[str]] = {}
    pairs = []
    for condition, text in chosen:
        if condition.kind == "header":
            headers.setdefault(condition.name, []).append(text)
        elif condition.kind == "query":
            pairs.append(text.replace(BETWEEN, "="))
        else:
            given["sourceIp" if condition.kind == "source-ip" else condition.kind] = text
    return Request.parse({**given, "headers": headers, "query": "&".join(pairs)})


# Texts of one field ---------------------------------------------------------------------------------------------------


def _texts(condition: Condition, others: Sequence[Condition], source_ip: Address | None, budget: int) -> list[str]:
    """Texts that meet a condition: with ``others`` first those that meet none of them, else the plainest first."""
    field = condition.kind, condition.name.lower()
    rivals = dict.fromkeys(c for c in others if (c.kind, c.name.lower()) == field and is_known(c))
    if condition.kind == "method":
        return sorted(condition.values, key=lambda method: any(method in rival.values for rival in rivals))
    if condition.kind == "source-ip":
        groups = [list(rivals), *([rival] for rival in rivals), []]
        blocks = [block for group in groups for block in remaining(condition, group)]
        addresses = dict.fromkeys(str(block[1] if block.num_addresses > 2 else block[0]) for block in blocks)
        return list(addresses) if source_ip is None else [str(source_ip)]
    found = dict(_tried(condition, _samples(condition)))
    if is_opaque(condition):
        return list(found)
    hard = [rival for rival in rivals if all(rival.matches(request) for request in found.values())]
    groups = [list(rivals), *([rival] for rival in hard), []]
    past = dict(_tried(condition, filter(None, (_past(condition, group, budget) for group in groups))))
    return list({**past, **found} if rivals else {**found, **past})


def _samples(condition: Condition) -> Iterator[str]:
    for value in condition.values:
        if not condition.is_regex:
            found = [_filled(value, fill) for fill in _FILLS]
        else:
            found = [_sample(value, n) for n in (0, 1, 2, 5, 9)] if expression(value) else []
        yield from (f"/{text}" if condition.kind == "path" and text[:1] != "/" else text for text in found)


def _tried(condition: Condition, texts: Iterable[str]) -> Iterator[tuple[str, Request]]:
    """The texts that do meet the condition, each in a request."""
    for text in texts:
        try:
            request = _request([(condition, text)])
        except RequestError:
            continue
        if condition.matches(request):
            yield text, request


def _past(condition: Condition, others: Sequence[Condition], budget: int) -> str | None:
    try:
        return escape(condition, others, budget)
    except OverBudgetError:
        return None


def _filled(value: str | tuple[str | None, str], fill: str) -> str:
    """A pattern with a text in place of each ``*``, and a character of it in place of each ``?``."""
    if isinstance(value, tuple):
        key, text = value
        return f"{_fill(pieces(key or '*', escapes=True), fill)}{BETWEEN}{_fill(pieces(text, escapes=True), fill)}"
    return _fill(pieces(value), fill)


def _fill(found: Iterable[str], fill: str) -> str:
    return "".join({"*": fill, "?": fill[:1] or "x"}.get(piece, piece[-1]) for piece in found)


# Regular expressions --------------------------------------------------------------------------------------------------

_GROUP = re.compile(r"\((?!\?[a-zA-Z]+\))(?:\?(?:P?<\w+>|[a-zA-Z-]*:))?")
_ATOM = re.compile(r"\(\?[a-zA-Z]+\)|\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|.")
_TIMES = re.compile(r"(?P<sign>[*+?])\??|\{(?P<low>\d+)(?P<comma>,?)(?P<high>\d*)\}\??")
#: Where a text of ``(a{999}){999}`` is cut.
_LONGEST = 1000
_CHARACTERS = f"x{digits}{ascii_letters}{punctuation} "


def _sample(regex: str, n: int) -> str:
    """A text that a regular expression should match, another one for another ``n``. A guess: it has to be tried."""
    return _branch(regex, 0, n)[0]


def _branch(regex: str, at: int, n: int) -> tuple[str, int]:
    """A text for what stands from ``at`` to the end of the group, and where that is."""
    branches = [""]
    while at < len(regex) and regex[at] != ")":
        if regex[at] == "|":
            branches.append("")
            at += 1
            continue
        if group := _GROUP.match(regex, at):
            text, end = _branch(regex, group.end(), n)
            at = end + 1
        elif atom := _ATOM.match(regex, at):
            members = _members(atom[0])
            text, at = members[n % len(members)] if members else "", atom.end()
        times = _TIMES.match(regex, at)
        branches[-1] += (text * (_count(times, n) if times else 1))[:_LONGEST]
        at = times.end() if times else at
    return branches[n % len(branches)], at


@functools.cache
def _members(atom: str) -> str:
    """The characters that a part such as ``[0-9]``, ``.`` or ``a`` can be; none for an anchor."""
    match = re.compile(atom, re.ASCII).fullmatch
    return "".join(filter(match, _CHARACTERS))


def _count(times: re.Match[str], n: int) -> int:
    if times["sign"]:
        return min(n, 1) if times["sign"] == "?" else n + (times["sign"] == "+")
    low = int(times["low"])
    high = int(times["high"] or (_LONGEST if times["comma"] else low))
    return min(low + n, high, _LONGEST)
