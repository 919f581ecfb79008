"""The Pulumi program: load the stack's config, look up what exists, build the rest, export."""

import pulumi

from abtest.stack import build, load_experiment, look_up
from abtest.stack.engine import shown_as_list

experiment, source = load_experiment()
with shown_as_list():
    surroundings = look_up(experiment, source)
for name, value in build(experiment, surroundings, source.project.folder).items():
    pulumi.export(name, value)
