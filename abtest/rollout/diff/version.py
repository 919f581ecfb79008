"""One version of a stack: its experiment, and what decides besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Self

from abtest.experiment import Experiment, Project, Source, load
from abtest.experiment.engine_text import decoded
from abtest.experiment.engine_yaml import parse
from abtest.experiment.problems import NAMESPACE
from abtest.experiment.types import Secret

__all__ = ["Version", "scripts_of"]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One side of a comparison.

    ``scripts`` holds the contents of each variant's ``userDataFile``. ``elsewhere`` is what the stack says outside this
    program's namespace, such as ``aws:region``. ``encrypted`` maps key paths to encrypted values as the files have
    them: two of them can be told apart, but not read.
    """

    experiment: Experiment
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    encrypted: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: FilePath, project: Project) -> Self:
        """Read a stack file, its project's values and its scripts. Raises ConfigError."""
        source = Source.from_file(file, project)
        experiment, _ = load(source)
        stack = parse(file.read_text(encoding="utf-8")).value
        others = {key: decoded(text) for key, text in source.values.items() if not key.startswith(f"{NAMESPACE}:")}
        if stack.get("environment"):
            others["environment"] = stack["environment"]
        return cls(
            experiment=experiment,
            scripts={name: (project.folder / script).read_bytes() for name, script in scripts_of(experiment).items()},
            elsewhere={"name": project.name, **others},
            encrypted={
                **dict(_encrypted(project.config)),
                **dict(_encrypted(stack.get("config") or {})),
            },
        )


def scripts_of(experiment: Experiment) -> dict[str, str]:
    """Variant -> its ``userDataFile``, for those that have one."""
    launches = {name: variant.targets.launch for name, variant in experiment.variants.items()}
    return {
        name: launch.user_data_file
        for name, launch in launches.items()
        if launch is not None and launch.user_data_file is not None and not isinstance(launch.user_data_file, Secret)
    }


def _encrypted(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if list(value) == ["secure"]:
            yield path, str(value["secure"])
            return
        for key, item in value.items():
            yield from _encrypted(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for n, item in enumerate(value):
            yield from _encrypted(item, f"{path}[{n}]")
