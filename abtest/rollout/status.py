"""How a stack stands: what is set and what is deployed, health, alarms, a ramp, past moves, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from abtest.command import command
from abtest.experiment import Experiment, Source, try_load
from abtest.experiment.types import State
from abtest.rollout.alarms import Alarm, alarms_of
from abtest.rollout.diff.wording import title, with_points
from abtest.rollout.drift import differences, up_for
from abtest.rollout.engine import Update, newest, updates
from abtest.rollout.live import Health, Live, health_of, read_live
from abtest.rollout.schedule import Plan
from abtest.rollout.session import AwsError, client
from abtest.rollout.weights import Share
from abtest.routing import RoutingTable, shares_of

__all__ = ["UPDATES", "Cloud", "PastMove", "RampStatus", "Status", "VariantStatus", "Weight", "Word", "status_of"]

#: How many updates of the history are looked through.
UPDATES = 20

#: A bake that is watched elsewhere may take a little longer than planned, as looks are some seconds apart.
SLACK = timedelta(minutes=1)

Word = Literal["Healthy", "Degraded", "Progressing", "Paused", "OutOfSync", "RolledBack"]


class _Output(Struct, frozen=True, kw_only=True, rename="camel"):
    """Printed as JSON: every key is always there, and null where there is nothing."""


class Weight(_Output, frozen=True, kw_only=True):
    """A variant's weight: ``set`` in the stack file, ``actual`` at the load balancer; null where it has no part of the
    main split.
    """

    set: int | None
    actual: int | None


class VariantStatus(_Output, frozen=True, kw_only=True):
    """``state`` is what the load balancer makes of it: live, warm or off."""

    name: str
    is_control: bool
    state: State
    held: bool
    weight: Weight
    share: Share
    healthy: int | None
    targets: int | None


class RampStatus(_Output, frozen=True, kw_only=True):
    """The ramp that the newest update was a step of. ``until`` is when its bake ends as planned; ``resume`` is the
    command that resumes it. ``unknown`` is a ramp that was started elsewhere, and may bake or have ended.
    """

    variant: str
    step: int
    shares: tuple[float, ...]
    state: Literal["updating", "baking", "failed", "paused", "unknown"]
    until: datetime | None
    resume: str


class PastMove(_Output, frozen=True, kw_only=True):
    """An update that changed weights, held variants or what rules forward to; ``what`` says it in words."""

    time: datetime
    result: str
    what: tuple[str, ...]
    message: str


class Status(_Output, frozen=True, kw_only=True):
    """What ``abtest status --format json`` prints.

    ``alarms`` and ``moves`` are null where they cannot be known, and ``notes`` say why. ``drift`` is where the load
    balancer differs from the stack file, ``uncommitted`` where that differs from Git; ``next`` is what to do.
    """

    stack: str
    status: Word
    message: str
    next: str
    listener: str
    variants: tuple[VariantStatus, ...]
    alarms: tuple[Alarm, ...] | None
    ramp: RampStatus | None
    drift: tuple[str, ...]
    uncommitted: str
    moves: tuple[PastMove, ...] | None
    notes: tuple[str, ...]


# What AWS says --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """``weights`` are those of the main split, ``health`` that of each variant; ``alarms`` is a text where CloudWatch
    does not tell.
    """

    live: Live
    weights: Mapping[str, int]
    health: Mapping[str, Health]
    alarms: tuple[Alarm, ...] | str

    @classmethod
    def read(cls, source: Source, experiment: Experiment, listener_arn: str | None, groups: Mapping[str, str]) -> Cloud:
        """``groups`` are known target groups by variant, besides those that rules forward to. Raises AwsError."""
        with client(source, "elbv2") as elbv2:
            live = read_live(elbv2, experiment, listener_arn, source.full_name)
            known = {**groups, **live.groups}
            health = {name: health_of(elbv2, arn) for name, arn in known.items()}
        try:
            with client(source, "cloudwatch") as cloudwatch:
                alarms: tuple[Alarm, ...] | str = alarms_of(cloudwatch, known, live.load_balancer)
        except AwsError as error:
            alarms = str(error)
        return cls(live=live, weights=live.weights, health=health, alarms=alarms)

    def state(self, name: str) -> State:
        """As ``Experiment.state`` has it, of what is deployed."""
        routes = (route for route in self.live.table.routes if route.priority not in self.live.overrides)
        shares = [route.action.shares[name] for route in routes if name in route.action.shares]
        return "live" if any(shares) else "warm" if shares else "off"


# The status -----------------------------------------------------------------------------------------------------------


def status_of(
    source: Source,
    experiment: Experiment,
    cloud: Cloud,
    history: Sequence[Update] | None,
    uncommitted: str,
    notes: Sequence[str],
    now: datetime,
    *,
    runs: bool | None = None,
) -> Status:
    """Everything together; ``history`` is the newest first, None where there is no engine to ask. ``runs`` is whether
    the ramp of the newest update runs, None where that is not known (``Presence``).
    """
    stack, ramp = source.stack, _ramp(history or (), source.stack, now, runs=runs)
    differs = differences(experiment, cloud.live)
    word, message, following = (
        _degraded(stack, experiment, cloud)
        or _moving(stack, history or (), ramp, now)
        or _resting(stack, experiment, cloud.live, ramp, differs, up_for(source, cloud.live, history or ()))
    )
    return Status(
        stack=stack,
        status=word,
        message=message,
        next=following,
        listener=cloud.live.listener_arn,
        variants=tuple(_variants(experiment, cloud)),
        alarms=None if isinstance(cloud.alarms, str) else cloud.alarms,
        ramp=ramp,
        drift=differs,
        uncommitted=uncommitted,
        moves=None if history is None else tuple(_moves(history, source))[::-1],
        notes=(*notes, *([f"no alarms: {cloud.alarms}"] if isinstance(cloud.alarms, str) else ())),
    )


def _variants(experiment: Experiment, cloud: Cloud) -> Iterator[VariantStatus]:
    """Those of the stack file, and those that are deployed besides."""
    declared, live = experiment.weights, cloud.weights
    shares = [{name: float(shares_of(weights).get(name, 0)) for name in weights} for weights in (declared, live)]
    for name in sorted({*experiment.variants, *cloud.health, *live}):
        health = cloud.health.get(name)
        yield VariantStatus(
            name=name,
            is_control=name == experiment.control,
            state=cloud.state(name),
            held=name in {*experiment.held, *cloud.live.held},
            weight=Weight(set=declared.get(name), actual=live.get(name)),
            share=Share(set=shares[0].get(name), actual=shares[1].get(name)),
            healthy=health.healthy if health else None,
            targets=health.total if health else None,
        )


# The word for it, a sentence, and what to do --------------------------------------------------------------------------

Verdict = tuple[Word, str, str]


def _degraded(stack: str, experiment: Experiment, cloud: Cloud) -> Verdict | None:
    """Only what clients are sent to can be bad: a variant that was taken back may well be ill."""
    live = [name for name in cloud.health if cloud.state(name) == "live"]
    least = {name: experiment.least_healthy(name) for name in live}
    ill = {name: cloud.health[name] for name in live if cloud.health[name].healthy < least[name]}
    alarms = () if isinstance(cloud.alarms, str) else cloud.alarms
    firing = [alarm for alarm in alarms if alarm.state == "ALARM" and alarm.variant in {None, *live}]
    words = [f"{name} has {health} healthy targets, {least[name]} needed" for name, health in ill.items()]
    words += [f"alarm {alarm.name} is in ALARM: {alarm.reason}" for alarm in firing]
    if not words:
        return None
    is_others = {experiment.control, None}.isdisjoint([*ill, *(alarm.variant for alarm in firing)])
    return "Degraded", "; ".join(words), command("rollback", stack) if is_others else ""


def _moving(stack: str, history: Sequence[Update], ramp: RampStatus | None, now: datetime) -> Verdict | None:
    """While an update runs, or a ramp was left before its end."""
    last = newest(history)
    if last is not None and last.result == "in-progress":
        return "Progressing", f"an update is running, or died: {last.message}", command("status", stack)
    if ramp is None or ramp.state in {"baking", "unknown"}:
        return None
    step = f"step {ramp.step} of {len(ramp.shares)}"
    if ramp.state == "failed":
        why = f"{step} failed"
    elif ramp.until is not None and now < ramp.until:
        why = f"it stopped in the bake of {step}"
    else:
        why = f"the bake of {step} is over, and no other came"
    return "Paused", f"ramp of {ramp.variant}: {why}", f"{ramp.resume} (or: {command('rollback', stack)})"


def _resting(
    stack: str, experiment: Experiment, live: Live, ramp: RampStatus | None, differs: Sequence[str], up: str
) -> Verdict:
    if differs:
        back = ramp is not None and ramp.variant in experiment.held  # a rollback that did not come through
        following = command("rollback", stack) if back else ramp.resume if ramp else f"{up} --stack {stack}"
        return "OutOfSync", "the load balancer differs from the stack file", following
    if ramp is not None and ramp.until is not None:
        step = f"ramp of {ramp.variant}: step {ramp.step} of {len(ramp.shares)}"
        if ramp.state == "unknown":
            words = f"{step}; if the ramp still runs, its bake ends at {ramp.until:%H:%M} UTC"
            return "Progressing", words, f"if it no longer runs: {ramp.resume}"
        return "Progressing", f"{step}, its bake ends at {ramp.until:%H:%M} UTC", ""
    if live.held and live.table.split.action.shares.get(experiment.control) == 1:
        names = sorted(live.held)
        words = f"all new clients have {experiment.control}; held: {', '.join(names)}"
        return "RolledBack", words, f"once it is fixed: {command(f'shift {names[0]}=0', stack)} (lifts the hold)"
    return "Healthy", "the load balancer does what the stack file says", ""


# History --------------------------------------------------------------------------------------------------------------


def _ramp(history: Sequence[Update], stack: str, now: datetime, *, runs: bool | None) -> RampStatus | None:
    """The ramp that the newest update was a step of; None also when its last bake is over.

    No update tells how a ramp ended. One that no longer runs stopped before its end, if the bake would not be over.
    """
    last = newest(history)
    found = Plan.read(last.message) if last else None
    if last is None or found is None:
        return None
    plan, step = found
    until = last.ended + timedelta(seconds=plan.bake_seconds) if last.ended and last.succeeded else None
    state: Literal["updating", "baking", "failed", "paused", "unknown"]
    if last.result == "in-progress":
        state = "updating"
    elif until is None:
        state = "failed"
    elif runs:
        state = "baking"
    elif runs is False and now < until:
        state = "paused"
    elif step == len(plan.shares) and now >= until:
        return None
    else:
        state = "unknown" if runs is None and now < until + SLACK else "paused"
    return RampStatus(
        variant=plan.variant,
        step=step,
        shares=tuple(map(float, plan.shares)),
        state=state,
        until=until,
        resume=command(f"ramp {plan.variant} {plan.options}", stack),
    )


def _moves(history: Sequence[Update], source: Source) -> Iterator[PastMove]:
    """The moves among these updates, the oldest first. After one that failed, the one before it still stands."""
    before: Experiment | None = None
    for update in reversed(updates(history)):
        after, _ = try_load(update.source(source))  # an update that failed may have a config that cannot be used
        what = tuple(_changes(before, after)) if before else ()
        if before is None and len(history) < UPDATES:
            what = (f"first deployment: {_split(after)}",)
        if what:
            yield PastMove(time=update.started, result=update.result, what=what, message=update.message)
        if update.succeeded:
            before = after


def _split(experiment: Experiment) -> str:
    return str(RoutingTable.from_experiment(experiment).split.action)


def _changes(before: Experiment, after: Experiment) -> Iterator[str]:
    """What is forwarded to otherwise, by route, and what is held."""
    was, now = (
        {title(route): route.action for route in RoutingTable.from_experiment(side).routes} for side in (before, after)
    )
    for name in [*now, *(name for name in was if name not in now)]:
        old, new = was.get(name), now.get(name)
        if (old.shares if old else {}) != (new.shares if new else {}):
            yield f"{name}: {with_points(new, old) if old and new else new or 'gone'}"
    if before.held != after.held:
        yield f"held: {' and '.join(after.held) or 'nothing'}"
