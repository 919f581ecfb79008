"""report, and a ramp that judges by it: the split from the real engine's history, the logs from a bucket."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from tests.engine.configs import changed
from tests.engine.harness import Engine, meanwhile
from tests.engine.test_moves import GUARDED, ended, prepared, split
from tests.readout.log_lines import NOON, line

pytestmark = pytest.mark.engine

BUCKET = "s3://models-logs/alb"
METRICS = changed(GUARDED, guardrails__metrics={"errorRate": {"worseBy": 0.05}})


@pytest.fixture
def moving(standing: Engine) -> Iterator[Engine]:
    with standing.cloud.client("s3") as s3:
        s3.create_bucket(Bucket="models-logs")
    yield prepared(standing, METRICS)
    with standing.cloud.client("s3") as s3:
        for found in s3.list_objects_v2(Bucket="models-logs").get("Contents", ()):
            s3.delete_object(Bucket="models-logs", Key=found["Key"])
        s3.delete_bucket(Bucket="models-logs")
    standing.clear_up()


def deliver(engine: Engine, requests: list[tuple[str, bool]]) -> None:
    """Put a log into the bucket: a variant and whether it failed, each of a client of its own, in the last second."""
    outputs, now = engine.outputs(), datetime.now(UTC)
    balancer = "/".join(outputs["listener_arn"].split("/")[1:4])
    lines = [
        line(
            at=(now - NOON).total_seconds() - 1 + n / len(requests),
            client=f"10.{now.second}.{n >> 8}.{n & 255}:50000",
            arn=outputs["target_group_arns"][variant],
            status=500 if failed else 200,
            elb=balancer,
        )
        for n, (variant, failed) in enumerate(requests)
    ]
    end, name = now + timedelta(minutes=5), balancer.replace("/", ".")
    key = (
        f"alb/AWSLogs/123456789012/elasticloadbalancing/us-east-1/{end:%Y/%m/%d}/"
        f"123456789012_elasticloadbalancing_us-east-1_{name}_{end:%Y%m%dT%H%MZ}_10.0.0.1_{now:%H%M%S%f}.log.gz"
    )
    with engine.cloud.client("s3") as s3:
        s3.put_object(Bucket="models-logs", Key=key, Body=gzip.compress("\n".join([*lines, ""]).encode()))


def traffic(a: int, b: int, *, b_fails: int) -> list[tuple[str, bool]]:
    return [("a", n % 100 == 0) for n in range(a)] + [("b", n < b_fails) for n in range(b)]


def test_a_report_over_two_splits_says_which_variant_is_worse(moving: Engine) -> None:
    time.sleep(1.5)  # so that the last second is after the update
    deliver(moving, traffic(900, 100, b_fails=10))
    ended(moving.abtest("shift", "b=30", "--yes"), 0)
    time.sleep(1.5)
    deliver(moving, traffic(700, 300, b_fails=60))

    run = ended(moving.abtest("report", "--logs", BUCKET, "--format", "json"), 0)

    found = json.loads(run.output)
    assert [each["weights"] for each in found["periods"]][-2:] == [{"a": 90, "b": 10}, {"a": 70, "b": 30}]
    (conclusion,) = [each for each in found["conclusions"] if each["route"] == "main split"]
    assert (conclusion["variant"], conclusion["standing"]) == ("b", "worse")
    assert "b is worse: error rate +" in conclusion["text"]
    assert (found["lines"]["parsed"], found["lines"]["outside"]) == (2000, 0)


def test_a_ramp_rolls_back_what_the_logs_show_to_be_worse(moving: Engine) -> None:
    with delivering(moving, traffic(1600, 400, b_fails=100)):
        run = moving.abtest("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--logs", BUCKET, "--yes")

    ended(run, 5, "analysis no data: ", "breach: main split: error rate ", "the limit is 5 points")
    assert split(moving) == {"a": 100}


@contextmanager
def delivering(engine: Engine, requests: list[tuple[str, bool]]) -> Iterator[None]:
    """Deliver a log once b has 20 %, and a while has passed."""

    def wait(is_over: Event) -> None:
        while split(engine).get("b") != 20:
            if is_over.wait(0.5):
                return
        if not is_over.wait(8):
            deliver(engine, requests)

    with meanwhile(wait):
        yield
