"""What can be said of a routing table without a request: what is never reached, and redirects that go in circles."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from abtest.experiment import Experiment, Problem, Source
from abtest.experiment.problems import Report
from abtest.routing.conditions import Condition
from abtest.routing.examples import attempts, example, one_value_each
from abtest.routing.inclusion import BUDGET, includes
from abtest.routing.request import Request
from abtest.routing.table import Decision, Route, RoutingTable

__all__ = ["Loop", "Shadow", "duration", "redirect_loops", "shadows", "sticky_lag", "unreached", "warnings"]

#: Redirects in a row after which every client has given up: browsers do after 20, curl after 50.
HOPS = 50
DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Shadow:
    """A route that no request reaches, since the routes ``by`` come first and take all that it asks for.

    ``certain`` is False where it only looks so; ``why`` says it in words, to stand behind what names the route.
    """

    route: Route
    by: tuple[Route, ...]
    certain: bool
    why: str


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A redirect that a client does not get out of: a request that it takes, and where that is sent at first."""

    route: Route
    request: Request
    location: str


# What is never reached ------------------------------------------------------------------------------------------------


def shadows(table: RoutingTable, budget: int = BUDGET) -> tuple[Shadow, ...]:
    """The routes that are never reached, in their order, the default action among them.

    It is certain where each value of the route, alone, is included in one earlier rule (see inclusion.py). Otherwise
    there has to be a reason to say so: requests that meet the route's conditions could be made up, with an eye on what
    the rules before it ask for, and these took all of them. That comes from regular expressions, and from several rules
    that take a single value in pieces. A route that asks for the impossible is not shadowed.

    Nor is the main split while a rule that can be reached does the same (`forward: split`): behind a CDN, a rule for
    the CDN's header comes first, and the next one denies the rest.
    """
    found = [_shadow(table, n, budget) for n in range(len(table.routes))]
    alive = [route for route, shadow in zip(table.routes, found, strict=True) if not (shadow and shadow.certain)]
    return tuple(shadow for shadow in found if shadow and not _is_replaced(shadow.route, alive))


def _is_replaced(route: Route, alive: Sequence[Route]) -> bool:
    return route.is_split and any(other.action == route.action for other in alive if other is not route)


def _shadow(table: RoutingTable, n: int, budget: int) -> Shadow | None:
    route, earlier = table.routes[n], table.routes[:n]
    takers = (taker for _, taker in attempts(table, route, budget=budget))
    first = next(takers, None)
    if first is route:
        return None
    if by := _includers(route, earlier, budget):
        return Shadow(route=route, by=by, certain=True, why=_why(route, by))
    seen = {id(first), *map(id, takers)}
    if first is None or id(route) in seen:
        return None
    by = tuple(other for other in earlier if id(other) in seen)
    why = f"may never be reached: {_listed(by)} took all the requests that could be made up for it"
    return Shadow(route=route, by=by, certain=False, why=why)


def _includers(route: Route, earlier: Sequence[Route], budget: int) -> tuple[Route, ...]:
    """A rule that includes a route, or several that do value by value; none where that cannot be shown."""

    def first(conditions: Sequence[Condition]) -> int | None:
        found = (n for n, other in enumerate(earlier) if includes(other.conditions, conditions, budget))
        return next(found, None)

    values = list(one_value_each(route.conditions))
    if not values:
        return ()
    whole = first(route.conditions)
    by = {whole} if whole is not None else set(map(first, values))
    return () if None in by else tuple(other for n, other in enumerate(earlier) if n in by)


def _why(route: Route, by: tuple[Route, ...]) -> str:
    if len(by) > 1:
        return f"is never reached: {_listed(by)} come first and take all its requests"
    if route.conditions and includes(route.conditions, by[0].conditions):
        return f"is never reached: {by[0]} comes first and asks for the same"
    return f"is never reached: {by[0]} comes first and takes all its requests"


def _listed(routes: tuple[Route, ...]) -> str:
    return " and ".join(map(str, routes))


def unreached(
    table: RoutingTable, variants: Collection[str], overrides: Collection[int] = frozenset()
) -> tuple[str, ...]:
    """The variants with a positive share in no route that can be reached; ``overrides`` are priorities that do not
    count as reaching.
    """
    dead = {shadow.route.priority for shadow in shadows(table) if shadow.certain}
    alive = [route.action for route in table.routes if route.priority not in {*dead, *overrides}]
    return tuple(name for name in sorted(variants) if not any(action.shares.get(name) for action in alive))


# Redirects ------------------------------------------------------------------------------------------------------------


def redirect_loops(table: RoutingTable) -> tuple[Loop, ...]:
    """The redirects of which an example shows that they lead back to themselves, again and again. Where the listener's
    protocol is not known, none can be shown.
    """
    if table.protocol is None:
        return ()
    found = (_loop(table, route) for route in table.routes if route.action.kind == "redirect")
    return tuple(loop for loop in found if loop)


def _loop(table: RoutingTable, route: Route) -> Loop | None:
    first = request = example(table, route)
    taken: list[Decision] = []
    while request is not None and len(taken) < HOPS:
        decision = table.decide(request)
        if decision.location is None:
            return None
        taken.append(decision)
        request = _followed(table, request, decision.location)
    if first is None or request is None or all(decision.route is not route for decision in taken[1:]):
        return None
    return Loop(route=route, request=first, location=taken[0].location or "")


def _followed(table: RoutingTable, request: Request, location: str) -> Request | None:
    """The request that a client makes of a redirect; None where that leaves the listener, or cannot be read."""
    try:
        url = urlsplit(location)
        usual = {"http": 80, "https": 443}[url.scheme]
        if (url.scheme, url.port or usual) != (str(table.protocol).lower(), table.port):
            return None
        address = url.geturl() if table.port != usual else url._replace(netloc=url.hostname or "").geturl()
        target = Request.parse({"url": address, "method": "GET" if request.method == "POST" else request.method})
    except (ValueError, KeyError):
        return None
    return replace(target, headers=request.headers, source_ip=request.source_ip)


# Stickiness -----------------------------------------------------------------------------------------------------------


def sticky_lag(seconds: int) -> str:
    """What stickiness means for a shift, in words."""
    if not seconds:
        return "a shift or a rollback holds from the next request on"
    return f"after a shift or a rollback, clients keep their variant for up to {duration(seconds)}"


def duration(seconds: int) -> str:
    """A time in the largest unit that gives at least two: 90 seconds, 60 minutes, 7 days."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds // size} {unit}s"
    return f"{seconds} second{'s' * (seconds != 1)}"


# Warnings -------------------------------------------------------------------------------------------------------------


def warnings(experiment: Experiment, source: Source) -> tuple[Problem, ...]:
    """What is doubtful in the routing of a config without errors, in the order of the file."""
    report = Report(source)
    forced = frozenset(experiment.override_priorities.values())
    table = RoutingTable.from_experiment(experiment)
    named = [replace(route, name="abtest:override") if route.priority in forced else route for route in table.routes]
    table = replace(table, routes=tuple(named))
    for shadow in shadows(table):
        _warn_of_shadow(report, shadow)
    for name in unreached(table, experiment.variants, forced):
        _warn_of_unreached(report, experiment, name)
    if experiment.listener.arn is not None:
        _warn_of_strangers(report, table)
    for loop in redirect_loops(table):
        report.warning(
            ("rules", loop.route.name or "", "redirect"),
            f"goes in circles: {_url(table, loop.request)} is sent to {loop.location}, and from there back to this "
            "rule; let `when` leave out where it leads, or send it elsewhere",
        )
    if experiment.stickiness_seconds > DAY:
        report.warning(
            ("stickinessSeconds",),
            f"{sticky_lag(experiment.stickiness_seconds)}, and a bad model keeps its own as long; "
            f"{DAY} (a day) or less frees them sooner",
        )
    return report.sorted()


def _warn_of_shadow(report: Report, shadow: Shadow) -> None:
    route = shadow.route
    if route.name is not None:
        report.warning(("rules", route.name), f"{shadow.why}; give it a lower priority number, or take it out")
    elif route.is_split:
        report.warning(("weights",), f"the main split {shadow.why}; narrow that, or let it say forward: split")


def _warn_of_strangers(report: Report, table: RoutingTable) -> None:
    """On an existing listener, a rule that asks for less than the split takes requests of others too. A header or query
    parameter of its own is as good as the one that a split begins with.
    """
    for route in table.routes[:-1]:
        marked = any(condition.kind in {"header", "query"} for condition in route.conditions)
        asked = [c for c in table.split.conditions if not (marked and c.kind in {"header", "query"})]
        if not route.is_split and not includes(asked, route.conditions):
            report.warning(
                ("rules", route.name or "", "when"),
                "also takes requests that are none of the split's, of whatever else that listener serves; ask for what "
                "abtest:listener.split.when asks for too",
            )


def _warn_of_unreached(report: Report, experiment: Experiment, name: str) -> None:
    """A variant with weight 0 is kept warm on purpose."""
    if name in experiment.weights or experiment.state(name) == "warm":
        return
    where = (
        "no weights and no rule" if experiment.state(name) == "off" else "no weights and only in rules never reached"
    )
    report.warning(
        ("variants", name),
        f"is in {where}, so no client gets it; add it to abtest:weights (0 keeps it warm), or take it out",
    )


def _url(table: RoutingTable, request: Request) -> str:
    return f"{(table.protocol or 'HTTP').lower()}://{request.host}{request.target}"
