"""Keeps a stack served on this machine, and follows its files."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from abtest.experiment import ConfigError
from abtest.local.balancer import Balancer, Deployed
from abtest.local.deployment import Deployment, deploy
from abtest.local.model_servers import ModelServers
from abtest.local.program import DeployError
from abtest.routing import RoutingTable
from abtest.routing.render import rows

__all__ = ["Snapshot", "redeployments", "stamps", "take"]

_LOOK_SECONDS = 0.3
#: What takes a second to import is imported once, for every redeployment.
_SLOW = ["abtest.local.deployment", "moto.ec2.models", "moto.elbv2.models", "pulumi_aws.ec2"]

Row = tuple[str, str, tuple[str, ...], str]
Stamps = Mapping[Path, tuple[int, int] | None]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What of a deployment is served: plain values, so that a child process can hand it over.

    ``routing`` is the table of rules in words, ``own_names`` are the hosts that mean the load balancer.
    """

    described: Mapping[str, Any]
    routing: Sequence[Row]
    own_names: frozenset[str]

    @classmethod
    def of(cls, deployment: Deployment) -> Self:
        table = RoutingTable.from_experiment(deployment.experiment)
        fqdn = deployment.outputs.get("fqdn")
        return cls(
            described=deployment.described,
            routing=rows(table),
            own_names=frozenset({fqdn.lower()} if fqdn else ()),
        )


async def take(snapshot: Snapshot, balancer: Balancer, servers: ModelServers) -> None:
    """Serve a snapshot from now on. Raises PortError."""
    deployed = Deployed.from_described(snapshot.described)
    urls = await servers.urls(group.variant for group in deployed.groups.values())
    await balancer.serve(deployed, urls, snapshot.own_names)


async def redeployments(stack: str, before: Stamps, on_change: Callable[[Path], None]) -> AsyncIterator[Snapshot | str]:
    """A new snapshot, or what is wrong in words, each time a file is other than before; ``on_change`` is told first.

    It is made in a child process: the program runs as fresh as at the start, and this process goes on serving.
    """
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        now = stamps(before)
        if changed := [file for file in before if now[file] != before[file]]:
            before = now
            on_change(changed[0])
            yield await _redeployed(stack)


async def _redeployed(stack: str) -> Snapshot | str:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_SLOW)
    with ProcessPoolExecutor(1, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, _redeploy, stack)
        except BrokenProcessPool:
            return "the process that deploys it was ended before it was done; save again"


def stamps(files: Iterable[Path]) -> Stamps:
    """Time and size of each file; None for one that is not there at the moment, as while an editor saves it."""
    found: dict[Path, tuple[int, int] | None] = {}
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found[file] = None
        else:
            found[file] = (status.st_mtime_ns, status.st_size)
    return found


def _redeploy(stack: str) -> Snapshot | str:
    try:
        return Snapshot.of(deploy(stack))
    except (ConfigError, DeployError) as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 whatever the program does, what is served goes on
        return f"{type(error).__name__}: {error}"
