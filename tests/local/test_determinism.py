"""The same stack gives the same deployment, whatever was deployed before, in any process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from abtest.local import Deployment, deploy
from tests.configs import ROOT, STACKS, config
from tests.local.comparing import comparable

CHILD = """
import json, sys
from abtest.local import Deployment, deploy
from tests.local.comparing import comparable
with open(sys.argv[1], "w") as file:
    json.dump({stack: comparable(deploy(stack)) for stack in sys.argv[2:]}, file)
"""


def test_neither_the_order_nor_the_process_changes_a_deployment(
    dev: Deployment, prod: Deployment, examples: Callable[[str], Deployment], tmp_path: Path
) -> None:
    """Five stacks, each after others, and in a process with other hashes of texts."""
    order, hashes = random.sample(STACKS, 5), str(random.randrange(1, 2**32))
    written = tmp_path / "deployed.json"
    env = os.environ | {"PYTHONHASHSEED": hashes, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", CHILD, written, *order], env=env) as child:
        here = {"Pulumi.dev.yaml": dev, "Pulumi.prod.yaml": prod}
        here |= {stack: examples(Path(stack).stem) for stack in order if stack not in here}
        deployed = {stack: comparable(deployment) for stack, deployment in here.items()}
    assert child.returncode == 0
    others = json.loads(written.read_text())
    for stack in order:
        assert deployed[stack] == others[stack], f"{stack} in the order {order} with PYTHONHASHSEED={hashes}"


def test_nothing_is_left_of_a_deployment_that_failed() -> None:
    before = comparable(deploy(config()))
    with pytest.raises(KeyboardInterrupt):
        deploy(str(ROOT / "examples" / "autoscaling.yaml"), on_resource=_interrupt)
    assert comparable(deploy(config())) == before


def _interrupt(kind: str, _name: str) -> None:
    if kind.endswith("Group"):
        raise KeyboardInterrupt


def test_ids_do_not_depend_on_existing_resources_being_assumed() -> None:
    """The default VPC is the same, although nothing asked for it before the program."""
    assumed, alone = (deploy(config(), assume=assume) for assume in (True, False))
    assert alone.resources == assumed.resources
