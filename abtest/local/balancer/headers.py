"""Headers between client, load balancer and target: what concerns the message goes on byte for byte."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Iterable

__all__ = ["Fields", "for_client", "for_target", "is_valid_name", "trace_id"]

#: Names and values, as they came.
Fields = Iterable[tuple[bytes, bytes]]

#: They concern one connection. ``Expect`` is answered by the load balancer.
_HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect"}
)
_SET_ANEW = frozenset({b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-port", b"x-amzn-trace-id"})
_NOT_FOR_TARGET = _HOP_BY_HOP | _SET_ANEW

#: What drop_invalid_header_fields leaves. Source: API LoadBalancerAttribute.
is_valid_name = re.compile(rb"[-A-Za-z0-9]+").fullmatch


def for_target(fields: Fields, *, host: str, forwarded_for: str, proto: str, port: int, trace: str) -> bytes:
    """A client's headers as its target gets them. Source: ALB guide, "HTTP headers and Application Load Balancers"."""
    own = (
        f"X-Forwarded-For: {forwarded_for}\r\nX-Forwarded-Proto: {proto}\r\nX-Forwarded-Port: {port}\r\n"
        f"Host: {host}\r\nX-Amzn-Trace-Id: {trace}\r\n"
    )
    return own.encode(errors="surrogateescape") + _joined(fields, _NOT_FOR_TARGET)


def for_client(fields: Fields, cookies: Iterable[str], added: Collection[tuple[str, str]] = ()) -> bytes:
    """A target's headers as its client gets them; ``added`` take the place of the target's.

    Source: ALB guide, "HTTP header modification".
    """
    own = "".join(f"{name}: {value}\r\n" for name, value in (*(("Set-Cookie", c) for c in cookies), *added))
    without = _HOP_BY_HOP.union(name.lower().encode() for name, _ in added) if added else _HOP_BY_HOP
    return _joined(fields, without) + own.encode()


def _joined(fields: Fields, without: frozenset[bytes]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields if field[0].lower() not in without])


def trace_id(given: str) -> str:
    """A new root, or what the client sent with this load balancer's own part in front.

    Source: ALB guide, "Request tracing". A header without a root gets one [open].
    """
    own = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    if not given:
        return f"Root={own}"
    return f"Self={own};{given}" if "Root=" in given else f"Root={own};{given}"
