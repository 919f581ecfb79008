"""Configs of the tests. None is changed in place: ``changed`` gives another one."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

__all__ = ["BASE", "IMAGE", "changed", "launching", "rule"]


#: An image that is not the newest Amazon Linux.
IMAGE = "ami-12c6146b"


def launching(**launch: Any) -> dict[str, Any]:
    """A variant of one small instance; ``ami=None`` is the default image."""
    launch = {"instanceType": "t3.small", "ami": IMAGE, **launch}
    return {
        "port": 8080,
        "healthCheck": {"path": "/healthz"},
        "deregistrationDelaySeconds": 1,
        "targets": {"launch": {key: value for key, value in launch.items() if value is not None}},
    }


def rule(priority: int, path: str, forward: str | Mapping[str, int]) -> dict[str, Any]:
    return {"priority": priority, "when": {"path": [path]}, "forward": forward}


BASE: dict[str, Any] = {
    "experiment": "first",
    "control": "a",
    "weights": {"a": 90, "b": 10},
    "stickinessSeconds": "3600",
    "variants": {"a": launching(), "b": launching()},
    "rules": {"to-b": rule(10, "/v2/*", "b"), "halves": rule(20, "/halves/*", {"a": 50, "b": 50})},
}


def changed(config: Mapping[str, Any], **by_path: Any) -> dict[str, Any]:
    """``config`` with values set, as in ``variants__a__port=9090``."""
    new = deepcopy(dict(config))
    for path, value in by_path.items():
        *parents, last = path.split("__")
        section = new
        for key in parents:
            section = section[key]
        section[last] = value
    return new
