"""The engine's side of a run: its config becomes a checked Experiment, mistakes become messages without a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pulumi
from pulumi.runtime import get_config_env, is_config_secret
from pulumi.runtime.config import CONFIG

from abtest.experiment import ConfigError, Experiment, Project, Source, load
from abtest.experiment.source import project_folder

__all__ = ["load_experiment", "shown_as_list"]


def load_experiment() -> tuple[Experiment, Source]:
    """The running stack's config, checked. Raises pulumi.RunError, which the engine prints without a traceback."""
    values, here = {**get_config_env(), **CONFIG.get()}, Path.cwd()
    source = Source.from_engine(
        values,
        frozenset(key for key in values if is_config_secret(key)),
        Project(project_folder(here) or here, pulumi.get_project()),
        pulumi.get_stack(),
    )
    with shown_as_list():
        experiment, warnings = load(source)
    for warning in warnings:
        pulumi.log.warn(warning.without_severity)
    return experiment, source


@contextmanager
def shown_as_list() -> Iterator[None]:
    """Turn a ConfigError into the list of problems that ``pulumi up`` shows."""
    try:
        yield
    except ConfigError as error:
        count = sum(problem.severity == "error" for problem in error.problems)
        raise pulumi.RunError(
            f"the config has {count} error{'s' * (count != 1)}, nothing was changed\n{error}"
        ) from error
