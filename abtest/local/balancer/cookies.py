"""The cookies of group stickiness.

AWSALBTG and AWSALBTGCORS have the same content, the second with ``SameSite=None; Secure``. ``Expires`` is seven days
ahead whatever the duration, which is kept inside. Source: ALB guide, "Sticky sessions"; the form as AWS sends it.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Iterable
from email.utils import formatdate

__all__ = ["GroupCookies", "InvalidCookieError"]

_DAYS_7 = 7 * 24 * 3600
_NAMES = ("AWSALBTGCORS", "AWSALBTG")
_DIGEST_SIZE = 32


class InvalidCookieError(Exception):
    """A group cookie that this balancer has not made, or that was changed on its way."""


class GroupCookies:
    """Makes and reads the cookies. Their content is signed, so that no client chooses its group."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def made(self, group: str, seconds: int) -> tuple[str, str]:
        """The two Set-Cookie values for a client that was sent to ``group`` and stays there for ``seconds``."""
        now = time.time()
        content = f"{now + seconds} {group}".encode()
        value = base64.b64encode(self._signed(content) + content).decode()
        expires = formatdate(now + _DAYS_7, usegmt=True)
        return (
            f"AWSALBTG={value}; Expires={expires}; Path=/",
            f"AWSALBTGCORS={value}; Expires={expires}; Path=/; SameSite=None; Secure",
        )

    def group(self, cookie_lines: Iterable[str]) -> str | None:
        """The group that a client is stuck to; None without a cookie, or when its time is over.

        Raises InvalidCookieError.
        """
        parts = (part.strip().partition("=") for line in cookie_lines for part in line.split(";"))
        sent = {name: value for name, _, value in parts if name in _NAMES}
        found = next((sent[name] for name in _NAMES if name in sent), None)
        if found is None:
            return None
        try:
            decoded = base64.b64decode(found, validate=True)
        except ValueError:  # not base64, or not ASCII
            raise InvalidCookieError from None
        signature, content = decoded[:_DIGEST_SIZE], decoded[_DIGEST_SIZE:]
        if not hmac.compare_digest(signature, self._signed(content)):
            raise InvalidCookieError
        until, _, group = content.decode().partition(" ")
        return group if time.time() < float(until) else None

    def _signed(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")
