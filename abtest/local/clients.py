"""Clients of the embedded AWS, and the inputs that they are given."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config
from moto.utilities.utils import get_partition

__all__ = ["ACCOUNT", "Clients", "Inputs", "UntranslatableError", "location", "tag_list"]

#: moto's account.
ACCOUNT = "123456789012"

#: Services that a partition has once. moto reads the partition from the region in the address.
_GLOBAL = {"iam", "route53"}


class UntranslatableError(Exception):
    """The program asks for something that the embedded AWS does not know how to do; it never pretends to."""


class Clients:
    """boto3 clients by service (``aws.elbv2``, ``aws.lambda_``). Only to be used while moto is active."""

    def __init__(self, region: str) -> None:
        self.region = region

    @property
    def partition(self) -> str:
        return get_partition(self.region)

    def __getattr__(self, service: str) -> Any:
        return _client(service.rstrip("_"), self.region)  # lambda is a word of Python


@functools.cache
def _client(service: str, region: str) -> Any:
    """Making a client reads its service's whole description, which takes longer than a deployment's calls of it."""
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=f"https://{service}.{region}.amazonaws.com" if service in _GLOBAL else None,
        aws_access_key_id="embedded",
        aws_secret_access_key="embedded",  # noqa: S106 moto takes any
        config=Config(retries={"total_max_attempts": 1}),
    )


class Inputs:
    """A resource's inputs. What a translation does not take is an error, so that nothing is lost on the way."""

    def __init__(self, token: str, values: dict[str, Any]) -> None:
        self.token = token
        self._left = {key: whole_numbers(value) for key, value in values.items() if value is not None}

    def take(self, key: str, default: Any = None) -> Any:
        return self._left.pop(key, default)

    def some(self, **names: str) -> dict[str, Any]:
        """The inputs that are there, under other names: ``some(Port="port")``."""
        found = {name: self.take(key) for name, key in names.items()}
        return {name: value for name, value in found.items() if value is not None}

    def finish(self) -> None:
        """Raise UntranslatableError if an input has not been taken."""
        if self._left:
            raise UntranslatableError(
                f"{self.token}: the embedded AWS cannot translate {', '.join(sorted(self._left))}"
            )


def whole_numbers(value: Any) -> Any:
    """Numbers reach mocks as floats; AWS's API wants whole ones."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tag_list(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def location(region: str) -> dict[str, Any]:
    """Where a bucket is made. us-east-1 is where it is not said (S3 API CreateBucket)."""
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
