"""The bucket of the access logs: kept with what protects it, or deleted with its logs on purpose."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE
from tests.engine.harness import Cloud, Engine

pytestmark = pytest.mark.engine


def buckets(cloud: Cloud) -> dict[str, int]:
    """The number of objects by bucket; each bucket has its policy, its encryption and its lifecycle."""
    with cloud.client("s3") as s3:
        names = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
        for name in names:
            assert s3.get_bucket_policy(Bucket=name)["Policy"]
            assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
            assert s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
        return {name: len(s3.list_objects_v2(Bucket=name).get("Contents", ())) for name in names}


def test_logs_are_kept_when_logging_ends_and_when_the_stack_goes(fresh: Engine) -> None:
    fresh.up({**BASE, "accessLogs": {}}).succeeded()
    first = buckets(fresh.cloud)
    assert list(first.values()) == [1], "the file that AWS writes when logging is switched on"

    fresh.up(BASE).succeeded()
    assert buckets(fresh.cloud) == first

    fresh.up({**BASE, "accessLogs": {}}).succeeded()
    both = buckets(fresh.cloud)
    assert len(both) == 2

    fresh.destroy().succeeded()
    assert buckets(fresh.cloud) == both
    assert fresh.cloud.arns == set()


def test_logs_go_with_the_stack_on_purpose(fresh: Engine) -> None:
    fresh.up({**BASE, "accessLogs": {}}).succeeded()
    fresh.up({**BASE, "accessLogs": {"deleteWithStack": True}}).succeeded()
    fresh.destroy().succeeded()
    assert buckets(fresh.cloud) == {}
