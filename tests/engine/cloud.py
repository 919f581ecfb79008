"""An AWS of the tests' own: a moto server, and what its load balancing API says of routing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

__all__ = [
    "REGION",
    "Route",
    "Routes",
    "Share",
    "arns_of",
    "client_of",
    "layout_of",
    "logical",
    "moto_server",
    "routes_of",
]

REGION = "us-east-1"

#: In a process of its own, so that nothing of it is shared with tests that mock AWS in theirs; ends with its stdin. There
#: is what a stack file names as existing, if one is given. Moto takes a Deny in a bucket's policy for one without
#: conditions, and would refuse everybody everything.
_SERVER = """
import sys
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer
FakeBucket.get_permission = lambda *_: PermissionResult.PERMITTED
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
if len(sys.argv) > 1:
    from abtest.experiment import load_stack
    from abtest.local.assumed import create_assumed
    from abtest.local.clients import Clients
    from moto import mock_aws
    mock = mock_aws()  # of the same data as the server
    mock.start(reset=False)
    create_assumed(Clients("us-east-1"), load_stack(sys.argv[1])[0])
    mock.stop(remove_data=False)
print(host, port, flush=True)
sys.stdin.read()
"""


@contextmanager
def moto_server(stack: Path | None = None) -> Iterator[str]:
    """A fresh AWS, with what a stack file names as existing; its URL."""
    command = [sys.executable, "-c", _SERVER, *map(str, [stack] if stack else [])]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        host, port = process.stdout.readline().split()
        try:
            yield f"http://{host}:{port}"
        finally:
            process.stdin.close()
            process.wait(timeout=30)


def client_of(service: str, url: str) -> Any:
    """A client of the AWS at ``url``; the caller closes it."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",  # noqa: S106 not a secret
        config=Config(proxies={}),
    )


# What forwards where ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Share:
    """A group in a forward. ``targets`` is the number of its registered targets, None where the group is gone."""

    group: str
    weight: int
    targets: int | None

    @property
    def is_unanswered(self) -> bool:
        return self.weight > 0 and not self.targets


@dataclass(frozen=True)
class Route:
    """A rule of a listener: ``priority`` is a number or ``default``, ``action`` the type of its last action."""

    port: int
    priority: str
    action: str
    shares: tuple[Share, ...]


Routes = tuple[Route, ...]


def routes_of(elb: Any) -> Routes:
    """Every rule of every listener, as it is now."""
    counts: dict[str, int | None] = {}

    def targets(arn: str) -> int | None:
        if arn not in counts:
            try:
                health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            except ClientError:
                counts[arn] = None
            else:
                counts[arn] = sum(each["TargetHealth"]["State"] != "draining" for each in health)
        return counts[arn]

    routes = []
    for listener, rule in _rules(elb):
        action = rule["Actions"][-1]
        groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
        shares = tuple(
            Share(logical(g["TargetGroupArn"]), g.get("Weight", 1), targets(g["TargetGroupArn"])) for g in groups
        )
        routes.append(Route(listener["Port"], rule["Priority"], action["Type"], shares))
    return tuple(routes)


def _listeners(elb: Any) -> Iterator[dict[str, Any]]:
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        yield from elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]


def _rules(elb: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for listener in _listeners(elb):
        for rule in elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]:
            yield listener, rule


def arns_of(elb: Any) -> set[str]:
    """Every load balancer, listener, rule and target group that there is."""
    return {
        *(each["LoadBalancerArn"] for each in elb.describe_load_balancers()["LoadBalancers"]),
        *(each["TargetGroupArn"] for each in elb.describe_target_groups()["TargetGroups"]),
        *(listener["ListenerArn"] for listener in _listeners(elb)),
        *(rule["RuleArn"] for _, rule in _rules(elb)),
    }


_GROUP = re.compile(r"arn:[^\"]*?:targetgroup/([^/\"]+)-[0-9a-f]{7}/[0-9a-f]+")


def logical(text: str) -> str:
    """ARNs of autonamed groups as the groups' logical names, so that two deployments can be compared."""
    return _GROUP.sub(r"\1", text)


def layout_of(elb: Any) -> Mapping[str, Any]:
    """All that decides where a request goes, without the identifiers that AWS draws by chance.

    ``listeners`` by port, ``rules`` by port and priority, ``groups`` by logical name with the ports of their targets, 0
    for a function. A second group of the same name is under that name and its number, as ``abtest-a 2``.
    """
    groups: dict[str, Any] = {}
    for group in elb.describe_target_groups()["TargetGroups"]:
        arn = group["TargetGroupArn"]
        settings = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        health = elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        name = logical(arn)
        twins = sum(each.partition(" ")[0] == name for each in groups)
        groups[f"{name} {twins + 1}" if twins else name] = {
            **{key: group.get(key) for key in ("Port", "Protocol", "ProtocolVersion", "TargetType")},
            **{key: value for key, value in group.items() if "Health" in key or key == "Matcher"},
            "attributes": sorted((each["Key"], each["Value"]) for each in settings),
            "targets": sorted(each["Target"].get("Port", 0) for each in health),
        }
    keys = ("Protocol", "SslPolicy", "Certificates", "DefaultActions")
    found = {
        "load balancers": [each["Scheme"] for each in elb.describe_load_balancers()["LoadBalancers"]],
        "listeners": {str(ls["Port"]): {key: ls.get(key) for key in keys} for ls in _listeners(elb)},
        "rules": {
            f"{listener['Port']} {rule['Priority']}": {"if": rule["Conditions"], "then": rule["Actions"]}
            for listener, rule in _rules(elb)
        },
        "groups": groups,
    }
    layout: Mapping[str, Any] = json.loads(logical(json.dumps(found, sort_keys=True)))
    return layout
