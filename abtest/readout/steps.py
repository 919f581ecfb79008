"""How long a point in a picture is."""

from __future__ import annotations

from datetime import datetime

__all__ = ["step_seconds"]

_STEPS = (1, 10, 60, 300, 900, 1800, 3600)
_POINTS = 50


def step_seconds(window: tuple[datetime, datetime] | None, shortest: int = 1) -> int:
    """As long that the window has about fifty points, or as long as can be."""
    if window is None:
        return _STEPS[-1]
    wanted = max((window[1] - window[0]).total_seconds() / _POINTS, shortest)
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])
