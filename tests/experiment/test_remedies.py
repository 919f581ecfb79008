"""Each message about a wrong value says what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import load
from abtest.experiment.serving import PRESETS
from tests.configs import SERVICE, VARIANT, config, errors, lines_of, rule, source, variant, write_stack


def weights(value: Any) -> dict[str, Any]:
    return config(weights=value)


def of_a(**changes: Any) -> dict[str, Any]:
    return config(variants={"a": variant(**changes), "b": VARIANT})


def health(**changes: Any) -> dict[str, Any]:
    return of_a(healthCheck=changes)


def launch(**changes: Any) -> dict[str, Any]:
    return of_a(targets={"launch": {"instanceType": "t3.small", **changes}})


def ecs(**changes: Any) -> dict[str, Any]:
    service = {**SERVICE, "targets": {"ecs": {**SERVICE["targets"]["ecs"], **changes}}}
    return config(variants={"a": service, "b": VARIANT})


def when(**changes: Any) -> dict[str, Any]:
    return config(rules={"r": rule(when=changes)})


def alarms(**changes: Any) -> dict[str, Any]:
    return config(alarms=changes)


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        # Shares.
        (weights({"a": "90%", "b": "10%"}), "{a: 90, b: 10}"),
        (weights({"a": "90 %", "b": 10}), "{a: 90, b: 10}"),
        (weights({"a": 0.9, "b": 0.1}), "{a: 90, b: 10}"),
        (weights({"a": 0.995, "b": 0.005}), "{a: 995, b: 5}"),
        (weights({"a": 99.5, "b": 0.5}), "{a: 995, b: 5}"),
        (weights([90, 10]), "{a: 90, b: 10}"),
        (weights(["90%", "10%"]), "{a: 90, b: 10}"),
        (weights([{"a": 90}, {"b": 10}]), "{a: 90, b: 10}"),
        (weights("a=90,b=10"), "{a: 90, b: 10}"),
        (weights("{a: 90, b: 10}"), "{a: 90, b: 10}"),
        (config(rules={"r": rule(forward=[50, 50])}), "{a: 50, b: 50}"),
        (config(rules={"r": rule(forward={"a": 0.5, "b": 0.5})}), "{a: 50, b: 50}"),
        (config(guardrails={"maxStep": "25%"}), "25"),
        (config(guardrails={"maxStep": 0.25}), "25"),
        (alarms(maxErrorRate="1%"), "0.01"),
        (alarms(maxErrorRate="0.5 %"), "0.005"),
        # Units.
        (config(stickinessSeconds="1h"), "3600"),
        (config(stickinessSeconds="30m"), "1800"),
        (config(stickinessSeconds="90s"), "90"),
        (config(stickinessSeconds="2h30m"), "9000"),
        (config(stickinessSeconds="2h 30min"), "9000"),
        (config(stickinessSeconds="1d"), "86400"),
        (config(stickinessSeconds="1 hour"), "3600"),
        (health(intervalSeconds="10s"), "10"),
        (alarms(maxP99Seconds="0.5s"), "0.5"),
        (alarms(maxP99Seconds="500ms"), "0.5"),
        (launch(rootVolumeGb="20GB"), "20"),
        (launch(rootVolumeGb="1 TiB"), "1024"),
        (ecs(memory="512MB"), "512"),
        (ecs(memory="2 GB"), "2048"),
        (ecs(ephemeralStorageGb="30 GiB"), "30"),
        (ecs(cpu="256"), "256"),
        (ecs(cpu="1 vCPU"), "1024"),
        (ecs(cpu=0.25), "256"),
        (ecs(cpu=1), "1024"),
        (ecs(logRetentionDays="30 days"), "30"),
        (config(accessLogs={"retainDays": "12 weeks"}), "84"),
        (of_a(port="80/tcp"), "80"),
        (of_a(port=":8080"), "8080"),
        (of_a(port="8080:8080"), "8080"),
        (of_a(port=[8080]), "8080"),
        # Texts in another form.
        (when(method=["get"]), "GET"),
        (when(method="get"), '["GET"]'),
        (when(method="get, POST"), '["GET", "POST"]'),
        (when(path="/a, /b"), '["/a", "/b"]'),
        (config(network={"ingressCidrs": "10.0.0.0/8, 192.168.0.0/16"}), '["10.0.0.0/8", "192.168.0.0/16"]'),
        (config(weights={"model_a": 1}, variants={"model_a": VARIANT}), "model-a"),
        (config(weights={"Model A": 1}, variants={"Model A": VARIANT}), "model-a"),
        (health(path="healthz"), "/healthz"),
        (health(path="http://localhost:8080/healthz"), "/healthz"),
        (health(path=["/healthz"]), '"/healthz"'),
        (health(matcher="200, 301"), '"200,301"'),
        (launch(instanceProfile="arn:aws:iam::123456789012:instance-profile/ranker"), "ranker"),
        (config(accessLogs={"bucket": "s3://logs-of-mine/alb"}), "logs-of-mine"),
        (config(accessLogs={"bucket": "arn:aws:s3:::logs-of-mine"}), "logs-of-mine"),
        (config(dns={"zone": "example.com", "name": "https://m.example.com/"}), "m.example.com"),
        (
            config(listener={"certificateArn": " arn:aws:acm:us-east-1:123456789012:certificate/1 "}),
            "arn:aws:acm:us-east-1:123456789012:certificate/1",
        ),
        (
            config(listener={"certificateArn": "11111111-2222-3333-4444-555555555555"}),
            "arn:aws:acm:REGION:ACCOUNT:certificate/11111111-2222-3333-4444-555555555555",
        ),
        (of_a(targets={"lambdaArn": "ranker"}), "arn:aws:lambda:REGION:ACCOUNT:function:ranker"),
        # Booleans.
        (config(deletionProtection="yes"), "true"),
        (config(network={"internal": "off"}), "false"),
        (config(network={"internal": "True"}), "true"),
        (config(network={"internal": 0}), "false"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_met_with_the_right_one(keys: dict[str, Any], remedy: str) -> None:
    assert any(error.endswith(f"; write {remedy}") for error in errors(keys)), errors(keys)


@pytest.mark.parametrize(
    "keys",
    [
        health(timeoutSeconds="1h"),
        alarms(minRequests="1.5"),
        weights({"a": "x", "b": 1}),
        weights({"a": "-5%", "b": 1}),
        weights([1, 2, 3]),
        when(path=["/a b"]),
        config(dns={"zone": "example.com", "name": "my model.example.com"}),
        config(stickinessSeconds="an hour"),
        config(stickinessSeconds="1:30"),
    ],
)
def test_no_value_is_suggested_where_none_is_right(keys: dict[str, Any]) -> None:
    assert errors(keys)
    assert not any("; write " in error for error in errors(keys)), errors(keys)


def test_a_list_of_weights_is_in_the_order_of_the_file(tmp_path: Path) -> None:
    """The engine sorts keys, so the order comes from the lines of the file."""
    file = write_stack(
        tmp_path,
        "config:\n  abtest:control: stable\n  abtest:weights: [95, 5]\n  abtest:variants:\n"
        "    stable: {port: 80, targets: {external: ip}}\n    canary: {port: 80, targets: {external: ip}}\n",
    )
    assert any(line.endswith("; write {stable: 95, canary: 5}") for line in lines_of(file)), lines_of(file)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [("{a:90, b: 10}", "write a: 90, with a space after the colon"), ("{a: 90, b:10}", "write b: 10, with a space")],
)
def test_a_colon_without_a_space_is_pointed_out(tmp_path: Path, text: str, remedy: str) -> None:
    file = write_stack(
        tmp_path,
        f"config:\n  abtest:control: a\n  abtest:weights: {text}\n  abtest:guardrails: {{}}\n  abtest:variants:\n"
        "    a: {port: 80, targets: {external: ip}}\n    b: {port:80, targets: {external: ip}}\n",
    )
    of_weights, of_port = [line for line in lines_of(file) if "space after the colon" in line]
    assert remedy in of_weights
    assert "write port: 80, with a space after the colon" in of_port


@pytest.mark.parametrize("server", PRESETS)
def test_a_model_server_among_the_targets_belongs_to_serving(server: str) -> None:
    (error,) = [error for error in errors(of_a(targets={server: {}})) if "no such key" in error]
    assert f"write serving: {server} beside targets" in error


@pytest.mark.parametrize(
    ("keys", "remedy"),
    [
        (ecs(gpu=1), "Fargate has no GPUs; take targets.launch with an instanceType that has one, such as g5.xlarge"),
        (launch(gpu=1), "take an instanceType that has a GPU, such as g5.xlarge"),
        (of_a(weight=90), "the weights of all variants are in abtest:weights"),
        (of_a(targets={"fargate": {}}), "a Fargate service is ecs"),
        (config(rules={"r": rule(weights={"a": 1})}), "write forward: {VARIANT: WEIGHT, …}"),
        (config(region="us-east-1"), "write aws:region"),
        (health(successCodes="200"), "write matcher"),
    ],
)
def test_a_key_of_another_tool_is_met_with_what_serves_instead(keys: dict[str, Any], remedy: str) -> None:
    (error,) = [error for error in errors(keys) if "no such key" in error]
    assert f"there is no such key; {remedy}" in error


def test_a_suggested_value_is_taken() -> None:
    """Numbers and texts that are suggested for each kind, written as suggested."""
    assert load(source(weights({"a": 995, "b": 5})))[0].weights == {"a": 995, "b": 5}
    assert errors(config(stickinessSeconds=9000, guardrails={"maxStep": 25}, alarms={"maxErrorRate": 0.01})) == []
