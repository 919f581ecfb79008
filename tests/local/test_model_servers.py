"""Model servers for the local balancer: the user's own, and sample servers that end with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import aiohttp
import pytest

from abtest.local.model_servers import ModelServers
from tests.configs import ROOT


async def _version(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/predict") as answer:
        found: Mapping[str, str] = await answer.json()
        return found["version"]


def test_each_variant_without_a_server_of_its_own_gets_one() -> None:
    async def run() -> None:
        async with ModelServers({"own": "http://127.0.0.1:1"}) as servers:
            first = dict(await servers.urls(["a", "own"]))
            assert first["own"] == "http://127.0.0.1:1"
            assert await _version(first["a"]) == "a"
            second = await servers.urls(["a", "b", "own"])
            assert {**second, **first} == second
            assert await _version(second["b"]) == "b"

    asyncio.run(run())


def test_sample_servers_end_with_the_balancer() -> None:
    async def run() -> None:
        async with ModelServers({}) as servers:
            url = (await servers.urls(["a"]))["a"]
        try:
            await _version(url)
        except aiohttp.ClientConnectionError:
            return
        raise AssertionError(f"{url} still answers")

    asyncio.run(run())


def test_sample_servers_end_with_a_process_that_is_killed() -> None:
    """Nobody is left to end them."""
    program = """
import asyncio
from abtest.local.model_servers import ModelServers

async def run():
    async with ModelServers({}) as servers:
        print((await servers.urls(["a"]))["a"], flush=True)
        await asyncio.sleep(60)

asyncio.run(run())
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert asyncio.run(_version(url)) == "a"
        process.kill()

    async def ask_on() -> None:
        async with asyncio.timeout(20):
            while True:
                await _version(url)

    with pytest.raises(aiohttp.ClientConnectionError):
        asyncio.run(ask_on())
