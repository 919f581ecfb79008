"""What the engine does to listeners and rules: to it a listener is its port, and a rule its priority."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from abtest.experiment import Experiment
from abtest.experiment.types import Rule, When
from abtest.rollout.diff.settings import resolved
from abtest.rollout.diff.version import Version
from abtest.routing.conditions import conditions_of

__all__ = ["Updates", "updates"]


@dataclass(frozen=True, kw_only=True)
class Updates:
    """Logical names of listeners and rules. A shift of traffic is ``updated`` alone."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.replaced or self.deleted)


def updates(
    before: Version | None, after: Version | None, new_groups: Collection[str], *, new_balancer: bool = False
) -> Updates:
    """What differs between both sides. ``new_groups`` are variants whose target group is replaced: what forwards there
    must learn its new name. A rule is replaced with its listener, a listener with its load balancer.
    """
    was, now = _resources(before), _resources(after, new_groups)
    both = [name for name in now if name in was]
    new_listener = new_balancer or (before and _main(before)) != (after and _main(after))
    replaced = [name for name in both if new_balancer or (new_listener and name.startswith("rule-"))]
    return Updates(
        created=tuple(name for name in now if name not in was),
        updated=tuple(name for name in both if was[name] != now[name] and name not in replaced),
        replaced=tuple(replaced),
        deleted=tuple(name for name in was if name not in now),
    )


def _main(version: Version) -> str:
    listener = version.experiment.listener
    return listener.arn or f"listener-{listener.listens_on}"


def _resources(version: Version | None, new_groups: Collection[str] = ()) -> dict[str, Any]:
    """Logical name -> all that its inputs say."""
    return {} if version is None else dict(_each(resolved(version.experiment), new_groups))


def _each(experiment: Experiment, new_groups: Collection[str]) -> Iterator[tuple[str, Any]]:
    listener, tags = experiment.listener, (experiment.experiment, dict(experiment.tags))
    rails = experiment.guardrails.tag if experiment.guardrails else None
    of_split = (
        experiment.control,
        sorted(experiment.held),
        rails,
        len(experiment.rules),
    )  # its tags, see stack/tags.py
    split = _forward(experiment.weights, experiment.stickiness_seconds, new_groups), of_split
    if listener.split is None:
        alone = replace(listener, certificate_arns=())  # further certificates are resources of their own
        yield f"listener-{listener.listens_on}", (alone, split, tags)
    else:
        yield f"rule-{listener.split.priority}", (_asked(listener.split.when), split, tags)
    if override := experiment.override:
        for variant, priority in experiment.override_priorities.items():
            when = (override.header, override.secret, variant)
            yield f"rule-{priority}", (when, _forward({variant: 1}, 0, new_groups), tags)
    for name, rule in experiment.rules_in_order():
        yield f"rule-{rule.priority}", (_asked(rule.when), _action(experiment, rule, new_groups), tags, name)
    if listener.redirects_port_80:
        yield "listener-80", (listener.listens_on, tags)


def _asked(when: When) -> frozenset[Hashable]:
    return frozenset((c.kind, c.name, c.is_regex, frozenset(c.values)) for c in conditions_of(when))


def _action(experiment: Experiment, rule: Rule, new_groups: Collection[str]) -> Any:
    weights = experiment.forward_weights(rule)
    return rule.redirect or rule.respond or _forward(weights, experiment.stickiness_of(rule), new_groups)


def _forward(weights: Mapping[str, int], stickiness_seconds: int, new_groups: Collection[str]) -> Any:
    return stickiness_seconds, {name: (weight, name in new_groups) for name, weight in weights.items()}
