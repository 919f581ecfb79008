"""Problems in a stack's config: collected all at once, each with its place, its value, the limit and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct, field

from abtest.escape import line

__all__ = ["ConfigError", "Path", "Place", "Problem", "Report", "key_path", "nearest"]

#: Where a value stands: the config key (without this program's namespace), then mapping keys and list positions.
Path = tuple[str | int, ...]

NAMESPACE = "abtest"


class Place(Struct, frozen=True, order=True):
    """A line of a file as the person reads it. ``line`` is 0 where no line is known."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(Struct, frozen=True):
    """One thing that is wrong (``error``) or doubtful (``warning``)."""

    place: Place
    severity: str
    path: str
    message: str

    def __str__(self) -> str:
        return line(f"{self.place}: {self.severity}: {self._what}")

    @property
    def without_severity(self) -> str:
        """For logs that write the severity before it."""
        return line(f"{self.place}: {self._what}")

    @property
    def _what(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigError(Exception):
    """The config cannot be used. Its text is the whole list, errors and warnings, a line each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Places(Protocol):
    """Knows the line of a path, or of its nearest ancestor that has one, and what is secret."""

    def place(self, path: Path) -> Place: ...

    def is_encrypted(self, path: Path) -> bool:
        """Whether the stack file holds this value encrypted."""
        ...

    def without_secrets(self, path: Path, message: str) -> str:
        """A message about a value, with what must not be shown replaced."""
        ...


def key_path(path: Path) -> str:
    """A path as config keys are written: ``abtest:rules.path-b.when.path[0]``. A key of another namespace has it."""
    if not path:
        return ""
    first, *rest = path
    root = str(first) if ":" in str(first) else f"{NAMESPACE}:{first}"
    return root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


def nearest(name: str, known: Iterable[str]) -> str:
    """The remedy for a name that does not exist: the nearest known one, or all of them."""
    names = sorted(known)
    if meant := _meant(name, names):
        return f"did you mean {meant}?"
    return f"known here: {', '.join(names)}" if names else "nothing is known here"


def _meant(name: str, known: Iterable[str]) -> str:
    """The known name that one that does not exist is like; empty where it is like none."""
    folded = {n.lower(): n for n in known}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


class Report(Struct):
    """Collects problems. What follows from a value that is already reported is left out."""

    places: Places
    problems: list[Problem] = field(default_factory=list)
    _broken: set[Path] = field(default_factory=set)
    _with_unknown_keys: set[Path] = field(default_factory=set)
    _misspelt: set[Path] = field(default_factory=set)

    def error(self, path: Path, message: str) -> None:
        """A value that cannot be used; ``path`` is the value's, or its mapping's where it is missing."""
        if not self.is_broken(path):
            self._broken.add(path)
            self._add("error", path, message)

    def refuse(self, problem: Problem) -> None:
        """A problem that is known already; the value of its top-level key is not looked at again."""
        self.problems.append(problem)
        self._broken.add((problem.path.removeprefix(f"{NAMESPACE}:").partition(".")[0],))

    def unknown_key(
        self, path: Path, name: str, known: Iterable[str], homes: Sequence[str] = (), hint: str = ""
    ) -> None:
        """A key that the mapping at ``path`` does not have; ``homes`` are the paths of mappings that do, ``hint`` says
        what serves instead.
        """
        remedy = hint or nearest(name, known)
        if not hint and name == NAMESPACE and not path:
            remedy = f"keys are written {NAMESPACE}:weights, not as a mapping below {NAMESPACE}"
        elif not hint and homes and not remedy.startswith("did"):
            remedy = f"it belongs to {' or '.join(home or 'the top level' for home in homes)}"
        self.error((*path, name), f"there is no such key; {remedy}")
        self._with_unknown_keys.add(path)
        if not hint:
            self._misspelt.add((*path, _meant(name, known)))

    def missing(self, path: Path, message: str) -> None:
        """A key that has to be there; one beside it that was taken for it has said so already."""
        if path in self._misspelt:
            self._broken.add(path)
        else:
            self.error(path, f"missing; {message}")

    def has_unknown_key(self, path: Path) -> bool:
        """Whether the mapping at ``path`` has such a key, so that what it seems to lack may only be misspelt."""
        return path in self._with_unknown_keys

    def also(self, path: Path, message: str) -> None:
        """One of several errors at one path, none of which hides the others."""
        self._broken.add(path)
        self._add("error", path, message)

    def warning(self, path: Path, message: str) -> None:
        if not self.is_broken(path):
            self._add("warning", path, message)

    def is_broken(self, path: Path) -> bool:
        """Whether this value, or one that holds it, already has an error."""
        return any(path[:depth] in self._broken for depth in range(len(path) + 1))

    def holds_broken(self, path: Path) -> bool:
        """Whether a value below this one has an error, so that the whole cannot be judged."""
        return any(broken[: len(path)] == path for broken in self._broken)

    def _add(self, severity: str, path: Path, message: str) -> None:
        message = self.places.without_secrets(path, message)
        problem = Problem(self.places.place(path), severity, key_path(path), message)
        if problem not in self.problems:
            self.problems.append(problem)

    def sorted(self) -> tuple[Problem, ...]:
        """All problems in the order of the file."""
        return tuple(sorted(self.problems, key=lambda p: (p.place.file, p.place.line, p.path, p.message)))

    @property
    def has_errors(self) -> bool:
        return any(p.severity == "error" for p in self.problems)
