"""What tests share cannot be changed by one of them, and no test shares what it patched."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from abtest import local
from tests.configs import config
from tests.deployed import deploy

CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "an item more": lambda described: described.update(Listeners=[]),
    "an item less": lambda described: described.pop("Rules"),
    "an empty list": lambda described: described["Listeners"].clear(),
    "another order": lambda described: described["TargetGroups"].sort(key=str),
    "another port": lambda described: described["Listeners"][0].__setitem__("Port", 81),
    "no port": lambda described: described["TargetGroups"][0].__delitem__("Port"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_shared_deployment_refuses_changes(change: Callable[[Any], object]) -> None:
    found = deploy(config())
    before = json.dumps(found.described, default=str)
    with pytest.raises(TypeError, match="tests share this deployment"):
        change(found.described)
    assert json.dumps(found.described, default=str) == before


def test_inputs_and_outputs_refuse_changes_too() -> None:
    found = deploy(config())
    for values in (found.outputs, *(part for r in found.resources for part in (r.inputs, r.state))):
        with pytest.raises(TypeError, match="tests share this deployment"):
            values |= {"a": 1}  # type: ignore[operator]


def test_a_deep_copy_can_be_changed() -> None:
    copied = copy.deepcopy(deploy(config()).described)
    copied["Listeners"][0]["Port"] = 81
    assert (type(copied), copied["Listeners"][0]["Port"]) == (dict, 81)


def test_the_same_config_is_deployed_once_and_as_it_is() -> None:
    shared = deploy(config())
    assert shared is deploy(config())
    own = local.deploy(config())
    assert (shared.resources, shared.outputs) == (own.resources, own.outputs)


def test_the_order_of_keys_and_what_is_assumed_are_told_apart() -> None:
    keys = config()
    assert deploy(keys) is not deploy(dict(reversed(keys.items())))
    assert deploy(keys) is not deploy(keys, assume=False)


def test_a_test_that_patches_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    own = local.deploy(config())
    monkeypatch.setattr(local, "deploy", lambda *_, **__: own)
    assert deploy(config()).experiment is own.experiment
