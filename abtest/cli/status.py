"""``abtest status``."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from abtest.cli.diff import of_base
from abtest.cli.echo import echo
from abtest.cli.failure import Failure
from abtest.cli.git import Base
from abtest.cli.moves import failing, stack_option
from abtest.cli.tables import columns, plain_console
from abtest.cli.watching import check_terminal, watch, watch_option
from abtest.experiment import ConfigError
from abtest.rollout.alarms import Alarm
from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.summary import summary
from abtest.rollout.diff.version import Version
from abtest.rollout.engine import Engine, EngineError, PulumiEngine
from abtest.rollout.stack_file import StackFile
from abtest.rollout.status import UPDATES, Cloud, Status, VariantStatus, status_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["status"]

STYLES = {"Healthy": "green", "Progressing": "cyan", "Paused": "yellow", "OutOfSync": "yellow", "Degraded": "red"}

#: How many past moves the text shows; the JSON has all.
LAST = 5


@click.command()
@stack_option
@click.option("--listener", metavar="ARN", help="The listener, where neither the engine nor its tags find one.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@watch_option
def status(stack: str, listener: str | None, form: str, watch_seconds: float | None) -> int:
    """Show what each variant gets, is and has: weights, health, alarms, moves, differences.

    The first word says how the stack stands. Healthy: the load balancer does what the stack file says. Progressing: a
    step of a ramp bakes, or an update runs. Paused: a ramp was left before its end. RolledBack: what was taken back is
    held, and the control has all new clients. OutOfSync: the load balancer differs from the stack file. Degraded: a
    variant that clients are sent to lacks healthy targets (abtest:guardrails.minHealthy), or one of its alarms or of
    the load balancer's is in ALARM.

    Past moves and a ramp are in the engine's history: without the Pulumi CLI they are left out.

    Exit codes: 0 fine, 1 an error, 2 the load balancer differs from the stack file, 3 Degraded.
    """
    if watch_seconds is not None:
        check_terminal(form)
        return _code(watch(lambda: _read(stack, listener), _shown, watch_seconds))
    found = _read(stack, listener)
    if form == "json":
        echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        console = plain_console()
        for part in _shown(found):
            console.print(part, soft_wrap=True)
    return _code(found)


def _code(found: Status) -> int:
    return 3 if found.status == "Degraded" else 2 if found.drift else 0


# Reading --------------------------------------------------------------------------------------------------------------


def _read(stack: str, listener: str | None) -> Status:
    """Ask the engine, AWS and git. Raises Failure."""
    with failing():
        file = StackFile.read(stack)
        engine = _engine(file)
        outputs = engine.outputs() if engine else {}
        if engine and "listener_arn" not in outputs:
            raise EngineError(f"the stack {file.stack} is not deployed; deploy it: pulumi up --stack {file.stack}")
        arn, groups = listener or outputs.get("listener_arn"), outputs.get("target_group_arns", {})
        cloud = Cloud.read(file.source, file.experiment, arn, groups)
        history = engine.history(UPDATES) if engine else None
    uncommitted, *notes = _git(file)
    if engine is None:
        notes.append("no past moves and no ramp: these are in the engine's history, and the Pulumi CLI is not on PATH")
    return status_of(file.source, file.experiment, cloud, history, uncommitted, notes, datetime.now(UTC))


def _engine(file: StackFile) -> Engine | None:
    return PulumiEngine(file.project.folder, file.stack) if shutil.which("pulumi") else None


def _git(file: StackFile) -> tuple[str, ...]:
    """What the stack file changes of what Git has, in words; then a note where that cannot be known."""
    try:
        head = Base.find(file.project.folder, "HEAD")
        before = of_base(head, file.path)
        after = Version.read(file.path, file.project)
    except Failure:
        return "", "not compared with Git: there is no repository, or no commit in it"
    except ConfigError as error:
        return "", f"not compared with Git: {error}"
    effect = compare(before, after)
    if before is None:
        return (f"{file.label} is not in {head.commit}",)
    return (f"since {head.commit}: {summary(effect)}" if effect.is_change else "",)


# Showing --------------------------------------------------------------------------------------------------------------


def _shown(found: Status) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble((found.stack, "bold"), ": ", (found.status, STYLES.get(found.status, "")), f": {found.message}")
    if found.ramp is not None:
        shares = ", ".join(_percent(share).removesuffix(" %") for share in found.ramp.shares)
        step = f"{found.ramp.step}/{len(found.ramp.shares)} ({shares} %)"
        yield Text(f"Ramp of {found.ramp.variant}: step {step}")
    yield Text()
    yield _table(found)
    yield Text()
    yield from _lines(found)
    if found.moves:
        yield _moves(found)
    for note in found.notes:
        yield Text(note, style="dim")
    if found.next:
        yield Text(f"Next: {found.next}")


def _table(found: Status) -> Table:
    numbers = frozenset({"weight", "set", "actual", "healthy"})
    table = columns("variant", "state", "weight", "set", "actual", "healthy", "alarms", right=numbers)
    for each in found.variants:
        alarms = None if found.alarms is None else [a for a in found.alarms if a.variant == each.name]
        table.add_row(
            f"{each.name} (control)" if each.is_control else each.name,
            f"{each.state}, held" if each.held else each.state,
            _weights(each),
            _percent(each.share.set),
            _percent(each.share.actual),
            "-" if each.targets is None else f"{each.healthy}/{each.targets}",
            _counted(alarms),
        )
    return table


def _weights(each: VariantStatus) -> str:
    """The weight, or both where the load balancer has another than the stack file."""
    said, there = ("-" if weight is None else weight for weight in (each.weight.set, each.weight.actual))
    return str(said) if said == there else f"{said}, actual {there}"


def _counted(alarms: Iterable[Alarm] | None) -> str:
    states = Counter(alarm.state for alarm in alarms or ())
    return ", ".join(f"{count} {'no data' if s == 'INSUFFICIENT_DATA' else s}" for s, count in states.items()) or "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{f'{share * 100:.2f}'.rstrip('0').rstrip('.')} %"


def _lines(found: Status) -> Iterator[Text]:
    from rich.text import Text

    for alarm in found.alarms or ():
        if alarm.state == "ALARM":
            yield Text(f"alarm {alarm.name} of {alarm.variant or 'the load balancer'}: {alarm.reason}", style="red")
    for line in found.drift:
        yield Text(f"drift: {line}", style="yellow")
    if found.uncommitted:
        yield Text(f"not committed: {found.uncommitted}", style="yellow")


def _moves(found: Status) -> Table:
    table = columns("last moves", "result", "what", "message", right=frozenset())
    for each in (found.moves or ())[:LAST]:
        when = f"{each.time.astimezone():%Y-%m-%d %H:%M}"
        style = "" if each.result == "succeeded" else "yellow"
        table.add_row(when, each.result, "\n".join(each.what), each.message, style=style)
    return table
