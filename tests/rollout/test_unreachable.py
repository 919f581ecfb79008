"""An AWS that cannot be reached. No embedded AWS is there, which sends nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from abtest.rollout.guard import Guard, GuardError
from tests.configs import config, experiment, source
from tests.rollout.test_guard import RULE


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"aws:profile": "nobody"}, "The config profile (nobody) could not be found"),
        ({"aws:endpoints": [{"elbv2": "http://127.0.0.1:9"}]}, "AWS cannot be reached; check the network"),
    ],
    ids=["unknown profile", "unreachable endpoint"],
)
def test_an_aws_that_cannot_be_asked_is_one_message(
    setting: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setattr("time.sleep", lambda _: None)  # boto3 tries again
    keys = config() | setting
    with pytest.raises(GuardError) as caught:
        asyncio.run(Guard(experiment(keys), source(keys)).before_forward(RULE))  # type: ignore[arg-type]
    assert words in str(caught.value)
