"""The targets of a group: which are healthy, and which takes the next request."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Final, Literal

import aiohttp
from yarl import URL

from abtest.local.balancer.deployed import HealthCheck, TargetGroup

__all__ = ["Group", "Target"]

State = Literal["initial", "healthy", "unhealthy"]


class Target:
    """A registered target. ``url`` is where its requests go on this machine, without a path."""

    def __init__(self, target_id: str, url: str) -> None:
        self.id: Final = target_id
        self.url: Final = url
        self.address: Final = url.partition("://")[2]
        self.state: State = "initial"
        self.outstanding = 0
        #: Why the last check did not pass.
        self.failure: str | None = None
        self._streak = 0

    def checked(self, *, passed: bool, check: HealthCheck) -> bool:
        """Take a check's result. Returns whether the state changed.

        A new target is healthy after one passed check. Source: ALB guide, "Health checks for target groups".
        """
        wanted: State = "healthy" if passed else "unhealthy"
        self._streak = 0 if wanted == self.state else self._streak + 1
        needed = check.healthy_threshold if passed else check.unhealthy_threshold
        if wanted == self.state or (self._streak < needed and not (passed and self.state == "initial")):
            return False
        self.state, self._streak = wanted, 0
        return True


class Group:
    """A target group at work. ``on_change`` is told of each target whose health changes, and why; a new one
    that is healthy is no news.
    """

    def __init__(
        self,
        deployed: TargetGroup,
        url: str,
        known: Mapping[tuple[str, str, str], Target],
        on_change: Callable[[str], None],
    ) -> None:
        self.deployed = deployed
        #: Targets that stay registered keep their health, and their count of outstanding requests.
        self.targets = tuple(known.get((deployed.arn, name, url)) or Target(name, url) for name, _ in deployed.targets)
        self._on_change = on_change
        self._turn = 0

    def choose(self) -> Target | None:
        """The target of the next request; None without any. Without a healthy one, all take part (fail open).

        Source: ALB guide, "Target group health", "Routing algorithms".
        """
        able = [target for target in self.targets if target.state == "healthy"] or self.targets
        if not able:
            return None
        if self.deployed.algorithm == "round_robin":
            self._turn += 1
            return able[self._turn % len(able)]
        if self.deployed.algorithm == "weighted_random":
            return random.choice(able)  # noqa: S311 no secret
        fewest = min(target.outstanding for target in able)
        return random.choice([target for target in able if target.outstanding == fewest])  # noqa: S311 no secret

    async def check(self, session: aiohttp.ClientSession) -> None:
        """Check every target once, if health checks are on."""
        check = self.deployed.health_check
        if check and self.deployed.protocol_version == "HTTP1":
            await asyncio.gather(*(self._check(session, target, check) for target in self.targets))

    async def keep_checking(self, session: aiohttp.ClientSession) -> None:
        while check := self.deployed.health_check:
            await asyncio.sleep(check.interval)
            await self.check(session)

    async def _check(self, session: aiohttp.ClientSession, target: Target, check: HealthCheck) -> None:
        is_new = target.state == "initial"
        target.failure = failure = await _failure(session, target, check)
        if target.checked(passed=failure is None, check=check) and (failure or not is_new):
            why = f": {failure}" if failure else ""
            self._on_change(f"{self.deployed.variant}: target {target.id} at {target.url} is {target.state}{why}")


async def _failure(session: aiohttp.ClientSession, target: Target, check: HealthCheck) -> str | None:
    """Why a check did not pass; None if it did."""
    try:
        async with (
            asyncio.timeout(check.timeout),
            session.get(
                URL(target.url + check.path, encoded=True),
                headers={"User-Agent": "ELB-HealthChecker/2.0", "Connection": "close"},
                allow_redirects=False,
            ) as answer,
        ):
            return None if check.passes(answer.status) else f"{check.path} answers {answer.status}"
    except TimeoutError:
        return f"{check.path} does not answer within {check.timeout} s"
    except aiohttp.ClientConnectorError as error:
        return f"cannot connect ({error.strerror})"
    except aiohttp.ClientResponseError:
        return f"{check.path} answers something that is not HTTP"
    except (aiohttp.ClientError, OSError) as error:
        return str(error)
