"""Keeps a stack served on this machine, and follows its files."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
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

__all__ = ["Snapshot", "redeployments", "serve"]

_LOOK_SECONDS = 0.3

Row = tuple[str, str, tuple[str, ...], str]


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


async def serve(snapshot: Snapshot, balancer: Balancer, servers: ModelServers) -> None:
    """Serve a snapshot from now on. Raises PortError."""
    deployed = Deployed.from_described(snapshot.described)
    urls = await servers.urls(group.variant for group in deployed.groups.values())
    await balancer.serve(deployed, urls, snapshot.own_names)


async def redeployments(stack: str, files: Sequence[Path]) -> AsyncIterator[Snapshot | str]:
    """A new snapshot, or what is wrong in words, each time one of the files is saved.

    It is made in a child process: the program runs as fresh as at the start, and this process goes on serving.
    """
    before = _stamps(files)
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN), max_tasks_per_child=1
    ) as pool:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            if (now := _stamps(files)) != before:
                before = now
                yield await asyncio.get_running_loop().run_in_executor(pool, _redeploy, stack)


def _stamps(files: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Size and time of each file; None for one that is not there at the moment, as while an editor saves it."""
    found: list[tuple[int, int] | None] = []
    for file in files:
        try:
            status = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return found


def _redeploy(stack: str) -> Snapshot | str:
    try:
        return Snapshot.of(deploy(stack))
    except (ConfigError, DeployError) as error:
        return str(error)
