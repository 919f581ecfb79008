"""Calls of the provider's functions, and what their failures mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

__all__ = ["NotFoundError", "UnreachableError", "ask"]

T = TypeVar("T")


class NotFoundError(Exception):
    """What was asked for does not exist, or not just once."""


class UnreachableError(Exception):
    """AWS could not be asked: credentials, permissions, the network, throttling."""


#: How the provider and AWS say that there is no such thing.
_ABSENT = re.compile(
    r"no matching|multiple .*matched|\d+ .*matched|no results|empty result|couldn't find|not ?found|"
    r"invalidinstancetype|"
    r"do(es)? not exist",
    re.IGNORECASE,
)


def ask(invoke: Callable[[], T]) -> T:
    """Call a provider function. Raises NotFoundError or UnreachableError with AWS's words in one line.

    The SDK raises a bare Exception for every failure, nothing finer (pulumi.runtime.invoke).
    """
    try:
        return invoke()
    except Exception as error:
        if type(error) is not Exception:
            raise
        words = str(error).partition(" failed: ")[2] or str(error)
        text = " ".join(words.removesuffix(" ()").split())
        raise (NotFoundError if _ABSENT.search(text) else UnreachableError)(text) from error
