"""A client that sends garbage, half a request, too much, or leaves: the balancer answers, logs the line, and lives."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.local.balancer.harness import (
    DNS,
    ModelServer,
    Received,
    Site,
    deployed,
    head,
    wait_for,
)

NO_REQUEST = f"- http://{DNS}:80- -"


@pytest.fixture(autouse=True)
def _serve_and_live_on(site: Site, a: ModelServer, b: ModelServer, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    site.serve(deployed(idle_timeout=0.3), a, b)
    yield
    assert site.ask("GET /").status == 200
    assert not caplog.get_records("call")


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x:" + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://user@x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET relative HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: 12345678\r\n" * 900 + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"A: " + b"a" * 10_000 + b"\r\n") * 7 + b"\r\n", 400),
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_logged_as_such(site: Site, garbage: bytes, status: int) -> None:
    with site.client() as client:
        client.send(garbage)
        reply = client.answer()
        assert reply.status == status
        if status != 200:
            assert reply.all("Connection") == ["close"]
            assert client.is_closed()
    entry = site.logged()
    assert entry.status == status
    if status != 200:
        assert (entry.request_line, entry.target, entry.group, entry.priority) == (NO_REQUEST, "-", "-", "-")
        assert entry.sent_bytes > len(reply.body)


def test_garbage_after_a_request_does_not_hurt_its_answer(site: Site, a: ModelServer, b: ModelServer) -> None:
    asked, go_on = threading.Event(), asyncio.Event()

    async def wait(_: Received, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await go_on.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def answer() -> None:
        await asyncio.sleep(0.05)  # the garbage arrives first
        go_on.set()

    site.serve(deployed(idle_timeout=20), a, b)  # the wait is no matter of it
    a.on["/wait"] = wait
    with site.client() as client:
        client.send(head("GET /wait"))
        assert asked.wait(5)
        client.send(b"\0garbage\r\n\r\n")
        site.loop.run(answer())
        assert client.answer().status == 200
        assert client.answer().status == 400
        assert client.is_closed()
    site.logged(2)


def test_half_a_head_is_a_408_after_the_idle_timeout(site: Site) -> None:
    with site.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        assert client.answer().status == 408
        assert client.is_closed()
    assert (site.logged().status, site.logged().request_line) == (408, NO_REQUEST)


def test_half_a_head_on_a_used_connection_has_its_time(site: Site) -> None:
    with site.client() as client:
        site.loop.run(asyncio.sleep(0.2))
        assert client.ask("GET /").status == 200
        client.send(b"GET / HTTP/1.1\r\n")
        site.loop.run(asyncio.sleep(0.2))
        client.send(b"Host: x\r\n\r\n")
        assert client.answer().status == 200
    site.logged(2)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 10\r\n\r\nhalf", b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
)
def test_half_a_body_is_a_408_after_the_idle_timeout(site: Site, framing: bytes) -> None:
    with site.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing)
        reply = client.answer()
        assert (reply.status, reply.all("Connection")) == (408, ["close"])
    entry = site.logged()
    assert (entry.status, entry.target_status, entry.request_line) == (408, "-", "POST http://x:80/ HTTP/1.1")


def test_a_slow_body_is_none_that_stands_still(site: Site) -> None:
    with site.client() as client:
        client.send(head("POST /\nContent-Length: 8"))
        for _ in range(8):
            site.loop.run(asyncio.sleep(0.08))
            client.send(b"x")
        assert client.answer().seen["body"] == "x" * 8


def test_a_body_with_broken_chunks_is_a_400(site: Site) -> None:
    with site.client() as client:
        client.send(head("POST /\nTransfer-Encoding: chunked") + b"4\r\nhalf\r\n")
        site.loop.run(asyncio.sleep(0.05))
        client.send(b"no size\r\n")
        assert client.answer().status == 400
    assert site.logged().status == 400


@pytest.mark.parametrize(("request_", "status"), [("GET /wait", 460), ("POST /wait\nContent-Length: 9", 400)])
def test_a_client_that_leaves_before_its_answer(site: Site, a: ModelServer, request_: str, status: int) -> None:
    reached, left = asyncio.Event(), asyncio.Event()

    async def wait(request: Received, _: asyncio.StreamWriter) -> None:
        reached.set()
        await request.reader.read()
        left.set()

    a.on["/wait"] = wait
    with site.client() as client:
        client.send(head(request_))
        wait_for(reached.is_set)
    assert site.logged().status == status
    wait_for(left.is_set)  # the target is not kept busy for nobody
    assert (site.entries[0].group, site.entries[0].target_status) == ("arn:a", "-")


def test_a_client_that_leaves_in_the_middle_of_its_answer(site: Site, a: ModelServer) -> None:
    async def pour(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 2**16)
            await writer.drain()

    a.on["/pour"] = pour
    with site.client() as client:
        client.send(head("GET /pour"))
        client.answer_head()
    entry = site.logged()
    assert (entry.status, entry.target_status) == (200, "200")


def test_a_client_that_says_nothing_leaves_no_line(site: Site) -> None:
    with site.client():
        pass
    with site.client() as client:
        client.send(b"GET / HT")
    site.ask("GET /")
    site.logged(1)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("TRACE /", 405),
        ("GET /\nX-Forwarded-For: " + ", ".join(["192.0.2.1"] * 31), 463),
        ("POST /\nTransfer-Encoding: gzip, chunked", 501),
    ],
)
def test_what_the_load_balancer_does_not_do(site: Site, request_: str, status: int) -> None:
    with site.client() as client:
        client.send(head(request_))
        assert client.answer().status == status
    entry = site.logged()
    assert (entry.status, entry.target, entry.priority) == (status, "-", "-")
    assert entry.request_line.startswith(request_.partition(" ")[0])


def test_thirty_forwarded_addresses_are_fine(site: Site) -> None:
    assert site.ask("GET /\nX-Forwarded-For: " + ", ".join(["192.0.2.1"] * 30)).status == 200


def test_an_error_of_our_own_is_a_500(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(site.balancer.serving.groups["arn:a"], "choose", None)
        assert site.ask("GET /").status == 500
    assert site.logged().status == 500
    assert [record.getMessage() for record in caplog.records] == ["an error of the local balancer"]
    caplog.get_records("call").clear()
