"""What the acceptance suite runs on: a real AWS account, or its rehearsal on this machine."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import boto3

from tests.engine.cloud import client_of
from tests.engine.harness import environment, settings_at
from tests.engine.proxy import Call

__all__ = ["REHEARSAL", "Account", "Answer", "Client", "wait_until"]

#: A variable with the rehearsal as JSON: the URL of its AWS, and the port of its load balancer.
REHEARSAL = "ABTEST_AWS_REHEARSAL"


@dataclass(frozen=True, kw_only=True)
class Account:
    """``endpoint`` and ``port`` are those of the rehearsal's AWS and load balancer."""

    region: str
    endpoint: str | None = None
    port: int | None = None

    @classmethod
    def of_environment(cls) -> Account:
        if found := os.environ.get(REHEARSAL):
            return cls(region="us-east-1", **json.loads(found))
        return cls(region=os.environ["AWS_REGION"])

    @property
    def is_rehearsal(self) -> bool:
        return self.endpoint is not None

    @property
    def pause(self) -> float:
        """Seconds between two looks at something that takes its time."""
        return 0.5 if self.is_rehearsal else 10

    @property
    def settings(self) -> Mapping[str, Any]:
        return settings_at(self.endpoint) if self.endpoint else {"region": self.region}

    @property
    def calls(self) -> Sequence[Call]:
        return ()

    def environment(self, state: Path) -> Mapping[str, str]:
        if self.endpoint:
            return environment(state, self.endpoint)
        own = {key: value for key, value in environment(state).items() if key.startswith("PULUMI_")}
        return {**os.environ, **own}

    def client(self, service: str) -> closing[Any]:
        if self.endpoint:
            return closing(client_of(service, self.endpoint))
        return closing(boto3.client(service, region_name=self.region))

    def connect(self, dns_name: str) -> http.client.HTTPConnection:
        if self.port:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        return http.client.HTTPConnection(dns_name, 80, timeout=30)


@dataclass(frozen=True)
class Answer:
    """``variant`` is the version that a model server names, None where none answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def variant(self) -> str | None:
        return self.headers.get("X-Model-Version")


class Client:
    """Somebody who sends requests to the load balancer, each on a connection of its own, and keeps cookies if wanted."""

    def __init__(self, account: Account, dns_name: str, *, keeps_cookies: bool = False) -> None:
        self._account, self._dns_name, self._keeps = account, dns_name, keeps_cookies
        self._cookies: dict[str, str] = {}

    def get(self, target: str = "/", headers: Iterable[tuple[str, str]] = (), host: str | None = None) -> Answer:
        """Send the request line as it is given: nothing is encoded or made normal. Header lines keep their order."""
        connection = self._account.connect(self._dns_name)
        with closing(connection):
            connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", host or self._dns_name)
            connection.putheader("User-Agent", "abtest-acceptance")
            if self._cookies:
                connection.putheader("Cookie", "; ".join(f"{name}={value}" for name, value in self._cookies.items()))
            for name, value in headers:
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        if self._keeps:
            for line in answer.headers.get_all("Set-Cookie", ()):
                self._cookies |= {name: morsel.coded_value for name, morsel in SimpleCookie(line).items()}
        return answer


def wait_until(holds: Callable[[], bool], account: Account, what: str, seconds: float = 900) -> float:
    """Look again and again; returns the seconds it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds} s"
        time.sleep(account.pause)
    return time.monotonic() - began
