"""A stack file as a move of traffic edits it: in place, whole at any moment, and back byte for byte."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Self

from abtest.experiment import ConfigError, Experiment, Project, Source, load, stack_file
from abtest.experiment.source import read_text
from abtest.rollout.edit import GONE, EditError, edited

__all__ = ["EditedError", "StackFile"]

_NO_SUSPENSION: Mapping[tuple[str, ...], Any] = {("abtest:guardrails", "suspend"): GONE}


class EditedError(EditError):
    """The file was edited since it was read."""


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

    def write(self, over: StackFile) -> None:
        """Replace ``over``'s text in the file, so that a reader gets the old text or the new one, never a part. Raises
        EditError, or EditedError if the file holds neither.

        Mode, owner, access lists and links are kept. A file that cannot be replaced without losing them (it has hard
        links, another owner, or a read-only folder) is overwritten in place.
        """
        file = Path(os.path.realpath(self.path))  # a symbolic link stays one
        try:
            self._check(over)
            if self.is_as_written:
                return
            status = file.stat()
            if not (status.st_mode & 0o222 and os.access(file, os.W_OK)):  # root may write any file
                raise EditError(f"{self.label} is read-only, so it was not changed; allow it: chmod u+w {self.label}")
            if status.st_nlink > 1 or not self._replace(file, status, over):
                self._overwrite(file, over)
        except OSError as error:
            raise EditError(f"{self.label} cannot be written: {error.strerror}") from None

    def _check(self, over: StackFile) -> None:
        if read_text(self.path) not in {over.text, self.text}:
            raise EditedError(f"{self.label} was edited in the meantime, so it was not changed; run this again")

    def _replace(self, file: Path, status: os.stat_result, over: StackFile) -> bool:
        """Whether the file could be replaced by a new one that is the same in all but its contents."""
        try:
            handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        except PermissionError:
            return False
        new = Path(name)
        try:
            with os.fdopen(handle, "wb") as opened:
                opened.write(self.text.encode())
                opened.flush()
                os.fsync(handle)
            made = new.stat()
            if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
                os.chown(new, status.st_uid, status.st_gid)
            shutil.copystat(file, new)  # with access lists
            os.utime(new)
            self._check(over)
            new.replace(file)
        except OSError as error:  # another's file, or a mount of this one file
            if error.errno not in {errno.EPERM, errno.EACCES, errno.EBUSY}:
                raise
            return False
        finally:
            new.unlink(missing_ok=True)
        return True

    def _overwrite(self, file: Path, over: StackFile) -> None:
        self._check(over)
        with file.open("r+b") as opened:
            try:
                _fill(opened, self.text)
            except OSError:
                _fill(opened, over.text)  # it was there before, so it fits
                raise


def _fill(opened: BinaryIO, text: str) -> None:
    opened.seek(0)
    opened.write(text.encode())
    opened.truncate()
    opened.flush()
    os.fsync(opened.fileno())
