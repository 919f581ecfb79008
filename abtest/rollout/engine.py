"""The Pulumi engine through its Automation API: the same program, stack file and backend as `pulumi up` has."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from abtest.experiment import Source
from abtest.rollout.locks import Lock, Note, locks_in

if TYPE_CHECKING:
    from pulumi.automation import CommandError, EngineEvent, Stack

__all__ = ["Engine", "EngineError", "PulumiEngine", "RefusedError", "Say", "Update", "newest", "updates"]

#: Is told what happens, a line at a time.
Say = Callable[[str], None]


class EngineError(Exception):
    """The engine cannot do what was asked; the text says why, and what to do."""


class RefusedError(EngineError):
    """The guard refuses the update; the text says which guardrail."""


@dataclass(frozen=True, kw_only=True)
class Update:
    """An entry of the stack's history. ``config`` maps keys with their namespace to texts, without secrets."""

    kind: str
    result: str
    started: datetime
    ended: datetime | None
    message: str
    config: Mapping[str, str]

    @property
    def succeeded(self) -> bool:
        return self.kind == "update" and self.result == "succeeded"

    def source(self, like: Source) -> Source:
        """What it deployed, or tried to, of the same stack as ``like``."""
        return Source.from_engine(self.config, frozenset(), like.project, like.stack)


def updates(history: Sequence[Update]) -> list[Update]:
    """Those that may have moved traffic: no refresh, no destroy."""
    return [update for update in history if update.kind == "update"]


def newest(history: Sequence[Update]) -> Update | None:
    return next(iter(updates(history)), None)


class Engine(Protocol):
    """What moving traffic needs of an engine. Each raises EngineError."""

    def outputs(self) -> Mapping[str, Any]:
        """The stack's exports; empty if it was never deployed."""

    def history(self, count: int = 20) -> tuple[Update, ...]:
        """The newest entries of the stack's history, newest first."""

    def up(self, message: str, say: Say, *, refresh: bool = False, only: Sequence[str] = ()) -> None:
        """`pulumi up`; with ``refresh``, the engine first looks at what is really there. ``only`` are the resources to
        touch, by the ends of their URNs, if not all.
        """


class PulumiEngine:
    """One stack, by the Pulumi CLI that is on PATH."""

    def __init__(self, folder: Path, stack: str, file: Path | None = None) -> None:
        """``file`` is the stack file, where it is not the one that Pulumi would take. Raises EngineError."""
        if shutil.which("pulumi") is None:
            raise EngineError("the Pulumi CLI is not on PATH; install it: https://www.pulumi.com/docs/install/")
        from pulumi.automation import InvalidVersionError, LocalWorkspace, Stack, UpdateSummary

        class Workspace(LocalWorkspace):
            """Leaves alone which stack the user has selected, and does not read outputs that nobody asked for."""

            def select_stack(self, stack_name: str) -> None:
                pass

            def stack_outputs(self, stack_name: str) -> dict[str, Any]:
                return {}

        try:
            workspace = Workspace(work_dir=str(folder))
        except (InvalidVersionError, OSError, subprocess.CalledProcessError) as error:
            raise EngineError(f"the Pulumi CLI cannot be used: {error}") from None
        self._folder = folder
        self._stack: Stack = Stack.select(stack, workspace)
        # After an update it would ask the backend how that went, which is known by then and takes time.
        known = UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")
        self._stack.info = lambda *_: known  # type: ignore[method-assign] # it has no option for it
        self._file = str(file.resolve()) if file is not None else None

    def outputs(self) -> Mapping[str, Any]:
        workspace = self._stack.workspace
        # Without its secrets, in one call: the Automation API's own takes two.
        command = ["stack", "output", "--json", "--stack", self._stack.name]
        for pause in (*_PAUSES, None):
            try:
                with self._told():
                    done = workspace.pulumi_command.run(command, workspace.work_dir, dict(workspace.env_vars))
                break
            except EngineError as error:
                if pause is None or _HALF_WRITTEN not in str(error):
                    raise
                time.sleep(pause)
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found

    def history(self, count: int = 20) -> tuple[Update, ...]:
        with self._told():
            found = self._stack.history(page_size=count, show_secrets=False)
        return tuple(
            Update(
                kind=entry.kind,
                result=entry.result,
                started=entry.start_time.replace(tzinfo=UTC),
                ended=entry.end_time and entry.end_time.replace(tzinfo=UTC),
                message=entry.message,
                config={key: value.value for key, value in entry.config.items() if not value.secret},
            )
            for entry in found
        )

    def up(self, message: str, say: Say, *, refresh: bool = False, only: Sequence[str] = ()) -> None:
        from pulumi.automation import CommandError, ConcurrentUpdateError

        while True:
            seen = _Seen(say, self._noted)
            try:
                self._stack.up(
                    message=message,
                    on_event=seen.event,
                    color="never",
                    refresh=refresh,
                    target=[f"**{end}" for end in only] or None,
                    config_file=self._file,
                    show_secrets=False,
                )
            except ConcurrentUpdateError as error:
                self._unlock(_stderr(error), say)
            except CommandError as error:
                raise seen.error() or self._error(error) from None
            else:
                return

    def _noted(self, start: float) -> None:
        """Note an update that holds the lock: it may be killed."""
        if note := Note.now(start):
            note.write(self._folder, self._stack.name)

    # Locks ------------------------------------------------------------------------------------------------------------

    def _unlock(self, message: str, say: Say) -> None:
        """Wait for a lock's process that runs here, or remove the lock of one that is proven to have died. Raises
        EngineError for any other.
        """
        locks = locks_in(message)
        running = [lock for lock in locks if lock.runs_here]
        doubts = {} if running else {lock: lock.doubt(Note.read(self._folder, self._stack.name)) for lock in locks}
        if not locks or any(doubts.values()):
            who = "".join(f"\n  {lock}; {doubt}" for lock, doubt in doubts.items() if doubt)
            files = [str(lock.file) for lock in doubts if lock.file]
            name = self._stack.name
            remedy = (
                f"rm {shlex.join(files)}" if files and len(files) == len(doubts) else f"pulumi cancel --stack {name}"
            )
            raise EngineError(
                f"another update of the stack {name} is running:{who or ' the backend says so'}\nwait for it; if you "
                f"know that it died: {remedy}, then this command again"
            )
        if running:
            self._wait(running, say)
            return
        for lock in locks:
            try:
                lock.remove()
            except OSError as error:
                raise EngineError(f"the lock {lock.file} cannot be removed: {error.strerror}") from None
        say(f"cleared the lock of an update that died: {', '.join(map(str, locks))}")

    def _wait(self, running: Sequence[Lock], say: Say) -> None:
        say(f"waiting for another update of this stack: {', '.join(map(str, running))}")
        ends = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, signal.default_int_handler) for number in ends}
        try:
            while any(lock.runs_here for lock in running):
                time.sleep(0.5)
        except KeyboardInterrupt:
            raise EngineError("the other update of this stack still runs; this one did not wait for it") from None
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # Errors -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def _told(self) -> Iterator[None]:
        from pulumi.automation import CommandError

        try:
            yield
        except CommandError as error:
            raise self._error(error) from None

    def _error(self, error: CommandError) -> EngineError:
        from pulumi.automation import StackNotFoundError

        name, told = self._stack.name, _stderr(error)
        if isinstance(error, StackNotFoundError):
            return EngineError(
                f"the backend has no stack {name}; make it (pulumi stack init {name}), or log in where it is "
                "(pulumi login)"
            )
        lines = [line.removeprefix("error: ") for line in told.splitlines() if line.strip()]
        return EngineError(f"pulumi: {' '.join(lines) or 'ended without a word'}")


def _stderr(error: CommandError) -> str:
    """What the CLI said; the exception has it in its text alone."""
    return str(error).partition("\n stderr: ")[2]


@dataclass
class _Seen:
    """What an update tells of itself while it runs."""

    say: Say
    on_start: Callable[[float], None]
    start: float = field(default_factory=time.time)
    is_started: bool = False
    errors: list[str] = field(default_factory=list)
    is_refused: bool = False

    def event(self, event: EngineEvent) -> None:
        """Source: pulumi/pulumi sdk/go/common/apitype/events.go."""
        if not self.is_started:  # the engine locks the stack before its first event
            self.is_started = True
            self.on_start(self.start)
        if (told := event.diagnostic_event) is not None:
            text = re.sub(r"<\{%.*?%\}>", "", told.message).strip()
            if told.severity == "error" and text != "update failed":
                self.errors.append(_FROM_HOOK.sub("", text))
                self.is_refused |= text != self.errors[-1] and self.errors[-1].startswith("the guard refuses")
            elif told.severity == "warning":
                self.say(f"warning: {text}")
        for found, done in ((event.resource_pre_event, False), (event.res_outputs_event, True)):
            if found is not None and found.metadata.op not in _QUIET and not found.metadata.type.startswith("pulumi:"):
                name, op = found.metadata.urn.split("::", 3)[3], found.metadata.op.value
                self.say(f"{name}: {op} {'done' if done else '…'}")

    def error(self) -> EngineError | None:
        """Why it failed, in the words of the program and the provider; None if they said nothing."""
        # What fails because of the guard's refusal repeats it, resource by resource.
        texts = [text for text in dict.fromkeys(self.errors) if not text.startswith("not made either")]
        kind = RefusedError if self.is_refused else EngineError
        return kind("\n".join(texts)) if texts else None


#: What the CLI says while an update writes the state into a backend of files, and how long to wait then.
_HALF_WRITTEN, _PAUSES = "failed to load checkpoint", (0.2, 0.5, 1.0)

#: Steps that change nothing.
_QUIET = ("same", "read", "refresh", "read-discard", "read-replacement")

#: How the engine introduces what a hook raised.
_FROM_HOOK = re.compile(r'^(?:before|after) hook "[\w-]+" failed: ')
