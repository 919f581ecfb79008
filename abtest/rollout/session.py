"""boto3 with a stack's own settings, and what AWS refuses as one line that says what to do."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from abtest.experiment import Source
from abtest.experiment.engine_text import decoded
from abtest.experiment.types import SECRET

__all__ = ["AwsError", "aws_time", "client"]


class AwsError(Exception):
    """AWS cannot be asked, or has not what was asked for; the text says what to do."""


@contextmanager
def client(source: Source, service: str) -> Iterator[Any]:
    """A boto3 client with the stack's settings in the namespace ``aws``, for the length of a ``with``.

    Region, profile, keys, endpoints and roles are the stack's, else those of the environment, as in `pulumi up`. Keys
    that are encrypted in the stack file cannot be read here: then the environment's stand for them.
    Raises AwsError for whatever boto3 and AWS refuse inside the ``with``.
    """
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    profile = source.setting("aws:profile") or os.environ.get("AWS_PROFILE")
    whose = f" of the profile {profile}" if profile else ""
    try:
        with closing(_client(_session(source), source, service)) as made:
            yield made
    except ClientError as error:
        refusal = error.response["Error"]
        raise AwsError(_remedy(whose, refusal["Code"], refusal["Message"], error.operation_name)) from error
    except (BotoCoreError, Boto3Error) as error:  # the latter of a download that broke off
        raise AwsError(_remedy(whose, type(error).__name__, str(error))) from error
    except KeyError as error:  # of botocore's parser, where the answer is none of AWS's
        raise AwsError(f"what answers for {service} is not AWS: no {error} in it; is there a proxy?") from error


def aws_time(response: Mapping[str, Any]) -> datetime | None:
    """When AWS answered, by its own clock; None if the answer does not say."""
    text = response["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None


def _session(source: Source) -> Any:
    import boto3

    environment = tuple(sorted(item for item in os.environ.items() if item[0].startswith("AWS_")))
    region = source.setting("aws:region") or os.environ.get("AWS_REGION")
    keys = tuple(source.setting(f"aws:{name}") for name in ("accessKey", "secretKey", "token"))
    session = _made(environment, source.setting("aws:profile"), region, keys)
    for role in _list(source, "aws:assumeRoles"):
        session = boto3.Session(region_name=session.region_name, **_assumed(session, source, role))
    return session


@functools.lru_cache(maxsize=8)
def _made(
    environment: tuple[tuple[str, str], ...],  # noqa: ARG001 boto3 reads it by itself
    profile: str | None,
    region: str | None,
    keys: tuple[str | None, ...],
) -> Any:
    """A session for these settings. A new one reads the descriptions of all services again, which takes longer than
    most questions; credentials that expire are renewed within it.
    """
    import boto3

    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    given = dict(zip(names, keys, strict=True)) if keys[0] and keys[1] else {}
    return boto3.Session(profile_name=profile, region_name=region, **given)


def _assumed(session: Any, source: Source, role: dict[str, str]) -> dict[str, str]:
    """The keys of a role that the session takes."""
    external = {"ExternalId": role["externalId"]} if "externalId" in role else {}
    with closing(_client(session, source, "sts")) as sts:
        found = sts.assume_role(
            RoleArn=role.get("roleArn", ""), RoleSessionName=role.get("sessionName", "abtest"), **external
        )
    given = found["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def _client(session: Any, source: Source, service: str) -> Any:
    from botocore.config import Config

    endpoints = {name: url for given in _list(source, "aws:endpoints") for name, url in given.items()}
    patience = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    try:
        return session.client(service, endpoint_url=endpoints.get(service), config=patience)
    except ValueError as error:  # of an endpoint or a region that is none
        raise AwsError(f"{source.label}: {error}") from error


def _list(source: Source, key: str) -> list[dict[str, str]]:
    """A setting that is a list of mappings, as the provider has it."""
    found = decoded(source.values.get(key))
    if found is None or found is SECRET:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise AwsError(f"{source.label}: {key}: expected a list of mappings, as pulumi-aws has it")
    return found


# What to do -----------------------------------------------------------------------------------------------------------

_LOG_IN = "set AWS_PROFILE or aws:profile, or log in again (aws sso login)"
_EXPIRED = f"the AWS credentials{{whose}} have expired: {_LOG_IN}"
_UNKNOWN = f"AWS does not know the credentials{{whose}}: {_LOG_IN}"
_MISSING = f"there are no usable AWS credentials{{whose}}: {_LOG_IN}"
_DENIED = "AWS does not allow {operation}; grant it, or use other credentials: {message}"
_THROTTLED = "AWS throttles {operation}: wait a moment and try again"
_UNREACHABLE = "AWS cannot be reached; check the network, aws:region and aws:endpoints: {message}"

#: AWS's code of a refusal, or the name of boto3's exception, and what to do about it.
#: Source: API Reference, "Common Errors"; botocore's exceptions.py.
_REMEDIES = {
    **dict.fromkeys(("ExpiredToken", "ExpiredTokenException", "RequestExpired"), _EXPIRED),
    **dict.fromkeys(("SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError"), _EXPIRED),
    **dict.fromkeys(("InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch"), _UNKNOWN),
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"), _MISSING),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), _DENIED),
    **dict.fromkeys(("Throttling", "ThrottlingException", "RequestLimitExceeded"), _THROTTLED),
    **dict.fromkeys(("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError"), _UNREACHABLE),
    "ListenerNotFound": "AWS has no such listener any more; look at what is left: pulumi up --refresh",
    "ProfileNotFound": "{message}; known ones: aws configure list-profiles",
    "NoRegionError": "there is no region: set aws:region in the stack file, or AWS_REGION",
}


def _remedy(whose: str, kind: str, message: str, operation: str = "") -> str:
    found = _REMEDIES.get(kind, "AWS refuses {operation}: {message}" if operation else "AWS cannot be asked: {message}")
    return found.format(whose=whose, operation=operation, message=" ".join(message.split()))
