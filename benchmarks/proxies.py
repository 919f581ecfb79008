"""The processes of balancer.py: a model server that answers at once, and the two proxies before it.

proxies.py server | bare SERVER_PORT | balancer SERVER_PORT FOLDER

Each listens on a free port of localhost, prints it, and serves until it is ended.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp
from aiohttp import web

from abtest.local import deploy
from abtest.local.balancer import AccessLog, Balancer, Deployed

HOST = "127.0.0.1"


class ModelServer(asyncio.Protocol):
    """Answers each request in the same way, once it is there as a whole."""

    body = b'{"score": 0.5, "version": "a"}'
    response = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0"
        if end and len(body) == int(length):
            self._received = b""
            self._transport.write(self.response)  # type: ignore[attr-defined]


async def serve_model() -> None:
    listening = await asyncio.get_running_loop().create_server(ModelServer, HOST, 0, backlog=1024)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


#: What concerns one connection and is not passed on.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}


async def serve_bare(target: str) -> None:
    """A reverse proxy as one writes it with aiohttp."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            async with session.request(
                request.method,
                target + request.path_qs,
                headers=[(name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP],
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            ) as answer:
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        response.headers.add(name, value)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, backlog=1024).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()


async def serve_balancer(target: str, folder: Path, deployed: Deployed) -> None:
    async with Balancer(AccessLog(folder / "access.log")) as balancer:
        await balancer.serve(deployed, {group.variant: target for group in deployed.groups.values()})
        print(balancer.serving.ports[0], flush=True)
        await asyncio.Event().wait()


def main() -> None:
    part, *rest = sys.argv[1:]
    if part == "server":
        asyncio.run(serve_model())
    elif part == "bare":
        asyncio.run(serve_bare(f"http://{HOST}:{rest[0]}"))
    else:
        deployed = Deployed.from_described(deploy("dev").described)
        asyncio.run(serve_balancer(f"http://{HOST}:{rest[0]}", Path(rest[1]), deployed))


if __name__ == "__main__":
    main()
