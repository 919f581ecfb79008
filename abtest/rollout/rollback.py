"""Taking a model back: all traffic of the main split to the control, in one update of the listener."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from abtest.experiment import Experiment
from abtest.experiment.types import SPLIT
from abtest.rollout.edit import GONE, EditError
from abtest.rollout.engine import Say
from abtest.rollout.live import Live
from abtest.rollout.move import ROLLBACK, Deployed, deployed_weights, move
from abtest.rollout.stack_file import StackFile

__all__ = ["Rollback", "roll_back"]

HELD = ("abtest:held",)


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """``changes`` of the stack file, the variants that are ``taken`` back, and ``left``: rules that still reach some
    other variant than the control, by name.
    """

    changes: Mapping[tuple[str, ...], Any]
    taken: tuple[str, ...]
    left: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, experiment: Experiment, live: Live, *, everywhere: bool) -> Rollback:
        """From what the stack file says and the load balancer does; ``everywhere`` also takes the other variants out of
        rules with weights of their own.

        The others leave the split: an action cannot route to a target group that it does not list (ALB guide,
        "Listener rules": forward actions), so their sticky clients come along. ``abtest:held`` keeps them from coming
        back with a merge of an older file.
        """
        control = experiment.control
        others = experiment.variants.keys() - {control}
        in_split, reached = others & {*experiment.weights, *deployed_weights(live)}, dict(_reached(experiment, others))
        changes: dict[tuple[str, ...], Any] = {}
        changes.update(_place(experiment, live))
        if experiment.weights.keys() != {control}:
            changes["abtest:weights",] = {control: 100}
        taken = set(in_split)
        if everywhere:
            for name, variants in reached.items():
                is_one = isinstance(experiment.rules[name].forward, str)
                changes["abtest:rules", name, "forward"] = control if is_one else {control: 100}
                taken.update(variants)
        if held := sorted(({*experiment.held} | taken) - {control}):
            changes[HELD] = held
        return cls(changes=changes, taken=tuple(sorted(taken)), left={} if everywhere else reached)

    def also(self, changes: Mapping[tuple[str, ...], Any]) -> Rollback:
        """With other edits of the stack file before its own."""
        return replace(self, changes={**changes, **self.changes})

    def edited(self, file: StackFile) -> StackFile:
        """The file after it. Of a list that cannot be edited as it stands, comments are given up. Raises EditError."""
        try:
            return file.edited(self.changes)
        except EditError:
            return file.edited(
                {HELD: GONE, **{path: value for path, value in self.changes.items() if path != HELD}}
            ).edited({HELD: self.changes.get(HELD, GONE)})


def _place(experiment: Experiment, live: Live) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Where the split stands on somebody else's listener, if the file says another place: that waits."""
    listener = experiment.listener
    if listener.split is not None:
        if listener.arn != live.listener_arn:
            yield ("abtest:listener", "arn"), live.listener_arn
        if listener.split.priority != live.table.split.priority:
            yield ("abtest:listener", "split", "priority"), live.table.split.priority


def _reached(experiment: Experiment, variants: Collection[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Rules of their own weights by which some of these variants get clients, and which ones."""
    for name, rule in experiment.rules_in_order():
        if rule.forward != SPLIT:
            found = tuple(v for v, weight in experiment.forward_weights(rule).items() if weight and v in variants)
            if found:
                yield name, found


def roll_back(deployed: Deployed, file: StackFile, live: Live, plan: Rollback, say: Say) -> tuple[StackFile, Live]:
    """Do it. Returns the file and what stands then; raises MoveError, EditError.

    The update touches nothing but the listener and the rules whose forward changes: whatever else the file says waits,
    for a rollback waits for nothing, least of all for new targets.
    """
    after = plan.edited(file)
    taken = " and ".join(plan.taken) or "nothing"
    only = tuple(_forwards(after.experiment, plan))
    return after, move(deployed, file, after, live, f"{ROLLBACK} of {taken}", say, only)


def _forwards(experiment: Experiment, plan: Rollback) -> Iterator[str]:
    """The ends of the URNs of what the rollback changes (see abtest/stack/listener.py and abtest/stack/alarms.py)."""
    listener = experiment.listener
    yield (
        f"ListenerRule::rule-{listener.split.priority}"
        if listener.split
        else f"Listener::listener-{listener.listens_on}"
    )
    for name, rule in experiment.rules.items():
        if rule.forward == SPLIT or ("abtest:rules", name, "forward") in plan.changes:
            yield f"ListenerRule::rule-{rule.priority}"
    if experiment.alarms is not None:
        yield "MetricAlarm::abtest-*-no-traffic"
