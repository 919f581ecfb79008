"""Small random tables, and every request of a small world, to judge by trial what the analysis finds by thought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from hypothesis import strategies as st

from abtest.routing import Action, Request, Route, RoutingTable
from abtest.routing.conditions import Condition

__all__ = ["CONDITIONS", "OPAQUE", "SOME_REQUESTS", "requests", "table_of", "tables"]

WORDS = ["", *"abx", *map("".join, product("abx", repeat=2))]
WORLD: Mapping[str, list[Any]] = {
    "path": [f"/{word}" for word in WORDS],
    "host": ["a.b", "x.b", "A.x:80", "a.b:443", "b"],
    "method": ["GET", "POST", "OTHER"],
    "headers": [{}, {"h": "a"}, {"h": ["b", "x"]}, {"h": "B"}, {"h": ["A", "b"]}, {"i": "a"}, {"h": "x", "i": "ab"}],
    "query": ["", "k=a", "k=b&j=a", "K=A&k=x", "j", "k=x", "j=b&j=x"],
    "sourceIp": ["10.0.0.1", "10.128.0.1", "192.0.2.1", "::1"],
}
#: Requests of the world, also with fields that are not known.
SOME_REQUESTS = st.fixed_dictionaries(
    {}, optional={field: st.sampled_from(values) for field, values in WORLD.items()}
).map(Request.parse)
FIELD = {"header": "headers", "source-ip": "sourceIp"}


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)


def pattern(least: int = 1) -> st.SearchStrategy[str]:
    return st.text("ab*?", min_size=least, max_size=3)


paths = pattern(0).map("/{}".format) | st.sampled_from(["*", "*a", "?b", "b"])
hosts = st.sampled_from(["a.b", "*.b", "?.b", "a.*", "*", "A.B", "x.?"])
CONDITIONS = st.one_of(
    st.builds(Condition, st.just("path"), some(paths)),
    st.builds(Condition, st.just("host"), some(hosts)),
    st.builds(Condition, st.just("header"), some(pattern()), st.sampled_from(["h", "H", "i"])),
    st.builds(Condition, st.just("query"), some(st.tuples(st.sampled_from([None, "k", "*", "J", "?"]), pattern()))),
    st.builds(Condition, st.just("method"), some(st.sampled_from(["GET", "POST"]))),
    st.builds(
        Condition,
        st.just("source-ip"),
        some(st.sampled_from(["10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/0", "::/0"])),
    ),
)
OPAQUE = st.one_of(
    st.builds(
        Condition, st.just("path"), some(st.sampled_from(["^/a.*$", "^/[ab]$", "b", "^/.+$"])), is_regex=st.just(True)
    ),
    st.builds(Condition, st.just("host"), some(st.sampled_from(["^a", r"^.*\.b$"])), is_regex=st.just(True)),
    st.builds(
        Condition, st.just("header"), some(st.sampled_from(["^a$", "^[ab]+$"])), st.just("h"), is_regex=st.just(True)
    ),
)


def table_of(*rules: tuple[Condition, ...]) -> RoutingTable:
    """A table with these rules, and a default action."""
    action = Action(kind="respond", status=200)
    routes = [Route(priority=n, name=f"r{n}", conditions=found, action=action) for n, found in enumerate(rules, 1)]
    default = Route(priority=None, name=None, conditions=(), action=action)
    return RoutingTable(routes=(*routes, default), protocol="HTTP", port=80)


def one_a_field(conditions: list[Condition]) -> tuple[Condition, ...]:
    """AWS lets a rule ask once for path, host, method and source, as often as it likes for headers and the query."""
    seen: dict[object, Condition] = {}
    for n, condition in enumerate(conditions):
        seen[condition.kind if condition.kind not in {"header", "query"} else n] = condition
    return tuple(seen.values())


def tables(conditions: st.SearchStrategy[Condition] = CONDITIONS, most: int = 3) -> st.SearchStrategy[RoutingTable]:
    rule = st.lists(conditions, min_size=1, max_size=3).map(one_a_field)
    return st.lists(rule, min_size=1, max_size=most).map(lambda rules: table_of(*rules))


def requests(table: RoutingTable) -> Iterator[Request]:
    """Every request of the world that differs in a field that the table looks at."""
    kinds = {condition.kind for route in table.routes for condition in route.conditions}
    looked_at = {FIELD.get(kind, kind) for kind in kinds}
    fields = [values if field in looked_at else values[:1] for field, values in WORLD.items()]
    for chosen in product(*fields):
        yield Request.parse(dict(zip(WORLD, chosen, strict=True)))
