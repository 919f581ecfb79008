"""How many decisions a second: this program's routing table against werkzeug's router, at few and at many rules.

Both get the same rules (a path below a prefix, in turn with a host, a method, both or neither) and the same requests,
which fit an early, a middle and the last rule, or none. Both are made ready before the clock starts: the requests here,
werkzeug's adapter of each host there. They run in turns within each round. It is a report: the exit code is 0 whether
the goal is met or missed, and 1 only where the two do not decide the same, so that there is nothing to compare.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from werkzeug.routing import Map, MapAdapter, Rule

from abtest.routing import Action, Request, Route, RoutingTable
from abtest.routing.conditions import Condition

FEW, MANY = 10, 100
ROUNDS = int(os.environ.get("ROUNDS", "15"))
DECISIONS = 2_000
LEAST = 1.0
HOSTS = ("models.example.com", "old.example.com", "other.example.com")
METHODS = ("GET", "POST")

Decide = Callable[[], list[str]]


def asked(n: int) -> tuple[str | None, str | None]:
    """The host and the method that rule ``n`` asks for besides its path."""
    return HOSTS[n % 2] if n % 4 < 2 else None, METHODS[n % 2] if n % 3 == 0 else None


def ours(rules: int) -> RoutingTable:
    routes = []
    for n in range(rules):
        host, method = asked(n)
        conditions = [Condition("path", (f"/v{n}/*",))]
        conditions += [Condition("host", (host,))] if host else []
        conditions += [Condition("method", (method,))] if method else []
        action = Action(kind="respond", status=200)
        routes.append(Route(priority=n + 1, name=f"rule-{n}", conditions=tuple(conditions), action=action))
    default = Route(priority=None, name="default", conditions=(), action=Action(kind="respond", status=404))
    return RoutingTable(routes=(*routes, default), protocol="HTTP", port=80)


def theirs(rules: int) -> Map:
    found = Map(host_matching=True, merge_slashes=False)
    for n in range(rules):
        host, method = asked(n)
        methods = [method] if method else None
        found.add(Rule(f"/v{n}/<path:rest>", host=host or "<any>", methods=methods, endpoint=f"rule-{n}"))
    found.add(Rule("/<path:rest>", host="<any>", endpoint="default"))
    found.update()
    return found


def requests(rules: int) -> list[Request]:
    """Each of some rules, and none: with every host and both methods."""
    paths = [f"/v{n}/models/predict" for n in (0, 1, 2, rules // 2, rules // 2 + 1, rules - 1)]
    return [
        Request(method=method, host=host, path=path, query="", headers={})
        for path in [*paths, "/healthz", "/about/us"]
        for host in HOSTS
        for method in METHODS
    ]


def by_table(table: RoutingTable, sent: list[Request]) -> list[str]:
    return [table.decide(request).route.name or "" for request in sent]


def by_werkzeug(sent: list[tuple[MapAdapter, str, str]]) -> list[str]:
    return [adapter.match(path, method)[0] for adapter, path, method in sent]


def contestants(rules: int) -> dict[str, Decide]:
    sent = requests(rules)
    table, adapters = ours(rules), {host: theirs(rules).bind(host) for host in HOSTS}
    bound = [(adapters[request.host or ""], request.path or "", request.method or "") for request in sent]
    return {"abtest": partial(by_table, table, sent), "werkzeug": partial(by_werkzeug, bound)}


def measure(decides: dict[str, Decide]) -> dict[str, list[float]]:
    """Decisions a second, of each round."""
    rates: dict[str, list[float]] = {name: [] for name in decides}
    for n in range(ROUNDS):
        for name, decide in decides.items() if n % 2 == 0 else reversed(decides.items()):
            made, began = 0, time.perf_counter()
            while made < DECISIONS:
                made += len(decide())
            rates[name].append(made / (time.perf_counter() - began))
    return rates


def report(rules: int, rates: dict[str, list[float]]) -> Iterator[str]:
    for words, of in (("median", statistics.median), ("best", max)):
        mine, other = (of(rates[name]) for name in ("abtest", "werkzeug"))
        ratio = mine / other
        verdict = "met" if ratio >= LEAST else "missed"
        yield f"{f'{rules} rules, {words}':24}{mine:12,.0f}{other:12,.0f}{ratio:8.2f}{LEAST:8.2f}  {verdict}"


def main() -> None:
    made = {rules: contestants(rules) for rules in (FEW, MANY)}
    for rules, decides in made.items():
        if decides["abtest"]() != decides["werkzeug"]():
            sys.exit(f"the two do not decide the same at {rules} rules, so there is nothing to compare")
    print(f"both decide the same at {FEW} and at {MANY} rules")
    print(f"decisions a second, {ROUNDS} rounds in turns\n")
    print(f"{'':24}{'abtest':>12}{'werkzeug':>12}{'ratio':>8}{'goal':>8}")
    for rules, decides in made.items():
        for line in report(rules, measure(decides)):
            print(line)


if __name__ == "__main__":
    main()
