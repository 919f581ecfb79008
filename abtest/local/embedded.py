"""The embedded AWS: moto in this process, cut off from the environment, the user's files and the network."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest import mock

from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.loaders import Loader
from moto import mock_aws
from moto.core.base_backend import BackendDict
from moto.core.utils import method_names_from_class
from moto.moto_api._internal import mock_random

from abtest.local.environment import own_environment

__all__ = ["NotAnsweredError", "embedded_aws"]

#: moto lists the operations of a service anew for each call.
_operations = functools.cache(method_names_from_class)


class NotAnsweredError(BotoCoreError):  # type: ignore[misc]  # botocore has no types
    """A call that moto does not answer."""

    fmt = "the embedded AWS does not answer {url}, and sends nothing over the network"


@contextmanager
def embedded_aws() -> Iterator[None]:
    """A fresh mock AWS with deterministic ids, without connections.

    Variables of the environment and files in ~/.aws do not reach it, calls that it does not answer are not sent, and
    nothing of an earlier one is left.
    """
    with (
        _little_garbage_collection(),
        own_environment(),
        mock.patch.object(Loader, "CUSTOMER_DATA_PATH", os.devnull),  # ~/.aws/models
        mock.patch.object(URLLib3Session, "send", _refuse),
        mock.patch("moto.core.responses.method_names_from_class", _operations),
        # The key of encrypted volumes gets an RSA pair too; nobody signs with it.
        mock.patch("moto.kms.models.generate_private_key", return_value=None),
        # The ARN of a default rule ends with an address in memory.
        mock.patch("moto.elbv2.models.id", return_value="0" * 16, create=True),
        mock_aws(config={"lambda": {"use_docker": False}}),
    ):
        _forget()
        mock_random.seed(0)
        yield


def _refuse(_session: URLLib3Session, request: Any) -> NoReturn:
    raise NotAnsweredError(url=request.url)


def _forget() -> None:
    """Drop the data of every service. moto resets one service after the other, and some of them make the data of
    another again, which then stays.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.") and name.endswith(".models"):
            for value in vars(module).values():
                if isinstance(value, BackendDict):
                    value.clear()


@contextmanager
def _little_garbage_collection() -> Iterator[None]:
    """What is loaded for a first deployment stays; to look for garbage among it took as long as all the rest."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 50_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
