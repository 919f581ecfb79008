"""The guard: holds every update of traffic to abtest:guardrails, from within the engine, by whatever way it comes.

Its hooks run before the engine creates or updates the listener or a rule that forwards, in previews too, and after it
has registered a target. What is deployed is read from AWS at that moment, and compared by the names of rules and
variants in their tags.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

from abtest.experiment import Experiment, Source

if TYPE_CHECKING:
    from pulumi import ResourceHookArgs

    from abtest.rollout.live import Live

__all__ = ["Guard", "GuardError"]

#: How long a new target may take until it is healthy, and how often that is asked.
HEALTHY_SECONDS, ASK_SECONDS = 300, 5


class GuardError(Exception):
    """An update that the guard refuses; the text says which guardrail, and what to do."""


class Guard:
    """The hooks of one run of the program. Without guardrails, or while they are overridden, they let all through.

    What they need is imported when one runs: most runs of the program change no traffic.
    """

    def __init__(self, experiment: Experiment, source: Source) -> None:
        self._experiment, self._source = experiment, source
        self._verdict: asyncio.Task[Live | None] | None = None

    @property
    def is_on(self) -> bool:
        rails = self._experiment.guardrails
        return rails is not None and rails.override is None

    async def before_forward(self, args: ResourceHookArgs) -> None:
        """Before the listener or a rule: the whole update is judged once, so that no half of it is made."""
        if not self.is_on:
            return
        from abtest.rollout.judgement import replaced

        is_first = self._verdict is None
        if self._verdict is None:
            self._verdict = asyncio.create_task(asyncio.to_thread(self._judge, args))
        with _told_alone():
            try:
                live = await self._verdict
            except GuardError:
                if is_first:
                    raise
                raise GuardError("not made either: the guard refuses the update as a whole") from None
            if live is not None:
                _refuse(replaced(live, self._forwards(args.name), _arns(args.new_inputs)))

    def _forwards(self, name: str) -> Collection[str]:
        """The variants that the listener or rule of this name forwards to (see abtest/stack/routing.py)."""
        priority = name.removeprefix("rule-")
        for variant, number in self._experiment.override_priorities.items():
            if priority == str(number):
                return (variant,)
        for rule in self._experiment.rules.values():
            if priority == str(rule.priority):
                return self._experiment.forward_weights(rule)
        return self._experiment.weights

    async def after_attach(self, args: ResourceHookArgs) -> None:
        """After a target is registered: where its group is in use, wait until it is healthy, so that the one that it
        replaces leaves after that.
        """
        if self.is_on and args.new_outputs is not None:
            with _told_alone():
                await asyncio.to_thread(self._wait_until_healthy, args.new_outputs)

    # In a thread of their own, since boto3 waits ----------------------------------------------------------------------

    def _judge(self, args: ResourceHookArgs) -> Live | None:
        """What is deployed, if the update may be made; None on the first deployment, which has nobody to hurt."""
        from abtest.rollout.judgement import Standing, problems
        from abtest.rollout.live import read_live
        from abtest.rollout.session import client

        with client(self._source, "elbv2") as elbv2:
            arn = _listener_arn(elbv2, args)
            if arn is None:
                return None
            live = read_live(elbv2, self._experiment, arn)
            standing = Standing(
                table=live.table,
                known=live.groups,
                held=live.held,
                healthy=lambda name: _healthy(elbv2, live.groups[name]),
            )
            _refuse(problems(self._experiment, standing))
        return live

    def _wait_until_healthy(self, attachment: Mapping[str, Any]) -> None:
        from abtest.rollout.session import client

        group, target = attachment["targetGroupArn"], {"Id": attachment["targetId"]}
        if attachment.get("port"):
            target["Port"] = int(attachment["port"])
        deadline = time.monotonic() + HEALTHY_SECONDS
        with client(self._source, "elbv2") as elbv2:
            ask = partial(elbv2.describe_target_health, TargetGroupArn=group, Targets=[target])
            if not elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"][0]["LoadBalancerArns"]:
                return
            while (health := ask()["TargetHealthDescriptions"][0]["TargetHealth"])["State"] != "healthy":
                if time.monotonic() > deadline:
                    why = health.get("Description") or health["State"]
                    raise GuardError(
                        f"target {target['Id']} is not healthy after {HEALTHY_SECONDS // 60} minutes ({why}); nothing "
                        "that it replaces was taken away. Mend it, and run the update again"
                    )
                time.sleep(ASK_SECONDS)


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
        raise GuardError("the guard refuses this update, nothing of it is made:\n" + "\n".join(f"- {x}" for x in lines))


def _listener_arn(elbv2: Any, args: ResourceHookArgs) -> str | None:
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


def _is_arn(value: object) -> TypeGuard[str]:
    """Whether a value is known: what is still to be made is no text in a preview."""
    return isinstance(value, str) and value.startswith("arn:")


def _arns(inputs: Any) -> frozenset[str]:
    """Every ARN in some inputs."""
    if isinstance(inputs, Mapping):
        return frozenset(arn for value in inputs.values() for arn in _arns(value))
    if isinstance(inputs, list | tuple):
        return frozenset(arn for value in inputs for arn in _arns(value))
    return frozenset({inputs} if _is_arn(inputs) else ())


def _healthy(elbv2: Any, group_arn: str) -> int:
    found = elbv2.describe_target_health(TargetGroupArn=group_arn)["TargetHealthDescriptions"]
    return sum(target["TargetHealth"]["State"] == "healthy" for target in found)
