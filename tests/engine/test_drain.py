"""Requests in flight while their targets leave, and targets that come and go by themselves."""

from __future__ import annotations

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.engine.configs import BASE, changed, launching
from tests.engine.harness import Engine, Run
from tests.engine.test_ecs import service

pytestmark = pytest.mark.engine

SCALED = launching(min=1, max=3, requestsPerTarget=100)


def timeouts(engine: Engine, kind: str) -> dict[str, Any]:
    """Those of the one resource of a type, in minutes."""
    (found,) = (r["customTimeouts"] for r in engine.state()["deployment"]["resources"] if r["type"] == kind)
    return {operation: seconds / 60 for operation, seconds in found.items() if seconds}


def test_what_drains_has_the_time_to(fresh: Engine) -> None:
    long = {"deregistrationDelaySeconds": 3000}
    fresh.up(
        changed(BASE, variants={"a": SCALED | long, "b": service() | long}, weights={"a": 100, "b": 0})
    ).succeeded()

    assert timeouts(fresh, "aws:autoscaling/group:Group") == {"delete": 10 + 50}
    assert timeouts(fresh, "aws:ecs/service:Service") == {"create": 60 + 50, "update": 60 + 50, "delete": 20 + 50}


def test_a_group_that_has_scaled_takes_another_size(standing: Engine) -> None:
    standing.up(changed(BASE, variants__b=SCALED)).succeeded()
    name = standing.outputs()["autoscaling_groups"]["b"]
    with standing.cloud.client("autoscaling") as autoscaling:
        autoscaling.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=3)

        standing.up(changed(BASE, variants__b=launching(min=2, max=4, requestsPerTarget=100))).succeeded()

        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    assert [group[key] for key in ("MinSize", "MaxSize", "DesiredCapacity")] == [2, 4, 3]


@pytest.mark.parametrize("size", [pytest.param(20, id="smaller"), pytest.param(50, id="larger")])
def test_another_volume_is_another_instance(standing: Engine, size: int) -> None:
    standing.up(changed(BASE, variants__b=launching(rootVolumeGb=30))).succeeded()

    run = standing.up(changed(BASE, variants__b=launching(rootVolumeGb=size))).succeeded()

    assert run.replaced == ["abtest-b-1"]
    assert "ModifyVolume" not in run.writes
    assert run.gaps == []


def test_a_volume_whose_size_was_the_images_is_replaced_too(standing: Engine) -> None:
    run = standing.up(changed(BASE, variants__b=launching(rootVolumeGb=30))).succeeded()

    assert run.replaced == ["abtest-b-1"]


# Single instances: the provider only deregisters them -----------------------------------------------------------------

DELAY = 4
DRAINED = changed(BASE, variants={name: launching() | {"deregistrationDelaySeconds": DELAY} for name in "ab"})


def drained(run: Run) -> list[str]:
    """The instances that ended in a run, each after it was deregistered and the delay was over; the load balancer had
    no forward to them by then, and the wait was announced.
    """
    left = {call.params["Targets.member.1.Id"]: call.at for call in run.calls if call.action == "DeregisterTargets"}
    ended = {call.params["InstanceId.1"]: call.at for call in run.calls if call.action == "TerminateInstances"}
    assert run.gaps == []
    for instance, at in ended.items():
        assert DELAY <= at - left[instance] < DELAY + 20
        assert f"waiting {DELAY} s for requests in flight to {instance} (deregistrationDelaySeconds)" in run.output
    return sorted(ended)


def instances(engine: Engine) -> dict[str, str]:
    resources = engine.state()["deployment"]["resources"]
    return {r["urn"].rpartition("::")[2]: r["id"] for r in resources if r["type"] == "aws:ec2/instance:Instance"}


def test_an_instance_ends_when_its_requests_have(standing: Engine) -> None:
    standing.up(changed(DRAINED, variants__b__targets__launch__count=2)).succeeded()
    one, two = (instances(standing)[f"abtest-b-{n}"] for n in (1, 2))

    fewer = standing.up(DRAINED).succeeded()

    assert drained(fewer) == [two]

    replaced = standing.up(changed(DRAINED, variants__b__targets__launch__instanceType="t3.large")).succeeded()

    assert drained(replaced) == [one]


def test_a_variant_that_leaves_ends_when_its_requests_have(standing: Engine) -> None:
    standing.up(DRAINED).succeeded()
    one = instances(standing)["abtest-b-1"]

    run = standing.up(
        changed(DRAINED, weights={"a": 100}, variants={"a": DRAINED["variants"]["a"]}, rules={})
    ).succeeded()

    assert drained(run) == [one]
    order = [call.action for call in run.calls if call.is_write]
    assert order.index("DeleteRule") < order.index("DeregisterTargets") < order.index("TerminateInstances")


def test_an_instance_is_left_running_if_the_delay_cannot_be_read(standing: Engine) -> None:
    standing.up(changed(DRAINED, variants__b__targets__launch__count=2)).succeeded()
    two = instances(standing)["abtest-b-2"]

    with standing.cloud.proxy.throttling("DescribeTargetGroupAttributes"):
        failed = standing.up(DRAINED)

    assert failed.code != 0
    assert f"{two} is deregistered, but for how long it may have requests in flight is unknown" in failed.output
    assert "Traceback" not in failed.output
    assert "TerminateInstances" not in failed.writes

    run = standing.up(DRAINED).succeeded()

    assert [call.params["InstanceId.1"] for call in run.calls if call.action == "TerminateInstances"] == [two]


def test_destroy_wants_the_program_and_waits_for_nothing(fresh: Engine) -> None:
    fresh.up(DRAINED).succeeded()

    refused = fresh.destroy_without_program()

    assert refused.code != 0
    assert "--run-program" in refused.output
    assert refused.writes == []

    run = fresh.destroy("--skip-preview").succeeded()

    assert "waiting" not in run.output
    assert not any(fresh.cloud.layout.values())


def test_a_delay_of_zero_waits_for_nothing_and_destroy_wants_no_program(fresh: Engine) -> None:
    at_once = changed(BASE, variants={name: launching() | {"deregistrationDelaySeconds": 0} for name in "ab"})
    fresh.up(at_once).succeeded()

    fresh.destroy_without_program("--skip-preview").succeeded()

    assert not any(fresh.cloud.layout.values())


class Model(BaseHTTPRequestHandler):
    """A model that takes most of the delay for an answer."""

    def do_GET(self) -> None:
        time.sleep(DELAY - 1)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Machine(ThreadingHTTPServer):
    """The model's instance: when it ends, so do its connections."""

    daemon_threads = True

    def __init__(self) -> None:
        self.open: list[socket.socket] = []
        super().__init__(("127.0.0.1", 0), Model)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def end(self) -> None:
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def test_a_slow_request_under_way_gets_its_answer(standing: Engine) -> None:
    """The client is where the load balancer would be: it has sent its request when the target is deregistered."""
    standing.up(DRAINED).succeeded()
    before = len(standing.cloud.proxy.calls)

    def until(action: str) -> None:
        while not any(call.action == action for call in standing.cloud.proxy.calls[before:]):
            time.sleep(0.02)

    def ask(port: int) -> int:
        until("DeregisterTargets")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        with closing(connection):
            connection.request("GET", "/")
            return connection.getresponse().status

    def end(machine: Machine) -> None:
        until("TerminateInstances")
        machine.end()

    with Machine() as machine, ThreadPoolExecutor() as threads:
        threads.submit(machine.serve_forever, 0.05)
        answer, ended = threads.submit(ask, machine.server_port), threads.submit(end, machine)
        try:
            standing.up(changed(DRAINED, variants__b__targets__launch__instanceType="t3.large")).succeeded()
            ended.result(timeout=30)
            assert answer.result(timeout=30) == 200
        finally:
            machine.shutdown()
