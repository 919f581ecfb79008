"""`pulumi up` loads what it needs and nothing else."""

from __future__ import annotations

import subprocess
import sys

from tests.configs import ROOT

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
