"""`pulumi up` loads what it needs and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from abtest.local import deploy
from tests.configs import ROOT, config

HEAVY = (
    "boto3",
    "botocore",
    "moto",
    "click",
    "rich",
    "aiohttp",
    "duckdb",
    "numpy",
    "scipy",
    "pytest",
    "abtest.local",
    "abtest.cli",
    "abtest.stack.ecs",
)


def test_the_program_imports_no_command_line_no_embedded_aws_and_no_client() -> None:
    code = f"import sys, abtest.stack; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_only_some_stacks_have_is_loaded_by_them_alone() -> None:
    some = ("abtest.stack.autoscaling", "abtest.stack.function")
    code = f"import sys, abtest.stack.program; print([name for name in {some!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_stack_without_a_service_does_not_load_what_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "abtest.stack.ecs", raising=False)
    deploy(config())
    assert "abtest.stack.ecs" not in sys.modules
    ecs = {"image": "model:1", "cpu": 256, "memory": 512, "publicIp": True}
    deploy(config(weights={"a": 1}, variants={"a": {"port": 8080, "targets": {"ecs": ecs}}}))
    assert "abtest.stack.ecs" in sys.modules
