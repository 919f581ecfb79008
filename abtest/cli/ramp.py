"""``abtest ramp``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import click
import msgspec

from abtest.cli.analysis import analysing
from abtest.cli.failure import Failure
from abtest.cli.moves import (
    Interrupts,
    approved,
    commit,
    deployed,
    failing,
    refuse_held,
    refuse_pending,
    stack_option,
    tell,
)
from abtest.cli.rollback import show_rollback
from abtest.command import command
from abtest.experiment import ConfigError
from abtest.rollout.edit import EditError
from abtest.rollout.move import Deployed, MoveError, weights_from
from abtest.rollout.presence import Presence
from abtest.rollout.ramp import Event, Outcome, Ramp, event, resumed
from abtest.rollout.rollback import Rollback, roll_back
from abtest.rollout.schedule import Plan, check_step, schedule, seconds, short, steps
from abtest.rollout.session import AwsError
from abtest.rollout.stack_file import StackFile
from abtest.rollout.watch import look
from abtest.rollout.weights import Share, check_variant, share_of
from abtest.routing import percent, shares_of

__all__ = ["Asked", "ramp", "ramp_options", "run_ramp"]

#: How often a rollback is tried before a person is needed, and the seconds in between.
TRIES, WAIT = 3, 5

#: Seconds between two deliveries of access logs (ALB guide, "Access logs").
DELIVERY = 300


def ramp_options(command: Callable[..., int]) -> Callable[..., int]:
    """The options that a ramp has, however far it goes."""
    for option in (
        stack_option,
        click.option("--step", metavar="POINTS", help="Points a step. Default: 10, or maxStep where that is less."),
        click.option("--bake", default="15m", show_default=True, metavar="TIME", help="How long each step is watched."),
        click.option(
            "--logs",
            multiple=True,
            metavar="PATH|s3://BUCKET[/PREFIX]",
            help="Access logs to judge by (abtest:guardrails.metrics).  [default: the stack's abtest:accessLogs]",
        ),
        click.option("--on-breach", type=click.Choice(["rollback", "pause"]), default="rollback", show_default=True),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        click.option("--json", "as_json", is_flag=True, help="Say what happens as JSON lines."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("variant")
@ramp_options
@click.option("--to", metavar="PERCENT", help="The share of new clients at the end.")
@click.option(
    "--schedule", "listed", metavar="1,5,10,25,50", help="The share at each step, in place of --to and --step."
)
def ramp(variant: str, to: str | None, listed: str | None, **options: str | bool | None) -> int:
    """Raise a variant's share step by step, each of which has to prove itself.

    Each step is a shift, and is then watched for the bake time: the main split as the load balancer has it, healthy
    targets (abtest:guardrails.minHealthy), CloudWatch alarms, and access logs (abtest:guardrails.metrics). On a breach
    all traffic goes back to the control (--on-breach rollback), or the ramp pauses and the traffic stays as it is
    (pause). Ctrl-C pauses or rolls back, as you choose; a second one pauses. However it ended: the same command goes on
    where it stands, and `abtest rollback` takes it back.

    Exit codes: 0 done, 1 an error, 3 a guardrail is broken and the ramp paused, 5 aborted or rolled back.
    """
    if (to is None) == (listed is None):
        raise click.UsageError("give either --to or --schedule")
    if listed is not None and options["step"] is not None:
        raise click.UsageError("--step goes with --to; --schedule names every step")
    return run_ramp(Asked(variant=variant, to=to, listed=listed, **options))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A ramp as the command line has it."""

    variant: str
    to: str | None
    listed: str | None = None
    stack: str
    step: str | None
    bake: str
    logs: tuple[str, ...]
    on_breach: str
    yes: bool
    as_json: bool

    @property
    def last(self) -> Fraction:
        """The share at the end. Raises ValueError."""
        return share_of((self.to or self.listed or "").rpartition(",")[2].strip())

    def plan(self, file: StackFile, start: Mapping[str, int]) -> Plan:
        """The plan from these weights on. Raises ValueError."""
        rails = file.experiment.guardrails
        most = rails.max_step if rails and self.variant != file.experiment.control else 100
        current = shares_of(start).get(self.variant, Fraction(0))
        if self.listed is not None:
            shares = schedule(self.listed, current)
        else:
            step = share_of(self.step) if self.step is not None else Fraction(min(10, most), 100)
            shares = steps(current, share_of(self.to or ""), step)
        check_step(current, shares, most)
        return Plan(variant=self.variant, shares=shares, bake_seconds=seconds(self.bake), start=start)


def run_ramp(asked: Asked) -> int:
    """Preflight, the question, and the ramp."""
    with failing():
        file = StackFile.read(asked.stack)
        check_variant(asked.variant, file.experiment.variants)
        if asked.variant == file.experiment.control and asked.on_breach == "rollback":
            raise ValueError(
                f"{asked.variant} is the control, to which a rollback sends all traffic; pass --on-breach pause"
            )
        stands = deployed(file)
        live = stands.live(file)
        history = stands.engine.history()
        refuse_pending(file, live, history, asked.variant)
        refuse_held(asked.variant, {*file.experiment.held, *live.held}, asked.stack)
        found = resumed(history, lambda start: asked.plan(file, start), file)
        start, display = weights_from(file, live, asked.variant), _Display(as_json=asked.as_json)
        share = shares_of(start).get(asked.variant, Fraction(0))
        if found is None and share == asked.last:
            there = f"{asked.variant} has {percent(share)} of new clients already"
            display.tell(event("done", asked.variant, message=f"nothing to do: {there}"))
            return 0
        plan, first = found or (asked.plan(file, start), 1)
        _refuse_unready(stands, file, asked.variant)
        back = f"rollback, all new clients to {file.experiment.control}"
        with analysing(file, plan, history, asked.logs) as analysis:
            interrupts, presence = Interrupts(), Presence(file.project.folder, file.stack)

            def tell_and_mark(event: Event) -> None:
                display.tell(event)
                presence.mark()

            running = Ramp(stands, file, plan, first, live, tell_and_mark, interrupts, analysis)
            if analysis and plan.bake_seconds < DELIVERY:
                running.say(
                    f"the load balancer delivers logs every {short(DELIVERY)}: a bake of {short(plan.bake_seconds)} "
                    "sees little of its own step in them"
                )
            running.event("start", message=_words(plan, first, back if asked.on_breach == "rollback" else "pause"))
            if not approved("Start?", yes=asked.yes):
                return 5
            with interrupts, presence:
                outcome = running.run()
        display.end()
        return _end(asked, running, outcome, is_final=interrupts.is_final)


def _refuse_unready(stands: Deployed, file: StackFile, variant: str) -> None:
    """What would be a breach at the first look is no state to start from."""
    found = look(stands, file, variant)
    least = file.experiment.least_healthy(variant)
    if found.health.healthy < least:
        raise Failure(f"error: {variant} has {found.health} healthy targets, {least} needed; fix them first", code=3)
    for alarm in found.firing:
        raise Failure(f"error: alarm {alarm.name} is in ALARM ({alarm.reason}); see to it first", code=3)


def _words(plan: Plan, first: int, on_breach: str) -> str:
    now = shares_of(plan.start).get(plan.variant, Fraction(0))
    listed = ", ".join(map(percent, plan.shares))
    resuming = f"; it resumes at step {first}, and its bake starts again" if first > 1 else ""
    return (
        f"ramp {plan.variant} from {percent(now)} of new clients: {listed}, each watched for "
        f"{short(plan.bake_seconds)}; on a breach: {on_breach}{resuming}"
    )


# The end --------------------------------------------------------------------------------------------------------------


def _end(asked: Asked, running: Ramp, outcome: Outcome, *, is_final: bool) -> int:
    """Say how it ended, and roll back where that is due. Returns the exit code."""
    if outcome.ended == "done":
        if running.analysis and not running.is_analysed:
            why = command("report", asked.stack)
            running.say(f"abtest:guardrails.metrics never had data, so no log judged this ramp; {why} says why")
        running.event("done", message=outcome.why)
        if not asked.as_json:
            commit(outcome.file, f"Ramp {asked.variant} to {percent(running.plan.shares[-1])}")
        return 0
    if outcome.ended == "stopped":
        running.event("stopped", message=outcome.why)
        raise MoveError(f"{outcome.why}; the ramp stops and leaves everything as it is")
    if outcome.ended == "interrupted":
        is_control = asked.variant == outcome.file.experiment.control
        back = not is_control and not is_final and sys.stdin.isatty() and _asked_back()
    else:
        # What the guard refuses for another reason than health and alarms says nothing against the variant.
        running.event(outcome.ended, message=outcome.why)
        back = outcome.ended == "breach" and asked.on_breach == "rollback"
    if back:
        _back(asked, running)
        return 5
    why = f"{outcome.why}\n" if outcome.ended == "interrupted" and outcome.why else ""
    again = f"the traffic stays as it is; the same command resumes, {command('rollback', asked.stack)} takes it back"
    running.event("paused", message=f"{why}{again}")
    return 5 if outcome.ended == "interrupted" else 3


def _asked_back() -> bool:
    """Whether to roll back after Ctrl-C; another one pauses."""
    try:
        answers = click.Choice(["p", "pause", "r", "rollback"])
        answer = click.prompt("[p]ause or [r]oll back?", type=answers, default="pause", show_choices=False)
    except click.Abort:
        return False
    return answer in {"r", "rollback"}


def _back(asked: Asked, running: Ramp) -> None:
    """Roll back; what fails is tried again, for this is no moment to give up."""
    with Interrupts() as interrupts:
        for left in range(TRIES - 1, -1, -1):
            try:
                file, mended = StackFile.read_expired(asked.stack)
                live = running.deployed.live(file)
                plan = Rollback.of(file.experiment, live, everywhere=False).also(mended)
                file, live = roll_back(running.deployed, file, live, plan, running.say)
                break
            except (MoveError, AwsError, EditError, ConfigError) as error:
                if not left:
                    again = command("rollback", asked.stack)
                    raise MoveError(f"THE ROLLBACK FAILED, run it again ({again}): {error}") from None
                running.say(f"the rollback failed, it is tried again: {error}")
                interrupts.wait(WAIT)
    running.event("rolled back", message=f"the load balancer sends new clients to {live.table.split.action}")
    if not asked.as_json:
        show_rollback(plan, file)


# The display ----------------------------------------------------------------------------------------------------------


@dataclass
class _Display:
    """JSON lines, or a line for each event; on a terminal, looks follow each other on one line."""

    as_json: bool
    _is_open: bool = field(init=False, default=False)

    def tell(self, event: Event) -> None:
        if self.as_json:
            tell(msgspec.json.encode(event).decode())
            return
        is_live = event.kind in {"look", "blind"} and sys.stdout.isatty()
        if is_live:
            line = _line(event)[: shutil.get_terminal_size().columns - 1]  # what wraps is not overwritten
            tell(line, start="\r\x1b[K", end="")
            self._is_open = True
            return
        self.end()
        tell(_line(event))

    def end(self) -> None:
        if self._is_open:
            tell("")
        self._is_open = False


def _line(event: Event) -> str:
    step, share = f"step {event.step}/{event.steps}", event.share or Share()
    if event.kind == "look":
        return ", ".join(
            [
                step,
                f"set {_share(share.set)}",
                f"actual {_share(share.actual)}",
                f"baking {_clock(event.left_seconds)} left",
                f"healthy {event.healthy}/{event.targets}",
                _alarms(event.alarms or {}),
                *([f"analysis {event.analysis}: {event.message}"] if event.analysis else []),
            ]
        )
    if event.kind == "shifting":
        return f"{step}: shifting {event.variant} to {_share(share.set)}"
    if event.kind == "shifted":
        return f"{step}: the load balancer gives {event.variant} {_share(share.actual)}"
    said = {
        "blind": f"{step}, cannot look: ",
        "breach": "breach: ",
        "refused": "refused: ",
        "paused": "paused: ",
        "rolled back": "rolled back: ",
    }
    return f"{said.get(event.kind, '')}{event.message}"


def _share(share: float | None) -> str:
    return percent(Fraction(share or 0).limit_denominator(10**6))


def _clock(left: int | None) -> str:
    minutes, rest = divmod(left or 0, 60)
    return f"{minutes:02}:{rest:02}"


def _alarms(states: Mapping[str, str]) -> str:
    firing = [name for name, state in states.items() if state == "ALARM"]
    return f"ALARM {', '.join(firing)}" if firing else "alarms OK" if states else "no alarms"
