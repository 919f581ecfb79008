"""The stack that the acceptance suite stands up, and what can be asked of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from abtest.experiment import load_stack
from abtest.routing import RoutingTable
from tests.aws.account import Account, Client, wait_until
from tests.engine.configs import launching
from tests.engine.harness import Run, Stack

__all__ = ["BASE", "RUN_TAG", "Stand"]

#: Every resource of a run has it.
RUN_TAG = "abtest-acceptance"

VARIANT: dict[str, Any] = {**launching(ami=None, instanceType="t3.micro"), "deregistrationDelaySeconds": 30}

BASE: dict[str, Any] = {
    "experiment": "acceptance",
    "control": "a",
    "weights": {"a": 90, "b": 10},
    "stickinessSeconds": "60",
    "guardrails": {"maxStep": 25, "requireHealthy": True, "minHealthy": 1},
    "variants": {"a": VARIANT, "b": VARIANT},
    "override": {},
    "accessLogs": {"retainDays": 1, "deleteWithStack": True},
    "listener": {"responseHeaders": {"xFrameOptions": "DENY"}},
    "rules": {
        "path-b": {"priority": 10, "when": {"path": ["/v2/*"]}, "forward": "b"},
        "header-b": {"priority": 20, "when": {"header": {"X-Model": ["b"]}}, "forward": "b"},
        "query-b": {"priority": 30, "when": {"query": {"model": ["b"]}}, "forward": "b"},
        "spaced-b": {"priority": 40, "when": {"query": {"words": ["two words"]}}, "forward": "b"},
        "host-b": {"priority": 50, "when": {"host": ["b.example.com"]}, "forward": "b"},
        "gone": {"priority": 60, "when": {"path": ["/gone"]}, "respond": {"status": 410, "body": "gone"}},
    },
}

#: Moto refuses regular expressions, so the rehearsal has no such rule.
REGEX_RULE = {"priority": 70, "when": {"headerRegex": {"X-Regex": ["b+"]}}, "forward": "b"}


@dataclass
class Stand:
    """``config`` is the one that was deployed last. ``log_delay``: seconds until the first line was in the bucket."""

    account: Account
    stack: Stack
    run: str
    config: Mapping[str, Any]
    log_delay: float = 0

    def up(self, config: Mapping[str, Any] | None = None) -> Run:
        self._write(self.config if config is None else config)
        made = self.stack.up().succeeded()
        self.config = self.config if config is None else config
        self.__dict__.pop("outputs", None)
        self.wait_for_health()
        return made

    def destroy(self) -> Run:
        """Take everything away. The program runs for that, so with the config that it took last."""
        self._write(self.config)
        return self.stack.destroy()

    def _write(self, config: Mapping[str, Any]) -> None:
        self.stack.write({**config, "tags": {RUN_TAG: self.run}})

    @cached_property
    def outputs(self) -> Mapping[str, Any]:
        return self.stack.outputs("--show-secrets")

    @property
    def table(self) -> RoutingTable:
        return RoutingTable.from_experiment(load_stack(str(self.stack.file))[0])

    def client(self, *, keeps_cookies: bool = False) -> Client:
        return Client(self.account, self.outputs["alb_dns_name"], keeps_cookies=keeps_cookies)

    def variants(self, requests: int, target: str = "/") -> Counter[str | None]:
        """Which variants answer new clients."""
        client = self.client()
        return Counter(client.get(target).variant for _ in range(requests))

    def client_of(self, variant: str) -> Client:
        """A new client with cookies that the split gave this variant."""
        while (client := self.client(keeps_cookies=True)).get().variant != variant:
            pass
        return client

    def _targets(self, variant: str) -> list[dict[str, Any]]:
        arn = self.outputs["target_group_arns"][variant]
        with self.account.client("elbv2") as elb:
            found: list[dict[str, Any]] = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return found

    def health(self, variant: str) -> list[str]:
        """The states of a variant's targets."""
        return [target["TargetHealth"]["State"] for target in self._targets(variant)]

    def is_healthy(self, variant: str) -> bool:
        return "healthy" in self.health(variant)

    def wait_for_health(self) -> None:
        """Until every variant has a healthy target, and the load balancer answers under its name."""
        for variant in self.config["variants"]:
            wait_until(partial(self.is_healthy, variant), self.account, f"a healthy target of {variant}")
        wait_until(self._answers, self.account, "an answer of the load balancer")

    def _answers(self) -> bool:
        try:
            return self.client().get().status == 200
        except OSError:  # the name is new, or nothing listens yet
            return False

    def weights(self) -> Mapping[str, int]:
        """What the listener has: weights by variant."""
        names = {arn: name for name, arn in self.outputs["target_group_arns"].items()}
        with self.account.client("elbv2") as elb:
            listener = elb.describe_listeners(ListenerArns=[self.outputs["listener_arn"]])["Listeners"][0]
        groups = listener["DefaultActions"][-1]["ForwardConfig"]["TargetGroups"]
        return {names[group["TargetGroupArn"]]: group["Weight"] for group in groups if group["Weight"]}

    def instances(self, variant: str) -> list[str]:
        return [target["Target"]["Id"] for target in self._targets(variant)]
