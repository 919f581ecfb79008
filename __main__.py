"""The Pulumi program: load the stack's config, look up what exists, build the rest, export."""

import pulumi

from abtest.rollout.guard import guard
from abtest.stack import build, load_experiment, look_up

experiment, source = load_experiment()
for name, value in build(experiment, look_up(experiment, source), guard(experiment, source)).items():
    pulumi.export(name, value)
