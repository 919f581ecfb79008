"""Requests and answers pass as they are: line, headers, bodies both ways, connections."""

from __future__ import annotations

import asyncio
import re
import resource
import threading

import pytest

from tests.local.balancer.harness import (
    Client,
    IncompleteError,
    ModelServer,
    Received,
    Site,
    deployed,
    forward,
    head,
    listener,
    route,
    says,
    wait_for,
)


@pytest.fixture(autouse=True)
def _serve(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(), a, b)


# Requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["/", "/a/../b//c/./%2F%zz?x=%41+1&&y", "/p?a?b=;c", "/%C3%A9", "/a?", "/;v=1:@!$&'()*,=~"]
)
def test_a_target_gets_the_very_path_and_query(site: Site, target: str) -> None:
    assert site.ask(f"GET {target}").seen["line"] == f"GET {target} HTTP/1.1"


def test_an_absolute_request_brings_its_own_host(site: Site) -> None:
    reply = site.ask("GET http://Other.example.com/x?y=1\nHost: models.example.com")
    assert reply.seen["line"] == "GET /x?y=1 HTTP/1.1"
    assert reply.seen_header("Host") == ["other.example.com"]
    assert site.logged().request_line == "GET http://Other.example.com:80/x?y=1 HTTP/1.1"


@pytest.mark.parametrize("target", ["http://other.example.com", "http://other.example.com?y=1"])
def test_an_absolute_request_without_a_path_asks_for_the_root(site: Site, target: str) -> None:
    line = site.ask(f"GET {target}").seen["line"]
    assert line == f"GET {target.replace('http://other.example.com', '/')} HTTP/1.1"


def test_headers_pass_byte_for_byte_and_in_their_order(site: Site) -> None:
    given = [("X-One", "1"), ("x-TWO", "a, b"), ("X-One", "caf\xe9"), ("Cookie", "a=1; b=2"), ("Cookie", "c=3")]
    lines = "\n".join(f"{name}: {value}" for name, value in given)
    seen = [tuple(field) for field in site.ask(f"GET /\n{lines}").seen["headers"]]
    assert [field for field in seen if field in given] == given
    assert {name for name, _ in seen} - {name for name, _ in given} == {
        "Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Amzn-Trace-Id",
    }  # fmt: skip


def test_what_concerns_one_connection_stays_there(site: Site) -> None:
    reply = site.ask("GET /\nConnection: keep-alive\nKeep-Alive: timeout=5\nTE: trailers\nUpgrade: h2c")
    assert not [n for n in ("Connection", "Keep-Alive", "TE", "Upgrade") if reply.seen_header(n)]


def test_the_peer_is_added_to_the_addresses_it_forwards_for(site: Site) -> None:
    reply = site.ask("GET /\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 192.0.2.2, 192.0.2.3")
    assert reply.seen_header("X-Forwarded-For") == ["192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1"]


def test_a_client_cannot_say_its_protocol_and_port(site: Site) -> None:
    reply = site.ask("GET /\nX-Forwarded-Proto: https\nX-Forwarded-Port: 1")
    assert (reply.seen_header("X-Forwarded-Proto"), reply.seen_header("X-Forwarded-Port")) == (["http"], ["80"])


def test_the_host_is_told_without_the_local_port(site: Site, a: ModelServer, b: ModelServer) -> None:
    assert site.ask(f"GET /\nHost: Models.Example.com:{site.port}").seen_header("Host") == ["models.example.com"]
    assert site.logged().request_line == "GET http://Models.Example.com:80/ HTTP/1.1"
    site.serve(deployed(listener(route(forward({"a": 1})), port=8443, protocol="HTTPS")), a, b)
    reply = site.ask(f"GET /\nHost: models.example.com:{site.port}")
    assert reply.seen_header("Host") == ["models.example.com:8443"]
    assert (reply.seen_header("X-Forwarded-Proto"), reply.seen_header("X-Forwarded-Port")) == (["https"], ["8443"])


def test_the_trace_id_reaches_target_and_log(site: Site) -> None:
    made = site.ask("GET /").seen_header("X-Amzn-Trace-Id")[0]
    assert re.fullmatch("Root=1-[0-9a-f]{8}-[0-9a-f]{24}", made)
    assert site.logged().trace_id == made
    kept = site.ask("GET /\nX-Amzn-Trace-Id: Root=1-0-1;Other=x").seen_header("X-Amzn-Trace-Id")[0]
    assert re.fullmatch("Self=1-[0-9a-f]{8}-[0-9a-f]{24};Root=1-0-1;Other=x", kept)


def test_headers_with_odd_names_are_dropped_where_the_load_balancer_does(
    site: Site, a: ModelServer, b: ModelServer
) -> None:
    assert site.ask("GET /\nX_Odd: 1\nX-Even: 1").seen_header("X_Odd") == []
    site.serve(deployed(drops_invalid_headers=False), a, b)
    assert site.ask("GET /\nX_Odd: 1").seen_header("X_Odd") == ["1"]


# Bodies ---------------------------------------------------------------------------------------------------------------


def test_a_body_passes_with_its_length(site: Site) -> None:
    reply = site.ask(head("POST /\nContent-Length: 5") + b"hello")
    assert reply.seen["body"] == "hello"
    assert reply.seen_header("Content-Length") == ["5"]
    assert not reply.seen_header("Transfer-Encoding")


@pytest.mark.parametrize("trailer", [b"", b"X-Trailer: 1\r\n"])
def test_a_chunked_body_passes_without_its_trailers(site: Site, trailer: bytes) -> None:
    chunks = b"5\r\nhello\r\n1;name=value\r\n!\r\n0\r\n" + trailer + b"\r\n"
    with site.client() as client:
        reply = client.ask(head("POST /\nTransfer-Encoding: chunked\nTrailer: X-Trailer") + chunks)
        assert reply.seen["body"] == "hello!"
        assert client.ask("GET /2").seen["line"] == "GET /2 HTTP/1.1"


def test_a_part_of_a_body_reaches_the_target_before_the_rest_is_sent(site: Site, a: ModelServer) -> None:
    arrived = threading.Event()

    async def tell(request: Received, writer: asyncio.StreamWriter) -> None:
        first = await request.reader.readexactly(3)
        arrived.set()
        rest = await request.reader.readexactly(3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + first + rest)

    a.on["/slowly"] = tell
    with site.client() as client:
        client.send(head("POST /slowly\nContent-Length: 6") + b"one")
        assert arrived.wait(5)
        client.send(b"two")
        assert client.answer().body == b"onetwo"


def test_a_chunk_of_an_answer_is_seen_before_the_rest_is_sent(site: Site, a: ModelServer) -> None:
    seen = asyncio.Event()

    async def stream(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await seen.wait()
        writer.write(b"3\r\ntwo\r\n0\r\nX-Trailer: 1\r\n\r\n")

    async def see() -> None:
        seen.set()

    a.on["/stream"] = stream
    with site.client() as client:
        client.send(head("GET /stream"))
        client.answer_head()
        assert client.chunk() == b"one"
        site.loop.run(see())
        assert (client.chunk(), client.chunk()) == (b"two", b"")
        assert client.ask("GET /").status == 200


def test_large_bodies_pass_both_ways_and_are_not_kept(site: Site, a: ModelServer) -> None:
    piece, number = b"x" * 2**20, 50

    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(piece) * number))
        for _ in range(number):
            writer.write(await request.reader.readexactly(len(piece)))
            await writer.drain()

    a.on["/echo"] = echo
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with site.client() as client:

        def send() -> None:
            client.send(head(f"POST /echo\nContent-Length: {len(piece) * number}"))
            for _ in range(number):
                client.send(piece)

        sender = threading.Thread(target=send)
        sender.start()
        client.answer_head()
        assert all(client.read(len(piece)) == piece for _ in range(number))
        sender.join()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024
    entry = site.logged()
    assert entry.received_bytes > len(piece) * number
    assert entry.sent_bytes > len(piece) * number


def test_a_client_that_does_not_read_stops_its_target(site: Site, a: ModelServer, b: ModelServer) -> None:
    written = 0

    async def pour(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while written < 200:
            writer.write(b"x" * 2**20)
            await writer.drain()
            written += 1

    a.on["/pour"] = pour
    site.serve(deployed(idle_timeout=0.3), a, b)
    with site.client() as client:
        client.send(head("GET /pour"))
        assert site.logged().status == 200
        assert written < 50
        with pytest.raises(IncompleteError):
            client.answer()


def test_the_load_balancer_answers_expect_itself(site: Site) -> None:
    with site.client() as client:
        client.send(head("POST /\nContent-Length: 5\nExpect: 100-continue"))
        assert client.answer_head()[0] == 100
        client.send(b"hello")
        reply = client.answer()
    assert reply.seen["body"] == "hello"
    assert not reply.seen_header("Expect")


def test_a_target_that_answers_early_is_heard(site: Site, a: ModelServer) -> None:
    a.on["/early"] = says(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", then_close=True)
    with site.client() as client:
        client.send(head("POST /early\nContent-Length: 1000000") + b"x" * 1000)
        reply = client.answer()
    assert (reply.status, reply.body) == (413, b"no")


# Answers --------------------------------------------------------------------------------------------------------------


def test_an_answer_passes_byte_for_byte(site: Site, a: ModelServer) -> None:
    fields = "Server: model/1\r\nset-cookie: a=1\r\nX-Cafe: \xe9\r\nset-cookie: b=2\r\nContent-Length: 2\r\n"
    a.on["/x"] = says(f"HTTP/1.1 299 Well Done\r\n{fields}\r\nok".encode("latin-1"))
    reply = site.ask("GET /x")
    assert (reply.status, reply.reason, reply.body) == (299, "Well Done", b"ok")
    assert reply.headers == [
        ("Server", "model/1"),
        ("set-cookie", "a=1"),
        ("X-Cafe", "\xe9"),
        ("set-cookie", "b=2"),
        ("Content-Length", "2"),
        ("Connection", "keep-alive"),
    ]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", []),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", ["7"]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ["0"]),
    ],
)
def test_an_answer_without_a_body_ends_with_its_head(
    site: Site, a: ModelServer, answer: bytes, told: list[str]
) -> None:
    a.on["/x"] = says(answer)
    with site.client() as client:
        reply = client.ask("GET /x")
        assert (reply.body, reply.all("Content-Length"), reply.all("Transfer-Encoding")) == (b"", told, [])
        assert client.ask("GET /").status == 200


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_the_answer_to_head_ends_with_its_head(site: Site, a: ModelServer, framing: str) -> None:
    a.on["/x"] = says(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
    with site.client() as client:
        assert client.ask("HEAD /x").all("Content-Length") == (["1000"] if "1000" in framing else [])
        assert client.ask("GET /").status == 200


def test_what_a_target_says_on_the_way_is_not_its_answer(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert site.ask("GET /x").body == b"ok"


def test_an_answer_that_ends_with_its_connection_is_whole(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True)
    with site.client() as client:
        reply = client.ask("GET /x")
        assert (reply.all("Transfer-Encoding"), reply.body) == (["chunked"], b"all of it")
        assert client.ask("GET /").status == 200


# Connections ----------------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_and_named_in_the_log(site: Site) -> None:
    with site.client() as client:
        for n in range(3):
            assert client.ask(f"GET /{n}").all("Connection") == ["keep-alive"]
    site.ask("GET /3")
    site.logged(4)
    names = [entry.connection for entry in site.entries]
    assert len(set(names[:3])) == 1
    assert names[3] != names[0]
    assert re.fullmatch("TID_[0-9a-f]{32}", names[0])


def test_a_connection_is_closed_for_whom_asks(site: Site) -> None:
    with site.client() as client:
        assert client.ask("GET /\nConnection: close").all("Connection") == ["close"]
        assert client.is_closed()


def test_requests_sent_at_once_are_answered_in_turn(site: Site) -> None:
    with site.client() as client:
        client.send(b"".join(head(f"GET /{n}") for n in range(40)))
        assert [client.answer().seen["line"] for _ in range(40)] == [f"GET /{n} HTTP/1.1" for n in range(40)]
    site.logged(40)


def test_a_connection_to_a_target_serves_many_clients(site: Site, a: ModelServer) -> None:
    peers = set()

    async def tell(_: Received, writer: asyncio.StreamWriter) -> None:
        peers.add(writer.get_extra_info("peername"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    a.on["/x"] = tell
    for _ in range(5):
        site.ask("GET /x")
    assert len(peers) == 1


def test_a_connection_that_the_target_closed_is_not_used_again(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", then_close=True)
    assert [site.ask("POST /x\nContent-Length: 0").status for _ in range(20)] == [200] * 20


def test_silence_is_ended_after_the_idle_timeout(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(deployed(idle_timeout=0.2), a, b)
    with site.client() as silent, site.client() as served:
        assert served.ask("GET /").status == 200
        assert silent.is_closed()
        assert served.is_closed()
    site.logged(1)


# HTTP/1.0 -------------------------------------------------------------------------------------------------------------


def test_a_client_of_the_older_version_needs_no_host(site: Site) -> None:
    with site.client() as client:
        reply = client.ask(b"GET / HTTP/1.0\r\n\r\n")
        assert reply.seen_header("Host") == ["abtest-1.us-east-1.elb.amazonaws.com"]
        assert reply.all("Connection") == ["close"]
        assert client.is_closed()
    assert site.logged().request_line.endswith(" HTTP/1.0")


def test_the_older_version_knows_no_chunks(site: Site, a: ModelServer) -> None:
    a.on["/x"] = says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    with site.client() as client:
        reply = client.ask(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert (reply.all("Transfer-Encoding"), reply.body) == ([], b"onetwo")


def test_the_older_version_keeps_a_connection_on_demand(site: Site) -> None:
    with site.client() as client:
        assert client.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").all("Connection") == ["keep-alive"]
        assert client.ask(b"GET / HTTP/1.0\r\n\r\n").status == 200


def test_times_stand_in_the_log(site: Site, a: ModelServer) -> None:
    async def slow(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    a.on["/slow"] = slow
    site.ask("GET /slow")
    entry = site.logged()
    assert 0 <= entry.request_seconds < 0.1 <= entry.target_seconds < 1
    assert 0 <= entry.response_seconds < 0.1
    assert entry.target == f"127.0.0.1:{a.port}"


def test_the_log_counts_every_byte(site: Site) -> None:
    request = head("POST /\nX-A: 1\nContent-Length: 5") + b"hello"
    with Client(site.port) as client:
        client.send(request + head("GET /\nConnection: close"))
        received = len(client._file.read())
    wait_for(lambda: len(site.entries) == 2)
    assert site.entries[0].received_bytes == len(request)
    assert sum(entry.sent_bytes for entry in site.entries) == received
