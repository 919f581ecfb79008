"""How a resource is made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from abtest.local.clients import Clients, Inputs

__all__ = ["Created", "Makers", "physical_name"]

#: id and outputs of a new resource
Created = tuple[str, dict[str, Any]]

#: type token -> what makes it of the resource's name and inputs
Makers = Mapping[str, Callable[[Clients, str, Inputs], Created]]


def physical_name(name: str) -> str:
    """Pulumi's autonaming: the logical name, a hyphen and 7 hexadecimal digits; here always the same ones."""
    return f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:7]}"
