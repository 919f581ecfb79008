"""``abtest rollback``."""

from __future__ import annotations

import click
from msgspec.structs import replace

from abtest.cli.moves import (
    Interrupts,
    approved,
    commit,
    deployed,
    failing,
    show_effect,
    show_split,
    stack_option,
    tell,
)
from abtest.command import command
from abtest.rollout.move import besides, deployed_weights
from abtest.rollout.rollback import Rollback, roll_back
from abtest.rollout.stack_file import StackFile

__all__ = ["rollback", "show_rollback"]


@click.command()
@stack_option
@click.option("--everywhere", is_flag=True, help="Also out of rules with weights of their own.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def rollback(stack: str, *, everywhere: bool, yes: bool) -> int:
    """Send all traffic of the main split to the control, in one update of the listener.

    The other variants leave the split, so that clients stuck to them come along, and are held: no later update gives
    them share, an older stack file neither, until `abtest shift b=0` lifts that. Neither maxStep nor drain stands in
    the way; the control has to be healthy. What else the stack file says is not deployed along. It also ends what a
    ramp left half-way.

    Exit codes: 0 done, 1 an error, 3 a guardrail refuses it, 5 aborted.
    """
    with failing():
        file, mended = StackFile.read_expired(stack)
        stands = deployed(file)
        live = stands.live(file)
        plan = Rollback.of(file.experiment, live, everywhere=everywhere).also(mended)
        now = replace(file.experiment, weights=deployed_weights(live) or file.experiment.weights)
        after = plan.edited(file)
        show_effect(now, after.experiment, file.stack)
        if mended:
            tell("abtest:guardrails.suspend is over, and is removed")
        for line in besides(file.experiment, live):
            tell(f"not part of the rollback: {line}")
        if not approved("Roll back?", yes=yes):
            tell("nothing was changed")
            return 5
        with Interrupts():
            after, live = roll_back(stands, file, live, plan, tell)
        show_split(live)
        show_rollback(plan, after)
        return 0


def show_rollback(plan: Rollback, file: StackFile) -> None:
    """What else there is to know and to do after a rollback."""
    for name, variants in plan.left.items():
        everywhere = command("rollback --everywhere", file.stack)
        tell(f"rule {name} still sends clients to {' and '.join(variants)}: {everywhere}")
    if file.experiment.guardrails is None:
        tell("abtest:held only has an effect with guardrails, and there are none: add abtest:guardrails: {}")
    if plan.taken:
        taken = " and ".join(plan.taken)
        tell(
            f"AWS does not document what happens to cookies of a group that is no longer listed: check that the "
            f"requests of {taken} end, in the metric RequestCount of the target group, or in target_group_arn of the "
            "access log"
        )
    commit(file, f"Roll back {' and '.join(plan.taken) or 'to the control'}")
