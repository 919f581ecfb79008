"""Random updates of a stack's rules, and the shares of a request by the routing itself: an oracle for the guard."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any
from urllib.parse import urlsplit

from msgspec import convert
from msgspec.structs import replace as changed

from abtest.experiment import Experiment
from abtest.experiment.types import Rule
from abtest.routing import Request, RoutingTable
from abtest.routing.conditions import Condition
from tests.configs import config, experiment

__all__ = ["REQUESTS", "random_update", "shares"]

_BASE = experiment(config(weights={"a": 90, "b": 10}, control="a", guardrails={}))
_WHEN: Mapping[str, list[Any]] = {
    "path": [
        ["/*"],
        ["/x"],
        ["/x*"],
        ["/v2/*"],
        ["*/x"],
        ["/?"],
        ["/y/*", "/x"],
        ["/v2/x/*", "/y/*"],
        ["/x/y", "/x/z"],
    ],
    "host": [["a.example.com"], ["b.example.com"], ["*.example.com"], ["A.example.com", "b.example.com"]],
    "query": [{"m": ["1"]}, {"m": ["*"]}, {"*": ["2"]}],
    "header": [{"X-M": ["1"]}, {"x-m": ["*"]}, {"X-M": ["1", "2"]}],
    "method": [["GET"], ["POST"], ["GET", "POST"]],
    "sourceIp": [["10.0.0.0/8"], ["10.1.0.0/16"]],
    "pathRegex": [["^/x$"], ["^/(x|y)/"], ["^/v2/.*$"]],
}
_REDIRECTS = [
    {"path": "/v2/#{path}"}, {"path": "/x"}, {"path": "/y/#{path}/x"}, {"host": "elsewhere.org"}, {"query": "m=1"},
    {"path": "/x", "query": "#{query}&m=1"}, {"host": "b.example.com"}, {"protocol": "HTTPS"}, {"path": "/#{path}/x", "query": ""},
]  # fmt: skip
REQUESTS = tuple(
    Request.parse({"method": method, "host": host, "path": path, "query": query, "headers": headers, "sourceIp": source})
    for method, host, path, (query, headers, source) in itertools.product(
        ["GET", "POST", "PUT"],
        ["a.example.com", "b.example.com", "c.org"],
        ["/", "/x", "/xa", "/7", "/v2/", "/v2/x", "/v2/y/a", "/y/x", "/y/a", "/x/y", "/x/z", "/v2/x/y", "/a/b"],
        [("", {}, "10.1.0.1"), ("m=1", {}, "10.2.0.1"), ("m=3", {"X-M": "1"}, "::1"), ("a=2", {"X-M": "2"}, "192.0.2.1"), ("", {"X-M": "3"}, "10.1.0.1")],
    )
)  # fmt: skip


def _when(random: Random) -> dict[str, Any]:
    kinds = random.sample(sorted(_WHEN), random.choice([1, 1, 1, 2, 2, 3]))
    kinds = [kind for kind in kinds if not (kind == "pathRegex" and ("path" in kinds or random.random() < 0.6))]
    return {kind: random.choice(_WHEN[kind]) for kind in kinds or ["path"]}


def _action(random: Random) -> dict[str, Any]:
    return random.choice(
        [
            {"forward": "a"}, {"forward": "b"}, {"forward": "split"}, {"forward": {"a": 70, "b": 30}},
            {"forward": {"a": 50, "b": 50}}, {"redirect": random.choice(_REDIRECTS)}, {"respond": {"status": 404}},
        ]
    )  # fmt: skip


def _weights(random: Random) -> dict[str, int]:
    return dict(random.choice([{"a": 90, "b": 10}, {"a": 9, "b": 1}, {"a": 70, "b": 30}, {"a": 100, "b": 0}, {"b": 1}]))


Rules = dict[str, dict[str, Any]]


def _rule(random: Random, rules: Rules) -> dict[str, Any]:
    free = sorted({*range(1, 60)} - {rule["priority"] for rule in rules.values()})
    return {"priority": random.choice(free), "when": _when(random), **_action(random)}


def _rename(_: Random, rules: Rules, name: str) -> None:
    rules[f"{name}-new"] = rules.pop(name)


def _renumber(_: Random, rules: Rules, _name: str) -> None:
    for rule in rules.values():
        rule["priority"] = rule["priority"] * 3 + 1


def _reverse_values(_: Random, rules: Rules, name: str) -> None:
    when = rules[name]["when"]
    rules[name]["when"] = {key: value[::-1] if isinstance(value, list) else value for key, value in when.items()}


def _split_in_two(random: Random, rules: Rules, name: str) -> None:
    whole = rules[name]
    first, *others = whole["when"].get("path", ["/*"])
    _renumber(random, rules, name)
    for new, paths in ((name, [first]), (f"{name}-2", others or [first])):
        rules[new] = {**whole, "when": {**whole["when"], "path": paths} if others else whole["when"]}
    rules[f"{name}-2"]["priority"] += 1


def _swap(random: Random, rules: Rules, name: str) -> None:
    other = random.choice(sorted(rules))
    rules[name]["priority"], rules[other]["priority"] = rules[other]["priority"], rules[name]["priority"]


def _delete(_: Random, rules: Rules, name: str) -> None:
    del rules[name]


def _ask_for_something_else(random: Random, rules: Rules, name: str) -> None:
    rules[name]["when"] = _when(random)


def _do_something_else(random: Random, rules: Rules, name: str) -> None:
    rules[name] = {"priority": rules[name]["priority"], "when": rules[name]["when"], **_action(random)}


def _add(random: Random, rules: Rules, _: str) -> None:
    rules[f"n{len(rules)}"] = _rule(random, rules)


_EDITS = (
    _rename, _renumber, _reverse_values, _split_in_two, _swap, _delete, _ask_for_something_else, _do_something_else, _add,
)  # fmt: skip


def random_update(random: Random) -> tuple[Experiment, Experiment]:
    """A stack, and one to three edits later."""
    rules: Rules = {}
    for n in range(random.randint(0, 4)):
        rules[f"r{n}"] = _rule(random, rules)
    weights = _weights(random)
    before = _experiment(weights, rules)
    for _ in range(random.choice([1, 1, 2, 3])):
        if not rules:
            _add(random, rules, "")
        elif random.random() < 0.1:
            weights = _weights(random)
        else:
            random.choice(_EDITS)(random, rules, random.choice(sorted(rules)))
    return before, _experiment(weights, rules)


def _experiment(weights: Mapping[str, int], rules: Rules) -> Experiment:
    return changed(_BASE, weights=dict(weights), rules={name: convert(rule, Rule) for name, rule in rules.items()})


def shares(table: RoutingTable, request: Request, hosts: Collection[Condition]) -> Mapping[str, Fraction]:
    """What a client gets that follows redirects to the listener; nothing behind 20 of them. ``hosts`` are its own."""
    for _ in range(20):
        decision = table.decide(request)
        if decision.location is None:
            return decision.route.action.shares
        url = urlsplit(decision.location)
        method = "GET" if request.method == "POST" else request.method
        follower = replace(request, method=method, host=url.hostname, path=url.path, query=url.query)
        is_own = follower.host == request.host or any(host.matches(follower) for host in hosts)
        if url.scheme != "http" or not is_own:
            return {}
        request = follower
    return {}
