"""No secret in the clear in what the embedded AWS shows of a deployment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from abtest.local import Deployment
from tests.cli.commands import run_here
from tests.configs import ROOT, write_stack
from tests.security.test_secrets import ENCRYPTED


def test_a_token_is_in_no_output_and_no_input_that_is_not_marked(prod: Deployment) -> None:
    token = prod.outputs["override_token"]
    assert token not in repr(prod)
    assert [key for key, value in prod.outputs.items() if token in json.dumps(value)] == ["override_token"]
    assert {resource.name for resource in prod.resources if token in json.dumps(resource.inputs)} == {
        "rule-1",
        "rule-2",
    }
    marked = {resource.name: resource.secret_inputs for resource in prod.resources if resource.secret_inputs}
    assert marked == {"rule-1": {"conditions"}, "rule-2": {"conditions"}}


def test_what_is_encrypted_stays_so_on_this_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here nobody decrypts: the text stands in as [secret], and its encrypted form is nobody's either."""
    shutil.copy(ROOT / "__main__.py", tmp_path)
    write_stack(tmp_path, ENCRYPTED)
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "local", "--stack", "test", "--requests", "50", "--fault", "none")
    assert ran.code == 0, ran
    assert "header X-Key = [secret]" in ran.out
    assert "v1:AAAA" not in ran.out + ran.err
