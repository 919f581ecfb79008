"""A stack that stands on the embedded AWS, made once a module and put back before each test that moves its traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rollout.fake_engine import Stand, standing_copy


@pytest.fixture(scope="module")
def _stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing_copy(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture
def stand(_stand: Stand) -> Stand:
    return _stand.reset()
