"""A target that is down, slow, resets or sends garbage: AWS's 502, 503 and 504, or an answer that breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.local.balancer.harness import (
    IncompleteError,
    ModelServer,
    Received,
    Site,
    deployed,
    group,
    head,
    says,
)


@pytest.fixture(autouse=True)
def _serve_and_live_on(site: Site, a: ModelServer, b: ModelServer, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    site.serve(deployed(idle_timeout=0.3), a, b)
    yield
    assert not caplog.get_records("call")


def _fails(site: Site, request: str, status: int, length: int | None = None) -> None:
    with site.client() as client:
        reply = client.ask(request)
        assert (reply.status, reply.all("Server"), reply.all("Content-Type")) == (status, ["awselb/2.0"], ["text/html"])
        assert length is None or len(reply.body) == length
        assert f"<center><h1>{status} {reply.reason}</h1></center>".encode() in reply.body
        assert client.ask("HEAD /else").reason  # the connection is kept
    site.logged(2)
    entry = site.entries[0]
    assert (entry.status, entry.group, entry.action) == (status, "arn:a", "forward")
    assert (entry.target_seconds, entry.response_seconds, entry.target_status) == (-1, -1, "-")


def test_a_target_that_refuses(site: Site, a: ModelServer) -> None:
    site.loop.run(a.stop())
    _fails(site, "GET /", 502, 122)
    assert (site.entries[0].target, site.entries[0].target_status) == (f"127.0.0.1:{a.port}", "-")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"garbage\r\n\r\n",
        b"\0\1\2\3",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 33_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + (b"A: " + b"a" * 1000 + b"\r\n") * 33 + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
    ],
)
def test_a_target_that_answers_nothing_or_garbage(site: Site, a: ModelServer, answer: bytes) -> None:
    a.on["/x"] = says(answer, then_close=True)
    _fails(site, "GET /x", 502, 122)


def test_a_target_that_resets(site: Site, a: ModelServer) -> None:
    async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    a.on["/x"] = reset
    _fails(site, "GET /x", 502, 122)
    assert a.requests == 2  # nothing is sent twice


def test_a_header_of_32_kilobytes_is_fine(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + (b"A: " + b"a" * 1000 + b"\r\n") * 32 + b"\r\n")
    assert site.ask("GET /x").status == 200


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"])
def test_a_target_that_is_slow(site: Site, a: ModelServer, answer: bytes) -> None:
    a.on["/x"] = says(answer)
    _fails(site, "GET /x", 504)


def test_a_target_that_does_not_read(site: Site, a: ModelServer) -> None:
    async def sleep(*_: object) -> None:
        await asyncio.sleep(2)

    a.on["/x"] = sleep
    with site.client() as client:
        client.send(head("POST /x\nContent-Length: 100000000"))
        for _n in range(20):
            client.send(b"x" * 2**20)
        assert client.answer().status == 504
    assert site.logged().status == 504


def test_a_slow_answer_that_goes_on_is_no_timeout(site: Site, a: ModelServer) -> None:
    async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
        for _n in range(8):
            await asyncio.sleep(0.08)
            writer.write(b"x")

    a.on["/x"] = drip
    assert site.ask("GET /x").body == b"x" * 8


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("then_close", [True, False])
@pytest.mark.parametrize(
    "part",
    [
        b"Content-Length: 10\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_never_taken_for_whole(
    site: Site, a: ModelServer, version: str, part: bytes, *, then_close: bool
) -> None:
    a.on["/x"] = says(b"HTTP/1.1 200 OK\r\n" + part, then_close=then_close)
    with site.client() as client:
        client.send(head(f"GET /x HTTP/{version}"))
        with pytest.raises((IncompleteError, ConnectionResetError)):
            client.answer()
    entry = site.logged()
    assert (entry.status, entry.target_status) == (200, "200")


def test_an_answer_that_turns_to_garbage_breaks_off(site: Site, a: ModelServer) -> None:
    async def turn(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"no size\r\n")

    a.on["/x"] = turn
    site.serve(deployed(idle_timeout=60, groups=(group("a"),)), a)
    with site.client() as client:
        client.send(head("GET /x"))
        with pytest.raises(IncompleteError):
            client.answer()
    assert site.logged().status == 200


def test_a_header_cannot_be_smuggled_through_an_answer(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n Set-Cookie: c=d\r\nE: f\rSet-Cookie: g=h\r\n\r\n"
    )
    reply = site.ask("GET /x")
    assert not reply.all("Set-Cookie")


def test_a_group_without_targets_is_a_503(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(groups=(group("a", 0), group("b"))), a, b)
    _fails(site, "GET /", 503, 162)
    assert (site.entries[0].target, site.entries[0].request_seconds) == ("-", -1)


@pytest.mark.parametrize("version", ["HTTP2", "GRPC"])
def test_a_group_of_another_protocol_version_is_a_464(site: Site, a: ModelServer, b: ModelServer, version: str) -> None:
    site.serve(deployed(groups=(group("a", protocol_version=version), group("b"))), a, b)
    _fails(site, "GET /", 464)
    assert a.checks == 1  # in its first form alone
