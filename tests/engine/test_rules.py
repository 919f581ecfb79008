"""Rules that change their names and places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.engine.configs import BASE, changed, rule
from tests.engine.harness import Engine

pytestmark = pytest.mark.engine

HALVES, TO_B = BASE["rules"]["halves"], BASE["rules"]["to-b"]


def paths(rules: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a config's rules look like on the load balancer: condition and weights, by port and priority."""
    weights = {"a": {"abtest-a": 1}, "b": {"abtest-b": 1}}
    return {
        f"80 {each['priority']}": (
            each["when"]["path"],
            weights[each["forward"]]
            if isinstance(each["forward"], str)
            else {f"abtest-{name}": weight for name, weight in each["forward"].items()},
        )
        for each in rules.values()
    }


def found(engine: Engine) -> Mapping[str, Any]:
    return {
        place: (entry["if"][0]["PathPatternConfig"]["Values"], engine.cloud.weights(place))
        for place, entry in engine.cloud.layout["rules"].items()
        if not place.endswith("default")
    }


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"renamed": TO_B, "halves": HALVES}, id="renamed"),
        pytest.param({"to-b": {**TO_B, "priority": 20}, "halves": {**HALVES, "priority": 10}}, id="swapped"),
        pytest.param({"to-b": TO_B, "between": rule(15, "/v1/*", "a"), "halves": HALVES}, id="inserted, then removed"),
        pytest.param({"to-b": {**TO_B, "priority": 21}, "halves": HALVES}, id="moved behind"),
    ],
)
def test_rules_change_name_and_place_without_two_on_one_priority(standing: Engine, rules: dict[str, Any]) -> None:
    there = standing.up(changed(BASE, rules=rules)).succeeded()

    assert found(standing) == paths(rules)
    assert there.refusals == []
    assert there.gaps == []

    back = standing.up(BASE).succeeded()

    assert found(standing) == paths(BASE["rules"])
    assert back.refusals == []
    assert back.gaps == []
