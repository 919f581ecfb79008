"""What AWS tells of secrets, shown as the stack file shows it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from abtest.experiment import Experiment
from abtest.experiment.types import SECRET
from abtest.routing import Action, Route, RoutingTable
from abtest.routing.conditions import Condition

__all__ = ["hide", "without_tokens"]

#: As abtest/stack/listener.py has it made: 32 lower-case letters and digits, before "-" and the variant.
_TOKEN = re.compile(r"[0-9a-z]{32}(?=-)")


def hide(table: RoutingTable, experiment: Experiment) -> RoutingTable:
    """The table with ``<token>`` for an override's token, and what the stack file encrypts as the file says it: that
    cannot be compared either.
    """
    declared = RoutingTable.from_experiment(experiment).routes
    header = experiment.override.header.lower() if experiment.override else None

    def hidden(route: Route) -> Route:
        twins = [t for t in declared if t.priority == route.priority or (route.name and t.name == route.name)]
        shown = replace(route, conditions=_conditions(route, twins), action=_action(route, twins))
        # Rules without a name are the override's, also when somebody took their tags off.
        conditions = (_tokenless(c) if route.name is None or c.name.lower() == header else c for c in shown.conditions)
        return replace(shown, conditions=tuple(conditions))

    return replace(table, routes=tuple(map(hidden, table.routes)))


def without_tokens(table: RoutingTable) -> RoutingTable:
    """The table with ``<token>`` for whatever looks like an override's token, where no stack file is at hand."""
    routes = (replace(route, conditions=tuple(map(_tokenless, route.conditions))) for route in table.routes)
    return replace(table, routes=tuple(routes))


def _conditions(route: Route, twins: Sequence[Route]) -> tuple[Condition, ...]:
    encrypted = {
        _place(condition): condition
        for twin in twins
        for condition in twin.conditions
        if any(SECRET in value for value in condition.values)
    }
    return tuple(encrypted.get(_place(condition), condition) for condition in route.conditions)


def _place(condition: Condition) -> tuple[object, ...]:
    """What a condition looks at, by which it is found again."""
    key = condition.values[0][0] if condition.kind == "query" else None
    return condition.kind, condition.name.lower(), condition.is_regex, key


def _action(route: Route, twins: Sequence[Route]) -> Action:
    action = route.action
    for said in (twin.action for twin in twins):
        if SECRET in said.location:
            action = replace(action, location=said.location)
        if SECRET in said.body:
            action = replace(action, body=said.body)
    return action


def _tokenless(condition: Condition) -> Condition:
    if condition.kind != "header":
        return condition
    return replace(condition, values=tuple(_TOKEN.sub("<token>", value) for value in condition.values))
