"""The embedded AWS: it refuses what it cannot do, loses nothing, and always gives the same."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from abtest.experiment import ConfigError
from abtest.local import DeployError, Deployment, deploy
from abtest.local.embedded import embedded_aws
from tests.configs import ROOT, config, rule, variant


def program(folder: Path, text: str) -> None:
    """A project whose program is not ours."""
    (folder / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (folder / "__main__.py").write_text(f"import pulumi\nimport pulumi_aws as aws\n{text}\n")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_same_stack_gives_the_same_deployment(prod: Deployment) -> None:
    again = deploy("prod")
    assert again.resources == prod.resources
    assert again.outputs == prod.outputs
    assert again.assumed == prod.assumed


def test_nothing_of_one_deployment_reaches_the_next(dev: Deployment) -> None:
    deploy(config(override={"secret": False}))
    assert deploy("dev").resources == dev.resources


def test_who_deploys_looks_for_garbage_as_often_afterwards_as_before() -> None:
    ours = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with embedded_aws():
            assert gc.get_threshold() == (50_000, 10, 10)
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.set_threshold(*ours)


def test_ids_and_arns_are_those_of_the_embedded_aws(dev: Deployment) -> None:
    arns = {group["TargetGroupArn"] for group in dev.described["TargetGroups"]}
    assert {r.id for r in dev.of_type(":TargetGroup").values()} == arns
    registered = {t["Target"]["Id"] for targets in dev.described["TargetHealth"].values() for t in targets}
    assert registered == {r.id for r in dev.of_type(":Instance").values()}


def test_progress_is_told_resource_by_resource() -> None:
    told: list[tuple[str, str]] = []
    found = deploy(config(), on_resource=lambda kind, name: told.append((kind, name)))
    assert sorted(told) == sorted((r.type, r.name) for r in found.resources)


def test_a_type_that_it_does_not_know_is_an_error(elsewhere: Path) -> None:
    program(elsewhere, 'aws.sns.Topic("news")')
    with pytest.raises(
        DeployError, match=r"^aws:sns/topic:Topic news: the embedded AWS does not know this type of resource$"
    ):
        deploy(config())


def test_a_function_that_it_does_not_know_is_an_error(elsewhere: Path) -> None:
    program(elsewhere, "aws.get_caller_identity()")
    with pytest.raises(
        DeployError, match="aws:index/getCallerIdentity:getCallerIdentity: the embedded AWS does not know"
    ):
        deploy(config())


def test_an_input_that_it_does_not_know_is_an_error(elsewhere: Path) -> None:
    program(elsewhere, 'aws.ec2.SecurityGroup("g", description="x", vpc_id="v", revoke_rules_on_delete=True)')
    with pytest.raises(DeployError, match="aws:ec2/securityGroup:SecurityGroup"):
        deploy(config())


def test_what_moto_refuses_is_an_error_in_its_own_words() -> None:
    keys = config(weights={"a--b": 1}, variants={"a--b": variant()})
    with pytest.raises(DeployError, match=r"aws:lb/targetGroup:TargetGroup abtest-a--b: .*CreateTargetGroup"):
        deploy(keys)


def test_two_listeners_on_one_port_are_refused_as_aws_would(elsewhere: Path) -> None:
    listener = (
        "aws.lb.Listener({name!r}, load_balancer_arn=lb.arn, port=80, protocol='HTTP', tags={{'k': 'v'}}, default_actions=[{{'type': 'fixed-response', "
        "'fixed_response': {{'content_type': 'text/plain', 'status_code': '404'}}}}], opts=pulumi.ResourceOptions({after}))\n"
    )
    program(
        elsewhere,
        "subnets = aws.ec2.get_subnets(filters=[{'name': 'availability-zone', 'values': ['us-east-1a', 'us-east-1b']}])\n"
        "lb = aws.lb.LoadBalancer('lb', subnets=subnets.ids, tags={'k': 'v'})\n"
        "one = " + listener.format(name="one", after="") + listener.format(name="two", after="depends_on=[one]"),
    )
    with pytest.raises(
        DeployError, match=r"aws:lb/listener:Listener two: .*DuplicateListener.*already exists on port 80"
    ):
        deploy(config())


def test_a_failing_program_leaves_nothing_behind(elsewhere: Path, dev: Deployment) -> None:
    program(elsewhere, "raise ValueError('a bug')")
    with pytest.raises(ValueError, match="a bug"):
        deploy(config())
    os.chdir(ROOT)
    assert deploy("dev").resources == dev.resources


def test_a_mistake_in_the_config_is_the_loaders_list() -> None:
    with pytest.raises(ConfigError, match=r"abtest:weights.a: 1000 is over 999"):
        deploy(config(weights={"a": 1000}))


def test_regular_expressions_survive_though_moto_knows_none() -> None:
    found = deploy(config(rules={"r": rule(when={"pathRegex": ["^/a$"], "query": {"m": ["b"]}})}))
    (rules,) = found.described["Rules"].values()
    assert rules[0]["Conditions"] == [
        {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/a$"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "m", "Value": "b"}]}},
    ]


def test_the_longest_deregistration_delay_is_no_obstacle() -> None:
    """AWS allows 3600 s; moto takes it for too long."""
    found = deploy(config(weights={"a": 1}, variants={"a": variant(deregistrationDelaySeconds=3600)}))
    assert found.of_type(":TargetGroup")["abtest-a"].inputs["deregistrationDelay"] == 3600


def test_the_region_is_the_stacks() -> None:
    found = deploy({**config(), "aws:region": "eu-central-1"})
    assert ":eu-central-1:" in found.outputs["listener_arn"]


def test_encrypted_values_stand_in_as_themselves() -> None:
    found = deploy(config(experiment={"secure": "v1:abc"}, tags={"k": {"secure": "v1:abc"}}))
    assert found.of_type(":TargetGroup")["abtest-a"].inputs["tags"]["abtest:experiment"] == "[secret]"


def test_what_is_assumed_can_be_switched_off() -> None:
    with pytest.raises(ConfigError, match="the VPC cannot be found"):
        deploy(config(network={"vpcId": "vpc-0a"}), assume=False)


def test_encrypted_addresses_are_refused_in_words() -> None:
    with pytest.raises(DeployError, match=r"encrypted addresses .* cannot be deployed here"):
        deploy(config(network={"ingressCidrs": [{"secure": "v1:abc"}]}))
