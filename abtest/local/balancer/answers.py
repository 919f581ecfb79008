"""What the load balancer answers by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

__all__ = ["Answer", "answer", "fixed_response", "redirect"]

#: Where AWS's words are not those of Python. 408 to 464 [open]: as its kind of server puts it.
_PHRASES = {
    408: "Request Time-out",
    414: "Request-URI Too Large",
    460: "Client Closed Request",
    463: "Too Many Forwarded Addresses",
    464: "Incompatible Protocol Versions",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
_LONGEST_LOCATION = 8 * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Sequence[tuple[str, str]]

    def sent(
        self,
        *,
        keep_alive: bool,
        has_body: bool = True,
        says_server: bool = True,
        added: Sequence[tuple[str, str]] = (),
    ) -> bytes:
        """As bytes, with headers ``added``. Without the body, its length is still told: HEAD is answered so."""
        headers = (
            *([("Server", "awselb/2.0")] if says_server else []),
            ("Date", formatdate(usegmt=True)),
            *self.headers,
            *added,
            ("Content-Length", str(len(self.body))),
            ("Connection", "keep-alive" if keep_alive else "close"),
        )
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n{lines}\r\n"
        return head.encode(errors="surrogateescape") + (self.body if has_body else b"")


def _phrase(status: int) -> str:
    if status in _PHRASES:
        return _PHRASES[status]
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"  # a fixed response may have any status


def answer(status: int, *headers: tuple[str, str]) -> Answer:
    """An error or a redirect, with the body that AWS sends (502: 122 bytes, 503: 162 bytes, 301: 134 bytes)."""
    title = f"{status} {_phrase(status)}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n"
        f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    )
    return Answer(status, body.encode(), (*headers, ("Content-Type", "text/html")))


def redirect(status: int, location: str) -> Answer:
    # AWS answers 507 where the address is over 8 KB. Source: ALB guide, "CloudWatch metrics".
    return answer(status, ("Location", location)) if len(location) <= _LONGEST_LOCATION else answer(507)


def fixed_response(status: int, body: str, content_type: str) -> Answer:
    headers = [("Content-Type", f"{content_type}; charset=utf-8")] if content_type else []
    return Answer(status, body.encode(), headers)
