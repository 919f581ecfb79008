"""The embedded AWS: moto, without the work that nothing here asks for."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from moto import mock_aws
from moto.core.utils import method_names_from_class
from moto.moto_api._internal import mock_random

__all__ = ["embedded_aws"]

#: moto's catalogue of images takes longer to load than a deployment; the program names its image itself.
_MOTO = {"MOTO_EC2_LOAD_DEFAULT_AMIS": "false"}

#: moto lists the operations of a service anew for each call.
_operations = functools.cache(method_names_from_class)


@contextmanager
def embedded_aws() -> Iterator[None]:
    """A fresh one, for as long as it is used, whose ids are the same each time."""
    mock_random.seed(0)
    with (
        _little_garbage_collection(),
        mock.patch.dict(os.environ, _MOTO),
        mock.patch("moto.core.responses.method_names_from_class", _operations),
        # The key of encrypted volumes gets an RSA pair too; nobody signs with it.
        mock.patch("moto.kms.models.generate_private_key", return_value=None),
        mock_aws(config={"lambda": {"use_docker": False}}),
    ):
        yield


@contextmanager
def _little_garbage_collection() -> Iterator[None]:
    """What is loaded for a first deployment stays; to look for garbage among it took as long as all the rest."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], 50_000), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
