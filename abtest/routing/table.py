"""The routing of a listener: rules in their order, and what each does with a request.

Made from an ``Experiment``, or from what ``describe_listeners`` and ``describe_rules`` say of any load balancer.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import takewhile
from typing import Any, Literal, Self

from abtest.experiment import Experiment
from abtest.experiment.types import Redirect, Rule
from abtest.routing.conditions import (
    Condition,
    UnsupportedError,
    conditions_of,
    described_conditions,
    without_port,
)
from abtest.routing.index import Index
from abtest.routing.request import Request

__all__ = ["Action", "Decision", "Rewrite", "Route", "RoutingTable", "percent", "shares_of"]

ActionKind = Literal["forward", "redirect", "respond", "other"]

#: The port of a URL that names none.
_USUAL_PORTS = {"http": 80, "https": 443}


def shares_of(weights: Mapping[str, int]) -> dict[str, Fraction]:
    """Weights as exact shares of their sum; empty where all are 0."""
    total = sum(weights.values())
    return {name: Fraction(weight, total) for name, weight in sorted(weights.items())} if total else {}


@dataclass(frozen=True, kw_only=True)
class Action:
    """What a rule does. ``shares`` are of new clients, by variant, or by target group ARN where there is no variant.

    ``location`` is a redirect's target with AWS's placeholders; ``status`` a redirect's or a fixed response's.
    ``before`` are the types of the actions that come first, such as ``authenticate-oidc``. What somebody else's
    listener does is ``other``: it is not known here.
    """

    kind: ActionKind
    shares: Mapping[str, Fraction] = field(default_factory=dict)
    stickiness_seconds: int = 0
    location: str = ""
    status: int = 0
    body: str = ""
    content_type: str = ""
    before: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "".join(f"{kind}, then " for kind in self.before) + self._last

    @property
    def _last(self) -> str:
        if self.kind == "redirect":
            return f"redirect {self.status} to {self.location}"
        if self.kind == "respond":
            return f"respond {self.status}"
        if self.kind == "other":
            return "what the listener does besides"
        split = ", ".join(f"{name} {percent(share)}" for name, share in self.shares.items())
        return split if any(self.shares.values()) or not split else f"{split} ({_NO_WEIGHT})"


def percent(share: Fraction) -> str:
    """A share as a person reads it: 90 %, 12.5 %, 0.01 %."""
    text = f"{float(share) * 100:.2f}".rstrip("0").rstrip(".")
    return f"{text} %"


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """What a rule changes of a request before the target gets it. Rules look at the request as it came."""

    part: Literal["host", "URL"]
    regex: str
    replacement: str

    def __str__(self) -> str:
        return f"{self.part}: {self.regex} → {self.replacement}"


@dataclass(frozen=True, kw_only=True)
class Route:
    """A rule, or the default action: ``priority`` None. ``name`` is None where it is not known. The main split is the
    default action of a listener of the stack's own, a rule of somebody else's.
    """

    priority: int | None
    name: str | None
    conditions: tuple[Condition, ...]
    action: Action
    is_split: bool = False
    rewrites: tuple[Rewrite, ...] = ()

    @property
    def then(self) -> str:
        """What it does, in words."""
        return "; ".join([str(self.action), *(f"rewrites {rewrite}" for rewrite in self.rewrites)])

    @property
    def more_as_json(self) -> dict[str, Any]:
        """What no stack file asks for, where the rule has it."""
        found = {"before": list(self.action.before), "rewrites": [asdict(rewrite) for rewrite in self.rewrites]}
        return {key: value for key, value in found.items() if value}

    @property
    def label(self) -> str:
        return "default" if self.priority is None else str(self.priority)

    @property
    def title(self) -> str:
        """Its name, or that it is the main split where that is a rule; empty where there is nothing to say."""
        return self.name or ("main split" if self.is_split and self.priority is not None else "")

    @property
    def called(self) -> str:
        """Its name within a sentence."""
        if self.is_split:
            return "the main split"
        return "no rule" if self.priority is None else f"rule {self.name or self.label}"

    @property
    def asked(self) -> frozenset[Hashable]:
        """What it asks for, whatever it is called, and however its conditions are written and ordered."""
        return frozenset(condition.normal for condition in self.conditions)

    def matches(self, request: Request) -> bool:
        """Whether all conditions hold; one on a field that the request leaves unknown does not."""
        return all(condition.matches(request) for condition in self.conditions)

    def __str__(self) -> str:
        if self.priority is None:
            return "the default action"
        return f"rule {self.label} ({self.title})" if self.title else f"rule {self.label}"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What happens to a request."""

    route: Route
    location: str | None
    request: Request = field(repr=False)
    table: RoutingTable = field(repr=False)

    @cached_property
    def trace(self) -> tuple[str, ...]:
        """Why the rule matched, and each one before it did not, in words."""
        earlier = takewhile(lambda route: route is not self.route, self.table.routes)
        rewritten = (
            f"the target sees another {rewrite} (the same one if that does not match)"
            for rewrite in self.route.rewrites
        )
        return (*(_why_not(route, self.request) for route in earlier), _why(self.route), *rewritten)

    @property
    def outcome(self) -> str:
        """What happens to the request, in words; a redirect as the request gets it."""
        action = self.route.action
        return str(replace(action, location=self.location) if self.location else action)

    def as_json(self) -> dict[str, Any]:
        action = self.route.action
        found: dict[str, Any] = {
            "priority": "default" if self.route.priority is None else self.route.priority,
            "rule": self.route.name,
            "action": action.kind,
            "shares": {name: float(share) for name, share in action.shares.items()},
        }
        if self.location is not None:
            found["location"] = self.location
        if action.status:
            found["status"] = action.status
        return {**found, **self.route.more_as_json, "trace": list(self.trace)}


@dataclass(frozen=True, kw_only=True)
class RoutingTable:
    """``routes`` in the order of evaluation, the default action last. ``protocol`` and ``port`` are None if a stack
    file names an existing listener, or rules were saved without theirs.
    """

    routes: tuple[Route, ...]
    protocol: Literal["HTTP", "HTTPS"] | None
    port: int | None

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> Self:
        """The main listener of a stack. An override's token stands as ``<token>``."""
        routes = []
        for variant, priority in experiment.override_priorities.items():
            override = experiment.override
            if override is not None:
                value = f"<token>-{variant}" if override.secret else variant
                condition = Condition("header", (value,), override.header)
                action = Action(kind="forward", shares={variant: Fraction(1)})
                routes.append(Route(priority=priority, name=None, conditions=(condition,), action=action))
        for name, rule in experiment.rules_in_order():
            conditions = conditions_of(rule.when)
            routes.append(
                Route(priority=rule.priority, name=name, conditions=conditions, action=_action(experiment, rule))
            )
        split, where = shares_of(experiment.weights), experiment.listener.split
        routes.append(
            Route(
                priority=where.priority if where else None,
                name=None,
                conditions=conditions_of(where.when) if where else (),
                action=Action(kind="forward", shares=split, stickiness_seconds=experiment.stickiness_seconds),
                is_split=True,
            )
        )
        if where is not None:
            routes.sort(key=lambda route: route.priority or 0)
            routes.append(Route(priority=None, name=None, conditions=(), action=Action(kind="other")))
        listener = experiment.listener
        if listener.arn is not None:
            return cls(routes=tuple(routes), protocol=None, port=None)
        return cls(routes=tuple(routes), protocol=listener.protocol, port=listener.listens_on)

    @classmethod
    def from_described(
        cls,
        listener: Mapping[str, Any],
        rules: Iterable[Mapping[str, Any]],
        variants: Mapping[str, str] | None = None,
        names: Mapping[str, str] | None = None,
        split: str | None = None,
    ) -> Self:
        """A listener and its rules as the API describes them.

        ``variants`` maps target group ARNs to variants, ``names`` rule ARNs to names: both come from tags, which the
        API describes apart. ``split`` is the ARN of the rule that is the main split, if the default action is not.
        Raises UnsupportedError.
        """
        routes = [_described_route(rule, variants or {}, names or {}, split) for rule in rules]
        routes.sort(key=lambda route: (route.priority is None, route.priority or 0))
        return cls(routes=tuple(routes), protocol=listener.get("Protocol"), port=listener.get("Port"))

    @property
    def split(self) -> Route:
        """The main split. Raises ValueError for a listener without one."""
        for route in self.routes:
            if route.is_split:
                return route
        raise ValueError("the listener has no main split")

    def decide(self, request: Request) -> Decision:
        """The first rule all of whose conditions hold. A field that the request leaves unknown is taken as not meeting
        the condition, and the trace says so.
        """
        for n in self._index.find(request):
            if self.routes[n].matches(request):
                route = self.routes[n]
                return Decision(
                    route=route, location=self._location(route.action, request), request=request, table=self
                )
        raise ValueError("the listener has no default action")  # AWS has none without one

    @cached_property
    def _index(self) -> Index:
        return Index([route.conditions for route in self.routes])

    def _location(self, action: Action, request: Request) -> str | None:
        """Where a redirect leads; a part that the request leaves unknown stays a placeholder."""
        if action.kind != "redirect":
            return None
        asked = request.host or "#{host}"
        host, usual_port = without_port(asked), _USUAL_PORTS.get(request.scheme or "")
        known = {
            "protocol": self.protocol.lower() if self.protocol else request.scheme or "#{protocol}",
            "host": host,
            "port": asked[len(host) + 1 :] or str(self.port or usual_port or "#{port}"),
            "path": "#{path}" if request.path is None else request.path.removeprefix("/"),
            "query": "#{query}" if request.query is None else request.query,
        }
        return re.sub(r"#\{(\w+)\}", lambda m: known.get(m[1], m[0]), action.location).removesuffix("?")


def _why(route: Route) -> str:
    if route.priority is None:
        return "default: no rule matched"
    return f"{route} matches: {' and '.join(map(str, route.conditions))}"


def _why_not(route: Route, request: Request) -> str:
    missed = next(condition for condition in route.conditions if not condition.matches(request))
    if missed.matches(request) is None:
        return f"{route} asks for {missed}, and the {missed.field} is not known; taken as no match"
    return f"{route} asks for {missed}; the request has {missed.seen(request)}"


def _action(experiment: Experiment, rule: Rule) -> Action:
    if rule.redirect is not None:
        return Action(kind="redirect", location=_target(rule.redirect), status=rule.redirect.status)
    if rule.respond is not None:
        answer = rule.respond
        return Action(kind="respond", status=answer.status, body=answer.body, content_type=answer.content_type)
    weights = experiment.forward_weights(rule)
    return Action(kind="forward", shares=shares_of(weights), stickiness_seconds=experiment.stickiness_of(rule))


def _target(redirect: Redirect) -> str:
    return _url(redirect.protocol, redirect.host, redirect.port, redirect.path, redirect.query)


def _url(protocol: str | None, host: str | None, port: object, path: str | None, query: str | None) -> str:
    """A redirect's target. AWS keeps what is left out (API RedirectActionConfig)."""
    kept = "#{query}" if query is None else query
    shown = f"?{kept}" if kept else ""
    scheme = (protocol or "#{protocol}").lower() if protocol != "#{protocol}" else protocol
    return f"{scheme}://{host or '#{host}'}:{port or '#{port}'}{path or '/#{path}'}{shown}"


#: AWS documents nothing of a forward whose target groups all have weight 0.
_NO_WEIGHT = "all weights are 0: AWS does not document what it does then"


def _described_route(
    rule: Mapping[str, Any], variants: Mapping[str, str], names: Mapping[str, str], split: str | None
) -> Route:
    is_default = rule.get("IsDefault") or rule["Priority"] == "default"
    try:
        return Route(
            priority=None if is_default else int(rule["Priority"]),
            name=names.get(rule.get("RuleArn", "")),
            conditions=described_conditions(rule.get("Conditions", [])),
            action=_described_action(rule["Actions"], variants),
            is_split=is_default if split is None else rule["RuleArn"] == split,
            rewrites=tuple(_rewrites(rule.get("Transforms") or ())),
        )
    except UnsupportedError as error:
        called = "the default action" if is_default else f"rule {rule['Priority']}"
        raise UnsupportedError(f"{called} {error}, which abtest does not know") from None


def _rewrites(transforms: Iterable[Mapping[str, Any]]) -> Iterator[Rewrite]:
    kinds: Mapping[str, tuple[Literal["host", "URL"], str]] = {
        "host-header-rewrite": ("host", "HostHeaderRewriteConfig"),
        "url-rewrite": ("URL", "UrlRewriteConfig"),
    }
    for transform in transforms:
        if transform["Type"] not in kinds:
            raise UnsupportedError(f"has the transform {transform['Type']}")
        part, key = kinds[transform["Type"]]
        for rewrite in transform[key]["Rewrites"]:
            yield Rewrite(part=part, regex=rewrite["Regex"], replacement=rewrite["Replace"])


def _described_action(actions: Sequence[Mapping[str, Any]], variants: Mapping[str, str]) -> Action:
    *first, last = sorted(actions, key=lambda action: action.get("Order", 0))
    before = tuple(action["Type"] for action in first)
    if last["Type"] == "redirect":
        to = last["RedirectConfig"]
        location = _url(to.get("Protocol"), to.get("Host"), to.get("Port"), to.get("Path"), to.get("Query"))
        status = int(to["StatusCode"].removeprefix("HTTP_"))
        return Action(kind="redirect", location=location, status=status, before=before)
    if last["Type"] == "fixed-response":
        answer = last["FixedResponseConfig"]
        return Action(
            kind="respond",
            status=int(answer["StatusCode"]),
            body=answer.get("MessageBody") or "",
            content_type=answer.get("ContentType") or "",
            before=before,
        )
    if last["Type"] != "forward":
        raise UnsupportedError(f"ends with the action {last['Type']}")
    config = last.get("ForwardConfig") or {"TargetGroups": [{"TargetGroupArn": last["TargetGroupArn"], "Weight": 1}]}
    weights: dict[str, int] = {}
    for group in config["TargetGroups"]:
        name = variants.get(group["TargetGroupArn"], group["TargetGroupArn"])
        weights[name] = weights.get(name, 0) + group.get("Weight", 1)
    stickiness = config.get("TargetGroupStickinessConfig") or {}
    return Action(
        kind="forward",
        shares=shares_of(weights) or dict.fromkeys(sorted(weights), Fraction(0)),
        stickiness_seconds=stickiness.get("DurationSeconds", 0) if stickiness.get("Enabled") else 0,
        before=before,
    )
