"""The routing of an experiment as a table: what each rule asks for, what it does, and the effective shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from abtest.experiment import Experiment
from abtest.experiment.types import Redirect, Rule, When

__all__ = ["Row", "routing_table", "shares"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A rule, or the default action (``priority`` None). ``shares`` are of new clients, and empty without a forward."""

    priority: int | None
    name: str
    when: tuple[str, ...]
    action: str
    shares: Mapping[str, Fraction] = field(default_factory=dict)


def shares(weights: Mapping[str, int]) -> dict[str, Fraction]:
    """Weights as exact shares of their sum."""
    total = sum(weights.values())
    return {name: Fraction(weight, total) for name, weight in sorted(weights.items())} if total else {}


def routing_table(experiment: Experiment) -> tuple[Row, ...]:
    """All rules in the order of evaluation, the default action last. An override's token shows as ``<token>``."""
    rows = [
        Row(
            priority=priority,
            name="override",
            when=(f"header {experiment.override.header} = {'<token>-' * experiment.override.secret}{variant}",),
            action="forward",
            shares={variant: Fraction(1)},
        )
        for variant, priority in experiment.override_priorities.items()
        if experiment.override
    ]
    rows += [_row(experiment, name, rule) for name, rule in experiment.rules_in_order()]
    rows.append(Row(priority=None, name="", when=(), action="forward", shares=shares(experiment.weights)))
    return tuple(rows)


def _row(experiment: Experiment, name: str, rule: Rule) -> Row:
    action = "forward"
    if rule.redirect is not None:
        action = f"redirect {rule.redirect.status} to {_location(rule.redirect)}"
    elif rule.respond is not None:
        action = f"respond {rule.respond.status}"
    weights = experiment.forward_weights(rule)
    return Row(
        priority=rule.priority, name=name, when=tuple(_conditions(rule.when)), action=action, shares=shares(weights)
    )


def _conditions(when: When) -> list[str]:
    plain = {
        "path": when.path,
        "path matches": when.path_regex,
        "host": when.host,
        "host matches": when.host_regex,
        "method": when.method,
        "source": when.source_ip,
    }
    named = {"header": when.header, "header matches": when.header_regex, "query": when.query}
    found = [f"{key} {_one_of(values)}" for key, values in plain.items() if values is not None]
    for key, mapping in named.items():
        word, _, verb = key.partition(" ")
        found += [f"{word} {name} {verb or '='} {_one_of(values)}" for name, values in (mapping or {}).items()]
    return found


def _one_of(values: tuple[str, ...]) -> str:
    return " or ".join(values)


def _location(redirect: Redirect) -> str:
    """The target with AWS's placeholders for what is kept."""
    protocol = (redirect.protocol or "#{protocol}").lower()
    port = f":{redirect.port}" if redirect.port is not None else ""
    query = "?#{query}" if redirect.query is None else f"?{redirect.query}" if redirect.query else ""
    return f"{protocol}://{redirect.host or '#{host}'}{port}{redirect.path or '/#{path}'}{query}"
