"""Fargate services: what is refused or doubted before anything is made, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.experiment import ConfigError, Source, limits, load
from abtest.experiment.source import Project
from tests.configs import VARIANT, config, errors, problems, write_stack

AT = "abtest:variants.b.targets.ecs"
ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"


def service(*, weights: dict[str, int] | None = None, more: dict[str, Any] | None = None, **ecs: Any) -> dict[str, Any]:
    """A config in which b is a service that nothing is wrong with, apart from ``ecs``."""
    found = {"image": "example.com/model:1", "cpu": 256, "memory": 512, "publicIp": True, **ecs}
    variants = {"a": VARIANT, "b": {"port": 8080, "targets": {"ecs": found}}}
    return config(variants=variants, weights=weights or {"a": 90, "b": 10}, **(more or {}))


def test_a_service_needs_no_more_than_an_image_and_a_size() -> None:
    assert problems(service()) == []


# Size -----------------------------------------------------------------------------------------------------------------


@given(st.sampled_from(sorted(limits.FARGATE_MEMORY)), st.integers(1, 240))
def test_memory_goes_with_cpu_as_fargate_has_it(cpu: int, half_gigabytes: int) -> None:
    """From the words of the API: least and most in GB, and the steps between them."""
    least, most, step = {
        256: (0.5, 2, 0.5), 512: (1, 4, 1), 1024: (2, 8, 1), 2048: (4, 16, 1), 4096: (8, 30, 1), 8192: (16, 60, 4),
        16_384: (32, 120, 8),
    }[cpu]  # fmt: skip
    gigabytes = half_gigabytes / 2
    fits = least <= gigabytes <= most and gigabytes % step == 0 and (cpu, gigabytes) != (256, 1.5)
    assert (errors(service(cpu=cpu, memory=int(gigabytes * 1024))) == []) == fits


def test_a_memory_that_does_not_go_with_the_cpu_is_told_which_do() -> None:
    assert errors(service(cpu=256, memory=4096)) == [
        f"{AT}.memory: 4096 does not go with cpu: 256, which takes 512, 1024, 2048 MiB (ECS API RegisterTaskDefinition, "
        "Fargate)"
    ]
    (message,) = errors(service(cpu=8192, memory=17_408))
    assert "which takes 16384 to 61440 MiB in steps of 4096" in message


@pytest.mark.parametrize("gigabytes", [20, 201])
def test_the_disk_is_larger_than_the_one_without_it_and_not_endless(gigabytes: int) -> None:
    (message,) = errors(service(ephemeralStorageGb=gigabytes))
    assert "disk of a task: 21 to 200 GiB (ECS API EphemeralStorage; 20 without it)" in message


def test_autoscaling_has_an_order_and_the_number_of_tasks_to_itself() -> None:
    scaling = {"min": 3, "max": 2, "requestsPerTarget": 60}
    assert errors(service(autoscaling=scaling, count=2)) == [
        f"{AT}.autoscaling.min: 3 is over max: 2; lower it, or raise max",
        f"{AT}.count: cannot be combined with autoscaling, which sets the number of tasks; remove one of them",
    ]
    assert errors(service(autoscaling=scaling | {"max": 3})) == []


# Image ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["model", "example.com:5000/model", "example.com/model:latest"])
def test_an_image_that_may_change_is_doubted(image: str) -> None:
    (message,) = problems(service(image=image))
    assert message.startswith(f"warning: {AT}.image: {image} ")
    assert message.endswith("two tasks of a variant may run different models; name a version, or a digest")


@pytest.mark.parametrize("image", ["model:1", "example.com:5000/model:1", f"model@sha256:{'0' * 64}", "a" * 253 + ":1"])
def test_an_image_with_a_version_or_a_digest_is_taken(image: str) -> None:
    assert problems(service(image=image)) == []


@pytest.mark.parametrize("image", ["a" * 254 + ":1", "model@sha256:0", "model 1", "-model:1"])
def test_an_image_that_ecs_does_not_take_is_refused(image: str) -> None:
    (message,) = errors(service(image=image))
    assert message.startswith(f"{AT}.image: ")
    assert "is not a valid container image" in message


def test_an_image_has_no_scheme() -> None:
    assert errors(service(image="https://ghcr.io/x/y:1")) == [
        f"{AT}.image: an image has no scheme; write ghcr.io/x/y:1"
    ]
    (message,) = problems(service(image="docker://ghcr.io/x/y"))
    assert message == f"error: {AT}.image: an image has no scheme; write ghcr.io/x/y"


# Variables ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", limits.SECRET_VARIABLES)
def test_credentials_do_not_stand_in_the_clear(name: str) -> None:
    (message,) = errors(service(environment={name: "x"}))
    assert message.startswith(f"{AT}.environment.{name}: would be readable for everybody who may describe the task")


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD", "CLIENT_SECRET", "HF_TOKEN", "apiKey", "OPENAI_API_KEY", "TLS_PRIVATE_KEY", "Credentials"]
)
def test_what_looks_like_a_secret_in_the_clear_is_doubted(name: str) -> None:
    assert problems(service(environment={name: "x"})) == [
        f"warning: {AT}.environment.{name}: looks like a secret, and would stand in the clear in the task definition; put "
        "the value into Secrets Manager or the Parameter Store, and its ARN into secrets"
    ]
    assert problems(service(environment={name: ""})) == []


@pytest.mark.parametrize(
    "name", ["PASSWORD_FILE", "SECRET_ARN", "TOKEN_URL", "API_KEY_PATH", "MAX_TOKENS", "TOKENIZERS_PARALLELISM", "KEY"]
)
def test_what_names_a_place_or_a_number_of_tokens_does_not_look_like_a_secret(name: str) -> None:
    assert problems(service(environment={name: "x"})) == []


def test_a_path_is_no_secret_whatever_its_variable_is_called() -> None:
    assert problems(service(environment={"GOOGLE_APPLICATION_CREDENTIALS": "/etc/gcp/key.json"})) == []


def test_a_name_is_either_a_variable_or_a_secret() -> None:
    assert errors(service(environment={"TOKEN": "x"}, secrets={"TOKEN": ARN})) == [
        f"{AT}.environment.TOKEN: is in secrets too; remove one of them (ECS guide, specifying sensitive data)"
    ]


ENCRYPTED = (
    f"{AT}.environment.MODE: is encrypted here, but would stand in the clear in the task definition; put the value"
)
STACK = """\
config:
  aws:region: us-east-1
  abtest:control: a
  abtest:weights: {a: 1, b: 0}
  abtest:guardrails: {}
  abtest:variants:
    a: {port: 8080, targets: {external: ip}}
    b: {port: 8080, targets: {ecs: {image: "model:1", cpu: 256, memory: 512, publicIp: true, environment: {MODE: x}}}}
"""


def test_an_encrypted_value_is_refused_offline() -> None:
    (message,) = errors(service(environment={"MODE": {"secure": "v1:abc"}}))
    assert message.startswith(ENCRYPTED)


def test_a_value_that_the_engine_has_decrypted_is_refused_too(tmp_path: Any) -> None:
    """The engine tells that abtest:variants holds something secret, and the stack file that it is this value."""
    project, secret = Project(tmp_path), frozenset({"abtest:variants"})
    plain = Source.from_file(write_stack(tmp_path, STACK), project)
    write_stack(tmp_path, STACK.replace("MODE: x", "MODE: {secure: v1:abc}"))
    with pytest.raises(ConfigError) as caught:
        load(Source.from_engine(plain.values, secret, project, "test"))
    (problem,) = caught.value.problems
    assert f"{problem.path}: {problem.message}".startswith(ENCRYPTED)
    write_stack(tmp_path, STACK.replace('image: "model:1"', "image: {secure: v1:abc}"))
    assert load(Source.from_engine(plain.values, secret, project, "test"))[1] == ()


def test_a_secret_of_another_region_is_doubted() -> None:
    (message,) = problems(service(secrets={"TOKEN": ARN.replace("us-east-1", "eu-west-1")}))
    assert message == (
        f"warning: {AT}.secrets.TOKEN: is in eu-west-1, the stack in us-east-1: no task would start while eu-west-1 is "
        "out of reach"
    )


@pytest.mark.parametrize("arn", ["token", ARN.replace("secretsmanager", "s3"), ARN.partition("secret:")[0]])
def test_a_secret_is_named_by_its_arn(arn: str) -> None:
    (message,) = errors(service(secrets={"TOKEN": arn}))
    assert "is not a valid place of a secret" in message


@pytest.mark.parametrize("end", ["", ":key::", "/ranker", "-AbCdE"])
def test_a_secret_has_the_end_that_secrets_manager_gave_it(end: str) -> None:
    """ECS finds it without, but the role's policy would name an ARN that no secret has."""
    (message,) = errors(service(secrets={"TOKEN": ARN.removesuffix("-AbCdEf") + end}))
    assert "its name followed by a hyphen and six characters" in message


@pytest.mark.parametrize("end", ["", ":key::", ":key:AWSCURRENT:", ":::0a1b-2c"])
def test_a_secret_may_be_one_key_or_version_of_it(end: str) -> None:
    assert errors(service(secrets={"TOKEN": ARN + end})) == []


def test_a_role_takes_so_many_policies() -> None:
    arns = [f"arn:aws:iam::123456789012:policy/p{n}" for n in range(21)]
    (message,) = errors(service(taskPolicyArns=arns))
    assert "21 policies, but a role takes at most 20 policies" in message
    (warning,) = problems(service(taskPolicyArns=arns[:11]))
    assert warning.startswith(f"warning: {AT}.taskPolicyArns: 11 policies; above 10 AWS must raise the account's quota")
    assert problems(service(taskPolicyArns=arns[:10])) == []


# Where it stands ------------------------------------------------------------------------------------------------------


def test_a_service_that_nothing_forwards_to_is_refused() -> None:
    assert errors(service(weights={"a": 1})) == [
        f"{AT}: nothing forwards to it, but ECS makes a service only behind a target group that a listener uses "
        "(ECS API CreateService); add b: 0 to abtest:weights"
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"weights": {"a": 1, "b": 0}},
        {"weights": {"a": 1}, "more": {"held": ["b"]}},
        {"weights": {"a": 1}, "more": {"override": {"secret": False}}},
        {"weights": {"a": 1}, "more": {"rules": {"r": {"priority": 1, "when": {"path": ["/b"]}, "forward": "b"}}}},
    ],
    ids=["warm", "rolled back", "forced", "by a rule"],
)
def test_a_service_that_something_forwards_to_or_did_is_fine(more: dict[str, Any]) -> None:
    assert errors(service(**more)) == []


@pytest.mark.parametrize("network", [{"internal": True}, {"targetSubnetTags": {"Tier": "private"}}])
def test_tasks_without_an_address_are_fine_in_subnets_with_a_way_out(network: dict[str, Any]) -> None:
    assert problems(service(publicIp=False, more={"network": network})) == []


def test_tasks_without_an_address_in_public_subnets_are_doubted() -> None:
    assert problems(service(publicIp=False)) == [
        f"warning: {AT}.publicIp: false, but in the load balancer's public subnets a task needs an address to fetch its "
        "image. Say true, or name private subnets in abtest:network.targetSubnetIds (docs/targets.md)"
    ]


# Target subnets -------------------------------------------------------------------------------------------------------


def test_target_subnets_are_named_once_and_for_something() -> None:
    both = {"targetSubnetIds": ["subnet-1", "subnet-1"], "targetSubnetTags": {"Tier": "private"}}
    assert problems(config(network=both)) == [
        "warning: abtest:network.targetSubnetIds: changes nothing: the stack starts no instances and no tasks of its own",
        "error: abtest:network.targetSubnetIds[1]: subnet-1 is listed twice; remove one",
        "error: abtest:network.targetSubnetTags: stands beside targetSubnetIds; give one of the two",
    ]
    (empty,) = errors(config(network={"targetSubnetIds": []}))
    assert "is empty, so nothing could be started" in empty
    (tags,) = errors(config(network={"targetSubnetTags": {}}))
    assert "names no tag" in tags
