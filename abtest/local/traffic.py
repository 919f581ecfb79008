"""Real requests to the local balancer, from many clients, and what became of them."""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from abtest.local.balancer import Entry
from abtest.routing import Request, Route, RoutingTable
from abtest.routing.examples import example

__all__ = ["RouteTraffic", "Tally", "interval", "plan", "send"]

#: A client comes back that often; those with cookies stay with their variant, the others are split anew each time.
_REQUESTS_A_CLIENT = 5
#: Part of the requests that take the main split; the others are shared out evenly over the rules.
_MAIN_SHARE = 0.7
_CLIENTS_AT_ONCE = 32


def plan(table: RoutingTable) -> tuple[list[tuple[Route, Request]], list[Route]]:
    """A request for each route that this machine can send one to, and the routes that are left out."""
    requests = [(route, example(table, route, ipaddress.ip_address("127.0.0.1"))) for route in table.routes]
    return (
        [(route, request) for route, request in requests if request is not None],
        [route for route, request in requests if request is None],
    )


async def send(
    port: int, planned: Sequence[tuple[Route, Request]], requests: int, on_answer: Callable[[], object]
) -> int:
    """Send about as many requests as asked for, each route its part. Returns how many got no answer.

    Clients have addresses 127.0.x.y, where the machine has them. Every second one keeps its cookies.
    """
    clients = list(_clients(planned, requests))
    own_addresses = await _has_many_addresses(port)
    gate = asyncio.Semaphore(_CLIENTS_AT_ONCE)

    async def visit(number: int, request: Request, count: int) -> int:
        async with gate:
            address = f"127.0.{1 + number // 250}.{1 + number % 250}" if own_addresses else "127.0.0.1"
            return await _visit(port, address, request, count, keeps_cookies=number % 2 == 0, on_answer=on_answer)

    return sum(await asyncio.gather(*(visit(n, request, count) for n, (request, count) in enumerate(clients))))


def _clients(planned: Sequence[tuple[Route, Request]], requests: int) -> Iterator[tuple[Request, int]]:
    """Each client's request, and how often it is sent."""
    rules = sum(not route.is_split for route, _ in planned)
    main = _MAIN_SHARE if rules else 1.0
    for route, request in planned:
        left = round(requests * (main if route.is_split else (1 - main) / rules))
        while left > 0:
            yield request, min(left, _REQUESTS_A_CLIENT)
            left -= _REQUESTS_A_CLIENT


async def _has_many_addresses(port: int) -> bool:
    """Whether 127.0.0.0/8 as a whole is this machine; macOS has 127.0.0.1 alone."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.1.1", 0))
    except OSError:
        return False
    writer.close()
    return True


async def _visit(
    port: int, address: str, request: Request, count: int, *, keeps_cookies: bool, on_answer: Callable[[], object]
) -> int:
    """One client's requests, one after the other, on one connection. Returns how many got no answer."""
    # As browsers do: cookies of an address are kept, and values sent back as they came.
    jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False) if keeps_cookies else aiohttp.DummyCookieJar()
    headers = [("Host", request.host or "localhost"), ("User-Agent", "abtest-local")]
    headers += [(name, value) for name, values in (request.headers or {}).items() for value in values]
    url = URL(f"http://127.0.0.1:{port}{request.target}", encoded=True)
    failed = 0
    connector = aiohttp.TCPConnector(local_addr=(address, 0))
    async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
        for _ in range(count):
            try:
                async with session.request(request.method or "GET", url, headers=headers, allow_redirects=False) as got:
                    await got.read()
            except (aiohttp.ClientError, OSError, TimeoutError):
                failed += 1
            on_answer()
    return failed


# What became of them --------------------------------------------------------------------------------------------------


@dataclass
class RouteTraffic:
    """What the access log says of one route, by target group ARN ("-" where there is none). ``chosen`` counts choices
    by weight, so not the requests whose cookie decided; ``answers`` counts statuses.
    """

    chosen: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    def statuses(self, group: str) -> dict[int, int]:
        """How many answers of a group had which status, in the order of statuses."""
        return {status: n for (arn, status), n in sorted(self.answers.items()) if arn == group}


class Tally:
    """Counts the entries of an access log by the priority of their rule (0: the default)."""

    def __init__(self) -> None:
        self.routes: dict[int, RouteTraffic] = {}

    @property
    def total(self) -> int:
        return sum(route.answers.total() for route in self.routes.values())

    def failures(self, group: str, least: int = 500) -> tuple[int, int]:
        """How many requests to a group were answered with that status or more, and how many there were."""
        found = [(s, n) for r in self.routes.values() for s, n in r.statuses(group).items()]
        return sum(n for status, n in found if status >= least), sum(n for _, n in found)

    def add(self, entry: Entry) -> None:
        if entry.priority == "-":
            return
        route = self.routes.setdefault(int(entry.priority), RouteTraffic())
        route.answers[entry.group, entry.status] += 1
        route.chosen[entry.group] += entry.is_new


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Wilson (1927). 0 to 1 where there is nothing to go by."""
    if not of:
        return 0.0, 1.0
    z2, share = 1.959964**2, hits / of
    middle = share + z2 / (2 * of)
    margin = math.sqrt(z2 * (share * (1 - share) / of + z2 / (4 * of * of)))
    return (middle - margin) / (1 + z2 / of), (middle + margin) / (1 + z2 / of)
