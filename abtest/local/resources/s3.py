"""The bucket of access logs."""

from __future__ import annotations

from abtest.local.clients import Clients, Inputs, location, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _bucket(aws: Clients, name: str, inputs: Inputs) -> Created:
    bucket = physical_name(name)
    inputs.take("forceDestroy")  # of the provider, which empties the bucket; here nothing is deleted
    aws.s3.create_bucket(Bucket=bucket, **location(aws.region))
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_list(inputs.take("tags"))})
    return bucket, {"arn": f"arn:{aws.partition}:s3:::{bucket}", "bucket": bucket}


def _bucket_encryption(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    rules = [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": default["sseAlgorithm"]}}
        for rule in inputs.take("rules")
        for default in [rule["applyServerSideEncryptionByDefault"]]
    ]
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    return bucket, {}


def _bucket_lifecycle(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    rules = [
        {
            "ID": rule["id"],
            "Status": rule["status"],
            "Filter": {"Prefix": rule["filter"]["prefix"]},
            "Expiration": {"Days": rule["expiration"]["days"]},
            "AbortIncompleteMultipartUpload": {
                "DaysAfterInitiation": rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
            },
        }
        for rule in inputs.take("rules")
    ]
    aws.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    return bucket, {}


def _bucket_closed(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    closed = inputs.some(
        BlockPublicAcls="blockPublicAcls",
        BlockPublicPolicy="blockPublicPolicy",
        IgnorePublicAcls="ignorePublicAcls",
        RestrictPublicBuckets="restrictPublicBuckets",
    )
    aws.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
    return bucket, {}


def _bucket_policy(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=inputs.take("policy"))
    return bucket, {}


MAKERS: Makers = {
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "aws:s3/bucketPolicy:BucketPolicy": _bucket_policy,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_closed,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_encryption,
}
