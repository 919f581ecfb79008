"""The AWS resources of an experiment: one component a file, built from decisions made on plain values."""

from abtest.stack.config import load_experiment
from abtest.stack.look_up import Surroundings, look_up
from abtest.stack.program import build

__all__ = ["Surroundings", "build", "load_experiment", "look_up"]
