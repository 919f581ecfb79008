"""Model servers by name: the port and health path that a variant gets; and their example, whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abtest.experiment.serving import PRESETS, Server
from abtest.local import Deployment
from tests.configs import ROOT, config
from tests.deployed import deploy

HTTPS = {"certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}


#: Servers that have a port for gRPC.
GRPC = [name for name, preset in PRESETS.items() if preset.grpc_port]

#: Keys of variants by name, all behind one load balancer.
SERVING: dict[str, dict[str, Any]] = {
    "plain": {"port": 8080},
    "own-port": {"serving": "vllm", "port": 9000},
    "own-check": {"serving": "vllm", "healthCheck": {"path": "/v1/models", "matcher": "200-299"}},
    "own-grpc-port": {"serving": "triton", "protocolVersion": "GRPC", "port": 9001},
    "own-grpc": {"serving": "vllm", "protocolVersion": "GRPC", "port": 50051},
    **{name: {"serving": name} for name in PRESETS},
    **{f"{name}-grpc": {"serving": name, "protocolVersion": "GRPC"} for name in GRPC},
}


def group(name: str) -> tuple[int, str, str]:
    """Port, health path and passing statuses of a variant."""
    variants = {name: {"targets": {"external": "ip"}, **keys} for name, keys in SERVING.items()}
    stack = deploy(config(weights={"plain": 1}, variants=variants, listener=HTTPS))
    found = stack.of_type(":TargetGroup")[f"abtest-{name}"].inputs
    return int(found["port"]), found["healthCheck"]["path"], found["healthCheck"]["matcher"]


@pytest.mark.parametrize("server", PRESETS)
def test_a_server_brings_its_port_and_health_path(server: Server) -> None:
    assert group(server) == (PRESETS[server].port, PRESETS[server].health_path, "200")


@pytest.mark.parametrize("server", GRPC)
def test_with_grpc_it_is_the_port_of_grpc_and_the_check_that_every_grpc_server_passes(server: Server) -> None:
    assert group(f"{server}-grpc") == (PRESETS[server].grpc_port, "/AWS.ALB/healthcheck", "12")


def test_what_is_given_goes_before_the_preset() -> None:
    assert group("own-port") == (9000, "/health", "200")
    assert group("own-check") == (8000, "/v1/models", "200-299")
    assert group("own-grpc-port")[0] == 9001
    assert group("own-grpc") == (50051, "/AWS.ALB/healthcheck", "12")


def test_without_a_preset_it_is_as_ever() -> None:
    assert group("plain") == (8080, "/", "200")


def test_the_example_is_deployed_whole_with_its_scripts(examples: Callable[[str], Deployment]) -> None:
    found = examples("serving")
    assert found.warnings == ()
    paths = {
        name: (int(r.inputs["port"]), r.inputs["healthCheck"]["path"])
        for name, r in found.of_type(":TargetGroup").items()
    }
    assert paths == {"abtest-a": (8000, "/health"), "abtest-b": (8000, "/v2/health/ready")}
    for name, script in (("abtest-a-1", "vllm.sh"), ("abtest-b-1", "triton.sh")):
        assert found.of_type(":Instance")[name].inputs["userData"] == (ROOT / "examples" / script).read_text()
