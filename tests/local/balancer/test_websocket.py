"""WebSockets pass as bytes: messages, pings, close codes and subprotocols are the two ends' own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from abtest.local.balancer import Entry
from abtest.routing import Action
from tests.local.balancer.harness import Loop, ModelServer, Site, deployed, forward, group, head, listener, route

Talk = Callable[[aiohttp.ClientWebSocketResponse], Awaitable[None]]


class EchoServer(ModelServer):
    """A WebSocket server that sends back what it gets; /refused refuses, /bye closes with 4001."""

    async def start(self, port: int = 0) -> EchoServer:
        app = web.Application()
        app.router.add_get("/healthz", _ok)
        app.router.add_get("/refused", _refused)
        app.router.add_get("/{path:.*}", self._echo)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        self.seen = request.headers
        socket = web.WebSocketResponse(protocols=("v2", "v1"), autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data == "bye":
                await socket.close(code=4001, message=b"enough")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
        self.close_code = socket.close_code
        return socket


async def _ok(_: web.Request) -> web.Response:
    return web.Response()


async def _refused(_: web.Request) -> web.Response:
    return web.Response(status=403, text="not you")


@pytest.fixture
def echo(loop: Loop) -> Iterator[EchoServer]:
    server = EchoServer("a")
    loop.run(server.start())
    yield server
    loop.run(server.stop())


@pytest.fixture(autouse=True)
def _serve(site: Site, echo: EchoServer) -> None:
    site.serve(deployed(groups=(group("a"),)), echo)


def _talk(site: Site, talk: Talk, path: str = "/", **options: object) -> Entry:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{site.port}{path}"
            async with session.ws_connect(url, **options) as socket:  # type: ignore[call-overload]
                await talk(socket)

    site.loop.run(run())
    return site.logged()


@pytest.mark.parametrize("compress", [0, 15])
def test_messages_pass_both_ways(site: Site, compress: int) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        assert socket.compress == compress
        await socket.send_str("text")
        assert await socket.receive_str() == "text"
        await socket.send_bytes(b"\0" * 2**20)
        assert await socket.receive_bytes() == b"\0" * 2**20

    entry = _talk(site, talk, compress=compress, max_msg_size=0)
    assert (entry.type, entry.status, entry.target_status) == ("ws", 101, "101")
    assert entry.request_line.startswith("GET http://127.0.0.1:80/")
    if not compress:
        assert entry.received_bytes > 2**20
        assert entry.sent_bytes > 2**20


def test_pings_are_answered_by_the_other_end(site: Site) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.ping(b"there?")
        assert (await socket.receive())[:2] == (WSMsgType.PONG, b"there?")

    _talk(site, talk, autoping=False)


def test_the_servers_close_code_reaches_the_client(site: Site) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.send_str("bye")
        assert await socket.receive() == (WSMsgType.CLOSE, 4001, "enough")

    _talk(site, talk)


def test_the_clients_close_code_reaches_the_server(site: Site, echo: EchoServer) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        await socket.close(code=4002)

    _talk(site, talk)
    assert echo.close_code == 4002


def test_the_server_chooses_the_subprotocol(site: Site, echo: EchoServer) -> None:
    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        assert socket.protocol == "v2"

    _talk(site, talk, protocols=("other", "v2"))
    assert "X-Forwarded-For" in echo.seen


def test_a_refusal_of_the_server_passes_with_its_body(site: Site) -> None:
    reply = site.ask("GET /refused\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: eA==")
    assert (reply.status, reply.body) == (403, b"not you")
    assert (site.logged().type, site.logged().status) == ("ws", 403)


def test_a_rule_of_our_own_refuses_and_keeps_the_connection(site: Site, echo: EchoServer) -> None:
    refuse = Action(kind="respond", status=403, body="no", content_type="text/plain")
    site.serve(deployed(listener(route(refuse)), groups=(group("a"),)), echo)
    with site.client() as client:
        for _ in range(2):
            assert client.ask("GET /\nConnection: Upgrade\nUpgrade: websocket").status == 403


def test_a_new_client_gets_its_cookies(site: Site, echo: EchoServer) -> None:
    site.serve(deployed(listener(route(forward({"a": 1}, sticky=60))), groups=(group("a"),)), echo)

    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        assert {cookie.split("=")[0] for cookie in socket._response.headers.getall("Set-Cookie")} == {
            "AWSALBTG",
            "AWSALBTGCORS",
        }

    _talk(site, talk)


def test_silence_is_ended_after_the_idle_timeout(site: Site, echo: EchoServer) -> None:
    site.serve(deployed(idle_timeout=0.2, groups=(group("a"),)), echo)

    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        for _ in range(4):
            await asyncio.sleep(0.1)
            await socket.send_str("still here")
            await socket.receive_str()
        assert (await socket.receive()).type in {WSMsgType.CLOSED, WSMsgType.ERROR}

    assert _talk(site, talk).status == 101


def test_a_client_that_leaves_is_logged_and_its_server_told(site: Site, echo: EchoServer) -> None:
    with site.client() as client:
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13"
        client.send(head(f"GET /\nConnection: Upgrade\nUpgrade: websocket\n{key}"))
        assert client.answer_head()[0] == 101
    assert site.logged().status == 101
    assert echo.close_code == 1006


def test_an_encrypted_listener_says_wss(site: Site, echo: EchoServer) -> None:
    secure = listener(route(forward({"a": 1})), protocol="HTTPS", port=443)
    site.serve(deployed(secure, groups=(group("a"),)), echo)

    async def talk(socket: aiohttp.ClientWebSocketResponse) -> None:
        pass

    assert _talk(site, talk).type == "wss"
