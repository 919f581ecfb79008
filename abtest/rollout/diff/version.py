"""One version of a stack: its experiment, and what decides besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, Self

from abtest.experiment import Experiment, Project, Source, load, try_load
from abtest.experiment.engine_text import decoded
from abtest.experiment.engine_yaml import parse
from abtest.experiment.files import read_script
from abtest.experiment.load import likely_controls
from abtest.experiment.problems import NAMESPACE
from abtest.experiment.source import read_text
from abtest.experiment.types import Secret

__all__ = ["Version", "scripts_of"]

CONTROL = f"{NAMESPACE}:control"

#: What the provider may be given, and nobody may be shown (pulumi_aws Provider).
_CREDENTIALS = frozenset({"aws:accessKey", "aws:secretKey", "aws:token"})


@dataclass(frozen=True, kw_only=True)
class Version:
    """One side of a comparison.

    ``scripts`` holds the contents of each variant's ``userDataFile``. ``elsewhere`` is what the stack says outside this
    program's namespace, such as ``aws:region``. ``encrypted`` maps key paths to encrypted values as the files have
    them: two of them can be told apart, but not read; credentials that somebody left in the clear are among them.
    """

    experiment: Experiment
    stack: str
    scripts: Mapping[str, bytes] = field(default_factory=dict)
    elsewhere: Mapping[str, Any] = field(default_factory=dict)
    encrypted: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: FilePath, project: Project, *, control: str | None = None) -> Self:
        """Read a stack file, its project's values and its scripts. Raises ConfigError.

        ``control`` takes the place of a missing one, so that a file from before it was required can be compared; if it
        is not in the split of that file, a variant with the largest weight does.
        """
        text = read_text(file)  # once: it may be a pipe
        source = Source.from_text(text, file, project)
        if control is not None:
            source = _with_control(source, control)
        experiment, _ = load(source)
        stack = parse(text).value
        others = {key: decoded(value) for key, value in source.values.items() if not key.startswith(f"{NAMESPACE}:")}
        in_clear = {key: str(others.pop(key)) for key in _CREDENTIALS & others.keys()}
        if stack.get("environment"):
            others["environment"] = stack["environment"]
        return cls(
            experiment=experiment,
            stack=source.stack,
            scripts={name: read_script(project.folder, script) for name, script in scripts_of(experiment).items()},
            elsewhere={"name": project.name, **others},
            encrypted={
                **dict(_encrypted(project.config)),
                **dict(_encrypted(stack.get("config") or {})),
                **in_clear,
            },
        )


def _with_control(source: Source, control: str) -> Source:
    """The source, with another control if its own is missing or outside of the split, and nothing else is wrong."""
    experiment, problems = try_load(source)
    weights = experiment.weights
    if not weights or {problem.path for problem in problems if problem.severity == "error"} != {CONTROL}:
        return source
    name = control if control in weights else likely_controls(weights)[0]
    return replace(source, values={**source.values, CONTROL: name})


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
