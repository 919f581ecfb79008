"""Where a config comes from: the engine's, or a stack file read offline. Both give the same ``Source``.

The engine hands a program its config as texts (``PULUMI_CONFIG``): key -> text, objects as JSON. A stack file is
brought into that same form here, so that everything after it is one path and one result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any, Self

from msgspec import Struct, field

from abtest.experiment.engine_text import as_text, decoded
from abtest.experiment.engine_yaml import Document, YamlError, parse
from abtest.experiment.files import read_file
from abtest.experiment.problems import NAMESPACE, ConfigError, Path, Place, Problem, nearest
from abtest.experiment.project_file import full_key, project_refusals, stack_refusals
from abtest.experiment.types import SECRET

__all__ = ["Project", "Source", "find_project", "project_folder", "read_text", "stack_file"]

_STACK_FILE = re.compile(r"Pulumi\.(?P<stack>.+)\.ya?ml")


class Project(Struct, frozen=True):
    """A folder with a Pulumi.yaml. ``config`` is its block of project-wide values.

    Without ``file`` it is a folder that only has stack files, which is enough for all commands that need no engine.
    """

    folder: FilePath
    name: str = "abtest"
    config: Mapping[str, Any] = field(default_factory=dict)
    document: Document = field(default_factory=lambda: Document({}, {}))
    file: FilePath | None = None
    stack_config_dir: str = ""

    @classmethod
    def at(cls, folder: FilePath) -> Self:
        """The project of ``folder``, with the defaults if it has no Pulumi.yaml. Raises ConfigError."""
        return cls.read(folder) if _project_file(folder) else cls(folder)

    @classmethod
    def read(cls, folder: FilePath) -> Self:
        """Read ``folder``'s Pulumi.yaml. Raises ConfigError."""
        file = _project_file(folder) or folder / "Pulumi.yaml"
        document = _read(file)
        value = document.value
        name = value.get("name") if isinstance(value, dict) else None
        if not isinstance(name, str) or not name:
            raise _failure(file, 1, "name: missing; a Pulumi project has one")

        def line(key: str) -> int:
            return document.lines.get((key,), 1)

        config: Any = value.get("config") or {}
        stack_config_dir: Any = value.get("stackConfigDir") or ""
        if not isinstance(stack_config_dir, str):
            raise _failure(file, line("stackConfigDir"), "stackConfigDir: expected a folder, relative to this file")
        if isinstance(config, str):  # the old form. Source: project.go RewriteConfigPathIntoStackConfigDir
            if stack_config_dir:
                raise _failure(file, line("config"), "config: stackConfigDir names the folder too; remove config")
            config, stack_config_dir = {}, config
        if not isinstance(config, dict):
            raise _failure(file, line("config"), "config: expected a mapping")
        return cls(folder, name, config, document, file, stack_config_dir)

    @property
    def stack_folder(self) -> FilePath:
        """Source: pulumi/pulumi sdk/go/common/workspace/paths.go ProjectStackPath."""
        return self.folder / os.path.normpath(self.stack_config_dir.lstrip("/") or ".")

    def stack_path(self, stack: str, suffix: str = ".yaml") -> FilePath:
        """Where the file of a stack is."""
        return self.stack_folder / f"Pulumi.{stack}{suffix}"

    def stacks(self) -> tuple[str, ...]:
        """The names of the stack files."""
        return _stacks_in(self.stack_folder)


def _stacks_in(folder: FilePath) -> tuple[str, ...]:
    found = (_STACK_FILE.fullmatch(f.name) for f in folder.iterdir()) if folder.is_dir() else ()
    return tuple(sorted(match["stack"] for match in found if match))


def find_project(start: FilePath) -> Project:
    """The project of the nearest folder, from ``start`` upwards, that has a Pulumi.yaml; else that of a folder which
    only has stack files. Raises ConfigError.
    """
    folder = project_folder(start)
    if folder is not None:
        return Project.read(folder)
    if _stacks_in(start):
        return Project(start.resolve())
    raise _failure(start.resolve(), 0, "no Pulumi.yaml here or in a folder above; go to the project's folder")


def project_folder(start: FilePath) -> FilePath | None:
    """The nearest folder, from ``start`` upwards, that has a Pulumi.yaml."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if _project_file(folder)), None)


def _project_file(folder: FilePath) -> FilePath | None:
    return next((file for file in (folder / "Pulumi.yaml", folder / "Pulumi.yml") if file.is_file()), None)


def stack_file(stack: str, project: Project | None = None) -> tuple[FilePath, Project]:
    """The stack file and project that ``--stack`` means: a name, or a path. Raises ConfigError."""
    path = FilePath(stack)
    if os.sep in stack or path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise _failure(path, 0, "there is no such stack file")
        return path, _project_of(path)
    project = project or find_project(FilePath())
    for suffix in (".yaml", ".yml"):
        if (file := project.stack_path(stack, suffix)).is_file():
            return file, project
    remedy = nearest(stack, project.stacks())
    raise _failure(project.stack_path(stack), 0, f"there is no stack file for {stack}; {remedy}")


def _project_of(path: FilePath) -> Project:
    """The project of a stack file: of a folder above it, or the current one if its ``stackConfigDir`` is elsewhere."""
    if folder := project_folder(path.parent) or project_folder(FilePath()):
        project = Project.read(folder)
        if folder in path.resolve().parents or project.stack_folder.resolve() == path.resolve().parent:
            return project
    return Project(path.resolve().parent)


@dataclass(frozen=True)
class Source:
    """A config as the engine hands it over, and where each value stands.

    ``values`` maps a key with its namespace to a text, or to SECRET where a stack file only has its encrypted form.
    ``refusals`` are Pulumi's own, of its project file and of what that declares.
    """

    values: Mapping[str, Any]
    project: Project
    stack: str
    label: str
    find_places: Callable[[], Mapping[Path, Place]] = dict
    secret_keys: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    refusals: tuple[Problem, ...] = ()

    @property
    def full_name(self) -> str:
        """The stack among those of all projects."""
        return f"{self.project.name}/{self.stack}"

    @classmethod
    def from_file(cls, file: FilePath, project: Project) -> Self:
        """Read a stack file offline, with Pulumi.yaml's ``config:`` merged in. Raises ConfigError."""
        return cls.from_text(read_text(file), file, project)

    @classmethod
    def from_text(cls, text: str, file: FilePath, project: Project) -> Self:
        """What ``file`` would be read as if it held ``text``. Raises ConfigError."""
        document = _parsed(text, file)
        match = _STACK_FILE.fullmatch(file.name)
        body = document.value
        if body is None:
            raise _failure(file, 1, "the file is empty; it needs a config: with abtest:variants and abtest:weights")
        if not isinstance(body, dict) or not isinstance(body.get("config") or {}, dict):
            raise _failure(file, 1, "expected a mapping with the key config:")
        block = {key: (("config", key), value) for key, value in (body.get("config") or {}).items()}
        own = _Block(_shown(file), document, project.name, block)
        shared = _project_block(project)
        notes = [
            f"{key} is outside config: on line {document.lines[key,]}, so it is not read; indent it below config:"
            for key in body
            if ":" in key
        ]
        if body.get("environment"):
            notes.append("environment: (Pulumi ESC) is not read offline; what it sets is missing here")
        return cls(
            values={**shared.texts(), **own.texts()},
            project=project,
            stack=match["stack"] if match else file.stem,
            label=own.shown,
            find_places=lambda: {**shared.places(without=own.texts()), **own.places()},
            notes=tuple(notes),
            refusals=tuple(_refusals(project, own, shared, is_whole=not body.get("environment"))),
        )

    @classmethod
    def from_values(cls, values: Mapping[str, Any], project: Project) -> Self:
        """Take a config as plain values, such as a test writes down: key with namespace -> value."""
        return cls(
            values={key: as_text(value) for key, value in values.items()},
            project=project,
            stack="config",
            label="config",
        )

    @classmethod
    def from_engine(cls, values: Mapping[str, str], secret_keys: frozenset[str], project: Project, stack: str) -> Self:
        """Take the engine's config; the stack file, where it says the same, only tells the lines."""
        return cls(
            values=values,
            project=project,
            stack=stack,
            label=f"stack {stack}",
            find_places=lambda: _places_of_engine(values, project, stack),
            secret_keys=secret_keys,
        )

    @cached_property
    def places(self) -> Mapping[Path, Place]:
        return self.find_places()

    def place(self, path: Path) -> Place:
        """The line of a path, or of what holds it."""
        for depth in range(len(path), -1, -1):
            if path[:depth] in self.places:
                return self.places[path[:depth]]
        return Place(self.label)

    def is_encrypted(self, path: Path) -> bool:
        """Whether the stack file holds this value encrypted. The engine hands it over decrypted, and tells only which
        keys hold something secret.
        """
        key = f"{NAMESPACE}:{path[0]}"
        values = _values_of_file(self.project, self.stack) if key in self.secret_keys else self.values
        value = decoded(values.get(key))
        for part in path[1:]:
            value = value.get(part) if isinstance(value, dict) else None
        return value is SECRET

    def without_secrets(self, path: Path, message: str) -> str:
        """A message without the values of a key that the engine holds as secret.

        The engine tells which keys hold something secret, not which of their values: all of them are left out.
        """
        key = f"{NAMESPACE}:{path[0]}" if path else ""
        if key not in self.secret_keys:
            return message
        for text in sorted(_texts(decoded(self.values.get(key))), key=len, reverse=True):
            message = re.sub(rf"(?<![\w-]){re.escape(text)}(?![\w-])", str(SECRET), message)
        return message

    def setting(self, key: str) -> str | None:
        """A plain text of another namespace, such as ``aws:region``."""
        value = self.values.get(key)
        return value if isinstance(value, str) and value != "null" and value is not SECRET else None


def _refusals(project: Project, own: _Block, shared: _Block, *, is_whole: bool) -> Iterator[Problem]:
    """What Pulumi refuses in its project file, or in the stack file because of that."""
    found = [(False, refusal) for refusal in project_refusals(project.name, project.config)]
    if not found:
        stack = {own.full(key): entry for key, entry in own.entries.items()}
        found = list(stack_refusals(project.name, project.config, stack, is_whole=is_whole))
    for is_of_stack, (path, why) in found:
        block = own if is_of_stack else shared
        place = Place(block.shown, block.document.lines.get(path, 1))
        yield Problem(place, "error", ".".join(map(str, (block.full(str(path[1])), *path[2:]))), why)


def _places_of_engine(values: Mapping[str, str], project: Project, stack: str) -> Mapping[Path, Place]:
    """The lines of the stack file, for the keys that it gives the very values that the engine has.

    Values may come from elsewhere (``--config-file``, ``--config``, the Automation API): no line is told for those.
    """
    try:
        file, project = stack_file(stack, Project.read(project.folder))
        source = Source.from_file(file, project)
    except ConfigError:
        return {}
    same = {
        key.removeprefix(f"{NAMESPACE}:")
        for key, text in source.values.items()
        if _agrees(decoded(text), decoded(values.get(key)))
    }
    return {path: place for path, place in source.places.items() if not path or path[0] in same}


def _values_of_file(project: Project, stack: str) -> Mapping[str, Any]:
    """What the stack file says; nothing where the engine's config comes from elsewhere."""
    try:
        return Source.from_file(*stack_file(stack, Project.read(project.folder))).values
    except ConfigError:
        return {}


def _texts(value: Any) -> Iterator[str]:
    """Every text and number in a value, as a message would show it."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None and value != "":
        yield str(value)


def _agrees(offline: Any, engine: Any) -> bool:
    if offline is SECRET:
        return True
    if isinstance(offline, dict) and isinstance(engine, dict):
        return offline.keys() == engine.keys() and all(_agrees(offline[key], engine[key]) for key in offline)
    if isinstance(offline, list) and isinstance(engine, list):
        return len(offline) == len(engine) and all(map(_agrees, offline, engine))
    return bool(offline == engine)


@dataclass(frozen=True)
class _Block:
    """A ``config:`` block of a file: key as written -> (where its value stands, the value)."""

    shown: str
    document: Document
    namespace: str
    entries: Mapping[str, tuple[Path, Any]]

    def full(self, key: str) -> str:
        return full_key(key, self.namespace)

    def texts(self) -> dict[str, Any]:
        return {self.full(key): as_text(value) for key, (_, value) in self.entries.items()}

    def places(self, without: Container[str] = ()) -> dict[Path, Place]:
        roots = {at: self.full(key) for key, (at, _) in self.entries.items() if self.full(key) not in without}
        found: dict[Path, Place] = {(): Place(self.shown, self.document.lines.get(("config",), 1))}
        for path, line in self.document.lines.items():
            for depth in (2, 3):
                full = roots.get(path[:depth])
                if full is not None:
                    found[(full.removeprefix(f"{NAMESPACE}:"), *path[depth:])] = Place(self.shown, line)
        return found


def _project_block(project: Project) -> _Block:
    """Pulumi.yaml's ``config:``: values, or mappings with ``value`` or ``default``, for keys that the stack has not.

    Source: pulumi/pulumi pkg/workspace/config.go mergeConfig, sdk/go/common/workspace/project.go ProjectConfigType.
    """
    entries: dict[str, tuple[Path, Any]] = {}
    for key, entry in project.config.items():
        if not isinstance(entry, dict):
            entries[key] = (("config", key), entry)
        elif name := next((n for n in ("default", "value") if entry.get(n) is not None), None):
            entries[key] = (("config", key, name), entry[name])
    return _Block(_shown(project.file or project.folder), project.document, project.name, entries)


def _read(file: FilePath) -> Document:
    return _parsed(read_text(file), file)


def read_text(file: FilePath) -> str:
    """A file as it is, its line ends included. Raises ConfigError."""
    try:
        return read_file(file, 1_000_000, allow_pipe=True).decode()
    except FileNotFoundError:
        raise _failure(file, 0, "there is no such file") from None
    except UnicodeDecodeError:
        raise _failure(file, 0, "is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise _failure(file, 0, f"cannot be read: {error.strerror}") from None


def _parsed(text: str, file: FilePath) -> Document:
    try:
        return parse(text)
    except YamlError as error:
        raise _failure(file, error.line, error.message) from None


def _failure(file: FilePath, line: int, message: str) -> ConfigError:
    return ConfigError([Problem(Place(_shown(file), line), "error", "", message)])


def _shown(file: FilePath) -> str:
    """A path as short as it is clear: relative to the current folder where it lies below it."""
    try:
        return str(file.resolve().relative_to(FilePath.cwd()))
    except ValueError:
        return str(file)
