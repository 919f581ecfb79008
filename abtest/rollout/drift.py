"""Where a deployed listener differs from its stack file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from abtest.experiment import Experiment, Source, try_load
from abtest.rollout.engine import Update
from abtest.rollout.live import Live
from abtest.routing import Action, Route, RoutingTable

__all__ = ["differences", "drift", "up_for"]


def differences(experiment: Experiment, live: Live) -> tuple[str, ...]:
    """As ``drift``, and the variants that a rollback holds."""
    found = drift(RoutingTable.from_experiment(experiment), live.table)
    if {*experiment.held} == live.held:
        return found
    there, declared = (" and ".join(sorted(names)) or "nothing" for names in (live.held, experiment.held))
    return (*found, f"held: the load balancer has {there}, the stack file says {declared}")


def up_for(source: Source, live: Live, history: Sequence[Update]) -> str:
    """The update that brings the load balancer to the stack file. ``history`` is the newest first. A plain `pulumi up`
    changes nothing where the engine takes for deployed what the console has changed.
    """
    last = next((update for update in history if update.succeeded), None)
    is_as_deployed = last is not None and not differences(try_load(last.source(source))[0], live)
    return "pulumi up" if is_as_deployed else "pulumi up --refresh"


def drift(declared: RoutingTable, live: RoutingTable) -> tuple[str, ...]:
    """Every difference in effect, in words, in the order of evaluation; empty where both do the same.

    A rule is its priority: one that moved is missing in one place and extra in another. Its name has no effect.
    """
    return tuple(_differences(declared, live))


def _differences(declared: RoutingTable, live: RoutingTable) -> Iterator[str]:
    is_own = declared.routes[-1].is_split  # of somebody else's listener the stack file says nothing but its rules
    if is_own and (declared.protocol, declared.port) != (live.protocol, live.port):
        yield _both("listener", "has", f"{live.protocol} {live.port}", f"{declared.protocol} {declared.port}")
    said, found = ({route.priority: route for route in table.routes} for table in (declared, live))
    for priority in sorted({*said, *found}, key=lambda number: (number is None, number or 0)):
        if priority not in found:
            route = said[priority]
            yield f"{_called(route)}: the load balancer has no such rule, the stack file says {_words(route)}"
        elif priority not in said:
            route = found[priority]
            yield f"{_called(route)}: the stack file has no such rule, the load balancer says {_words(route)}"
        elif is_own or priority is not None:
            yield from _of_rule(said[priority], found[priority])


def _of_rule(declared: Route, live: Route) -> Iterator[str]:
    rule, said, found = _called(declared), declared.action, live.action
    if declared.asked != live.asked:
        yield _both(rule, "asks for", _when(live), _when(declared))
    if _effect(said) != _effect(found):
        yield _both(
            rule, "sends" if found.kind == "forward" and not found.before else "says", *_told_apart(found, said)
        )
    if said.kind == found.kind == "forward" and said.stickiness_seconds != found.stickiness_seconds:
        yield _both(rule, "keeps a client", f"{found.stickiness_seconds} s", f"{said.stickiness_seconds} s")
    for rewrite in live.rewrites:
        yield f"{rule}: the load balancer rewrites the {rewrite}, the stack file does not"
    if said.kind == found.kind == "respond" and (said.body, said.content_type) != (found.body, found.content_type):
        yield f"{rule}: the load balancer answers with another body or content type than the stack file says"


def _effect(action: Action) -> tuple[object, ...]:
    return action.before, action.kind, action.shares, action.location, action.status


def _told_apart(live: Action, declared: Action) -> tuple[str, str]:
    """Both in words; in exact shares where rounded ones would look the same."""
    if str(live) != str(declared):
        return str(live) or "nothing", str(declared)
    exact = (", ".join(f"{name} {share}" for name, share in action.shares.items()) for action in (live, declared))
    return next(exact), next(exact)


def _both(where: str, verb: str, live: str, declared: str) -> str:
    return f"{where}: the load balancer {verb} {live}, the stack file says {declared}"


def _called(route: Route) -> str:
    return "default" if route.priority is None else str(route)


def _when(route: Route) -> str:
    return " and ".join(map(str, route.conditions))


def _words(route: Route) -> str:
    return f"{_when(route)}: {route.then}"
