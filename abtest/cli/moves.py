"""What the commands that move traffic have in common."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Self

import click

from abtest.cli.failure import Failure
from abtest.cli.output import echo
from abtest.command import command
from abtest.experiment import ConfigError, Experiment
from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.version import Version
from abtest.rollout.diff.wording import client_words, title, with_points
from abtest.rollout.drift import up_for
from abtest.rollout.edit import EditError
from abtest.rollout.engine import EngineError, PulumiEngine, Update
from abtest.rollout.live import Live
from abtest.rollout.move import Deployed, MoveError, MoveRefusedError, besides, undeployed
from abtest.rollout.session import AwsError
from abtest.rollout.stack_file import StackFile

__all__ = [
    "Interrupts",
    "approved",
    "commit",
    "deployed",
    "failing",
    "refuse_held",
    "refuse_pending",
    "show_effect",
    "show_split",
    "stack_option",
]

stack_option = click.option(
    "--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path."
)


@contextmanager
def failing() -> Iterator[None]:
    """Ends the command with one message for whatever went wrong; 3 where a guardrail is broken."""
    try:
        yield
    except ConfigError as error:
        raise Failure(str(error)) from None
    except MoveRefusedError as error:
        raise Failure(f"error: {error}", code=3) from None
    except (EditError, EngineError, AwsError, MoveError, ValueError) as error:
        raise Failure(f"error: {error}") from None


def deployed(file: StackFile) -> Deployed:
    """The stack of a file, as it stands. Raises EngineError."""
    if file.project.file is None:
        raise EngineError(f"{file.project.folder} has no Pulumi.yaml, so no stack of it can be deployed")
    usual = file.project.stack_folder.resolve() / f"Pulumi.{file.stack}.yaml"
    is_usual = file.path.parent.resolve() / file.path.name == usual
    engine = PulumiEngine(file.project.folder, file.stack, None if is_usual else file.path)
    return Deployed.find(engine, file.stack)


def tell(line: str, *, start: str = "", end: str = "\n") -> None:
    """Print, and go on where nobody reads it any more: what is said decides nothing about what is done."""
    try:
        echo(line, start=start, end=end)
    except OSError:
        with suppress(OSError):  # a stream without a file has nothing to close
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def approved(question: str, *, yes: bool) -> bool:
    """Whether the person at the keyboard agrees; with nobody there, ``--yes`` has to say so."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise Failure("error: not a terminal, so nothing can be confirmed; pass --yes")
    return click.confirm(question, err=True)  # what is printed may be JSON lines


def refuse_pending(file: StackFile, live: Live, history: Sequence[Update], name: str) -> None:
    """Raises MoveError where an update would bring more than a move of variant ``name`` on the main split."""
    if pending := besides(file.experiment, live) or undeployed(file, history):
        lines = "".join(f"\n- {line}" for line in pending)
        up = up_for(file.source, live, history)
        is_new = name not in live.groups and file.experiment.weights.get(name) != 0
        remedy = (
            f"{name} enters with weight 0: write {name}: 0 into abtest:weights, and run {up}"
            if is_new
            else f"deploy that first ({up}), or take it back"
        )
        raise MoveError(
            f"{file.label} says more than what is deployed and this move, so the update would change more than traffic:"
            f"{lines}\n{remedy}"
        )


def refuse_held(name: str, held: Iterable[str], stack: str) -> None:
    """Raises Failure for a variant that a rollback holds."""
    if name in held:
        raise Failure(
            f"error: {name} is held, as a rollback leaves it; lift the hold first, which also warms it: "
            f"{command(f'shift {name}=0', stack)}",
            code=3,
        )


def show_effect(before: Experiment, after: Experiment, stack: str) -> tuple[str, ...]:
    """Print what a move does to traffic, and to clients that have a variant already. Returns why the guard would refuse
    it, as far as files tell.
    """
    effect = compare(Version(experiment=before, stack=stack), Version(experiment=after, stack=stack))
    for pair in effect.changed:
        if pair.before is not None and pair.after is not None:
            was, now = pair.before.action, pair.after.action
            tell(f"{title(pair.shown)}: {was} → {with_points(now, was)}")
    if words := client_words(effect.lag_seconds, effect.freed):
        tell(f"sticky clients: {words}")
    return effect.refused


def show_split(live: Live) -> None:
    """What was read back."""
    tell(f"the load balancer sends new clients to {live.table.split.action}")


def commit(file: StackFile, message: str) -> None:
    """The commit that keeps Git and the cloud in step."""
    tell(f"commit it: git commit -m {shlex.quote(message)} {shlex.quote(file.label)}")


class Interrupts:
    """Ctrl-C, and the end that CI sends, as something to look at between two steps: no update is torn apart.

    ``is_final`` is a second one: pause, and ask nothing.
    """

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._seen) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _seen(self, number: int, _: FrameType | None) -> Any:
        self.count += 1 if number == signal.SIGINT else 2

    @property
    def is_interrupted(self) -> bool:
        return self.count > 0

    @property
    def is_final(self) -> bool:
        return self.count > 1

    def wait(self, seconds: float) -> None:
        """Returns early when somebody interrupts."""
        end = time.monotonic() + seconds
        while not self.count and (left := end - time.monotonic()) > 0:
            time.sleep(min(0.2, left))
