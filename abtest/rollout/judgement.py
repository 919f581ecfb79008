"""Whether an update of traffic may be made: pure.

The deployed table is compared with the wanted table over the requests themselves (abtest/rollout/exposure.py), and each
limit holds for each kind of request. A limit is the stricter one of the deployed listener, which has its own in a tag,
and of the new config: so an update that loosens a limit is still judged by it, and to loosen takes an update by itself.
The same holds for the control, whose gains have no limit: it is the deployed one, and another variant becomes it only
with half of the deployed main split.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from abtest.command import command
from abtest.experiment import Experiment
from abtest.experiment.types import Guardrails
from abtest.rollout.alarms import Alarm
from abtest.rollout.exposure import Gain
from abtest.rollout.live import Live
from abtest.routing import RoutingTable, percent

__all__ = [
    "ELSEWHERE",
    "Standing",
    "loosened",
    "problems",
    "rails_of",
    "replaced",
    "taken",
    "unannounced",
    "unchecked",
    "unmovable",
]

HALF = Fraction(1, 2)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is deployed: the shares of the main split, the variants that some rule forwards to, and what the listener's
    tags say of them and of the guardrails.

    ``healthy`` counts the healthy targets of a variant in ``known``, ``alarms`` reads the alarms of those variants.
    ``stack`` is the stack's name.
    """

    split: Mapping[str, Fraction]
    known: Collection[str]
    held: Collection[str]
    control: str | None
    rails: Guardrails | None
    healthy: Callable[[str], int]
    alarms: Callable[[], Collection[Alarm]]
    stack: str


def rails_of(experiment: Experiment, deployed: Guardrails | None) -> Guardrails | None:
    """The limits that an update has to keep: the stricter of the deployed ones and the new ones."""
    rails = experiment.guardrails
    return deployed if rails is None else rails.with_stricter(deployed)


def problems(experiment: Experiment, standing: Standing, found: Iterable[Gain]) -> Iterator[str]:
    """Every guardrail that these gains break: requests, from and to, the limit, the remedy. Without guardrails, only
    what would send requests to a service before it has a task.
    """
    rails, by_variant = rails_of(experiment, standing.rails), _by_variant(found)
    if rails is None or not rails.require_healthy:
        yield from _unstarted(by_variant, experiment, standing.known)
    if rails is None:
        return
    broken = [*_new_control(experiment, standing), *_broken(by_variant, experiment, standing, rails)]
    yield from broken
    if broken and rails != experiment.guardrails:
        looser = loosened(rails, experiment.guardrails)
        values = [f"{key} {was} → {now}" for key, (was, now) in looser.items()]
        what = f"loosens the guardrails ({', '.join(values)})" if values else "removes abtest:guardrails"
        yield f"this update also {what}, but the deployed limits hold for it: do that in an update of its own"


def _broken(
    by_variant: Mapping[str, Sequence[Gain]], experiment: Experiment, standing: Standing, rails: Guardrails
) -> Iterator[str]:
    control = _free(experiment.control, standing)
    for name, (first, *more) in by_variant.items():
        gain = next((gain for gain in (first, *more) if gain.points > rails.max_step), first)
        if name in {*experiment.held, *standing.held}:
            yield f"{first}, but {name} is held; {_lift(experiment, name)}"
        elif name != control and gain.points > rails.max_step:
            yield (
                f"{gain}: {float(gain.points):.4g} points of {name} at once; maxStep allows {rails.max_step}: "
                f"go to {percent(gain.before + Fraction(rails.max_step, 100))} first"
                + (_not_free(name, standing) if name == experiment.control else _ramp(gain, standing))
            )
        if rails.require_healthy:
            yield from _unready(first, 1 if name == control else rails.min_healthy, standing)
    # What the control gains is taken back from another, which must work at once.
    judged = {name: first for name, (first, *_) in by_variant.items() if name != control}
    for alarm in standing.alarms() if rails.alarms and judged else ():
        if alarm.state == "ALARM" and alarm.variant in judged:
            yield (
                f"{judged[alarm.variant]}, but the alarm {alarm.name} of {alarm.variant} is in ALARM ({alarm.reason}); "
                "wait until that is over, or fix its cause"
            )


def _by_variant(found: Iterable[Gain]) -> Mapping[str, Sequence[Gain]]:
    by_variant: dict[str, list[Gain]] = {}
    for gain in found:
        by_variant.setdefault(gain.variant, []).append(gain)
    return by_variant


def loosened(was: Guardrails | None, now: Guardrails | None) -> Mapping[str, tuple[str, str]]:
    """The limits of one update that get looser, by key: the old and the new value. Empty if there are none any more."""
    if now is None:
        return {}
    strict, new = (dict(part.split("=") for part in rails.tag.split()) for rails in (now.with_stricter(was), now))
    return {key: (value, new[key]) for key, value in strict.items() if value != new[key]}


def _new_control(experiment: Experiment, standing: Standing) -> Iterator[str]:
    """Why a variant may not become the control: whatever a control gains, it gains at once."""
    name, share = experiment.control, standing.split.get(experiment.control, Fraction(0))
    if standing.control not in {None, name} and share < HALF:
        yield (
            f"abtest:control would change from {standing.control} to {name}, which has {percent(share)} of the "
            f"deployed main split; a control gains share without a limit, so first shift {name} to 50 % or more, then "
            "change abtest:control in a second update"
        )


def _free(control: str, standing: Standing) -> str | None:
    """The control, which may gain all at once: only if it was the control before, so that no update frees itself. A
    listener without the tag does not tell: there it has to have half of the main split.
    """
    if standing.control is None:
        return control if standing.split.get(control, Fraction(0)) >= HALF else None
    return control if standing.control == control else None


def _not_free(control: str, standing: Standing) -> str:
    deployed = standing.control or "not known"
    return f" (abtest:control is {control} here, and {deployed} where it is deployed)"


def _ramp(gain: Gain, standing: Standing) -> str:
    """The command that goes there step by step; a ramp moves the main split only."""
    if not gain.is_of_split:
        return ""
    to = percent(gain.after).removesuffix(" %")
    return f", or step by step: {command(f'ramp {gain.variant} --to {to}', standing.stack)}"


def _lift(experiment: Experiment, name: str) -> str:
    if name in experiment.held:
        return f"take {name} out of abtest:held in an update that leaves its share as it is, then shift"
    return (
        f"the deployed listener holds it (a rollback did that, and this file may be older): leave its share as it is "
        f"in one `pulumi up`, then shift {name}"
    )


def unchecked(found: Iterable[Gain], made: Collection[str]) -> Iterator[str]:
    """Why variants may not gain share by an update that makes their target groups again."""
    for name, (gain, *_) in _by_variant(found).items():
        if name in made:
            yield (
                f"{gain}, but the same update replaces the target group of {name}, and no health check has seen the "
                "new targets; leave its share as it is in this update, then shift"
            )


def _unready(gain: Gain, needed: int, standing: Standing) -> Iterator[str]:
    name = gain.variant
    if name not in standing.known:
        yield _cold(gain)
        return
    healthy = standing.healthy(name)
    if healthy < needed:
        yield (
            f"{gain}, but {name} has {healthy} healthy target{'s' * (healthy != 1)} and needs {needed} (minHealthy); "
            "wait until they pass their health checks, or fix them"
        )


def _cold(gain: Gain) -> str:
    return (
        f"{gain}, but no rule forwards to {gain.variant} yet, so the load balancer does not check its health; warm it "
        f"first: pulumi config set --path 'abtest:weights.{gain.variant}' 0, pulumi up, then shift"
    )


def _unstarted(
    by_variant: Mapping[str, Sequence[Gain]], experiment: Experiment, known: Collection[str]
) -> Iterator[str]:
    """Why services that no rule forwards to yet may not gain share: ECS starts tasks only behind a target group that a
    listener uses (ECS API CreateService), so the first requests would find none.
    """
    for name, (gain, *_) in by_variant.items():
        if name in experiment.services and name not in known:
            yield _cold(gain)


def unmovable(name: str) -> str:
    """Why the target group of a service is not replaced, whatever its share."""
    return (
        f"the target group of {name} would be replaced, but the tasks of its service come to the new one only after "
        "the load balancer has it, and until then requests get 503; add a variant under another name at weight 0, "
        "shift, then take this one out"
    )


def unannounced(experiment: Experiment) -> Iterator[str]:
    """Why the first update on an existing listener may not give variants a share of its live requests: a target is
    health-checked only once a rule forwards to it. On a load balancer of the stack's own there are no clients yet.
    """
    if experiment.listener.arn is None:
        return
    judged = experiment.variants.keys() if experiment.guardrails else experiment.services.keys()
    for route in RoutingTable.from_experiment(experiment).routes:
        names = sorted(name for name, share in route.action.shares.items() if share and name in judged)
        if names and not any(condition.kind in {"header", "query"} for condition in route.conditions):
            where = "abtest:listener.split.when" if route.is_split else f"abtest:rules.{route.name}.when"
            yield (
                f"{route.called} would send live requests of that listener to {' and '.join(names)} at once, and "
                "targets are health-checked only once a rule forwards to them. Take two steps: first let "
                f"{where} require a header or a query that no client sends yet, such as header: "
                "{X-Canary: [yes]}; when the targets are healthy (abtest status), remove that in a second update"
            )


#: AWS lets a target group serve one load balancer (ALB guide, "Quotas").
ELSEWHERE = (
    "the target groups would have to serve two load balancers at once, which AWS refuses "
    "(TargetGroupAssociationLimit); deploy another stack there, move the clients by DNS, then destroy this one"
)


def taken(live: Live, experiment: Experiment) -> Iterator[str]:
    """The priorities that rules of other owners have on an existing listener: AWS would refuse them in the middle."""
    wanted = {route.priority for route in RoutingTable.from_experiment(experiment).routes}
    for route in live.others:
        if route.priority in wanted:
            yield f"priority {route.priority} is taken on that listener by a rule of another owner; take another one"


def replaced(live: Live, name: str) -> Iterator[str]:
    """Why the target group of a variant may not make way for another: the variant has share."""
    routes = [route for route in live.table.routes if route.priority not in live.overrides]
    most = max(routes, key=lambda route: route.action.shares.get(name, 0))
    if share := most.action.shares.get(name):
        yield (
            f"{name} has {percent(share)} of clients on {most.called}, and its target group would be replaced by one "
            "whose targets no health check has seen; add a variant instead, warm it, shift, then remove this one"
        )
