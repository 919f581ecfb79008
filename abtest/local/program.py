"""The unchanged Pulumi program under Pulumi's mocks: every resource and look-up goes to the embedded AWS."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
from botocore.exceptions import BotoCoreError, ClientError
from google.protobuf import empty_pb2
from moto.moto_api._internal import mock_random
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime.stack import run_in_stack

from abtest.experiment import ConfigError, Source
from abtest.local.clients import Clients, Inputs, UntranslatableError
from abtest.local.embedded import NotAnsweredError
from abtest.local.look_ups import LOOK_UPS, LookUpError
from abtest.local.resources import CREATE, RegexConditions, create
from abtest.program import run

__all__ = ["DeployError", "EmbeddedAws", "Monitor", "Resource", "plain", "run_program"]


class DeployError(Exception):
    """The embedded AWS refused a resource, or cannot do what the program asks for."""


@dataclass(frozen=True)
class Resource:
    """A registered resource. ``inputs`` and ``state`` have the provider's camelCase keys; ``parent`` is a URN.

    ``secret_inputs`` are the inputs that the program handed over as secret, wholly or in part.
    """

    urn: str
    type: str
    name: str
    id: str
    parent: str
    inputs: Mapping[str, Any] = field(repr=False)
    state: Mapping[str, Any] = field(repr=False)
    depends_on: frozenset[str] = field(repr=False, default=frozenset())
    secret_inputs: frozenset[str] = frozenset()

    @property
    def is_component(self) -> bool:
        return self.type.startswith("abtest:")


class EmbeddedAws(mocks.Mocks):
    """Answers the program's registrations and calls from moto."""

    def __init__(self, aws: Clients, on_resource: Callable[[str, str], None]) -> None:
        self._aws, self._on_resource = aws, on_resource
        self.regex: RegexConditions = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self._on_resource(args.typ, args.name)
        inputs = plain(args.inputs)
        if not args.custom:
            return None, inputs
        if args.typ not in CREATE:
            raise UntranslatableError(f"{args.typ} {args.name}: the embedded AWS does not know this type of resource")
        # The engine may ask in another order each time; what moto draws by chance depends on the resource alone.
        mock_random.seed(f"{args.typ} {args.name}")
        try:
            made_id, outputs = create(self._aws, args.typ, args.name, Inputs(args.typ, inputs), self.regex)
        except (ClientError, BotoCoreError) as error:
            raise DeployError(f"{args.typ} {args.name}: {error}") from error
        return made_id, {**inputs, **outputs}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if args.token not in LOOK_UPS:
            raise UntranslatableError(f"{args.token}: the embedded AWS does not know this function")
        inputs = Inputs(args.token, plain(args.args))
        try:
            answer = LOOK_UPS[args.token](self._aws, inputs)
        except (LookUpError, ClientError, BotoCoreError) as error:
            return {}, [("", str(error))]
        inputs.finish()
        return answer, []


class Monitor(mocks.MockMonitor):
    """Keeps what is registered, and the stack's outputs."""

    def __init__(self, embedded: EmbeddedAws) -> None:
        super().__init__(embedded)
        self.embedded = embedded
        self.registered: list[Resource] = []
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the monitor's interface
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object)
            self.registered.append(
                Resource(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    id=response.id,
                    parent=request.parent,
                    inputs=plain(inputs),
                    secret_inputs=frozenset(key for key, value in inputs.items() if _is_secret(value)),
                    state=plain(self.resources[response.urn].state),
                    depends_on=frozenset(request.dependencies),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the monitor's interface
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.outputs = dict(rpc.deserialize_properties(request.outputs))
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


def _is_secret(value: Any) -> bool:
    """Whether a value, or some part of it, is marked as secret."""
    if rpc.is_rpc_secret(value):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_is_secret, parts))


def plain(value: Any) -> Any:
    """Values without the wrappers that mark them as secret."""
    value = rpc.unwrap_rpc_secret(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def run_program(source: Source, monitor: Monitor) -> None:
    """Run the program as the engine's language host does, but with one worker, so that the order is always the same.

    The runtime's state lives in context variables: in a context of its own, nothing of one deployment reaches the next.
    """
    contextvars.copy_context().run(_run_in_context, source, monitor)


def _run_in_context(source: Source, monitor: Monitor) -> None:
    folder = source.project.folder
    with contextlib.chdir(folder), _event_loop() as loop:
        settings.reset_options()
        settings.configure(_settings(source, monitor))
        pulumi.runtime.set_all_config(dict(source.values), [])
        try:
            loop.run_until_complete(run_in_stack(lambda: _program(folder)))
        except pulumi.RunError as error:
            if isinstance(error.__cause__, ConfigError):
                raise error.__cause__ from None
            raise DeployError(str(error)) from None
        except (UntranslatableError, NotAnsweredError) as error:
            raise DeployError(str(error)) from None


def _program(folder: Path) -> None:
    """Run the folder's own program, or else the packaged one, which an installed abtest brings."""
    if (folder / "__main__.py").is_file():
        runpy.run_path(str(folder), run_name="__main__")
    else:
        run()


def _settings(source: Source, monitor: Monitor) -> settings.Settings:
    """What ``set_mocks`` configures, without the extra root stack that it makes."""
    logger = logging.getLogger("abtest.local.program")
    logger.setLevel(logging.CRITICAL)  # warnings and errors reach the caller as values
    features = monitor.GetDeploymentInfo(empty_pb2.Empty())  # type: ignore[no-untyped-call]
    return mocks.MockSettings(
        monitor=monitor,
        monitor_features=set(features.supportedFeatures),
        engine=mocks.MockEngine(logger),
        project=source.project.name,
        stack=source.stack,
        dry_run=False,
        organization=None,
        callbacks=None,
    )


@contextlib.contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    worker = ThreadPoolExecutor(max_workers=1)
    loop.set_default_executor(worker)
    asyncio.set_event_loop(loop)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # a failed program leaves futures that nobody awaits
    try:
        yield loop
    finally:
        worker.submit(_close_loop_of_thread).result()
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)


def _close_loop_of_thread() -> None:
    """The mocks give the thread that they run in a loop of its own, and leave it open."""
    with contextlib.suppress(RuntimeError):
        asyncio.get_event_loop_policy().get_event_loop().close()
    asyncio.set_event_loop(None)
