"""What a stack config says: types, AWS's limits, checks, loading. Imports no cloud library."""

from abtest.experiment.load import load, load_stack, try_load
from abtest.experiment.problems import ConfigError, Place, Problem
from abtest.experiment.source import Project, Source, find_project, stack_file
from abtest.experiment.types import Experiment

__all__ = [
    "ConfigError",
    "Experiment",
    "Place",
    "Problem",
    "Project",
    "Source",
    "find_project",
    "load",
    "load_stack",
    "stack_file",
    "try_load",
]
