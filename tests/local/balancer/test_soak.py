"""Hundreds of thousands of requests while model servers die and return, and what is served changes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import socket
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from abtest.local.balancer import AccessLog, Balancer
from tests.local.balancer import soak
from tests.local.balancer.harness import HEALTH, deployed, forward, group, listener, route

REQUESTS, CONNECTIONS = 200_000, 32
SPAWN = multiprocessing.get_context("spawn")
CHECK = replace(HEALTH, interval=0.2, timeout=0.2)
GROUPS = tuple(group(name, 2, health_check=CHECK) for name in "ab")
SPLITS = [
    deployed(listener(route(forward({"a": one, "b": 1}, sticky=60))), groups=GROUPS, idle_timeout=60) for one in (1, 4)
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def started(port: int) -> BaseProcess:
    process = SPAWN.Process(target=soak.serve, args=(port,), daemon=True)
    process.start()
    return process


def megabytes() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def disturb(balancer: Balancer, ports: Mapping[str, int], servers: dict[str, BaseProcess]) -> None:
    """Kill one server after the other, start it again, and change what is served."""
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    while True:
        for n, name in enumerate(ports):
            await asyncio.sleep(1)
            servers[name].kill()
            await asyncio.sleep(0.5)
            servers[name] = started(ports[name])
            await asyncio.sleep(1)
            await balancer.serve(SPLITS[n], urls)


def in_log(path: Path) -> tuple[array[int], int]:
    """The status of each request by its number, and how many lines there are."""
    statuses, lines = array("H", [0]) * REQUESTS, 0
    with path.open(encoding="utf-8") as log:
        for line in log:
            match = re.search(r' (\d+) \S+ \d+ \d+ "\w+ http://x:80/(\d+)\. HTTP/1.1" ', line)
            assert match, line
            statuses[int(match[2])] = int(match[1])
            lines += 1
    return statuses, lines


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory in use from /proc")
def test_nothing_is_lost_doubled_or_kept_over_hundreds_of_thousands_of_requests(tmp_path: Path) -> None:
    log = AccessLog(tmp_path / "access.log")
    ports = {name: free_port() for name in "ab"}
    servers = {name: started(port) for name, port in ports.items()}
    memory: list[float] = []
    here, there = SPAWN.Pipe(duplex=False)

    async def run() -> soak.Outcome:
        await asyncio.sleep(1)
        async with Balancer(log) as balancer:
            await balancer.serve(SPLITS[0], {name: f"http://127.0.0.1:{port}" for name, port in ports.items()})
            clients = SPAWN.Process(
                target=soak.send, args=(balancer.serving.ports[0], REQUESTS, CONNECTIONS, there), daemon=True
            )
            clients.start()
            disturbance = asyncio.create_task(disturb(balancer, ports, servers))
            while not here.poll():
                assert clients.is_alive()
                assert not disturbance.done()
                await asyncio.sleep(0.5)
                memory.append(megabytes())
            disturbance.cancel()
            outcome: soak.Outcome = here.recv()
            return outcome

    try:
        outcome = asyncio.run(run())
    finally:
        log.close()
        for server in servers.values():
            server.kill()
    statuses = Counter(outcome.statuses)
    fifth = len(memory) // 5
    print(f"{len(memory) / 2:.0f} s, {dict(statuses)}, {memory[fifth]:.0f} MB, then {memory[-1]:.0f} MB")  # noqa: T201
    assert outcome.wrong == []
    logged, lines = in_log(log.path)
    assert lines == REQUESTS
    assert logged == outcome.statuses
    assert statuses.keys() <= {200, 502, 504}
    assert statuses[200] > REQUESTS * 0.5
    assert memory[-1] - memory[fifth] < 10
