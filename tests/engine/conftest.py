"""Tests with the real Pulumi engine and its provider plugins. AWS is a server on this machine, in place of the real one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.configs import BASE
from tests.engine.harness import Engine, cloud


@pytest.fixture(scope="session", autouse=True)
def _pulumi() -> None:
    if shutil.which("pulumi") is None:
        pytest.skip("pulumi is not on PATH")


@pytest.fixture(scope="session")
def shared(_pulumi: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with cloud() as aws:
        yield Engine(tmp_path_factory.mktemp("shared"), aws)


@pytest.fixture
def standing(shared: Engine) -> Engine:
    """A stack that stands as BASE says. Tests share it, since an up takes seconds: best left as it was found."""
    return shared.stand(BASE)


@pytest.fixture
def fresh(_pulumi: None, tmp_path: Path) -> Iterator[Engine]:
    """A stack with nothing in it, on an AWS of its own."""
    with cloud() as aws:
        yield Engine(tmp_path, aws)
