"""How long the provider waits for what drains."""

from __future__ import annotations

import math

import pulumi

from abtest.experiment.types import Variant

__all__ = ["beyond_drain"]


def beyond_drain(variant: Variant, **minutes: int) -> pulumi.CustomTimeouts:
    """Timeouts of ``create``, ``update`` and ``delete``, each longer by the variant's deregistration delay: an instance
    or a task ends after it, and it may be an hour (API TargetGroupAttribute).
    """
    drain = math.ceil(variant.deregistration_delay_seconds / 60)
    return pulumi.CustomTimeouts(**{operation: f"{usual + drain}m" for operation, usual in minutes.items()})
