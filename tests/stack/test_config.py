"""The engine's side of a run: the config that it hands over, and the warnings that it shows."""

from __future__ import annotations

import pulumi
import pytest

from abtest.experiment.engine_text import as_text
from abtest.stack import config as stack_config
from tests.configs import config


def test_a_warning_is_logged_without_a_second_severity(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine writes "warning: " before each."""
    values = {key: as_text(value) for key, value in config(weights={"a": 0, "b": 1}).items()}
    warnings: list[str] = []
    monkeypatch.setattr(stack_config, "get_config_env", lambda: values)
    monkeypatch.setattr(stack_config, "is_config_secret", lambda _: False)
    monkeypatch.setattr(pulumi, "get_project", lambda: "abtest")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "nowhere")
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    stack_config.load_experiment()
    (warning,) = warnings
    assert warning.startswith("stack nowhere: abtest:control: a has no new clients")
