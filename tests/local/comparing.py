"""Deployments as plain values, for comparing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from abtest.local import Deployment

__all__ = ["comparable"]


def comparable(deployment: Deployment) -> Any:
    """Everything that the embedded AWS made and describes, as JSON has it. Times of creation are left out."""
    resources = [
        {name: getattr(resource, name) for name in resource.__dataclass_fields__} for resource in deployment.resources
    ]
    parts = [resources, deployment.outputs, deployment.described, deployment.assumed]
    return json.loads(json.dumps(parts, default=_plain))


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, datetime):
        return "a time"
    raise TypeError(f"{value!r} in a deployment")
