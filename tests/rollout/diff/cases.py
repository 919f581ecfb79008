"""Changes that the golden files show, and versions made of small configs."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from abtest.rollout.diff.effect import Effect, compare
from abtest.rollout.diff.markdown import as_markdown
from abtest.rollout.diff.version import Version
from tests.configs import SERVICE, VARIANT, config, experiment, rule

GOLDEN = Path(__file__).parent / "golden"

LAUNCHED = {"port": 8080, "targets": {"launch": {"instanceType": "t3.small", "count": 2}}}
RULES = {
    "path-b": rule(priority=10, when={"path": ["/v2/*"]}, forward="b"),
    "partner": rule(priority=20, when={"sourceIp": ["198.51.100.0/24"]}, forward={"a": 50, "b": 50}),
}
BASE: dict[str, Any] = {"weights": {"a": 90, "b": 10}, "stickinessSeconds": 3600, "rules": RULES}
THREE = dict.fromkeys("abc", VARIANT)


def version(scripts: dict[str, bytes] | None = None, **changes: Any) -> Version:
    """A version of the base config with ``changes`` by key."""
    return Version(
        stack="test",
        experiment=experiment(config(**BASE | changes)),
        scripts=scripts or {},
        elsewhere={"aws:region": "us-east-1"},
    )


def effect(before: dict[str, Any], after: dict[str, Any]) -> Effect:
    """What a change of the base config does."""
    return compare(version(**before), version(**after))


def _image(image: str) -> dict[str, Any]:
    """The service with another image."""
    found = deepcopy(SERVICE)
    found["targets"]["ecs"]["image"] = image
    return found


#: name -> the changes of the base config on each side; None is no stack.
CASES: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
    "shift": ({}, {"weights": {"a": 75, "b": 25}}),
    "removal": ({}, {"weights": {"a": 1}, "rules": {"partner": RULES["partner"]}}),
    "rollback": ({}, {"weights": {"a": 1}, "held": ["b"]}),
    "guardrails_off": ({}, {"weights": {"a": 10, "b": 90}, "guardrails": None, "idleTimeoutSeconds": 120}),
    "shadowing_rule": (
        {},
        {
            "rules": RULES
            | {"all-v2": rule(priority=5, when={"path": ["/v?/*"]}, forward=None, respond={"status": 503})}
        },
    ),
    "reordered_rules": (
        {},
        {"rules": {name: found | {"priority": 30 - found["priority"]} for name, found in RULES.items()}},
    ),
    "replaced_targets": (
        {"variants": {"a": LAUNCHED, "b": LAUNCHED}},
        {
            "variants": {
                "a": LAUNCHED | {"healthCheck": {"path": "/healthz"}},
                "b": {"port": 9090, "targets": {"launch": {"instanceType": "c7i.large", "count": 3}}},
            }
        },
    ),
    "other_words": (
        {},
        {
            "weights": {"b": 1, "a": 9},
            "listener": {"port": 80},
            "rules": {
                "beta": RULES["path-b"] | {"priority": 15},
                "partner": RULES["partner"] | {"priority": 30, "forward": {"b": 1, "a": 1}},
            },
        },
    ),
    "third_variant": (
        {"variants": THREE},
        {
            "variants": THREE,
            "weights": {"a": 80, "b": 10, "c": 10},
            "stickinessSeconds": 1800,
            "idleTimeoutSeconds": 120,
        },
    ),
    "services": (
        {"variants": {"a": SERVICE, "b": SERVICE}},
        {
            "variants": {"a": _image("example.com/model:2"), "b": SERVICE | {"port": 9090}, "c": SERVICE},
            "weights": {"a": 80, "b": 10, "c": 10},
        },
    ),
    "new_stack": (None, {}),
    "deleted_stack": ({}, None),
    "odd_texts": (
        {},
        {
            "rules": RULES
            | {
                "a_b_c @x": rule(
                    priority=30,
                    when={"header": {"X-Odd": ["a|b`c", '<"#&*\\n'], "X-More": ["``"]}},
                    forward=None,
                    redirect={"path": "/a|b`c*/#{path}", "query": 'x=<"'},
                )
            }
        },
    ),
}


def shown(name: str) -> str:
    """The Markdown of a case."""
    before, after = (None if side is None else version(**side) for side in CASES[name])
    return as_markdown(compare(before, after), "test", ("1a2b3c4 (merge base with origin/main)", "the working tree"))
