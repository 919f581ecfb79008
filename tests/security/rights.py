"""What a command asks of AWS, and the rights that docs/security.md gives for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.client import BaseClient

from tests.configs import ROOT

__all__ = ["asked_of_aws", "documented"]

#: The prefix of a service's actions where it is not the client's name (Service Authorization Reference).
_PREFIXES = {"elbv2": "elasticloadbalancing"}


@contextmanager
def asked_of_aws() -> Iterator[set[str]]:
    """The actions of the calls that are made meanwhile."""
    actions = set[str]()
    call = BaseClient._make_api_call

    def noted(self: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        service = self.meta.service_model.service_name
        actions.add(f"{_PREFIXES.get(service, service)}:{operation}")
        return call(self, operation, given)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield actions


def documented(command: str) -> set[str]:
    """The actions in the row of a command, and in that of the one that it calls the same."""
    rows = {
        cells[1]: cells[2]
        for line in (ROOT / "docs" / "security.md").read_text().splitlines()
        if line.startswith("| `abtest ") and len(cells := line.split("|")) > 3
    }
    (row,) = (rights for name, rights in rows.items() if f"`abtest {command}`" in name)
    before = documented("explain --live") if "the same, and" in row else set[str]()
    return before | set(re.findall(r"`(\w+:\w+)`", row))
