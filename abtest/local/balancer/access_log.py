"""Access logs in the load balancer's own format. Source: ALB guide, "Access logs".

A line has 34 fields; where this balancer has nothing to say (TLS, WAF, transforms) it writes "-", as AWS does.
"""

from __future__ import annotations

import asyncio
import errno
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

__all__ = ["AccessLog", "Entry"]

#: [open] AWS does not say how it escapes; its lines show \x22 for a quote.
_ESCAPED = re.compile(r"[^ !#-\[\]-~]")
_FLUSH_SECONDS = 0.5
_LONGEST_USER_AGENT = 8192


@dataclass(slots=True, kw_only=True)
class Entry:
    """A request as it will stand in the log. Filled in on its way; times in seconds, -1 where there are none.

    ``is_new`` says that no cookie chose the group; AWS has no such field.
    """

    type: str
    client: str
    connection: str
    received_at: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)
    target: str = "-"
    request_seconds: float = -1
    target_seconds: float = -1
    response_seconds: float = -1
    status: int = 0
    target_status: str = "-"
    received_bytes: int = 0
    sent_bytes: int = 0
    request_line: str = ""
    user_agent: str = "-"
    group: str = "-"
    trace_id: str = "-"
    priority: str = "-"
    action: str = "-"
    redirect_url: str = "-"
    error_reason: str = "-"
    is_new: bool = False

    def line(self, elb: str) -> str:
        ended = datetime.now(UTC)
        return (
            f"{self.type} {ended:%Y-%m-%dT%H:%M:%S.%fZ} {elb} {self.client} {self.target} "
            f"{_seconds(self.request_seconds)} {_seconds(self.target_seconds)} {_seconds(self.response_seconds)} "
            f"{self.status} {self.target_status} {self.received_bytes} {self.sent_bytes} "
            f'"{_quoted(self.request_line)}" '
            f'"{_quoted(self.user_agent[:_LONGEST_USER_AGENT])}" - - {self.group} "{_quoted(self.trace_id)}" "-" "-" '
            f"{self.priority} {_instant(self.received_at)} "
            f'"{self.action}" "{_quoted(self.redirect_url)}" "{self.error_reason}" '
            f'"{self.target}" "{self.target_status}" "-" "-" '
            f'{self.connection} "-" "-" "-" 127.0.0.1\n'
        )


def _seconds(value: float) -> str:
    return "-1" if value < 0 else f"{value:.3f}"


def _instant(moment: float) -> str:
    """To the millisecond, padded with zeros to microseconds."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "000Z"


def _quoted(text: str) -> str:
    return _ESCAPED.sub(_as_hex, text) if _ESCAPED.search(text) else text


def _as_hex(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


class AccessLog:
    """Writes entries to ``path``, at most half a second late; tells ``on_entry`` of each at once. A new file without
    entries is removed when it is closed.

    Where the disk takes no more, ``failure`` says why, and the requests go on without their lines.
    """

    def __init__(self, path: Path, on_entry: Callable[[Entry], Any] = lambda _: None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_fifo():  # to open it would wait for a reader
            raise OSError(errno.EINVAL, "it is a pipe; name a file")
        self.path = path
        self.on_entry = on_entry
        self._is_new = not path.exists()
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._flush: asyncio.TimerHandle | None = None
        self.failure: OSError | None = None

    def write(self, elb: str, entry: Entry) -> None:
        with self._on_disk():
            self._file.write(entry.line(elb))
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self.on_entry(entry)

    def flush(self) -> None:
        """Bring what was written to the disk."""
        self._flush = None
        with self._on_disk():
            self._file.flush()

    def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        with self._on_disk():
            self._file.close()
            if self._is_new and not self.path.stat().st_size:
                self.path.unlink()

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failure = self.failure or error
