"""Runs a Pulumi program as the language host does, under mocks that answer at once. Started fresh for each run.

    runner.py FOLDER [RECORD]

The config comes in PULUMI_CONFIG, as from the engine. With RECORD, what the program asked for and registered is
written to that file as JSON. The mocks are the same for every program, and know nothing of it.
"""

import asyncio
import json
import logging
import os
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi.runtime
from google.protobuf import empty_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.stack import run_in_stack

ZONES = {"subnet-1": "us-east-1a", "subnet-2": "us-east-1b", "subnet-3": "us-east-1c"}


def answer(token: str, args: dict[str, Any]) -> dict[str, Any]:
    """A look-up's result. Raises KeyError for one that nobody should ask."""
    fixed: dict[str, dict[str, Any]] = {
        "aws:ec2/getVpc:getVpc": {"id": "vpc-1", "cidrBlock": "172.31.0.0/16", "cidrBlockAssociations": []},
        "aws:ec2/getSubnets:getSubnets": {"id": "us-east-1", "ids": list(ZONES)},
        "aws:ec2/getInstanceType:getInstanceType": {"id": "t3.small", "supportedArchitectures": ["x86_64"]},
        "aws:ssm/getParameter:getParameter": {"id": "image", "value": "ami-1"},
        "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": {
            "id": "us-east-1",
            "locations": list(ZONES.values()),
        },
    }
    if token == "aws:ec2/getSubnet:getSubnet":  # noqa: S105 the name of a function
        return {"id": args["id"], "vpcId": "vpc-1", "availabilityZone": ZONES[args["id"]], "ipv6CidrBlock": ""}
    return fixed[token]


class Mocks(mocks.Mocks):
    """Gives a resource an id and a few outputs made of its name; keeps everything if asked to."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self.calls: list[Any] = []
        self.resources: list[Any] = []

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if self._keep:
            self.calls.append([args.token, args.args])
        return answer(args.token, args.args), []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if self._keep and args.custom:
            self.resources.append([args.typ, args.name, args.inputs])
        made = {"arn": f"arn:{args.name}", "dnsName": "lb.example.com", "zoneId": "Z1", "hex": "00"}
        return f"{args.name}-id", {**args.inputs, **made}


def run(folder: Path, record: Path | None) -> None:
    """Run the program of ``folder``, which is also its project's."""
    os.chdir(folder)
    answers = Mocks(keep=record is not None)
    monitor = mocks.MockMonitor(answers)
    features = monitor.GetDeploymentInfo(empty_pb2.Empty())
    # One worker, so that threads of this process, which are no part of a true run, do not compete.
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    asyncio.set_event_loop(loop)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), [])
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(features.supportedFeatures),
            engine=mocks.MockEngine(logging.getLogger("program")),
            project="abtest",
            stack="bench",
            dry_run=False,
            organization=None,
            callbacks=None,
        )
    )
    loop.run_until_complete(run_in_stack(lambda: _program(folder)))
    if record is not None:
        # Sorted, since the keys of a request come in another order each time.
        asked = {"calls": answers.calls, "resources": answers.resources}
        record.write_text(json.dumps(asked, sort_keys=True), encoding="utf-8")


def _program(folder: Path) -> None:
    runpy.run_path(str(folder), run_name="__main__")


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
