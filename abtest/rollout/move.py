"""One move of traffic: the stack file is edited, the engine updates, and the load balancer is read back."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from abtest.command import command
from abtest.experiment import Experiment
from abtest.experiment.engine_text import decoded, is_encrypted
from abtest.experiment.types import SPLIT
from abtest.rollout.drift import drift
from abtest.rollout.engine import Engine, EngineError, RefusedError, Say, Update
from abtest.rollout.live import Live, read_live
from abtest.rollout.session import AwsError, client
from abtest.rollout.stack_file import EditedError, StackFile
from abtest.routing import RoutingTable

__all__ = [
    "ROLLBACK",
    "Deployed",
    "MoveError",
    "MoveRefusedError",
    "besides",
    "deployed_weights",
    "move",
    "undeployed",
    "weights_from",
]

#: How the message of a rollback begins.
ROLLBACK = "abtest rollback"


class MoveError(Exception):
    """A move that did not work out; the text says why, what stands now, and what to do."""


class MoveRefusedError(MoveError):
    """A move that the guard refused."""


@dataclass(frozen=True)
class Deployed:
    """A stack that was deployed: its engine, and its listener."""

    engine: Engine
    listener_arn: str

    @classmethod
    def find(cls, engine: Engine, stack: str) -> Deployed:
        """Raises EngineError, also for a stack that never was deployed."""
        arn = engine.outputs().get("listener_arn")
        if not arn:
            raise EngineError(f"the stack {stack} is not deployed; deploy it first: pulumi up --stack {stack}")
        return cls(engine, arn)

    def live(self, file: StackFile) -> Live:
        """What the load balancer does now. Raises AwsError."""
        with client(file.source, "elbv2") as elbv2:
            return read_live(elbv2, file.experiment, self.listener_arn, file.source.full_name).standing()


def deployed_weights(live: Live) -> Mapping[str, int]:
    """The main split of the load balancer in the smallest whole weights; empty where it is no split."""
    shares = live.table.split.action.shares
    scale = math.lcm(*(share.denominator for share in shares.values()))
    return {name: int(share * scale) for name, share in shares.items()}


def besides(experiment: Experiment, live: Live) -> tuple[str, ...]:
    """Where the load balancer differs from the stack file, the shares of the main split aside.

    Those of rules that forward to the split are aside too: an update may have been cut off before it came to them.
    Clients that are sent to a group that is no variant of this stack are not.
    """
    declared = RoutingTable.from_experiment(experiment)
    in_split = {declared.split.priority, *(r.priority for r in experiment.rules.values() if r.forward == SPLIT)}
    shares = {route.priority: route.action.shares for route in declared.routes if route.priority in in_split}
    routes = tuple(
        replace(route, action=replace(route.action, shares=shares[route.priority]))
        if route.priority in shares and route.action.shares and route.action.shares.keys() <= experiment.variants.keys()
        else route
        for route in live.table.routes
    )
    return drift(declared, replace(live.table, routes=routes))


#: What a move changes, and what keeps it from harm.
_OF_MOVES = frozenset({"abtest:weights", "abtest:held", "abtest:guardrails"})


def undeployed(file: StackFile, history: Sequence[Update]) -> tuple[str, ...]:
    """Where the stack file differs from what was deployed last, but for what moves change; by key. ``history`` is the
    newest first. A rollback deploys nothing else, so it does not count; what is encrypted cannot be compared.
    """
    whole = (update for update in history if update.succeeded and not update.message.startswith(ROLLBACK))
    last = next(whole, None)
    if last is None:
        return ()
    said = {key: decoded(text) for key, text in file.source.values.items() if not is_encrypted(text)}
    there = {key: decoded(text) for key, text in last.config.items()}
    keys = sorted((said.keys() | there.keys()) - _OF_MOVES - (file.source.values.keys() - said.keys()))
    return tuple(f"{key} is not as it was deployed" for key in keys if said.get(key) != there.get(key))


def weights_from(file: StackFile, live: Live, name: str) -> Mapping[str, int]:
    """The main split that a move of ``name`` goes from: what the load balancer has, and what the file has warm besides.
    Raises MoveError where the file gives another variant a share that is not deployed.
    """
    now = dict(deployed_weights(live))
    for other, weight in file.experiment.weights.items():
        if weight and other not in {*now, name}:
            raise MoveError(
                f"{file.label} gives {other} a share that is not deployed; deploy it first (pulumi up --refresh "
                f"--stack {file.stack}), or take it back"
            )
        now.setdefault(other, 0)
    return now


def move(
    deployed: Deployed,
    before: StackFile,
    after: StackFile,
    live: Live,
    message: str,
    say: Say,
    only: Sequence[str] = (),
) -> Live:
    """Bring the stack from one file to another; ``live`` is what stands before. Returns what stands then. ``only`` are
    the resources to touch, if not all.

    Raises MoveError. If the load balancer still does what it did, the file is as it was before, byte for byte.
    """
    known = set(besides(before.experiment, live))
    try:
        after.write(over=before)
    except EditedError as error:
        raise MoveError(str(error)) from None
    try:
        deployed.engine.up(message, say, only=only)
        found, wrong = _compared(deployed, after, known)
        if wrong:
            say("the load balancer does not do what the engine has on record; the engine looks at what is there")
            deployed.engine.up(message, say, refresh=True, only=only)
            found, wrong = _compared(deployed, after, known)
    except (EngineError, AwsError) as error:
        kind = MoveRefusedError if isinstance(error, RefusedError) else MoveError
        raise kind(f"{error}\n{_settled(deployed, before, after, live)}") from error
    if wrong:
        lines = "".join(f"\n- {line}" for line in wrong)
        raise MoveError(
            f"the update went through, and the load balancer does something else:{lines}\n{after.label} is as the "
            f"update had it. Something else may be changing the load balancer: {command('status', after.stack)}"
        )
    return found


def _compared(deployed: Deployed, file: StackFile, known: set[str]) -> tuple[Live, tuple[str, ...]]:
    """What the load balancer does, and where that is not what the file says, but for what is ``known``."""
    declared = RoutingTable.from_experiment(file.experiment)
    for pause in (1, 2, 0):  # what was written may take a moment until it is read
        live = deployed.live(file)
        wrong = tuple(line for line in drift(declared, live.table) if line not in known)
        if not wrong and live.table.split.action.shares != declared.split.action.shares:
            wrong = (f"the main split is {live.table.split.action}, not {declared.split.action}",)
        if not wrong or not pause:
            break
        time.sleep(pause)
    return live, wrong


def _settled(deployed: Deployed, before: StackFile, after: StackFile, live: Live) -> str:
    """After an update that failed: the file goes back unless something of it was made. In words."""
    if before.text == after.text:
        return f"{after.label} was not changed"
    back = command("rollback", after.stack)
    kept = f"{after.label} keeps the change; run this again to complete it, or take it back: {back}"
    try:
        now = deployed.live(after)
    except AwsError as error:
        return f"what the load balancer does now cannot be read ({error}), so {kept}"
    if (now.table, now.held) != (live.table, live.held):  # the provider writes tags first
        return f"a part of the update was made; {kept}"
    try:
        before.write(over=after)
    except EditedError:
        return f"the load balancer is as before; {after.label} was edited in the meantime and is not changed"
    return f"the load balancer and {after.label} are as before"
