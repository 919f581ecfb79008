"""``abtest shift``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import click
from msgspec.structs import replace

from abtest.cli.moves import (
    Interrupts,
    approved,
    commit,
    deployed,
    failing,
    refuse_held,
    refuse_pending,
    show_effect,
    show_split,
    stack_option,
    tell,
)
from abtest.experiment import Experiment
from abtest.experiment.limits import WEIGHT
from abtest.rollout.drift import drift
from abtest.rollout.edit import GONE
from abtest.rollout.move import move, weights_from
from abtest.rollout.stack_file import StackFile
from abtest.rollout.weights import asked, check_variant, weights_for
from abtest.routing import RoutingTable, percent, shares_of

__all__ = ["shift"]


@click.command()
@click.argument("share", metavar="VARIANT=PERCENT")
@stack_option
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--file-only", is_flag=True, help="Edit the stack file and stop, for a pull request.")
def shift(share: str, stack: str, *, yes: bool, file_only: bool) -> int:
    """Give a variant another share of new clients, such as b=25.

    The other variants keep their proportions. The stack file is edited (its weights alone), `pulumi up` runs with it,
    and the load balancer is read back. b=0 warms b: it is in the split, health checked, without new clients; for a
    variant that a rollback holds it also lifts the hold.

    Exit codes: 0 done, 1 an error, 3 a guardrail refuses it, 5 aborted.
    """
    with failing():
        name, wanted = asked(share)
        file = StackFile.read(stack)
        check_variant(name, file.experiment.variants)
        if file_only:
            after = file.edited(_changes(file.experiment, file.experiment, name, wanted, file.stack))
            if after.text == file.text:
                tell(f"nothing to do: {file.label} gives {name} {percent(wanted)} of new clients already")
                return 0
            for line in show_effect(file.experiment, after.experiment, file.stack):
                tell(f"warning: the update would be refused: {line}")
            message = _message(after, name, wanted)
            after.write(over=file)
            tell(f"edited {file.label}; nothing is deployed")
            commit(after, message)
            return 0
        return _shift(file, name, wanted, yes=yes)


def _message(after: StackFile, name: str, wanted: Fraction) -> str:
    """What the update is called, by the share that whole weights give; says so where that is not what was asked for."""
    share = shares_of(after.experiment.weights)[name]
    if share != wanted:
        asked_for = f"{float(wanted * 100):.4f}".rstrip("0").rstrip(".")
        tell(f"weights of at most {WEIGHT.high} do not give {name} {asked_for} %, but {percent(share)}")
    return f"abtest shift {name}={percent(share).removesuffix(' %')}"


def _shift(file: StackFile, name: str, wanted: Fraction, *, yes: bool) -> int:
    stands = deployed(file)
    with ThreadPoolExecutor(1) as meanwhile:  # the one asks the backend, the other AWS
        history = meanwhile.submit(stands.engine.history)
        live = stands.live(file)
    refuse_pending(file, live, history.result(), name)
    # From what the load balancer does: the file may be ahead of it, after an update that was cut off.
    now = replace(file.experiment, weights=weights_from(file, live, name), held=(*file.experiment.held, *live.held))
    after = file.edited(_changes(file.experiment, now, name, wanted, file.stack))
    if after.text == file.text and not drift(RoutingTable.from_experiment(after.experiment), live.table):
        tell(f"nothing to do: {name} has {percent(wanted)} of new clients already")
        return 0
    show_effect(now, after.experiment, file.stack)
    message = _message(after, name, wanted)
    if not approved("Shift traffic?", yes=yes):
        tell("nothing was changed")
        return 5
    with Interrupts() as interrupts:
        show_split(move(stands, file, after, live, message, tell))
    commit(after, message)
    return 5 if interrupts.is_interrupted else 0


def _changes(said: Experiment, now: Experiment, name: str, wanted: Fraction, stack: str) -> dict[tuple[str, ...], Any]:
    """What to edit in a file that has ``said`` something, where the load balancer does what ``now`` says.

    A variant that is held may stay where it is, which lifts the hold; it may not gain.
    """
    held = {*now.held}
    if wanted > shares_of(now.weights).get(name, 0):
        refuse_held(name, held, stack)
    held.discard(name)
    weights = weights_for(now.weights, now.control, name, wanted)
    holds: dict[tuple[str, ...], Any] = {("abtest:held",): sorted(held) or GONE} if held != {*said.held} else {}
    return {("abtest:weights",): weights, **holds}
