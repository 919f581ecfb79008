"""Model servers for the local balancer: the user's own, and sample servers that end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from abtest.local.model_servers import ModelServers


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
