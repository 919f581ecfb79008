"""The bucket of the load balancer's access logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment import types as config
from abtest.stack.network import Network
from abtest.stack.tags import tags_of

if TYPE_CHECKING:
    from pulumi_aws import lb

__all__ = ["AccessLogs"]

TYPE = "abtest:stack:AccessLogs"

#: As long as a log is kept where nothing is said.
RETAIN_DAYS = 90

#: Who writes the logs, in every region (ALB guide, "Enable access logs").
WRITER = "logdelivery.elasticloadbalancing.amazonaws.com"


class AccessLogs(pulumi.ComponentResource):
    """Where the load balancer writes its log: a bucket of its own, or one that is there.

    ``ready`` is what must exist before logging is switched on, because AWS tests the bucket at that moment, and what
    stays until logging is off. AWS then writes a test file, so the bucket is never empty, and S3 deletes only empty
    buckets (ALB guide, "Enable access logs"; S3 API DeleteBucket). So it is kept, with everything that protects it,
    unless ``delete_with_stack`` lets the provider empty it.
    """

    bucket: pulumi.Output[str]
    ready: tuple[pulumi.Resource, ...]

    def __init__(
        self,
        name: str,
        logs: config.AccessLogs,
        experiment: Experiment,
        network: Network,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        self._prefix = logs.prefix
        if logs.bucket is not None:
            self.bucket, self.ready = pulumi.Output.from_input(logs.bucket), ()
        else:
            self.bucket, self.ready = self._own(f"{name}-logs", logs, experiment, network)
        self.register_outputs({"bucket": self.bucket})

    @property
    def settings(self) -> lb.LoadBalancerAccessLogsArgsDict:
        """The load balancer's setting. It is off unless it is said to be on, a bucket or not."""
        found: lb.LoadBalancerAccessLogsArgsDict = {"enabled": True, "bucket": self.bucket}
        if self._prefix is not None:
            found["prefix"] = self._prefix
        return found

    def _own(
        self, name: str, logs: config.AccessLogs, experiment: Experiment, network: Network
    ) -> tuple[pulumi.Output[str], tuple[pulumi.Resource, ...]]:
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=not logs.delete_with_stack)
        bucket = aws.s3.Bucket(
            name, force_destroy=True if logs.delete_with_stack else None, tags=tags_of(experiment), opts=child
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            # SSE-S3: with a key of KMS, AWS refuses to log there (ALB guide, "Enable access logs").
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": RETAIN_DAYS if logs.retain_days is None else logs.retain_days},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=child,
        )
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=_policy(bucket, network.security_group.owner_id, logs.prefix),
            # Both change who may use the bucket, and S3 takes one such change at a time.
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[closed])),
        )
        return bucket.bucket, (policy,)


def _policy(bucket: aws.s3.Bucket, account: pulumi.Input[str], prefix: str | None) -> pulumi.Output[str]:
    """The load balancers of this account may write, nobody may do anything without TLS."""
    folder = f"{prefix}/AWSLogs" if prefix else "AWSLogs"
    # arn:aws:s3:::name, whose second part is the partition.
    balancers = pulumi.Output.all(bucket.arn, account).apply(
        lambda known: f"arn:{known[0].split(':')[1]}:elasticloadbalancing:*:{known[1]}:loadbalancer/*"
    )
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LoadBalancersWrite",
                    "Effect": "Allow",
                    "Principal": {"Service": WRITER},
                    "Action": "s3:PutObject",
                    "Resource": pulumi.Output.concat(bucket.arn, f"/{folder}/", account, "/*"),
                    "Condition": {"ArnLike": {"aws:SourceArn": balancers}},
                },
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [bucket.arn, pulumi.Output.concat(bucket.arn, "/*")],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }
    )
