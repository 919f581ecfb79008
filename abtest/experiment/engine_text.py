"""Values as the engine hands them to a program: texts, objects as JSON in Go's way.

Source: pulumi/pulumi sdk/go/common/resource/config/object.go.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from abtest.experiment.types import SECRET

__all__ = ["as_text", "canonical_json", "decoded", "go_float", "is_encrypted", "reveal"]


def as_text(value: Any) -> Any:
    """A top-level value as the engine hands it over. Source: config/object.go MarshalString."""
    if _is_secure(value):
        return SECRET
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return go_float(value)
    return json.dumps(canonical_json(value), ensure_ascii=False)


def _is_secure(value: Any) -> bool:
    """``{secure: <ciphertext>}`` is how a stack file holds an encrypted text."""
    return isinstance(value, dict) and list(value) == ["secure"] and isinstance(value["secure"], str)


def reveal(value: Any) -> Any:
    """Replace what is still encrypted by SECRET, at every depth."""
    if _is_secure(value):
        return SECRET
    if isinstance(value, dict):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def go_float(value: float) -> str:
    """A float as Go's encoding/json writes it: plain digits from 1e-6 up to 1e21, else an exponent."""
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.removesuffix(".0")
    return re.sub(r"e([-+])0+", r"e\1", repr(value))


def decoded(text: Any) -> Any:
    """What a text of the engine holds: JSON, or else the text itself."""
    try:
        return reveal(json.loads(text)) if isinstance(text, str) and text is not SECRET else text
    except (ValueError, RecursionError):
        return text


def is_encrypted(text: Any) -> bool:
    """Whether a text of the engine is encrypted, or some part of what it holds."""
    return _holds_secret(decoded(text))


def _holds_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_secret, value.values()))
    return any(map(_holds_secret, value)) if isinstance(value, list) else value is SECRET


def canonical_json(value: Any) -> Any:
    """Numbers as they are after the engine has written and read them as JSON: 90.0 is 90."""
    if isinstance(value, dict):
        return {key: canonical_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [canonical_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        value = float(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return int(Decimal(repr(value)))
    return value
