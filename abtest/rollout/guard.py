"""The guard: holds every update of traffic to abtest:guardrails, from within the engine, by whatever way it comes.

Its hooks run before the engine creates a target group, and before it creates or updates the listener or a rule, in
previews too; and after it has registered a target. The deployed state is read from AWS at that moment, and judged by
abtest/rollout/judgement.py. No hook runs before the engine deletes a rule: the listener, or the rule that is the main
split, has the number of rules in a tag, so that an update that only deletes rules is an update of it.

The hooks are registered without abtest:guardrails too, since the deployed ones hold for the update that removes them.
While the guardrails are suspended, a hook only compares the end of the suspension with AWS's clock.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

import pulumi

from abtest.experiment import Experiment, Source, try_load

if TYPE_CHECKING:
    from abtest.rollout.alarms import Alarm
    from abtest.rollout.engine import Engine
    from abtest.rollout.exposure import Gain
    from abtest.rollout.live import Live
    from abtest.routing import RoutingTable

__all__ = ["Guard", "GuardError"]

#: How long a new target may take until it is healthy, unless its grace period is longer, and how often that is asked.
HEALTHY_SECONDS, ASK_SECONDS = 300, 5

#: How long the first instances of an Auto Scaling group may take until they are in service.
IN_SERVICE_SECONDS = 600

#: How many updates are looked through for one that gave a variant clients.
UPDATES = 100


class GuardError(Exception):
    """An update that the guard refuses; the text says which guardrail, and what to do."""


class Guard:
    """The hooks of one run of the program. What they need is imported when one runs: most runs change no traffic."""

    def __init__(self, experiment: Experiment, source: Source) -> None:
        self._experiment, self._source = experiment, source
        rails = experiment.guardrails
        self._suspension = rails.suspend if rails is not None else None
        self._verdict: asyncio.Task[tuple[Gain, ...]] | None = None
        self._made: set[str] = set()

    async def before_group(self, args: pulumi.ResourceHookArgs) -> None:
        """Before a target group: it may take the place of one that has clients. The listener would come too late, since
        the new group would exist by then.
        """
        variant = args.name.removeprefix("abtest-")  # as abtest/stack/variant.py names it
        self._made.add(variant)
        if self._suspension is None:
            with _told_alone():
                await asyncio.to_thread(self._refuse_replacement, variant)

    async def before_forward(self, args: pulumi.ResourceHookArgs) -> None:
        """Before the listener or a rule: the whole update is judged once, so that no half of it is made."""
        is_first = self._verdict is None
        if self._verdict is None:
            self._verdict = asyncio.create_task(asyncio.to_thread(self._judge, args))
        with _told_alone():
            try:
                found = await self._verdict
            except GuardError:
                if is_first:
                    raise
                raise GuardError("not made either: the guard refuses the update as a whole") from None
            self._refuse_unchecked(found)

    async def after_attach(self, args: pulumi.ResourceHookArgs) -> None:
        """After a target is registered, or an Auto Scaling group is made: wait until the group's instances are in
        service; and where the target group is in use, until what was registered is healthy, so that what it replaces
        leaves after that. When that fails, the next update finds it registered, and does not ask.
        """
        if args.new_outputs is not None:
            with _told_alone():
                if "targetGroupArns" in args.new_outputs:
                    await asyncio.to_thread(self._wait_until_in_service, args.new_outputs)
                if self._suspension is None:
                    await asyncio.to_thread(self._wait_until_healthy, args.new_outputs)

    async def after_detach(self, args: pulumi.ResourceHookArgs) -> None:
        """After a launched instance is deregistered, which is all that the provider does
        (hashicorp/terraform-provider-aws internal/service/elbv2/target_group_attachment.go): leave it running until its
        requests in flight have ended. AWS does not tell when that is: it reports the target as draining for the whole
        delay (ALB guide, "Deregistration delay").
        """
        target = args.old_outputs or {}
        name = target["targetId"]
        with _told_alone():
            try:
                seconds = await asyncio.to_thread(self._drain_seconds, target["targetGroupArn"])
            except GuardError as error:
                raise GuardError(
                    f"{name} is deregistered, but for how long it may have requests in flight is unknown, so it is "
                    f"left running. The next update terminates it without a wait: {error}"
                ) from error
            if seconds:
                pulumi.log.info(f"waiting {seconds} s for requests in flight to {name} (deregistrationDelaySeconds)")
                await asyncio.sleep(seconds)

    def _refuse_unchecked(self, found: Iterable[Gain]) -> None:
        """Checked by each hook again: the groups that something forwards to are made before it, others maybe later."""
        from abtest.rollout.judgement import unchecked

        _refuse(unchecked(found, self._made))

    # In a thread of their own, since boto3 waits ----------------------------------------------------------------------

    def _refuse_replacement(self, variant: str) -> None:
        from abtest.rollout.judgement import rails_of, replaced, unmovable
        from abtest.rollout.live import main_listener

        outputs = self._outputs(f"whether another group of {variant} makes way for this one")
        deployed = outputs.get("target_group_arns", {}).get(variant)
        if deployed is None:
            return
        existing = outputs.get("listener_arn") if self._experiment.listener.arn else None
        with self._client("elbv2") as elbv2:
            balancers = _balancers(elbv2, deployed)
            if balancers is not None and variant in self._experiment.services:
                _refuse([unmovable(variant)])
            for balancer in balancers or ():
                if listener := existing or main_listener(elbv2, balancer):
                    live = self._live(elbv2, listener)
                    if rails_of(self._experiment, live.rails):
                        _refuse(replaced(live, variant))

    def _judge(self, args: pulumi.ResourceHookArgs) -> tuple[Gain, ...]:
        """What variants gain by this update, if it may be made."""
        from abtest.rollout.exposure import gains, without_rules
        from abtest.rollout.judgement import Standing, problems, rails_of, unannounced
        from abtest.rollout.live import health_of
        from abtest.routing import RoutingTable, shares_of

        experiment = self._experiment
        if self._suspension is not None:
            self._check_suspension(self._suspension.until)
            return ()
        with self._client("elbv2") as elbv2:
            live = self._serving(elbv2, args)
            if live is None:
                _refuse(unannounced(experiment))
                return ()
            wanted = without_rules(RoutingTable.from_experiment(experiment), experiment.override_priorities.values())
            host = experiment.dns.name if experiment.dns else None
            found = gains(without_rules(live.whole, live.overrides), live.with_others(wanted), host)
            standing = Standing(
                split=shares_of(live.weights),
                known=live.groups,
                held=live.held,
                control=live.control,
                rails=live.rails,
                healthy=lambda name: health_of(elbv2, live.groups[name]).healthy,
                alarms=lambda: self._alarms(live),
                stack=self._source.stack,
            )
            _refuse(problems(experiment, standing, found))
        if rails_of(experiment, live.rails) is None:
            return ()
        for warning in self._undrained(live.table):
            pulumi.log.warn(warning)
        return found

    def _check_suspension(self, until: str) -> None:
        """The config was checked by the clock of this machine, which may be wrong. If AWS does not answer, that has to
        do: the suspension is for emergencies.
        """
        from abtest.experiment.checks.guardrails import suspension_problem
        from abtest.rollout.session import AwsError, aws_time, client

        try:
            with client(self._source, "elbv2") as elbv2:
                now = aws_time(elbv2.describe_load_balancers(PageSize=1))
        except AwsError as error:
            pulumi.log.warn(f"abtest:guardrails.suspend.until was not compared with AWS's clock: {error}")
            return
        if now is not None and (problem := suspension_problem(until, now)):
            raise GuardError(f"abtest:guardrails.suspend.until: by AWS's clock {problem}")

    def _serving(self, elbv2: Any, args: pulumi.ResourceHookArgs) -> Live | None:
        """The deployed rules that this update changes. They may be on another listener of the same load balancer; None
        if none are deployed.
        """
        from abtest.rollout.judgement import ELSEWHERE, taken

        arn, here = _listener_arn(elbv2, args), None
        if arn is not None:
            here = self._live(elbv2, arn)
            _refuse(taken(here, self._experiment))
            if here.is_begun:
                return here
        outputs = self._outputs("what is deployed")
        if "load_balancer_arn" not in outputs:
            return None
        if outputs["load_balancer_arn"] != _load_balancer_arn(args, arn):
            _refuse([ELSEWHERE])
        before = outputs.get("listener_arn")
        if here is None or before in {None, arn}:  # it was deleted outside of this program
            return None
        there = self._live(elbv2, before)
        # Another listener has other clients, which no variant answers yet; of its own, the old clients follow to it.
        moved = replace(there, table=here.table, others=here.others) if self._experiment.listener.arn else there
        return moved if there.is_begun else None

    def _live(self, elbv2: Any, listener_arn: str) -> Live:
        from abtest.rollout.live import read_live

        return read_live(elbv2, self._experiment, listener_arn, self._source.full_name)

    def _alarms(self, live: Live) -> Collection[Alarm]:
        from abtest.rollout.alarms import alarms_of

        with self._client("cloudwatch") as cloudwatch:
            return alarms_of(cloudwatch, live.groups, None)

    def _undrained(self, deployed: RoutingTable) -> Iterator[str]:
        """Warnings of variants that are taken out while clients may be stuck to them."""
        from abtest.rollout.drain import leaving, stuck_until
        from abtest.rollout.engine import EngineError

        now = datetime.now(UTC)
        for found in leaving(deployed, self._experiment):
            try:
                until = stuck_until(found, now, self._history())
            except EngineError as error:
                yield f"{found}; whether clients are stuck to it there is not known: {error}"
                continue
            if until > now:
                yield (
                    f"{found}, where clients may be stuck to it until {until:%Y-%m-%d %H:%M} UTC: they are reassigned "
                    f"at once. To let them stay, keep {found.variant} in it at weight 0 until then"
                )

    def _history(self) -> Iterator[tuple[datetime, RoutingTable]]:
        """When each update that succeeded ended, the newest first, and the routes that it made."""
        from abtest.routing import RoutingTable

        for update in self._engine().history(UPDATES):
            if update.succeeded and update.ended is not None:
                yield update.ended, RoutingTable.from_experiment(try_load(update.source(self._source))[0])

    def _wait_until_in_service(self, made: Mapping[str, Any]) -> None:
        """An instance that AWS cannot start ends the wait at once, as with the provider."""
        name, wanted = made["name"], int(made["minSize"])
        deadline = time.monotonic() + IN_SERVICE_SECONDS
        with self._client("autoscaling") as autoscaling:
            while (count := _in_service(autoscaling, name)) < wanted:
                activities = autoscaling.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
                failed = next((each for each in activities if each["StatusCode"] == "Failed"), None)
                if failed is not None or time.monotonic() > deadline:
                    reason = failed["StatusMessage"] if failed else f"{IN_SERVICE_SECONDS // 60} minutes have passed"
                    raise GuardError(
                        f"the Auto Scaling group {name} has {count} of {wanted} instances in service: {reason}. The "
                        "next update does not wait for it again: fix it first"
                    )
                time.sleep(ASK_SECONDS)

    def _wait_until_healthy(self, made: Mapping[str, Any]) -> None:
        if not self._is_guarded:
            return
        group = made["targetGroupArn"] if "targetGroupArn" in made else made["targetGroupArns"][0]
        seconds = max(HEALTHY_SECONDS, int(made.get("healthCheckGracePeriod", 0)))
        deadline = time.monotonic() + seconds
        with self._client("elbv2") as elbv2:
            if not _balancers(elbv2, group):
                return
            while waiting := self._unready(elbv2, group, made):
                if time.monotonic() > deadline:
                    raise GuardError(
                        f"after {seconds // 60} minutes {waiting[0]}; nothing that it replaces was taken away yet. The "
                        "next update does that without waiting again: fix it first"
                    )
                time.sleep(ASK_SECONDS)

    def _drain_seconds(self, group_arn: str) -> int:
        """The delay of a target group; 0 once its load balancer has no listener, as when the stack is destroyed."""
        balancer = self._outputs("whether requests are in flight").get("load_balancer_arn")
        with self._client("elbv2") as elbv2:
            if balancer is None or not _listens(elbv2, balancer):
                return 0
            attributes = elbv2.describe_target_group_attributes(TargetGroupArn=group_arn)["Attributes"]
            return next(int(a["Value"]) for a in attributes if a["Key"] == "deregistration_delay.timeout_seconds")

    @cached_property
    def _is_guarded(self) -> bool:
        """Whether there are guardrails in the config, or deployed ones that this update removes."""
        if self._experiment.guardrails is not None:
            return True
        listener = self._outputs("whether guardrails are deployed").get("listener_arn")
        if listener is None:
            return False
        with self._client("elbv2") as elbv2:
            return self._live(elbv2, listener).rails is not None

    def _unready(self, elbv2: Any, group: str, made: Mapping[str, Any]) -> list[str]:
        """What is not healthy yet, asked again each time: AWS may replace an instance of an Auto Scaling group."""
        from abtest.rollout.live import is_healthy

        targets = self._targets(made)
        if not targets:
            return ["the Auto Scaling group has no instance"]
        found = elbv2.describe_target_health(TargetGroupArn=group, Targets=targets)["TargetHealthDescriptions"]
        return [
            f"target {each['Target']['Id']} is not healthy ({health.get('Description') or health['State']})"
            for each in found
            if not is_healthy(health := each["TargetHealth"])
        ]

    def _targets(self, made: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What an attachment registered, or an Auto Scaling group."""
        if "targetId" in made:
            port = {"Port": int(made["port"])} if made.get("port") else {}
            zone = {"AvailabilityZone": made["availabilityZone"]} if made.get("availabilityZone") else {}
            return [{"Id": made["targetId"], **port, **zone}]
        with self._client("autoscaling") as autoscaling:
            return [{"Id": each["InstanceId"]} for each in _instances(autoscaling, made["name"])]

    # Who is asked -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _client(self, service: str) -> Iterator[Any]:
        from abtest.rollout.session import AwsError, client

        try:
            with client(self._source, service) as made:
                yield made
        except AwsError as error:
            raise GuardError(f"the guard cannot read the deployed state, so the update is blocked: {error}") from error

    def _outputs(self, what: str) -> Mapping[str, Any]:
        """The stack's exports; ``what`` the guard could not tell without them."""
        from abtest.rollout.engine import EngineError

        try:
            return self._exports
        except EngineError as error:
            raise GuardError(f"the guard cannot tell {what}: {error}") from error

    @cached_property
    def _exports(self) -> Mapping[str, Any]:
        """Asked once: they are those of the last update for as long as this one runs."""
        return self._engine().outputs()

    def _engine(self) -> Engine:
        """The stack that is being updated, by its full name: the user's own organization need not be its."""
        from abtest.rollout.engine import PulumiEngine

        name = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        return PulumiEngine(self._source.project.folder, name)


@contextmanager
def _told_alone() -> Iterator[None]:
    """When a hook fails, the engine interrupts the program; Python would then print where it was at that moment."""
    try:
        yield
    except Exception:
        signal.signal(signal.SIGINT, lambda *_: os._exit(1))
        raise


def _refuse(found: Iterable[str]) -> None:
    lines = list(found)
    if lines:
        raise GuardError(
            "the guard refuses this update, traffic stays as it is:\n" + "\n".join(f"- {x}" for x in lines)
        )


def _listener_arn(elbv2: Any, args: pulumi.ResourceHookArgs) -> str | None:
    """The listener that serves the clients of today; None where there is none yet.

    A listener that is created may take the place of one on another port.
    """
    from abtest.rollout.live import main_listener

    new, old = args.new_inputs or {}, args.old_outputs or {}
    if args.type.endswith(":Listener"):
        balancer = new.get("loadBalancerArn")
        return old.get("arn") or (main_listener(elbv2, balancer) if _is_arn(balancer) else None)
    arn = old.get("listenerArn") or new.get("listenerArn")
    return arn if _is_arn(arn) else None


def _load_balancer_arn(args: pulumi.ResourceHookArgs, listener_arn: str | None) -> str | None:
    """The load balancer that the update is about; None where it is still to be made."""
    if listener_arn is not None:
        return listener_arn.rpartition("/")[0].replace(":listener/", ":loadbalancer/")
    arn = (args.new_inputs or {}).get("loadBalancerArn")
    return arn if _is_arn(arn) else None


def _is_arn(value: object) -> TypeGuard[str]:
    """Whether a value is known: what is still to be made is no text in a preview."""
    return isinstance(value, str) and value.startswith("arn:")


def _listens(elbv2: Any, balancer_arn: str) -> bool:
    """Whether a load balancer has a listener."""
    try:
        return bool(elbv2.describe_listeners(LoadBalancerArn=balancer_arn)["Listeners"])
    except elbv2.exceptions.LoadBalancerNotFoundException:
        return False


def _in_service(autoscaling: Any, name: str) -> int:
    """The number of instances of an Auto Scaling group that are in service."""
    return sum(instance["LifecycleState"] == "InService" for instance in _instances(autoscaling, name))


def _instances(autoscaling: Any, name: str) -> list[dict[str, Any]]:
    """The instances of an Auto Scaling group."""
    groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    return [instance for group in groups for instance in group["Instances"]]


def _balancers(elbv2: Any, group_arn: str) -> Collection[str] | None:
    """The load balancers that forward to a target group; None where the group is gone."""
    pages = elbv2.get_paginator("describe_target_groups").paginate()
    groups = (group for page in pages for group in page["TargetGroups"] if group["TargetGroupArn"] == group_arn)
    found = next(groups, None)
    return None if found is None else list(found["LoadBalancerArns"])
