"""The acceptance suite for a real account, rehearsed: on the engine, on the tests' AWS, and with the local balancer in
place of the load balancer. Its first user shall not have to debug it.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from abtest.local.balancer import AccessLog, Balancer
from abtest.local.deployment import describe
from abtest.local.model_servers import ModelServers
from abtest.local.serve import Snapshot, take
from tests.aws.account import REHEARSAL
from tests.aws.probes import PROBES
from tests.engine.harness import ROOT, Cloud, cloud

pytestmark = pytest.mark.engine


def test_the_acceptance_suite_passes(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    with cloud() as aws, load_balancer(aws, tmp_path) as port:
        command = [sys.executable, "-m", "pytest", "tests/aws", "-m", "aws", "-s", "-v", f"--junitxml={report}"]
        command += ["-p", "no:randomly", "-p", "no:xdist"]
        env = os.environ | {REHEARSAL: json.dumps({"endpoint": aws.url, "port": port})}
        done = subprocess.run(command, cwd=ROOT, env=env, check=False)
        assert done.returncode == 0, "see above what the suite said"
        assert aws.arns == set()
    counts = ET.parse(report).getroot()[0].attrib  # noqa: S314 our own
    assert int(counts["skipped"]) == len([probe for probe in PROBES if not probe.can_be_rehearsed])


@contextmanager
def load_balancer(aws: Cloud, folder: Path) -> Iterator[int]:
    """The local balancer, which does what the load balancing API says at the moment; its port. It delivers its log to the
    bucket that is named there.
    """
    loop, is_over, port = asyncio.new_event_loop(), threading.Event(), _free_port()

    async def serve() -> None:
        log = AccessLog(folder / "access.log")
        async with ModelServers({}) as servers, Balancer(log, port=port) as balancer:
            seen: dict[str, Any] | None = None
            while not is_over.is_set():
                with _changing():
                    now = await asyncio.to_thread(describe, aws.elb, {})
                    if now["Listeners"] and now != seen:
                        await take(Snapshot(described=now, routing=(), own_names=frozenset()), balancer, servers)
                        seen = now
                    log.flush()
                    if lines := log.path.read_bytes():
                        os.truncate(log.path, 0)
                        await asyncio.to_thread(_deliver, aws, now, lines)
                await asyncio.sleep(0.2)
        log.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield port
    finally:
        is_over.set()
        thread.join()
        loop.close()


@contextmanager
def _changing() -> Iterator[None]:
    """What is described may go while it is."""
    try:
        yield
    except (ClientError, KeyError):
        return


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _deliver(aws: Cloud, described: dict[str, Any], lines: bytes) -> None:
    """Put a log into the bucket, under the name that a load balancer gives it."""
    for arn, found in described["Attributes"].items():
        bucket = found.get("access_logs.s3.bucket")
        if ":loadbalancer/" not in arn or not bucket:
            continue
        now, name = datetime.now(UTC), arn.partition("loadbalancer/")[2].replace("/", ".")
        end = now + timedelta(minutes=5)
        key = (
            f"AWSLogs/123456789012/elasticloadbalancing/us-east-1/{end:%Y/%m/%d}/"
            f"123456789012_elasticloadbalancing_us-east-1_{name}_{end:%Y%m%dT%H%MZ}_10.0.0.1_{now:%H%M%S%f}.log.gz"
        )
        prefix = found.get("access_logs.s3.prefix")
        with aws.client("s3") as s3:
            s3.put_object(Bucket=bucket, Key=f"{prefix}/{key}" if prefix else key, Body=gzip.compress(lines))
