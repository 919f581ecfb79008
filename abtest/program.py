"""The Pulumi program: load the stack's config, look up what exists, build the rest, export.

``__main__.py`` runs it for `pulumi up`. `abtest local` runs it in a folder without a ``__main__.py``, so that an
installed abtest needs a stack file and nothing else.
"""

import pulumi

from abtest.rollout.guard import Guard
from abtest.stack import build, load_experiment, look_up

__all__ = ["run"]


def run() -> None:
    """Register every resource of the stack, and its exports."""
    experiment, source = load_experiment()
    for name, value in build(experiment, look_up(experiment, source), Guard(experiment, source)).items():
        pulumi.export(name, value)
