"""Write what the dev stack consists of, after a change that is meant: ``python -m tests.stack.write_golden``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from abtest.local import Deployment, deploy

__all__ = ["DEV", "made"]

DEV = Path(__file__).parent / "golden" / "dev.json"


def made(deployment: Deployment) -> dict[str, Any]:
    """Every resource by its URN: its inputs, but for the start-up script, which holds a whole server; and what it comes
    after.
    """
    found = {
        resource.urn: {
            "inputs": {key: value for key, value in resource.inputs.items() if key != "userData"},
            "after": sorted(resource.depends_on),
        }
        for resource in deployment.resources
    }
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


if __name__ == "__main__":
    DEV.write_text(json.dumps(made(deploy("dev")), indent=1, sort_keys=True) + "\n")
