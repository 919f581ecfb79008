"""Redirects that lead back to their own listener, replaced by the rules that take the redirected requests.

A client that is redirected sends another request, which some rule of the same listener takes. So a redirect is as good
as one rule for each of those: it asks for the redirect's conditions, and for the request from which the redirect makes
one that the other rule takes. With the path ``/v2/#{path}``, a rule for ``/v2/x*`` asks for ``/x*``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from abtest.routing.conditions import Condition
from abtest.routing.inclusion import includes, quotient, without_implied
from abtest.routing.request import Request
from abtest.routing.table import Action, Route, RoutingTable

__all__ = ["UnclearError", "follow"]

#: Redirects in a row that are followed. A client that meets more gets no answer: they are most likely a circle.
_HOPS = 8
#: Below this many rules may take the place of one redirect.
_RULES = 100
_TO = ", redirected to "
_LOCATION = re.compile(r"([^:]+)://([^/:]+):([^/:]+)(/[^?]*)(?:\?(.*))?", re.DOTALL)


class UnclearError(Exception):
    """No conditions say which rule takes the redirected requests."""


def follow(table: RoutingTable, locations: Collection[str], hosts: Collection[Condition]) -> RoutingTable:
    """The table with rules in place of those that redirect to one of ``locations``; what leads elsewhere stays. A host
    that one of ``hosts`` asks for is the listener's own. Raises UnclearError.
    """
    routes: list[Route] = []
    for route in table.routes:
        is_wanted = route.action.location in locations
        made = list(islice(_destinations(table, route, hosts, _HOPS), _RULES)) if is_wanted else [route]
        if len(made) == _RULES:
            raise UnclearError
        routes += made
    return replace(table, routes=tuple(routes))


def _destinations(table: RoutingTable, route: Route, hosts: Collection[Condition], hops: int) -> Iterator[Route]:
    """A route as routes of which none redirects to the listener, in their order."""
    target = _Target.of(table, route.action, hosts)
    if target is None or not hops:
        yield route
        return
    own = (*route.conditions, *target.only)
    for other in table.routes:
        conditions = target.before(other.conditions)
        if conditions is None:
            continue
        for last in _destinations(table, other, hosts, hops - 1):
            asked = target.before(last.conditions)
            if asked is None:
                continue
            label = f"{route.name or route.label}{_TO}{last.called.rpartition(_TO)[2]}"
            both = without_implied((*own, *asked))
            yield replace(last, priority=route.priority, name=label, conditions=both, is_split=False)
        if includes(conditions, own):
            break
    if target.only:
        yield route


@dataclass(frozen=True)
class _Target:
    """Where a redirect leads, in AWS's placeholders. It is the listener for requests that meet ``only``."""

    host: str
    path: str
    query: str
    only: tuple[Condition, ...]

    @classmethod
    def of(cls, table: RoutingTable, action: Action, hosts: Collection[Condition]) -> _Target | None:
        """None if that is not the table's listener, as far as is known: another protocol or port, or a host that is
        neither the request's nor one of ``hosts``.
        """
        if action.kind != "redirect":
            return None
        match = _LOCATION.fullmatch(action.location)
        if match is None:
            raise UnclearError
        protocol, host, port, path, query = match.groups(default="")
        if table.protocol is not None and protocol not in {"#{protocol}", table.protocol.lower()}:
            return None
        if table.port is not None and port not in {"#{port}", str(table.port)}:
            return None
        is_own = host == "#{host}" or any(_rewritten(named, host, "host") is not None for named in hosts)
        if not is_own and "#{" in host:
            return None
        return cls(host, path, query, () if is_own else (Condition("host", (host,)),))

    def before(self, conditions: Iterable[Condition]) -> tuple[Condition, ...] | None:
        """What a request has to meet so that the redirected one meets ``conditions``; None where none does."""
        found: list[Condition] = []
        for condition in conditions:
            asked = self._before(condition)
            if asked is None:
                return None
            found += asked
        return tuple(found)

    def _before(self, condition: Condition) -> Sequence[Condition] | None:
        if condition.kind == "method":  # after a redirect, clients send GET in place of POST
            values = {*condition.values} - {"POST"} | ({"POST"} if "GET" in condition.values else set())
            return [replace(condition, values=tuple(sorted(values)))] if values else None
        if condition.kind == "host":
            return _rewritten(condition, self.host, "host")
        if condition.kind == "path":
            return _rewritten(condition, self.path, "path")
        return self._query(condition) if condition.kind == "query" else [condition]

    def _query(self, condition: Condition) -> Sequence[Condition] | None:
        kept, *parts = sorted(self.query.split("&"), key=lambda part: part != "#{query}")
        if kept != "#{query}":
            parts, kept = [kept, *parts], ""
        if any("#{" in part for part in parts):
            raise UnclearError
        if condition.matches(Request(query="&".join(parts))):
            return []
        return [condition] if kept else None


def _rewritten(condition: Condition, template: str, field: str) -> Sequence[Condition] | None:
    """What a host or path has to meet so that ``template``, filled with it, meets the condition."""
    before, placeholder, after = template.partition(f"#{{{field}}}")
    start = "/" if field == "path" else ""
    if (before, placeholder, after) == (start, f"#{{{field}}}", ""):
        return [condition]
    if "#{" in before or "#{" in after:
        raise UnclearError
    if not placeholder:
        request = Request(path=template) if field == "path" else Request(host=template)
        return [] if condition.matches(request) else None
    if condition.is_regex:
        raise UnclearError
    values = [start + rest for value in condition.values for rest in quotient(before, value, after, field)]
    if not values:
        return None
    return [] if f"{start}*" in values else [replace(condition, values=tuple(dict.fromkeys(values)))]
