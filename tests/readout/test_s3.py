"""Logs in a bucket and in folders: which of them are read, and what is said where none can be."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from abtest.readout.files import Delivery, LogsError, find
from abtest.readout.logs import read_logs
from abtest.readout.s3 import fetch
from abtest.readout.table import Lines
from tests.readout.log_lines import NOON, line, question

HOUR = timedelta(hours=1)


def key(end: datetime, *, prefix: str = "AWSLogs", elb: str = "abtest-1a2b3c4.50dc6c495c0c9188", node: int = 1) -> str:
    return f"{prefix}/123456789012/elasticloadbalancing/us-east-1/{end:%Y/%m/%d}/{name(end, elb, node)}"


def name(end: datetime, elb: str = "abtest-1a2b3c4.50dc6c495c0c9188", node: int = 1) -> str:
    return f"123456789012_elasticloadbalancing_us-east-1_app.{elb}_{end:%Y%m%dT%H%MZ}_203.0.113.{node}_4q7x2k1p.log.gz"


def minutes(*after_noon: int) -> list[datetime]:
    return [NOON + timedelta(minutes=n) for n in after_noon]


@pytest.fixture
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="traffic")
        yield client


def put(s3: Any, *keys: str) -> None:
    for each in keys:
        s3.put_object(Bucket="traffic", Key=each, Body=gzip.compress(f"{line()}\n".encode()))


def asked(s3: Any) -> list[tuple[str, dict[str, Any]]]:
    """What is asked of the bucket from now on."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append((model.name, params))

    s3.meta.events.register("provide-client-params.s3.*", note)
    return calls


# Names ----------------------------------------------------------------------------------------------------------------


def test_a_name_says_whose_lines_the_file_holds_and_until_when() -> None:
    end = datetime(2026, 11, 22, 23, 55, tzinfo=UTC)
    assert Delivery.read(name(end)) == Delivery("app/abtest-1a2b3c4/50dc6c495c0c9188", end)
    for other in (
        "access.log",
        f"conn_log_{name(end)}",
        name(end).replace("app.", "net."),
        name(end).replace("1122T", "1322T"),
    ):
        assert Delivery.read(other) is None


def test_a_file_may_hold_a_window_that_its_five_minutes_touch() -> None:
    ends = minutes(-5, 0, 5, 60, 65, 70, 75)
    within = [end for end in ends if Delivery("app/x/1", end).is_within(NOON, NOON + HOUR)]
    assert within == minutes(0, 5, 60, 65, 70)


# A bucket -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["s3://traffic/team/ranker", "s3://traffic/team/ranker/", "s3://traffic/team/ranker/AWSLogs/1234"]
)
def test_the_objects_of_the_window_are_fetched_and_no_others(s3: Any, tmp_path: Path, url: str) -> None:
    wanted = [key(end, prefix="team/ranker/AWSLogs", node=node) for end in minutes(5, 60) for node in (1, 2)]
    others = [
        *(key(end, prefix="team/ranker/AWSLogs") for end in minutes(-5, 75, -24 * 60, 24 * 60)),
        key(NOON, prefix="team/ranker/AWSLogs", elb="other.0123456789abcdef"),
        key(NOON, prefix="AWSLogs"),
        "team/ranker/AWSLogs/123456789012/ELBAccessLogTestFile",
    ]
    put(s3, *wanted, *others)
    calls = asked(s3)
    seen: list[tuple[int, int]] = []
    files = fetch(
        s3, url, NOON, NOON + HOUR, tmp_path,
        load_balancer="app/abtest-1a2b3c4/50dc6c495c0c9188", on_object=lambda done, of: seen.append((done, of)),
    )  # fmt: skip
    assert [file.name for file in files] == sorted(each.rpartition("/")[2] for each in wanted)
    assert sorted(tmp_path.iterdir()) == files
    assert {params["Key"] for call, params in calls if call == "GetObject"} == set(wanted)
    assert {params["Prefix"] for call, params in calls if params.get("Prefix", "").count("/") > 6} == {
        "team/ranker/AWSLogs/123456789012/elasticloadbalancing/us-east-1/2026/11/22/"
    }
    assert seen == [(n, 4) for n in range(5)]
    assert read_logs(files, question()).lines == Lines(parsed=4)


def test_a_window_over_midnight_is_of_two_days(s3: Any, tmp_path: Path) -> None:
    midnight = datetime(2026, 11, 23, tzinfo=UTC)
    wanted = [key(midnight + timedelta(minutes=n)) for n in (-5, 0, 5)]
    put(s3, *wanted)
    assert (
        len(fetch(s3, "s3://traffic", midnight - timedelta(minutes=10), midnight - timedelta(minutes=5), tmp_path)) == 3
    )


def test_what_is_there_already_is_not_fetched_again(s3: Any, tmp_path: Path) -> None:
    put(s3, key(NOON))
    before = fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path)
    put(s3, *map(key, minutes(5)))
    calls = asked(s3)
    assert len(fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path)) == 1 + len(before)
    assert [params["Key"] for call, params in calls if call == "GetObject"] == list(map(key, minutes(5)))


def test_a_window_without_objects_is_empty(s3: Any, tmp_path: Path) -> None:
    assert fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path) == []


def test_a_listing_of_several_pages_is_read_to_its_end(s3: Any, tmp_path: Path) -> None:
    put(s3, *(key(NOON, node=node) for node in range(7)))
    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: {**params, "MaxKeys": 2})
    assert len(fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path)) == 7


@pytest.mark.parametrize(
    ("operation", "code", "message"),
    [
        ("ListObjectsV2", "AccessDenied", "s3://traffic: AWS refuses to read it; allow s3:ListBucket on arn:aws:s3:::traffic"),
        ("HeadObject", "403", f"s3://traffic/{key(NOON)}: AWS refuses to read it; allow s3:GetObject on arn:aws:s3:::traffic/{key(NOON)}"),
        ("ListObjectsV2", "NoSuchBucket", "s3://traffic: there is no such bucket"),
    ],
)  # fmt: skip
def test_a_bucket_that_cannot_be_read_is_named_with_the_permission(
    s3: Any, tmp_path: Path, operation: str, code: str, message: str
) -> None:
    put(s3, key(NOON))

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, operation)

    s3.meta.events.register(f"provide-client-params.s3.{operation}", refuse)
    with pytest.raises(LogsError) as caught:
        fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_other_refusals_are_left_to_the_caller(s3: Any, tmp_path: Path) -> None:
    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "no"}}, "ListObjectsV2")

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", refuse)
    with pytest.raises(ClientError):
        fetch(s3, "s3://traffic", NOON, NOON + HOUR, tmp_path)


@pytest.mark.parametrize("url", ["logs", "s3://", "https://logs.s3.amazonaws.com", "s3:///prefix"])
def test_a_url_of_another_form_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(LogsError, match="not of the form s3://BUCKET or s3://BUCKET/PREFIX"):
        fetch(None, url, NOON, NOON + HOUR, tmp_path)


# This machine ---------------------------------------------------------------------------------------------------------


def test_folders_are_read_with_what_is_below_and_names_of_other_times_left_out(tmp_path: Path) -> None:
    names = ["a.log", "b/c.log.gz", f"b/{name(NOON)}", f"b/{name(NOON - HOUR)}", "notes.txt"]
    for each in names:
        (tmp_path / each).parent.mkdir(exist_ok=True)
        (tmp_path / each).touch()
    found = find([str(tmp_path)], NOON, NOON + HOUR)
    assert found == sorted(tmp_path / each for each in names[:3])


def test_patterns_and_files_are_found_once(tmp_path: Path) -> None:
    for each in ("one.log", "two.log", "three.txt"):
        (tmp_path / each).touch()
    places = [str(tmp_path / "*.log"), str(tmp_path / "one.log"), str(tmp_path / "three.txt")]
    assert [file.name for file in find(places, NOON, NOON + HOUR)] == ["one.log", "three.txt", "two.log"]


def test_a_place_without_logs_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsError, match=r"no file below this folder ends in .log or .gz"):
        find([str(tmp_path)], NOON, NOON + HOUR)
    with pytest.raises(LogsError, match=r"nowhere\.log: there is no such file or folder"):
        find([str(tmp_path / "nowhere.log")], NOON, NOON + HOUR)


def test_a_place_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogsError, match="x: cannot be read: File name too long"):
        find([str(tmp_path / ("x" * 300))], NOON, NOON)
    with pytest.raises(LogsError, match="~nobody-is-called-so/logs: "):
        find(["~nobody-is-called-so/logs"], NOON, NOON)
    (tmp_path / "x.log").touch()
    closed = tmp_path / "closed"
    closed.mkdir()

    def scan(folder: Any, known: Any = os.scandir) -> Any:
        if str(folder) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return known(folder)

    monkeypatch.setattr("os.scandir", scan)
    with pytest.raises(LogsError, match=f"^{closed}: cannot be read: Permission denied"):
        find([str(tmp_path)], NOON, NOON)


def test_files_are_unpacked_by_what_they_hold_and_not_by_name(tmp_path: Path) -> None:
    text = f"{line()}\n".encode()
    files = {
        "plain.log.gz": text,
        "packed.log": gzip.compress(text),
        "empty.gz": b"",
        "two.gz": gzip.compress(text) * 2,
    }
    for each, content in files.items():
        (tmp_path / each).write_bytes(content)
    assert read_logs([tmp_path / each for each in files], question()).lines == Lines(parsed=4)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda whole: whole[:100], "Unexpected end of GZIP stream"),
        (lambda whole: whole[:-9], "Unexpected end of GZIP stream"),
        (lambda whole: whole + b"\0" * 100, "Input is not a GZIP stream"),
    ],
    ids=["cut in the middle", "cut before its sum", "followed by zeros"],
)
def test_a_broken_file_is_left_out_and_named(tmp_path: Path, broken: Callable[[bytes], bytes], reason: str) -> None:
    whole, file = tmp_path / "whole.gz", tmp_path / "broken.gz"
    whole.write_bytes(gzip.compress(f"{line()}\n".encode()))
    file.write_bytes(broken(whole.read_bytes()))
    assert read_logs([whole, file], question()).lines == Lines(parsed=1, unreadable=(f"{file}: {reason}",))


@pytest.mark.parametrize("name", ["e*.log", "e?.log", "e[1].log", "e*.gz"])
def test_a_name_like_a_pattern_is_of_one_file(tmp_path: Path, name: str) -> None:
    for each in (name, "e1.log", "ex.log", "ex.gz"):
        text = f"{line()}\n".encode()
        (tmp_path / each).write_bytes(gzip.compress(text) if each.endswith(".gz") else text)
    assert find([str(tmp_path / name)], NOON, NOON) == [tmp_path / name]
    assert read_logs([tmp_path / name], question()).lines == Lines(parsed=1)


def test_a_file_that_is_gone_or_closed_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogsError, match=r"gone\.log: cannot be read: No such file or directory"):
        read_logs([tmp_path / "gone.log"], question())


def test_what_the_database_cannot_do_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abtest.readout.logs._MEMORY", "1MB")
    file = tmp_path / "access.log"
    file.write_text(f"{line()}\n")
    with pytest.raises(LogsError, match="the logs cannot be read: Out of Memory Error"):
        read_logs([file], question())
