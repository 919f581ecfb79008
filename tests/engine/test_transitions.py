"""Random updates, one after the other: no moment sends requests where nothing can answer, and the last state routes as
the file says.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import pytest

from tests.engine.configs import BASE, IMAGE, launching
from tests.engine.harness import Engine

pytestmark = [pytest.mark.engine, pytest.mark.soak]

TRANSITIONS, SEED = int(os.environ.get("TRANSITIONS", "300")), int(os.environ.get("SEED", "20261201"))

NAMES = ("a", "b", "c", "d", "e")
Config = dict[str, Any]


class Walk:
    """A config that changes at random, mostly in ways that the guides allow: a new variant has no share yet, nor has one
    that becomes a service, whose tasks come after the load balancer.
    """

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.config: Config = deepcopy(BASE)
        self.config["variants"] = {"a": self._instances(), "b": self._instances()}
        self.done: Counter[str] = Counter()
        self._new: set[str] = set()

    def step(self) -> None:
        """One to three changes."""
        self._new = set()
        ways: tuple[Callable[[], None], ...] = (
            self.add,
            self.remove,
            self.rename,
            self.replace,
            self.change_kind,
            self.weigh,
            self.weigh,
            self.add_rule,
            self.remove_rule,
            self.rename_rule,
            self.swap_rules,
            self.shuffle_rules,
            self.stick,
        )
        for way in self.draw.sample(ways, self.draw.randint(1, 3)):
            way()
            self.done[way.__name__] += 1

    # Variants

    @property
    def _others(self) -> list[str]:
        return sorted(self.config["variants"].keys() - {"a"})

    def _kind(self) -> Config:
        return self.draw.choice((self._instances, self._addresses, self._service))()

    def _variant(self, targets: Config) -> Config:
        return {
            **launching(),
            "port": self.draw.choice((8080, 9090)),
            "deregistrationDelaySeconds": 0,
            "targets": targets,
        }

    def _instances(self) -> Config:
        return self._variant(
            {"launch": {"instanceType": "t3.small", "ami": IMAGE, "count": self.draw.choice((1, 1, 2))}}
        )

    def _addresses(self) -> Config:
        return self._variant({"ipAddresses": [f"172.31.0.{n}" for n in self.draw.sample(range(10, 200), 2)]})

    def _service(self) -> Config:
        # Always on one port: the guard refuses to replace the target group of a service.
        return {**self._variant({"ecs": {"image": "ranker:1", "cpu": 256, "memory": 512}}), "port": 8080}

    def add(self) -> None:
        free = [name for name in NAMES if name not in self.config["variants"]]
        if free and len(self.config["variants"]) < 4:
            self._join(self.draw.choice(free), self._kind())

    def _join(self, name: str, variant: Config) -> None:
        self.config["variants"][name] = variant
        self._rest(name)

    def _rest(self, name: str) -> None:
        """No share for a variant while it comes up."""
        self._new.add(name)
        self.config["weights"][name] = 0
        self._unname(name)

    def _unname(self, name: str) -> None:
        """Rules that name a variant forward to the control."""
        for rule in self.config["rules"].values():
            if rule["forward"] == name or (not isinstance(rule["forward"], str) and name in rule["forward"]):
                rule["forward"] = "a"

    def remove(self) -> None:
        if self._others:
            self._leave(self.draw.choice(self._others))

    def _leave(self, name: str) -> None:
        del self.config["variants"][name]
        self.config["weights"].pop(name, None)
        self._new.discard(name)
        self._unname(name)

    def rename(self) -> None:
        free = [name for name in NAMES if name not in self.config["variants"]]
        if self._others and free:
            old = self.draw.choice(self._others)
            variant = self.config["variants"][old]
            self._leave(old)
            self._join(self.draw.choice(free), variant)

    def replace(self) -> None:
        """Other instances, another port: the same kind of targets."""
        name = self.draw.choice(sorted(self.config["variants"]))
        kind = next(iter(self.config["variants"][name]["targets"]))
        makes = {"launch": self._instances, "ipAddresses": self._addresses, "ecs": self._service}
        self.config["variants"][name] = makes[kind]()
        if kind == "ecs":
            self._rest(name)

    def change_kind(self) -> None:
        if self._others:
            name = self.draw.choice(self._others)
            self.config["variants"][name] = self._kind()
            self._rest(name)

    # Routing

    @property
    def _standing(self) -> list[str]:
        return sorted(self.config["variants"].keys() - self._new)

    def weigh(self) -> None:
        self.config["weights"] = {
            name: self.draw.choice((0, 1, 10, 50)) if name in self._standing else 0 for name in self.config["variants"]
        }
        self.config["weights"]["a"] = max(self.config["weights"]["a"], 1)

    def _forward(self) -> str | Config:
        names = self._standing
        if len(names) > 1 and self.draw.random() < 0.4:
            return {name: self.draw.randint(1, 9) for name in self.draw.sample(names, 2)}
        return self.draw.choice([*names, "split"])

    def _priorities(self, count: int) -> list[int]:
        return self.draw.sample(range(1, 20), count)

    def add_rule(self) -> None:
        rules = self.config["rules"]
        free = [f"r{n}" for n in range(7) if f"r{n}" not in rules]
        taken = {rule["priority"] for rule in rules.values()}
        if free and len(rules) < 6:
            priority = self.draw.choice([n for n in range(1, 20) if n not in taken])
            path = f"/{self.draw.choice('pqrs')}{self.draw.randint(1, 99)}/*"
            rules[free[0]] = {"priority": priority, "when": {"path": [path]}, "forward": self._forward()}

    def remove_rule(self) -> None:
        if rules := self.config["rules"]:
            del rules[self.draw.choice(sorted(rules))]

    def rename_rule(self) -> None:
        rules = self.config["rules"]
        free = [f"s{n}" for n in range(7) if f"s{n}" not in rules]
        if rules and free:
            rules[free[0]] = rules.pop(self.draw.choice(sorted(rules)))

    def swap_rules(self) -> None:
        rules = self.config["rules"]
        if len(rules) > 1:
            one, other = self.draw.sample(sorted(rules), 2)
            rules[one]["priority"], rules[other]["priority"] = rules[other]["priority"], rules[one]["priority"]

    def shuffle_rules(self) -> None:
        rules = self.config["rules"]
        for rule, priority in zip(rules.values(), self._priorities(len(rules)), strict=True):
            rule["priority"] = priority

    def stick(self) -> None:
        self.config["stickinessSeconds"] = self.draw.choice(("0", "60", "3600"))


def routed(config: Mapping[str, Any]) -> Mapping[str, Mapping[str, float]]:
    """Shares by place, as the file says."""

    def shares(forward: str | Mapping[str, int]) -> Mapping[str, float]:
        if forward == "split":
            forward = config["weights"]
        weights = {forward: 1} if isinstance(forward, str) else forward
        return {f"abtest-{name}": weight / sum(weights.values()) for name, weight in weights.items() if weight}

    rules = {f"80 {rule['priority']}": shares(rule["forward"]) for rule in config["rules"].values()}
    return {"80 default": shares(config["weights"]), **rules}


def found(engine: Engine) -> Mapping[str, Mapping[str, float]]:
    """Shares by place, as the load balancer has them."""
    places = {place: engine.cloud.weights(place) for place in engine.cloud.layout["rules"]}
    return {
        place: {name: weight / sum(weights.values()) for name, weight in weights.items() if weight}
        for place, weights in places.items()
    }


def test_random_updates_leave_no_gap_and_end_as_the_file_says(fresh: Engine) -> None:
    walk = Walk(random.Random(SEED))
    print(f"\nseed {SEED}, {TRANSITIONS} updates")  # noqa: T201
    fresh.up(walk.config).succeeded()
    for n in range(TRANSITIONS):
        before = deepcopy(walk.config)
        walk.step()
        run = fresh.up(walk.config)
        where = f"update {n}: {before} -> {walk.config}\n{run.output}"
        if run.code:
            # A service under a name that others had: the guard refuses that, and the way is another name.
            assert "the tasks of its service come to the new one only after" in run.output, where
            assert run.gaps == [], where
            walk.done["refused"] += 1
            walk.config = before
            run = fresh.up(before)
        assert run.code == 0, where
        assert (run.gaps, run.refusals) == ([], []), where
        assert found(fresh) == routed(walk.config), where
        if n % 10 == 9:
            print(f"{n + 1} updates", flush=True)  # noqa: T201
    print(dict(walk.done))  # noqa: T201
    fresh.destroy().succeeded()
    assert not any(fresh.cloud.layout.values())
    assert fresh.cloud.arns == set()
