r"""Whether the conditions of one rule let through every request that those of another do.

Exact for the semantics of conditions.py, within a budget of steps, for all but regular expressions. Of these it sees
through the ones on the path that say what a pattern says (``^/v2/.*$``); any other includes nothing but itself.
A request is any that HTTP has: its path starts with "/", and no part of it holds what would end that part.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain
from string import ascii_lowercase, digits

from abtest.experiment.types import Secret
from abtest.routing.conditions import Condition, pieces

__all__ = [
    "BETWEEN",
    "BUDGET",
    "OverBudgetError",
    "escape",
    "includes",
    "is_known",
    "is_opaque",
    "is_possible",
    "quotient",
    "remaining",
    "without_implied",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: The pieces of a pattern, or what is left of them behind a part of a text.
Word = tuple[str, ...]

#: Steps that one question about patterns may take, a step being one pattern at one place of a text. Those that people
#: write take some hundreds.
BUDGET = 10_000
#: Stands between the key and the value of a query's pair: once in each pattern and each text, since control characters
#: take no part.
BETWEEN = "\n"
#: What cannot stand in a part of a request, since the next part begins there.
_ENDS = {"path": " ?#", "host": " /?#@", "key": " &=#", "value": " &#", "header": ""}
#: What every request meets.
_ALWAYS = (
    Condition("path", ("/*",)),
    Condition("host", ("*",)),
    Condition("source-ip", ("0.0.0.0/0", "::/0")),
)
#: A regular expression that says what a pattern says, and its pieces.
_PLAIN = re.compile(r"\^((?:\\[^\w\s]|\.[*+]?|[^\\.^$*+?()\[\]{}|])*)\$")
_PLAIN_PIECE = re.compile(r"\\.|\.[*+]?|.")
_AS_PATTERN = {".": "?", ".*": "*", ".+": "?*"}


class OverBudgetError(Exception):
    """A question takes more steps than it may."""


def includes(outer: Iterable[Condition], inner: Iterable[Condition], budget: int = BUDGET) -> bool:
    """Whether every request that meets all of ``inner`` meets all of ``outer``; False where that cannot be shown.

    Conditions on different fields have no bearing on each other, nor have several on headers or on the query, each of
    which asks for some line or pair. So each of ``outer`` has to follow from a single one of ``inner``.
    """
    given = (*filter(is_known, inner), *_ALWAYS)
    try:
        return all(is_known(asked) and any(_follows(asked, one, budget) for one in given) for asked in outer)
    except OverBudgetError:
        return False


def _follows(asked: Condition, given: Condition, budget: int) -> bool:
    if (asked.kind, asked.name.lower()) != (given.kind, given.name.lower()):
        return False
    if asked.is_regex == given.is_regex and set(given.values) <= set(asked.values):
        return True
    if asked.kind == "method":
        return False
    if asked.kind == "source-ip":
        return not remaining(given, [asked])
    return not is_opaque(asked) and not is_opaque(given) and escape(given, [asked], budget) is None


def without_implied(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions without those that follow from another one."""
    found: list[Condition] = []
    for condition in conditions:
        if not includes([condition], found):
            found = [other for other in found if not includes([other], [condition])] + [condition]
    return tuple(found)


def is_known(condition: Condition) -> bool:
    """Whether all values are known; a stack file may hold some encrypted."""
    parts = chain.from_iterable(value if isinstance(value, tuple) else (value,) for value in condition.values)
    return not any(isinstance(part, Secret) for part in parts)


def is_possible(condition: Condition) -> bool:
    """Whether some request can meet a condition; opaque regular expressions and unknown values get the benefit of the
    doubt.
    """
    is_open = condition.kind in {"method", "source-ip"} or is_opaque(condition) or not is_known(condition)
    return is_open or bool(_words(condition))


def remaining(inner: Condition, outers: Iterable[Condition]) -> list[Network]:
    """The addresses of ``inner`` that are in none of ``outers``, as blocks."""
    left = [ipaddress.ip_network(value) for value in inner.values]
    for taken in [ipaddress.ip_network(value) for outer in outers for value in outer.values]:
        left = [rest for block in left for rest in _without(block, taken)]
    return left


def _without(block: Network, taken: Network) -> Iterator[Network]:
    if not block.overlaps(taken):
        yield block
    elif block.prefixlen < taken.prefixlen:
        for half in block.subnets():
            yield from _without(half, taken)


# Patterns -------------------------------------------------------------------------------------------------------------


def escape(inner: Condition, outers: Iterable[Condition], budget: int = BUDGET) -> str | None:
    """A short text that meets ``inner`` and none of ``outers``, or None: path, host, header or query conditions.

    A query's text is a key, ``BETWEEN`` and a value. Opaque regular expressions among ``outers`` do not count. Raises
    OverBudgetError.
    """
    others = frozenset(word for outer in outers if not is_opaque(outer) for word in _words(outer))
    start = "/" if inner.kind == "path" else ""
    found = (_escape(word, others, budget) for word in _words(inner))
    return next((start + text for text in found if text is not None), None)


def _escape(inner: Word, outers: frozenset[Word], budget: int) -> str | None:
    """Goes over texts, all those at once after which the same may follow; first those with the least yet to come."""
    queue = [(len(inner), "", inner, outers)]
    seen: set[tuple[Word, frozenset[Word]]] = set()
    while queue:
        _, text, mine, others = heappop(queue)
        if (mine, others) in seen or any(set(other) == {"*"} for other in others):
            continue
        if _may_end([mine]) and not _may_end(others):
            return text
        seen.add((mine, others))
        budget -= 1 + len(others)
        if budget < 0:
            raise OverBudgetError
        for char in _chars([mine, *others]):
            taken = frozenset(_after(others, char))
            for rest in _after([mine], char):
                heappush(queue, (len(rest), text + char, rest, taken))
    return None


def _after(words: Iterable[Word], char: str) -> Iterator[Word]:
    """What is left of patterns behind a character."""
    for word in words:
        for n, piece in enumerate(word):
            if piece == "*":
                yield word[n:]
                continue
            if piece == "?" or piece[-1] == char:
                yield word[n + 1 :]
            break


def quotient(before: str, pattern: str, after: str, kind: str) -> tuple[str, ...]:
    """The patterns of the texts that, between ``before`` and ``after``, meet a pattern: of hosts or paths."""
    if kind == "host":
        before, pattern, after = before.lower(), pattern.lower(), after.lower()
    words = _behind_text([tuple(pattern)], before)
    ends = _behind_text([word[::-1] for word in words], after[::-1])
    return tuple("".join(word[::-1]) for word in ends)


def _behind_text(words: Iterable[Word], text: str) -> Iterable[Word]:
    for char in text:
        words = dict.fromkeys(_after(words, char))
    return words


def _may_end(words: Iterable[Word]) -> bool:
    return any(set(word) <= {"*"} for word in words)


def _chars(words: Sequence[Word]) -> list[str]:
    """The characters that come next in some pattern; the first stands for all those that come in none."""
    heads = (next((piece for piece in word if piece != "*"), "?") for word in words)
    letters = {piece[-1] for piece in heads if piece != "?"}
    plain = chain("x", digits, ascii_lowercase, map(chr, range(0xE0, 0x10FFFF)))
    return [next(char for char in plain if char not in letters), *sorted(letters)]


# Conditions as patterns -----------------------------------------------------------------------------------------------


def is_opaque(condition: Condition) -> bool:
    """Whether a condition says more than patterns can, or on another text than they are compared with."""
    return condition.is_regex and not (condition.kind == "path" and all(map(_PLAIN.fullmatch, condition.values)))


def _words(condition: Condition) -> list[Word]:
    """The values that some text can meet; of a path, what comes behind its first "/"."""
    if condition.kind == "query":
        pairs = [
            (
                _word(pieces("*" if key is None else key, escapes=True), "key"),
                _word(pieces(value, escapes=True), "value"),
            )
            for key, value in condition.values
        ]
        return [(*key, BETWEEN, *value) for key, value in pairs if key is not None and value is not None]
    read = _plain_pieces if condition.is_regex else pieces
    words = [word for value in condition.values if (word := _word(read(value), condition.kind)) is not None]
    return list(_after(words, "/")) if condition.kind == "path" else words


def _plain_pieces(regex: str) -> list[str]:
    found = _PLAIN_PIECE.findall(regex.removeprefix("^").removesuffix("$"))
    return [part for piece in found for part in _AS_PATTERN.get(piece, [piece])]


def _word(found: list[str], part: str) -> Word | None:
    """A pattern as it is compared, or None where nothing in that part of a request can meet it."""
    own = {piece[-1] for piece in found if piece not in {"*", "?"}}
    if own & set(_ENDS[part]) or any(char < " " or char == "\x7f" for char in own):
        return None
    return tuple(found if part == "path" else [piece.lower() if piece.isascii() else piece for piece in found])
