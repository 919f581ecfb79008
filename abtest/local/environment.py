"""The environment of the embedded AWS: its own, whatever the user's says."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["IS_HIDDEN", "own_environment"]

#: The variables that botocore, moto, Pulumi's SDK, and the libraries below them read. Others are the program's.
IS_HIDDEN = re.compile(
    r"(AWS|BOTO|BOTOCORE|MOTO|PULUMI|OTEL|DOCKER|TEST|TESTS|S3|SF)_\w+"
    r"|_X_AMZN_TRACE_ID|TRACEPARENT|DEFAULT_CONTAINER_REGISTRY|INITIAL_NO_AUTH_ACTION_COUNT|MAX_SHARED_ACCOUNTS"
    r"|VALIDATE_LAMBDA_S3|(HTTP|HTTPS|ALL|NO)_PROXY|NETRC|(CURL|REQUESTS)_CA_BUNDLE|SSLKEYLOGFILE",
    re.IGNORECASE,
).fullmatch

_OWN = {
    # moto's catalogue of images takes longer to load than a deployment; the program names its image itself.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # The user's files in ~/.aws are replaced by empty ones.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@contextmanager
def own_environment() -> Iterator[None]:
    """Replace the variables that AWS's libraries read; the process has its own again afterwards."""
    hidden = _take_out()
    os.environ.update(_OWN)
    try:
        yield
    finally:
        _take_out()
        os.environ.update(hidden)


def _take_out() -> dict[str, str]:
    return {name: os.environ.pop(name) for name in list(os.environ) if IS_HIDDEN(name)}
