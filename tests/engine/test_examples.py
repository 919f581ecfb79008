"""Each example as it stands: up, up again without a call, and down."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.configs import ROOT
from tests.engine.harness import Engine, cloud

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda file: file.stem)
def test_an_example_goes_up_stays_and_goes_down(file: Path, tmp_path: Path) -> None:
    config = yaml.safe_load(file.read_text(encoding="utf-8"))["config"]
    own = {key.removeprefix("abtest:"): value for key, value in config.items() if key.startswith("abtest:")}
    with cloud(file) as aws:
        engine, before = Engine(tmp_path, aws), aws.arns
        made = engine.up(own)
        if "needs subnets with an IPv6 block" in made.output:
            pytest.skip("the provider is a stand-in, whose look-ups tell of no IPv6 block")
        assert made.succeeded().refusals == []
        again = engine.up().succeeded()
        assert (again.steps, again.writes) == ((), [])
        assert engine.destroy().succeeded().refusals == []
        assert aws.arns == before
