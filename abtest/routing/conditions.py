r"""The conditions of a rule, with the load balancer's semantics.

What AWS leaves open is decided here, and marked [open].
Facts: API RuleCondition and its ``…Config`` shapes; ALB guide, "Condition types for listener rules".

- Values of one condition OR; conditions of a rule AND.
- path: case-sensitive, against the whole path, never the query. [open] The path is compared as it was sent: no dot
  segments are resolved, ``//`` and ``%2F`` stay, ``%41`` is not ``A``.
- host: without regard to case. [open] A value is compared without the port that the Host header may carry; a regular
  expression is tried on the header as sent, since that is the documented way to ask for a port.
- header: without regard to case, against each field line by itself. [open] ``a, b`` on one line is one text.
- query: without regard to case, key and value. The query runs from the first "?" to "#", split at "&"; ``\*`` and
  ``\?`` are the characters themselves. [open] Raw against raw: nothing is decoded, "+" is "+", ";" splits nothing, a
  key without "=" has the value "".
- method: exact. source-ip: the peer's address in a CIDR block.
- ``*`` is any number of characters, ``?`` exactly one; elsewhere than in queries they cannot be escaped [open].
- regular expressions: [open] searched for, so that one without ^ and $ matches anywhere; case counts except in hosts.
  RE2 does the matching, in linear time: AWS's engine lacks the same features. What it cannot read matches nothing.
- Only visible ASCII takes part: control characters are left out before a text is compared. Case is that of ASCII.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from abtest.experiment.regex import compiled
from abtest.experiment.types import Secret, When
from abtest.routing.request import Request

__all__ = [
    "Condition",
    "UnsupportedError",
    "conditions_of",
    "described_conditions",
    "expression",
    "pieces",
    "visible",
    "wildcard",
    "without_port",
]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def visible(text: str) -> str:
    """A text without the characters that take no part."""
    return text if text.isprintable() else _CONTROL.sub("", text)


def without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and not port.strip("0123456789") else host


def pieces(pattern: str, *, escapes: bool = False) -> list[str]:
    r"""A pattern in its parts: ``*``, ``?``, and for each character of its own a text that ends with it (``\*``)."""
    return re.findall(r"\\[*?]|.", pattern, re.DOTALL) if escapes else list(pattern)


def wildcard(pattern: str, *, escapes: bool = False) -> str:
    """A pattern with ``*`` and ``?`` as a regular expression for the whole text.

    What stands between two ``*`` is taken where it is first found: if anything matches, so does that. The group is
    atomic, or else ``*a*a*a*b`` would try every way to place its letters in a long text.
    """
    parts = [""]
    for piece in pieces(pattern, escapes=escapes):
        if piece == "*":
            parts.append("")
        else:
            parts[-1] += "." if piece == "?" else re.escape(piece[-1])
    if len(parts) == 1:
        return parts[0]
    first, *middle, last = parts
    return f"{first}{''.join(f'(?>.*?{part})' for part in middle)}.*{last}"


def expression(value: str, *, ignore_case: bool = False) -> Callable[[str], bool] | None:
    """Whether a text meets a regular expression; None if RE2 cannot read it (``abtest check`` reports that)."""
    try:
        search = compiled(value, ignore_case=ignore_case).search
    except ValueError:
        return None
    return lambda text: search(text.encode(errors="replace")) is not None


class UnsupportedError(ValueError):
    """A described rule has something that this version does not know; the text says what."""


@dataclass(frozen=True)
class Condition:
    """One condition: ``kind`` is path, host, header, query, method or source-ip.

    ``values`` are texts; for query they are (key, value) pairs, the key None for any. ``name`` is the header's.
    """

    kind: str
    values: tuple[Any, ...]
    name: str = ""
    is_regex: bool = False

    @cached_property
    def _match(self) -> Callable[[Request], bool | None]:
        return _MATCHERS[self.kind](self)

    def matches(self, request: Request) -> bool | None:
        """Whether the request meets it; None where the request leaves the field unknown."""
        return self._match(request)

    @property
    def normal(self) -> Hashable:
        """What it asks for, however its values are written and ordered: equal where that is the same."""
        values: Iterable[Hashable] = self.values
        if self.kind == "query":
            values = ((None if key is None else key.lower(), text.lower()) for key, text in self.values)
        elif self.kind == "source-ip":
            values = (v if isinstance(v, Secret) else ipaddress.ip_network(v) for v in self.values)
        elif self.kind in {"host", "header"} and not self.is_regex:
            values = (value.lower() for value in self.values)
        return self.kind, self.name.lower(), self.is_regex, frozenset(values)

    @property
    def field(self) -> str:
        """The field of a request that it looks at."""
        return f"header {self.name}" if self.kind == "header" else self.kind

    def seen(self, request: Request) -> str:
        """What the request has there, in words."""
        found: object = {
            "path": request.path,
            "host": request.host,
            "method": request.method,
            "query": request.query,
            "source-ip": request.source_ip,
        }.get(self.kind)
        if self.kind == "header":
            lines = (request.headers or {}).get(self.name.lower())
            found = None if lines is None else " | ".join(lines)
        return "none" if found in (None, "") else str(found)

    def __str__(self) -> str:
        values = " or ".join(map(self._value_words, self.values))
        verb = "matches " if self.is_regex else "= " if self.kind == "header" else ""
        return f"{self.field.replace('source-ip', 'source')} {verb}{values}"

    def _value_words(self, value: Any) -> str:
        if self.kind != "query":
            return str(value)
        key, text = value
        return f"{'*' if key is None else key} = {text}"


def _pattern(condition: Condition, flags: int) -> Callable[[str], bool]:
    if condition.is_regex:
        ignore_case = bool(flags & re.IGNORECASE)
        searches = [read for value in condition.values if (read := expression(value, ignore_case=ignore_case))]
        return lambda text: any(search(text) for search in searches)
    match = re.compile("|".join(map(wildcard, condition.values)), flags | re.DOTALL | re.ASCII).fullmatch
    return lambda text: match(text) is not None


def _path(condition: Condition) -> Callable[[Request], bool | None]:
    match = _pattern(condition, 0)
    return lambda request: None if request.path is None else match(visible(request.path))


def _host(condition: Condition) -> Callable[[Request], bool | None]:
    match = _pattern(condition, re.IGNORECASE)

    def matches(request: Request) -> bool | None:
        if request.host is None:
            return None
        host = visible(request.host)
        return match(host if condition.is_regex else without_port(host))

    return matches


def _header(condition: Condition) -> Callable[[Request], bool | None]:
    match = _pattern(condition, 0 if condition.is_regex else re.IGNORECASE)
    name = condition.name.lower()

    def matches(request: Request) -> bool | None:
        if request.headers is None:
            return None
        return any(match(visible(line)) for line in request.headers.get(name, ()))

    return matches


def _query(condition: Condition) -> Callable[[Request], bool | None]:
    pairs = [
        tuple(
            re.compile(wildcard(text, escapes=True), re.IGNORECASE | re.DOTALL | re.ASCII).fullmatch
            for text in ("*" if k is None else k, v)
        )
        for k, v in condition.values
    ]

    def matches(request: Request) -> bool | None:
        if request.query is None:
            return None
        if not request.query:
            return False
        sent = [part.partition("=")[::2] for part in visible(request.query).split("&")]
        return any(key(k) is not None and value(v) is not None for k, v in sent for key, value in pairs)

    return matches


def _method(condition: Condition) -> Callable[[Request], bool | None]:
    values = frozenset(condition.values)
    return lambda request: None if request.method is None else request.method in values


def _source(condition: Condition) -> Callable[[Request], bool | None]:
    blocks = [ipaddress.ip_network(value) for value in condition.values if not isinstance(value, Secret)]

    def matches(request: Request) -> bool | None:
        address = request.source_ip
        return None if address is None else any(address in block for block in blocks)

    return matches


_MATCHERS: Mapping[str, Callable[[Condition], Callable[[Request], bool | None]]] = {
    "path": _path,
    "host": _host,
    "header": _header,
    "query": _query,
    "method": _method,
    "source-ip": _source,
}


# Where they come from -------------------------------------------------------------------------------------------------


def conditions_of(when: When) -> tuple[Condition, ...]:
    """The conditions of a rule in a stack file."""
    return tuple(_of(when))


def _of(when: When) -> Iterator[Condition]:
    for kind, values, is_regex in (
        ("path", when.path, False),
        ("path", when.path_regex, True),
        ("host", when.host, False),
        ("host", when.host_regex, True),
    ):
        if values is not None:
            yield Condition(kind, values, is_regex=is_regex)
    for names, is_regex in ((when.header, False), (when.header_regex, True)):
        for name, values in (names or {}).items():
            yield Condition("header", values, name, is_regex=is_regex)
    for key, values in (when.query or {}).items():
        yield Condition("query", tuple((None if key == "*" else key, value) for value in values))
    if when.method is not None:
        yield Condition("method", when.method)
    if when.source_ip is not None:
        yield Condition("source-ip", when.source_ip)


_FIELDS = {
    "path-pattern": ("path", "PathPatternConfig"),
    "host-header": ("host", "HostHeaderConfig"),
    "http-header": ("header", "HttpHeaderConfig"),
    "http-request-method": ("method", "HttpRequestMethodConfig"),
    "source-ip": ("source-ip", "SourceIpConfig"),
}


def described_conditions(conditions: list[dict[str, Any]]) -> tuple[Condition, ...]:
    """The conditions of a rule as ``describe_rules`` returns them. Raises UnsupportedError."""
    found = []
    for given in conditions:
        if given["Field"] == "query-string":
            pairs = given["QueryStringConfig"]["Values"]
            found.append(Condition("query", tuple((pair.get("Key"), pair["Value"]) for pair in pairs)))
            continue
        if given["Field"] not in _FIELDS:
            raise UnsupportedError(f"has a condition on {given['Field']}")
        kind, key = _FIELDS[given["Field"]]
        config = given.get(key) or {"Values": given.get("Values", [])}
        regex = tuple(config.get("RegexValues") or ())
        values = regex or tuple(config.get("Values") or ())
        found.append(Condition(kind, values, config.get("HttpHeaderName", ""), is_regex=bool(regex)))
    return tuple(found)
