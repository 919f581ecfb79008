"""Requests from many clients to a real balancer, and what is counted of them."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from abtest.local import Deployment
from abtest.local.balancer import AccessLog, Balancer, Deployed, Entry
from abtest.local.model_servers import ModelServers
from abtest.local.traffic import Tally, interval, plan, send
from abtest.routing import RoutingTable
from tests.configs import config, experiment, rule
from tests.deployed import deploy


class Sent:
    """What a run of traffic left behind."""

    def __init__(self, deployment: Deployment, folder: Path, requests: int) -> None:
        self.deployed = Deployed.from_described(deployment.described)
        self.entries: list[Entry] = []
        self.answers = self.failed = 0
        self.log = folder / "access.log"
        asyncio.run(self._run(requests))
        self.variants = {arn: group.variant for arn, group in self.deployed.groups.items()}
        self.tally = Tally()
        for entry in self.entries:
            self.tally.add(entry)

    async def _run(self, requests: int) -> None:
        log = AccessLog(self.log, self.entries.append)
        async with ModelServers({}) as servers, Balancer(log) as balancer:
            urls = await servers.urls(group.variant for group in self.deployed.groups.values())
            await balancer.serve(self.deployed, urls)
            planned, _ = plan(self.deployed.listeners[0].table)
            self.failed = await send(balancer.serving.ports[0], planned, requests, self._answered)
        log.close()

    def _answered(self) -> None:
        self.answers += 1

    def share(self, priority: int, variant: str) -> tuple[int, int]:
        chosen = self.tally.routes[priority].chosen
        return sum(n for arn, n in chosen.items() if self.variants[arn] == variant), chosen.total()


@pytest.fixture(scope="module")
def sent(dev: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    return Sent(dev, tmp_path_factory.mktemp("traffic"), 600)


def test_every_request_is_answered_and_logged_once(sent: Sent) -> None:
    assert (sent.answers, sent.failed) == (600, 0)
    assert len(sent.entries) == len(sent.log.read_text().splitlines()) == 600
    assert {entry.status for entry in sent.entries} == {200}


def test_each_route_gets_its_part(sent: Sent) -> None:
    counts = {priority: route.answers.total() for priority, route in sent.tally.routes.items()}
    assert counts == {0: 420, 10: 60, 20: 60, 30: 60}


def test_the_share_seen_is_the_share_asked_for(sent: Sent) -> None:
    hits, of = sent.share(0, "b")
    assert of == 252, "42 clients with cookies choose once, 42 without five times"
    low, high = interval(hits, of)
    assert low - 0.05 < 0.1 < high + 0.05
    for priority in (10, 20, 30):
        assert len(set(sent.share(priority, "b"))) == 1, "all of them"


def test_a_client_that_keeps_its_cookies_stays_with_its_variant(sent: Sent) -> None:
    groups, new = defaultdict[str, set[str]](set), Counter[str]()
    for entry in sent.entries:
        if entry.priority == "0":
            address = entry.client.partition(":")[0]
            groups[address].add(entry.group)
            new[address] += entry.is_new
    sticky = [address for address, choices in new.items() if choices == 1]
    assert len(sticky) == len(groups) // 2
    assert all(len(groups[address]) == 1 for address in sticky)


def test_clients_come_from_many_addresses(sent: Sent) -> None:
    assert len({entry.client.partition(":")[0] for entry in sent.entries}) == 120


def test_without_stickiness_every_request_is_a_choice(tmp_path: Path) -> None:
    found = Sent(deploy(config(weights={"a": 1, "b": 1})), tmp_path, 100)
    assert found.share(0, "a")[1] == 100


def test_a_route_that_no_request_from_here_takes_is_left_out() -> None:
    table = RoutingTable.from_experiment(
        experiment(
            config(
                rules={
                    "away": rule(priority=1, when={"sourceIp": ["198.51.100.0/24"]}),
                    "here": rule(priority=2, when={"sourceIp": ["127.0.0.0/8"], "path": ["/x"]}),
                }
            )
        )
    )
    planned, left_out = plan(table)
    assert [route.name for route in left_out] == ["away"]
    assert [(route.name, request.path) for route, request in planned] == [("here", "/x"), (None, "/")]


# Known values: Newcombe, "Two-sided confidence intervals for the single proportion", table I, method 3.
@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(hits: int, of: int, low: float, high: float) -> None:
    assert interval(hits, of) == pytest.approx((low, high), abs=5e-5)


def test_nothing_seen_says_nothing() -> None:
    assert interval(0, 0) == (0.0, 1.0)
