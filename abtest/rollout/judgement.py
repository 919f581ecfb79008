"""Whether an update of traffic may be made: pure, by routes and variants, in points of share of new clients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from abtest.experiment import Experiment
from abtest.rollout.alarms import Alarm
from abtest.rollout.live import Live
from abtest.routing import Route, RoutingTable, percent
from abtest.routing.inclusion import includes

__all__ = [
    "ELSEWHERE",
    "Gain",
    "Standing",
    "called",
    "cold",
    "gains",
    "problems",
    "replaced",
    "same_route",
    "taken",
    "unchecked",
    "unmovable",
    "unstarted",
]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A variant that gets more of a route's new clients than before."""

    route: str
    variant: str
    before: Fraction
    after: Fraction
    is_split: bool

    @property
    def points(self) -> Fraction:
        return (self.after - self.before) * 100

    def __str__(self) -> str:
        return f"{self.variant} would go from {percent(self.before)} to {percent(self.after)} on {self.route}"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is deployed: the rules, the variants that some rule forwards to, and what the listener's tags say of them.

    ``healthy`` tells how many targets of a variant in ``known`` are healthy, ``alarms`` what looks at those variants.
    ``stack`` is the stack's name.
    """

    table: RoutingTable
    known: Collection[str]
    held: Collection[str]
    control: str | None
    healthy: Callable[[str], int]
    alarms: Callable[[], Collection[Alarm]]
    stack: str


def gains(before: RoutingTable, experiment: Experiment) -> tuple[Gain, ...]:
    """Every gain, by what the requests of a route got before."""
    after = RoutingTable.from_experiment(experiment)
    forced = experiment.override_priorities.values()
    return tuple(
        Gain(route=words, variant=name, before=was.get(name, Fraction(0)), after=share, is_split=route.is_split)
        for route in after.routes
        if route.action.kind == "forward" and route.priority not in forced
        for words, was in [_earlier(before, route)]
        for name, share in route.action.shares.items()
        if share > was.get(name, 0)
    )


def _earlier(before: RoutingTable, route: Route) -> tuple[str, Mapping[str, Fraction]]:
    """How to call a route, and the shares of its past: those of the same route, or where there was none, of the main
    split. Of a route that asks for more now, some requests had the one and some the other: the smaller counts.
    """
    was, split = same_route(before, route), before.split.action.shares
    if was is None:
        return called(route), split
    shares = was.action.shares
    if was.asked == route.asked or includes(was.conditions, route.conditions):
        return called(route), shares
    smaller = {name: min(share, split.get(name, Fraction(0))) for name, share in shares.items()}
    return f"{called(route)}, which asks for more than before", smaller


def same_route(table: RoutingTable, route: Route) -> Route | None:
    """The route of another table that has the name of this one, else the one that asks for the same."""
    if route.is_split:
        return table.split
    named = (other for other in table.routes if route.name is not None and other.name == route.name)
    alike = (other for other in table.routes if other.asked == route.asked)
    return next(named, None) or next(alike, None)


def called(route: Route) -> str:
    """A route within a sentence."""
    return "the main split" if route.is_split else f"rule {route.name}"


def problems(experiment: Experiment, standing: Standing) -> Iterator[str]:
    """Every guardrail that the update would break: variant, route, from and to, the rule broken, what to do. Without
    guardrails, only what would send requests to a service before it has a task.
    """
    rails = experiment.guardrails
    if rails is None or not rails.require_healthy:
        yield from unstarted(standing.table, experiment, standing.known)
    if rails is None:
        return
    found, control = gains(standing.table, experiment), _free(experiment.control, standing)
    for gain in found:
        if gain.variant in {*experiment.held, *standing.held}:
            yield f"{gain}, but it is held; {_lift(experiment, gain.variant)}"
        elif gain.variant != control and gain.points > rails.max_step:
            yield (
                f"{gain}, {float(gain.points):.4g} points at once; maxStep allows {rails.max_step}: "
                f"go to {percent(gain.before + Fraction(rails.max_step, 100))} first"
                + (_not_free(gain.variant, standing) if gain.variant == experiment.control else _ramp(gain, standing))
            )
    first_of_each = _first_of_each(found)
    for gain in first_of_each.values() if rails.require_healthy else ():
        yield from _unready(gain, 1 if gain.variant == control else rails.min_healthy, rails.min_healthy, standing)
    # What the control gains is taken back from another, which must work at once.
    judged = {name: gain for name, gain in first_of_each.items() if name != control}
    for alarm in standing.alarms() if rails.alarms and judged else ():
        if alarm.state == "ALARM" and alarm.variant in judged:
            yield (
                f"{judged[alarm.variant]}, but its alarm {alarm.name} is in ALARM ({alarm.reason}); wait until "
                "that is over, or mend what it tells of"
            )


def _free(control: str, standing: Standing) -> str | None:
    """The control, which may gain all at once: only if it was the control before, so that no update frees itself. A
    listener without the tag does not tell: there it has to have half of the main split.
    """
    if standing.control is None:
        shares = standing.table.split.action.shares
        return control if shares.get(control, Fraction(0)) >= Fraction(1, 2) else None
    return control if standing.control == control else None


def _not_free(control: str, standing: Standing) -> str:
    deployed = standing.control or "not known"
    return f" (abtest:control is {control} here, and {deployed} where it is deployed)"


def _ramp(gain: Gain, standing: Standing) -> str:
    """The command that goes there step by step; a ramp moves the main split only."""
    to = percent(gain.after).removesuffix(" %")
    return f", or step by step: abtest ramp {gain.variant} --to {to} --stack {standing.stack}" if gain.is_split else ""


def _lift(experiment: Experiment, name: str) -> str:
    if name in experiment.held:
        return f"take {name} out of abtest:held in an update that leaves its share as it is, then shift"
    return (
        f"the deployed listener holds it (a rollback did that, and this file may be older): leave its share as it is "
        f"in one `pulumi up`, then shift {name}"
    )


def unchecked(found: Iterable[Gain], made: Collection[str]) -> Iterator[str]:
    """Why variants may not gain share by an update that makes their target groups anew."""
    for gain in found:
        if gain.variant in made:
            yield (
                f"{gain}, but the same update replaces its target group, and nobody has checked the new targets; leave "
                "its share as it is in this update, then shift"
            )


def _unready(gain: Gain, needed: int, min_healthy: int, standing: Standing) -> Iterator[str]:
    name = gain.variant
    if name not in standing.known:
        yield _cold(gain)
        return
    healthy = standing.healthy(name)
    if healthy < needed:
        yield (
            f"{gain}, but it has {healthy} healthy target{'s' * (healthy != 1)} and minHealthy is {min_healthy}; "
            "wait until they pass their health checks, or mend them"
        )


def _first_of_each(found: Iterable[Gain]) -> Mapping[str, Gain]:
    """Variant -> where it gains first."""
    first: dict[str, Gain] = {}
    for gain in found:
        first.setdefault(gain.variant, gain)
    return first


def _cold(gain: Gain) -> str:
    return (
        f"{gain}, but no rule forwards to it yet, so the load balancer does not check its health; warm it first: "
        f"pulumi config set --path 'abtest:weights.{gain.variant}' 0, pulumi up, then shift"
    )


def unstarted(before: RoutingTable, experiment: Experiment, known: Collection[str]) -> Iterator[str]:
    """Why services that no rule forwards to yet may not gain share: ECS starts tasks only behind a target group that a
    listener uses (ECS API CreateService), so the first requests would find none.
    """
    for name, gain in _first_of_each(gains(before, experiment)).items():
        if name in experiment.services and name not in known:
            yield _cold(gain)


def unmovable(name: str) -> str:
    """Why the target group of a service is not replaced, whatever its share."""
    return (
        f"the target group of {name} would be replaced, but the tasks of its service come to the new one only after "
        "the load balancer has it, and until then nobody answers there; add a variant under another name at weight 0, "
        "shift, then take this one out"
    )


def cold(experiment: Experiment) -> Iterator[str]:
    """What the first update on somebody else's listener does to the requests of services. On a load balancer of the
    stack's own nobody sends any before the DNS record, which waits for the tasks.
    """
    for name in experiment.variants if experiment.listener.arn else ():
        if experiment.variants[name].targets.ecs is not None and experiment.state(name) == "live":
            yield (
                f"{name} is a Fargate service, whose tasks start once the listener forwards to it: until they run, its "
                "requests get 503. Let abtest:listener.split.when ask for what nobody sends yet (a header), and take "
                "that out when the tasks are healthy"
            )


#: AWS lets a target group serve one load balancer (ALB guide, "Quotas").
ELSEWHERE = (
    "the target groups would have to serve two load balancers at once, which AWS refuses "
    "(TargetGroupAssociationLimit); deploy another stack there, move the clients by DNS, then destroy this one"
)


def taken(live: Live, experiment: Experiment) -> Iterator[str]:
    """The priorities that are somebody else's on a listener that is shared: AWS would refuse them in the middle."""
    wanted = {route.priority for route in RoutingTable.from_experiment(experiment).routes}
    for route in live.others:
        if route.priority in wanted:
            yield f"priority {route.priority} is taken on that listener by a rule of somebody else; take another one"


def replaced(live: Live, name: str) -> Iterator[str]:
    """Why the target group of a variant may not make way for another: the variant has share."""
    routes = [route for route in live.table.routes if route.priority not in live.overrides]
    most = max(routes, key=lambda route: route.action.shares.get(name, 0))
    if share := most.action.shares.get(name):
        yield (
            f"{name} has {percent(share)} of clients on {called(most)}, and its target group would be replaced by one "
            "whose targets nobody has checked; add a variant instead, warm it, shift, then take this one out"
        )
