"""A ramp: traffic goes to a variant step by step, and each step has to prove itself before the next one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Literal, NamedTuple, Protocol

from msgspec import Struct

from abtest.command import command
from abtest.experiment import try_load
from abtest.rollout.engine import Update, newest
from abtest.rollout.live import Live
from abtest.rollout.move import Deployed, MoveError, MoveRefusedError, move
from abtest.rollout.schedule import Plan
from abtest.rollout.session import AwsError
from abtest.rollout.stack_file import StackFile
from abtest.rollout.watch import Look, look
from abtest.rollout.weights import Share, weights_for
from abtest.routing import percent, shares_of

__all__ = ["Analysis", "Event", "Interruptions", "Outcome", "Ramp", "Verdict", "event", "resumed"]

#: A single look that finds too few healthy targets may be one that came at a bad moment; two in a row are no accident.
UNHEALTHY_LOOKS = 2

#: How often it is tried to see why the guard refused a step.
LOOKS_AFTER_REFUSAL = 5

#: How long AWS may not answer until the ramp stops: what nobody can watch may not go on.
BLIND_SECONDS = 300


class Verdict(NamedTuple):
    """What an analysis of the traffic says. ``no data`` is never a breach: thin traffic proves nothing."""

    says: Literal["pass", "fail", "no data"]
    why: str


#: Asked at each look of a bake.
Analysis = Callable[[], Verdict]


class Event(Struct, frozen=True, kw_only=True, rename="camel"):
    """What happens in a ramp, a JSON line each; what does not apply is null.

    ``alarms`` maps the names of the variant's and the load balancer's alarms to their states.
    """

    time: str
    kind: Literal[
        "start",
        "note",
        "shifting",
        "shifted",
        "look",
        "blind",
        "breach",
        "refused",
        "rolled back",
        "paused",
        "stopped",
        "done",
    ]
    variant: str
    step: int = 0
    steps: int = 0
    share: Share | None = None
    left_seconds: int | None = None
    healthy: int | None = None
    targets: int | None = None
    alarms: Mapping[str, str] | None = None
    analysis: Literal["pass", "fail", "no data"] | None = None
    message: str = ""


def event(kind: str, variant: str, **more: object) -> Event:
    """One that happens now."""
    return Event(time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", kind=kind, variant=variant, **more)  # type: ignore[arg-type]


class Outcome(NamedTuple):
    """How a ramp ended, and why. ``file`` is the stack file as the ramp left it."""

    ended: Literal["done", "breach", "refused", "interrupted", "stopped"]
    why: str
    file: StackFile


class Interruptions(Protocol):
    """Waiting that a person may end."""

    @property
    def is_interrupted(self) -> bool: ...

    def wait(self, seconds: float) -> None:
        """Returns early when somebody interrupts."""


def resumed(
    history: Sequence[Update], wanted: Callable[[Mapping[str, int]], Plan], file: StackFile
) -> tuple[Plan, int] | None:
    """The plan that the newest update was a part of, and the step to begin with; None if that was something else.

    ``wanted`` is the plan that is asked for, from the weights before the ramp; it may raise ValueError. Raises
    MoveError where the stack file has weights that the ramp did not write.
    """
    last = newest(history)
    found = Plan.read(last.message) if last else None
    plan = _asked(wanted, found[0].start) if found else None
    if not (found and plan and (plan.variant, plan.shares) == (found[0].variant, found[0].shares)):
        return _begun(history, wanted, file)
    now = shares_of(file.experiment.weights)
    for step in range(1, len(plan.shares) + 1):
        if shares_of(weights_at(plan, file, step)) == now:
            return plan, step
    if shares_of(plan.start) == now:
        return plan, 1
    raise MoveError(
        f"a ramp of {plan.variant} stands in the history, and {file.label} has other weights than it wrote; put back "
        f"what it wrote ({command('status', file.stack)}), or deploy the file as it is (pulumi up) and start a new ramp"
    )


def _begun(
    history: Sequence[Update], wanted: Callable[[Mapping[str, int]], Plan], file: StackFile
) -> tuple[Plan, int] | None:
    """The first step, where the stack file has it already and no update does: a backend of files or buckets keeps no
    entry of one that was killed.
    """
    stood = next((update for update in history if update.succeeded), None)
    if stood is None:
        return None
    plan = _asked(wanted, try_load(stood.source(file.source))[0].weights)
    if plan is None or shares_of(weights_at(plan, file, 1)) != shares_of(file.experiment.weights):
        return None
    return plan, 1


def _asked(wanted: Callable[[Mapping[str, int]], Plan], start: Mapping[str, int]) -> Plan | None:
    try:
        return wanted(start)
    except ValueError:
        return None


def weights_at(plan: Plan, file: StackFile, step: int) -> Mapping[str, int]:
    """The main split at a step, counted from 1. The others keep the proportions that they had before the ramp."""
    return weights_for(plan.start, file.experiment.control, plan.variant, plan.shares[step - 1])


@dataclass
class Ramp:
    """One run of a plan, from ``first``, a step counted from 1. ``live`` is what the load balancer does before it.
    ``is_analysed`` is whether the analysis ever had data.
    """

    deployed: Deployed
    file: StackFile
    plan: Plan
    first: int
    live: Live
    tell: Callable[[Event], None]
    interrupts: Interruptions
    analysis: Analysis | None = None
    clock: Callable[[], float] = time.monotonic
    step: int = field(init=False, default=0)
    is_analysed: bool = field(init=False, default=False)
    _unhealthy: int = field(init=False, default=0)

    def run(self) -> Outcome:
        """Raises MoveError for a step that could not be made."""
        for step in range(self.first, len(self.plan.shares) + 1):
            if self.interrupts.is_interrupted:
                return self._end("interrupted", "")
            self.step = step
            outcome = self._shift() or self._bake()
            if outcome is not None:
                return outcome
        return self._end("done", f"{self.plan.variant} has {percent(self.plan.shares[-1])} of new clients")

    def say(self, line: str) -> None:
        self.event("note", message=line)

    def event(self, kind: str, **more: object) -> None:
        self.tell(event(kind, self.plan.variant, step=self.step, steps=len(self.plan.shares), **more))

    def _end(self, ended: Literal["done", "breach", "refused", "interrupted", "stopped"], why: str) -> Outcome:
        return Outcome(ended, why, self.file)

    # A step -----------------------------------------------------------------------------------------------------------

    def _shift(self) -> Outcome | None:
        share = self.plan.shares[self.step - 1]
        after = self.file.edited({("abtest:weights",): weights_at(self.plan, self.file, self.step)})
        self.event("shifting", share=Share(set=float(share)))
        try:
            self.live = move(self.deployed, self.file, after, self.live, self.plan.message(self.step), self.say)
        except MoveRefusedError as error:
            return self._breach_now() or self._end("refused", str(error))
        except MoveError as error:
            if self.interrupts.is_interrupted:
                return self._end("interrupted", str(error))
            raise
        self.file = after
        actual = self.live.table.split.action.shares.get(self.plan.variant, Fraction(0))
        self.event("shifted", share=Share(set=float(share), actual=float(actual)))
        return self._end("interrupted", "") if self.interrupts.is_interrupted else None

    def _breach_now(self) -> Outcome | None:
        """What the guard refuses because of health or alarms that turned bad is a breach like any other."""
        for _ in range(LOOKS_AFTER_REFUSAL):
            try:
                found = look(self.deployed, self.file, self.plan.variant)
            except AwsError as error:
                self.event("blind", message=str(error))
                self.interrupts.wait(5)
            else:
                self._unhealthy = UNHEALTHY_LOOKS
                breach = self._breach(found)
                return self._end("breach", breach) if breach else None
        return None

    def _bake(self) -> Outcome | None:
        """Watch until the bake time is over and the last look was good; time without a look does not count."""
        every = max(1, min(15, self.plan.bake_seconds / 10))
        left, seen = float(self.plan.bake_seconds), self.clock()
        while True:
            started = self.clock()
            try:
                found = look(self.deployed, self.file, self.plan.variant)
            except AwsError as error:
                self.event("blind", left_seconds=round(left), message=str(error))
                if started - seen > BLIND_SECONDS:
                    return self._end("stopped", f"it could not be watched for {BLIND_SECONDS // 60} minutes: {error}")
                self.interrupts.wait(every)
            except MoveError:
                return self._end(
                    "stopped",
                    f"traffic was changed by another update: no rule forwards to {self.plan.variant} any more",
                )
            else:
                outcome = self._judge(found, left)
                if outcome or (left <= 0 and not self._unhealthy):
                    return outcome
                self.interrupts.wait(min(every, left) if left > 0 else every)
                seen = self.clock()
                left -= min(seen - started, 2 * every)  # a process that was stopped did not watch
            if self.interrupts.is_interrupted:
                return self._end("interrupted", "")

    def _judge(self, found: Look, left: float) -> Outcome | None:
        verdict = self.analysis() if self.analysis else None
        self.is_analysed |= verdict is not None and verdict.says != "no data"
        self.event(
            "look",
            share=Share(
                set=float(self.plan.shares[self.step - 1]), actual=float(found.shares.get(self.plan.variant, 0))
            ),
            left_seconds=max(0, round(left)),
            healthy=found.health.healthy,
            targets=found.health.total,
            alarms={alarm.name: alarm.state for alarm in found.alarms},
            analysis=verdict and verdict.says,
            message=verdict.why if verdict else "",
        )
        if not self.file.is_as_written:
            return self._end("stopped", f"{self.file.label} was edited under the ramp")
        if found.shares != shares_of(self.file.experiment.weights):
            split = ", ".join(f"{name} {percent(share)}" for name, share in found.shares.items())
            return self._end("stopped", f"traffic was changed by another update: the load balancer sends {split}")
        breach = self._breach(found) or (verdict.why if verdict and verdict.says == "fail" else "")
        return self._end("breach", breach) if breach else None

    def _breach(self, found: Look) -> str:
        least = self.file.experiment.least_healthy(self.plan.variant)
        self._unhealthy = self._unhealthy + 1 if found.health.healthy < least else 0
        if self._unhealthy >= UNHEALTHY_LOOKS:
            return f"{self.plan.variant} has {found.health} healthy targets, {least} needed"
        return "; ".join(f"alarm {alarm.name} is in ALARM: {alarm.reason}" for alarm in found.firing)
