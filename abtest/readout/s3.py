"""Access logs in a bucket: the objects of a window are listed and fetched, and no others.

Keys are PREFIX/AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/NAME (ALB guide, "Access log files").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from abtest.readout.files import LAG, Delivery, LogsError

__all__ = ["fetch"]

#: As many as a client keeps connections.
_AT_ONCE = 10


def fetch(
    s3: Any,
    url: str,
    start: datetime,
    end: datetime,
    folder: Path,
    *,
    load_balancer: str | None = None,
    on_object: Callable[[int, int], object] = lambda _done, _of: None,
) -> list[Path]:
    """Bring the window's objects into ``folder``, but for those that are there already: objects do not change.

    ``url`` is ``s3://BUCKET`` or ``s3://BUCKET/PREFIX``, the prefix being the one that the load balancer has.
    ``on_object`` is told how many of how many are there. A window without an object is an empty list.

    Raises LogsError for a bucket that is not there or cannot be read.
    """
    bucket, root = _place(url)
    keys = list(_keys(s3, bucket, root, (start, end), load_balancer))
    files = {key: folder / key.rpartition("/")[2] for key in keys}
    missing = [key for key in keys if not files[key].exists()]
    done = len(keys) - len(missing)
    on_object(done, len(keys))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = [pool.submit(_download, s3, bucket, key, files[key]) for key in missing]
        try:
            for count, each in enumerate(as_completed(running), done + 1):
                each.result()
                on_object(count, len(keys))
        finally:
            pool.shutdown(cancel_futures=True)
    return sorted(files.values())


def _place(url: str) -> tuple[str, str]:
    """The bucket, and the folder of all accounts."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise LogsError(f"{url}: not of the form s3://BUCKET or s3://BUCKET/PREFIX")
    # No load balancer's prefix may hold AWSLogs, so that what follows it was copied from a key.
    own = prefix.partition("AWSLogs")[0].strip("/")
    return bucket, f"{own}/AWSLogs/" if own else "AWSLogs/"


def _keys(
    s3: Any, bucket: str, root: str, window: tuple[datetime, datetime], load_balancer: str | None
) -> Iterator[str]:
    regions = [
        region
        for account in _folders(s3, bucket, root)
        for region in _folders(s3, bucket, f"{account}elasticloadbalancing/")
    ]
    listed = (
        found["Key"]
        for region in regions
        for day in _days(*window)
        for page in _pages(s3, bucket, f"{region}{day}/")
        for found in page.get("Contents", ())
    )
    for key in listed:
        delivery = Delivery.read(key.rpartition("/")[2])
        if delivery and delivery.is_within(*window) and load_balancer in (None, delivery.load_balancer):
            yield key


def _days(start: datetime, end: datetime) -> list[str]:
    """Of the ends of the files."""
    first, last = start.astimezone(UTC).date(), (end + LAG).astimezone(UTC).date()
    return [f"{first + timedelta(days=n):%Y/%m/%d}" for n in range((last - first).days + 1)]


def _folders(s3: Any, bucket: str, prefix: str) -> list[str]:
    pages = _pages(s3, bucket, prefix, Delimiter="/")
    return [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", ())]


def _pages(s3: Any, bucket: str, prefix: str, **given: str) -> Iterator[dict[str, Any]]:
    with _refusals(bucket, "s3:ListBucket", bucket):
        yield from s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **given)


def _download(s3: Any, bucket: str, key: str, file: Path) -> None:
    from boto3.s3.transfer import TransferConfig

    part = file.with_name(f"{file.name}.part")
    with _refusals(bucket, "s3:GetObject", f"{bucket}/{key}"):
        s3.download_file(bucket, key, str(part), Config=TransferConfig(use_threads=False))
    part.replace(file)


@contextmanager
def _refusals(bucket: str, permission: str, what: str) -> Iterator[None]:
    """Says of a refusal which permission is missing, where."""
    from botocore.exceptions import ClientError

    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "NoSuchBucket":
            raise LogsError(f"s3://{bucket}: there is no such bucket") from error
        # S3 answers HEAD with a status alone.
        if code in ("AccessDenied", "403"):
            raise LogsError(
                f"s3://{what}: AWS refuses to read it; allow {permission} on arn:aws:s3:::{what}"
            ) from error
        raise
