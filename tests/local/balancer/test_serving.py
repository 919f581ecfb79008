"""What is served changes while requests run; targets come and go; ports are what they are."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abtest.local.balancer import PortError
from abtest.routing import Action
from tests.local.balancer.harness import (
    HEALTH,
    Client,
    Loop,
    ModelServer,
    Received,
    Site,
    deployed,
    forward,
    group,
    head,
    listener,
    route,
    running,
    wait_for,
)

TO_A, TO_B = (deployed(listener(route(forward({name: 1})))) for name in "ab")
REFUSES = listener(route(Action(kind="respond", status=404)), port=8080)
FAST = replace(HEALTH, interval=0.05, timeout=0.2)


# What is served -------------------------------------------------------------------------------------------------------


def test_no_request_is_lost_while_what_is_served_changes(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(TO_A, a, b)
    port, statuses, is_over = site.port, Counter[int](), threading.Event()

    def send() -> None:
        with Client(port) as client:
            while not is_over.is_set():
                statuses[client.ask("GET /").status] += 1

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(10):
        site.serve(TO_B, a, b)
        site.serve(deployed(*TO_A.listeners, REFUSES), a, b)
    is_over.set()
    for sender in senders:
        sender.join()
    assert site.port == port
    assert statuses.keys() == {200}
    site.logged(statuses.total())
    assert {entry.group for entry in site.entries} == {"arn:a", "arn:b"}


def test_a_request_under_way_ends_as_it_began(site: Site, a: ModelServer, b: ModelServer) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Received, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")

    async def end() -> None:
        go_on.set()

    a.on["/wait"] = wait
    site.serve(TO_A, a, b)
    with site.client() as client:
        client.send(head("GET /wait"))
        wait_for(reached.is_set)
        site.serve(TO_B, a, b)
        site.loop.run(end())
        assert client.answer().body == b"a"
        assert client.ask("GET /").seen["server"] == "b"


def test_listeners_come_and_go(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(TO_A, a, b)
    assert len(site.balancer.serving.ports) == 1
    site.serve(deployed(*TO_A.listeners, REFUSES), a, b)
    first, second = site.balancer.serving.ports
    kept = Client(second)
    assert kept.ask("GET /").status == 404
    site.serve(TO_A, a, b)
    assert site.balancer.serving.ports == (first,)
    assert kept.is_closed()
    with pytest.raises(ConnectionRefusedError):
        Client(second)
    assert site.ask("GET /").status == 200
    kept.__exit__()


def test_nothing_is_left_when_it_ends(loop: Loop, tmp_path: Path, a: ModelServer, b: ModelServer) -> None:
    with running(loop, tmp_path) as site:
        site.serve(TO_A, a, b)
        client = site.client()
        client.ask("GET /")
        port = site.port
    assert client.is_closed()
    client.__exit__()
    with pytest.raises(ConnectionRefusedError):
        Client(port)


# Ports ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_named(loop: Loop, tmp_path: Path, a: ModelServer, b: ModelServer, taken: int) -> None:
    with running(loop, tmp_path, port=taken) as site, pytest.raises(PortError) as caught:
        site.serve(TO_A, a, b)
    assert str(caught.value) == f"port {taken} on 127.0.0.1 is in use; choose another with --port"


def test_listeners_take_the_ports_one_after_the_other(
    loop: Loop, tmp_path: Path, a: ModelServer, b: ModelServer
) -> None:
    start = _free_pair()
    with running(loop, tmp_path, port=start) as site:
        site.serve(deployed(*TO_A.listeners, REFUSES), a, b)
        assert site.balancer.serving.ports == (start, start + 1)


def test_a_change_that_finds_no_port_changes_nothing(
    loop: Loop, tmp_path: Path, a: ModelServer, b: ModelServer
) -> None:
    start = _free_pair()
    with running(loop, tmp_path, port=start) as site:
        site.serve(TO_A, a, b)
        with socket.create_server(("127.0.0.1", start + 1)), pytest.raises(PortError):
            site.serve(deployed(*TO_B.listeners, REFUSES), a, b)
        assert site.ask("GET /").seen["server"] == "a"
        site.serve(deployed(*TO_B.listeners, REFUSES), a, b)
        assert site.ask("GET /").seen["server"] == "b"


def test_ports_end_at_65535(loop: Loop, tmp_path: Path, a: ModelServer, b: ModelServer) -> None:
    with (
        running(loop, tmp_path, port=65_535) as site,
        pytest.raises(PortError, match=r"^port 65536 is over 65535; choose a lower one with --port$"),
    ):
        site.serve(deployed(*TO_A.listeners, REFUSES), a, b)


def _free_pair() -> int:
    """A free port before another one."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port: int = one.getsockname()[1]
        try:
            with socket.create_server(("127.0.0.1", port)), socket.create_server(("127.0.0.1", port + 1)):
                return port
        except (OSError, OverflowError):
            pass


# Health ---------------------------------------------------------------------------------------------------------------


def _with_two_targets(**changes: Any) -> Any:
    return deployed(groups=(group("a", 2, health_check=FAST, **changes), group("b")))


def test_targets_are_checked_before_the_first_request(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(TO_A, a, b)
    assert (a.checks, b.checks) == (1, 1)
    assert [t.state for g in site.balancer.serving.groups.values() for t in g.targets] == ["healthy", "healthy"]


def test_a_check_looks_as_the_load_balancers(site: Site, a: ModelServer, b: ModelServer) -> None:
    seen: list[Received] = []

    async def look(request: Received, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    a.on["/up"] = look
    check = replace(HEALTH, path="/up?x=%41", matcher="200,300-302")
    site.serve(deployed(groups=(group("a", health_check=check), group("b"))), a, b)
    assert [request.line for request in seen] == ["GET /up?x=%41 HTTP/1.1"]
    assert seen[0].all("User-Agent") == ["ELB-HealthChecker/2.0"]
    assert site.balancer.serving.groups["arn:a"].targets[0].state == "healthy"


def test_a_target_leaves_and_returns(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(groups=(group("a", health_check=FAST), group("b"))), a, b)
    target = site.balancer.serving.groups["arn:a"].targets[0]
    a.health = 503
    wait_for(lambda: target.state == "unhealthy")
    assert site.ask("GET /").status == 200  # fail open: there is no other
    a.health = 200
    wait_for(lambda: target.state == "healthy")
    assert site.changes == [
        f"a: target i-a0 at {a.url} is unhealthy: /healthz answers 503",
        f"a: target i-a0 at {a.url} is healthy",
    ]


def test_the_last_healthy_target_gets_all_requests(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(_with_two_targets(), a, b)
    one, two = site.balancer.serving.groups["arn:a"].targets
    one.state = "unhealthy"
    chosen = {site.balancer.serving.groups["arn:a"].choose() for _ in range(10)}
    assert chosen == {two}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("stop", "Connect"),
        ("slow", "/healthz does not answer within 0.2 s"),
        ("garbage", "/healthz answers something that is not HTTP"),
    ],
)
def test_a_check_says_why_it_failed(site: Site, a: ModelServer, b: ModelServer, change: str, why: str) -> None:
    async def slow(*_: Any) -> None:
        await asyncio.sleep(5)

    async def garbage(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"garbage\r\n\r\n")

    a.on["/up"] = garbage if change == "garbage" else slow
    path = "/healthz" if change == "stop" else "/up"
    if change == "stop":
        site.loop.run(a.stop())
    site.serve(deployed(groups=(group("a", health_check=replace(FAST, path=path)), group("b"))), a, b)
    wait_for(lambda: site.changes)
    assert why.replace("/healthz", path) in site.changes[0]


def test_targets_that_stay_keep_their_health(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(groups=(group("a", health_check=FAST), group("b"))), a, b)
    target = site.balancer.serving.groups["arn:a"].targets[0]
    a.health = 503
    wait_for(lambda: target.state == "unhealthy")
    site.serve(deployed(groups=(group("a"), group("b"))), a, b)
    assert site.balancer.serving.groups["arn:a"].targets[0] is target
    assert target.state == "unhealthy"
