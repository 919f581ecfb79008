"""The bucket of the access logs: who may write, who may not, and what logging waits for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from abtest.local import Deployment
from tests.configs import config, errors, problems
from tests.deployed import deploy


@pytest.fixture(scope="module")
def logging() -> Deployment:
    return deploy(config(accessLogs={"retainDays": 30, "prefix": "alb/dev"}))


def inputs(deployment: Deployment, suffix: str) -> dict[str, Any]:
    (found,) = deployment.of_type(suffix).values()
    return dict(found.inputs)


def attributes(deployment: Deployment) -> dict[str, str]:
    arn = deployment.described["LoadBalancers"][0]["LoadBalancerArn"]
    return {k: v for k, v in deployment.described["Attributes"][arn].items() if k.startswith("access_logs")}


def test_the_load_balancer_logs_into_a_bucket_of_its_own(logging: Deployment) -> None:
    bucket = logging.outputs["access_logs_bucket"]
    assert attributes(logging) == {
        "access_logs.s3.enabled": "true", "access_logs.s3.bucket": bucket, "access_logs.s3.prefix": "alb/dev",
    }  # fmt: skip
    assert set(logging.of_type("bucket:Bucket")) == {"abtest-logs"}


def test_the_bucket_is_closed_encrypted_and_forgets(logging: Deployment) -> None:
    closed = inputs(logging, "BucketPublicAccessBlock")
    assert [
        closed[key] for key in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ] == [True] * 4
    assert inputs(logging, "BucketServerSideEncryptionConfiguration")["rules"] == [
        {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    ]
    (rule,) = inputs(logging, "BucketLifecycleConfiguration")["rules"]
    assert (rule["status"], rule["expiration"]) == ("Enabled", {"days": 30})


def test_load_balancers_of_this_account_may_write_and_nobody_goes_without_tls(logging: Deployment) -> None:
    write, tls = json.loads(inputs(logging, "BucketPolicy")["policy"])["Statement"]
    arn = f"arn:aws:s3:::{logging.outputs['access_logs_bucket']}"
    assert write == {
        "Sid": "LoadBalancersWrite",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/alb/dev/AWSLogs/123456789012/*",
        "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:elasticloadbalancing:*:123456789012:loadbalancer/*"}},
    }
    assert (tls["Effect"], tls["Principal"], tls["Resource"]) == ("Deny", "*", [arn, f"{arn}/*"])
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_logging_is_switched_on_after_the_policy_stands(logging: Deployment) -> None:
    (balancer,) = logging.of_type("loadBalancer:LoadBalancer").values()
    assert any("BucketPolicy" in urn for urn in balancer.depends_on)


def test_only_a_bucket_that_goes_with_the_stack_is_emptied(logging: Deployment) -> None:
    assert "forceDestroy" not in inputs(logging, "bucket:Bucket")
    found = deploy(config(accessLogs={"deleteWithStack": True}))
    assert inputs(found, "bucket:Bucket")["forceDestroy"] is True


def test_an_existing_bucket_is_used_as_it_is() -> None:
    found = deploy(config(accessLogs={"bucket": "our-logs"}))
    assert attributes(found)["access_logs.s3.bucket"] == "our-logs"
    assert found.of_type("bucket:Bucket") == {}
    assert found.outputs["access_logs_bucket"] == "our-logs"


def test_nothing_is_made_or_logged_unless_asked_for(dev: Deployment) -> None:
    assert not any("s3/" in resource.type for resource in dev.resources)
    assert "access_logs_bucket" not in dev.outputs
    assert attributes(dev).get("access_logs.s3.enabled", "false") == "false"


@pytest.mark.parametrize(
    ("logs", "says"),
    [
        ({"retainDays": 0}, "0 is below 1 days"),
        ({"bucket": "Our_Logs"}, '"Our_Logs" is not a valid bucket name'),
        ({"bucket": "192.168.0.1"}, '"192.168.0.1" is not a valid bucket name'),
        ({"bucket": "a..b"}, '"a..b" is not a valid bucket name'),
        ({"prefix": "x/AWSLogs"}, '"x/AWSLogs" is not a valid prefix of access logs'),
        ({"prefix": "/x"}, '"/x" is not a valid prefix'),
        ({"prefix": "x/"}, '"x/" is not a valid prefix'),
        ({"bucket": "ours", "retainDays": 5}, "retainDays: cannot be combined with bucket"),
        ({"bucket": "ours", "deleteWithStack": True}, "deleteWithStack: cannot be combined with bucket"),
    ],
)
def test_what_aws_would_refuse_is_refused(logs: dict[str, Any], says: str) -> None:
    (found,) = errors(config(accessLogs=logs))
    assert says in found


def test_the_defaults_are_enough() -> None:
    assert problems(config(accessLogs={})) == []
