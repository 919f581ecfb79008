"""A stack file as a move of traffic edits it: in place, whole at any moment, and back byte for byte."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from abtest.experiment import ConfigError, Experiment, Project, Source, load, stack_file
from abtest.experiment.source import read_text
from abtest.rollout.edit import GONE, EditError, edited

__all__ = ["StackFile"]

_NO_SUSPENSION: Mapping[tuple[str, ...], Any] = {("abtest:guardrails", "suspend"): GONE}


@dataclass(frozen=True)
class StackFile:
    """What a stack file says, or would say: the text and what it means."""

    path: Path
    project: Project
    text: str
    source: Source
    experiment: Experiment

    @classmethod
    def read(cls, stack: str) -> Self:
        """By name or path. Raises ConfigError."""
        path, project = stack_file(stack)
        return cls._of(path.absolute(), project, read_text(path))

    @classmethod
    def read_expired(cls, stack: str) -> tuple[Self, Mapping[tuple[str, ...], Any]]:
        """As ``read``, for a rollback, which an expired suspension of the guardrails must not stop; and what to edit
        because of it.
        """
        try:
            return cls.read(stack), {}
        except ConfigError as error:
            path, project = stack_file(stack)
            text = read_text(path)
            try:
                mended = cls._of(path.absolute(), project, edited(text, _NO_SUSPENSION))
            except (ConfigError, EditError):
                raise error from None
            return replace(mended, text=text), _NO_SUSPENSION

    @classmethod
    def _of(cls, path: Path, project: Project, text: str) -> Self:
        source = Source.from_text(text, path, project)
        experiment, _ = load(source)
        return cls(path, project, text, source, experiment)

    @property
    def stack(self) -> str:
        return self.source.stack

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.source.label

    def edited(self, changes: Mapping[tuple[str, ...], Any]) -> Self:
        """With other values; nothing is written yet. Raises EditError, or ConfigError where they may not be.

        A second variant in the split makes the control ambiguous, so it is written down.
        """
        weights = changes.get(("abtest:weights",), {})
        if "abtest:control" not in self.source.values and self.experiment.control != "control" and len(weights) > 1:
            changes = {("abtest:control",): self.experiment.control, **changes}
        return self._of(self.path, self.project, edited(self.text, changes))

    @property
    def is_as_written(self) -> bool:
        """Whether the file still holds this text."""
        return read_text(self.path) == self.text

    def write(self) -> None:
        """Put the text into the file, so that whoever reads it has the old one or this one, never a part. Raises
        EditError.
        """
        if self.is_as_written:
            return
        there = self.path.resolve()  # a link stays a link
        try:
            handle, name = tempfile.mkstemp(dir=there.parent, prefix=f".{there.name}.")
            new = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self.text.encode())
                    file.flush()
                    os.fsync(handle)
                new.chmod(stat.S_IMODE(there.stat().st_mode))
                new.replace(there)
            finally:
                new.unlink(missing_ok=True)
        except OSError as error:
            raise EditError(f"{self.label} cannot be written: {error.strerror}") from None
