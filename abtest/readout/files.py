"""Log files on this machine, and what a name says that AWS gave. Source: ALB guide, "Access log files"."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from glob import glob
from pathlib import Path
from typing import Self

from abtest.escape import line

__all__ = ["LAG", "Delivery", "LogsError", "find", "is_gzip"]

_NAME = re.compile(
    r"(?P<account>\d{12})_elasticloadbalancing_(?P<region>[a-z0-9-]+)_app\.(?P<name>[A-Za-z0-9-]+)\.(?P<id>[0-9a-f]+)_"
    r"(?P<end>\d{8}T\d{4}Z)_[^_/]+_[^_/]+\.log(\.gz)?"
)
#: How much later than a request its file may end: it holds five minutes, and a request is logged when it has ended.
LAG = timedelta(minutes=10)
_ENDINGS = (".log", ".gz")


class LogsError(Exception):
    """There are no logs to read where the caller said; the text, on one line, says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(line(message))


@dataclass(frozen=True)
class Delivery:
    """What the name of a log file says: ``end`` is the end of the five minutes that it holds."""

    load_balancer: str
    end: datetime

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Of a file name without its folders; None where AWS's access log did not give it."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        try:
            end = datetime.strptime(match["end"], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        except ValueError:
            return None
        return cls(f"app/{match['name']}/{match['id']}", end)

    def is_within(self, start: datetime, end: datetime) -> bool:
        """Whether it can hold requests of that time."""
        return start <= self.end <= end + LAG


def find(places: Iterable[str], start: datetime, end: datetime) -> list[Path]:
    """The log files that files, folders and patterns name; of those with AWS's names, the ones of that time alone.

    Raises LogsError for a place where no log file is, whatever its time.
    """
    found = {file for place in places for file in _at(place)}
    return sorted(file for file in found if _is_within(file, start, end))


def _at(place: str) -> list[Path]:
    try:
        return _named(place)
    except OSError as error:
        raise LogsError(f"{error.filename or place}: cannot be read: {error.strerror}") from error
    except RuntimeError as error:  # ~somebody
        raise LogsError(f"{place}: {error}") from error


def _named(place: str) -> list[Path]:
    path = Path(place).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [file for file in _below(path) if file.name.endswith(_ENDINGS) and file.is_file()]
        if not files:
            raise LogsError(f"{place}: no file below this folder ends in {' or '.join(_ENDINGS)}")
        return files
    files = [Path(name) for name in glob(str(path), recursive=True) if Path(name).is_file()]  # noqa: PTH207 of any root
    if not files:
        raise LogsError(f"{place}: there is no such file or folder, and no file matches it as a pattern")
    return files


def _below(folder: Path) -> Iterator[Path]:
    """Raises OSError for a folder that cannot be read: its logs would be missed."""

    def fail(error: OSError) -> None:
        raise error

    for here, _, names in os.walk(folder, onerror=fail):
        yield from (Path(here) / name for name in names)


def _is_within(file: Path, start: datetime, end: datetime) -> bool:
    delivery = Delivery.read(file.name)
    return delivery is None or delivery.is_within(start, end)


def is_gzip(file: Path) -> bool:
    """By its first bytes: browsers unpack what they download, and keep its name. Raises LogsError if it cannot be."""
    try:
        with file.open("rb") as opened:
            return opened.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise LogsError(f"{file}: cannot be read: {error.strerror}") from error
