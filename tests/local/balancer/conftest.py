"""One loop and two model servers for all of these tests; a balancer for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.balancer.harness import Loop, ModelServer, Site, running


@pytest.fixture(scope="package")
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def a(loop: Loop) -> Iterator[ModelServer]:
    server = loop.run(ModelServer("a").start())
    yield server
    loop.run(server.stop())


@pytest.fixture
def b(loop: Loop) -> Iterator[ModelServer]:
    server = loop.run(ModelServer("b").start())
    yield server
    loop.run(server.stop())


@pytest.fixture
def site(loop: Loop, tmp_path: Path) -> Iterator[Site]:
    with running(loop, tmp_path) as made:
        yield made
