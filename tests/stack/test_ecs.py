"""Fargate services, deployed whole from the example: rights, definition, order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from abtest import local
from abtest.experiment import ConfigError
from abtest.local import DeployError, Deployment, assumed
from abtest.local.balancer import Deployed
from abtest.stack.look_up import Subnet, network
from tests.configs import VARIANT, config
from tests.deployed import deploy

SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:features-AbCdEf"  # noqa: S105 where it is, not what
PARAMETER = "arn:aws:ssm:us-east-1:123456789012:parameter/ranker/token"


@pytest.fixture(scope="module")
def found(examples: Callable[[str], Deployment]) -> Deployment:
    return examples("ecs")


def service(**ecs: Any) -> dict[str, Any]:
    """A config with one service."""
    given = {"image": "example.com/model:1", "cpu": 256, "memory": 512, "publicIp": True, **ecs}
    return config(weights={"a": 1}, variants={"a": {"port": 8080, "targets": {"ecs": given}}})


def container(deployment: Deployment, variant: str = "a") -> dict[str, Any]:
    definition = deployment.of_type(":TaskDefinition")[f"abtest-{variant}"].inputs
    (only,) = json.loads(definition["containerDefinitions"])
    assert isinstance(only, dict)
    return only


def statements(deployment: Deployment, variant: str = "a") -> list[dict[str, Any]]:
    policy = deployment.of_type(":RolePolicy")[f"abtest-{variant}-execution"].inputs["policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


# The example ----------------------------------------------------------------------------------------------------------


def test_each_service_is_behind_the_group_of_its_variant_in_private_subnets(found: Deployment) -> None:
    made = found.of_type("ecs/service:Service")["abtest-b"].inputs
    assert made["loadBalancers"] == [
        {"containerName": "model", "containerPort": 8080, "targetGroupArn": found.outputs["target_group_arns"]["b"]}
    ]
    private = {line.split()[1] for line in found.assumed if "Tier=private" in line}
    assert made["networkConfiguration"] == {
        "assignPublicIp": False,
        "securityGroups": [found.outputs["security_group_ids"]["b"]],
        "subnets": made["networkConfiguration"]["subnets"],
    }
    assert set(made["networkConfiguration"]["subnets"]) == private
    assert {group["TargetType"] for group in found.described["TargetGroups"]} == {"ip"}
    assert found.of_type(":TargetGroupAttachment") == {}
    assert set(found.outputs["ecs_services"]) == {"a", "b"}


def test_a_service_rolls_by_itself_and_leaves_the_weights_alone(found: Deployment) -> None:
    made = found.of_type("ecs/service:Service")["abtest-b"].inputs
    kept = {
        "launchType": "FARGATE", "platformVersion": "LATEST", "desiredCount": 2, "waitForSteadyState": True,
        "deploymentController": {"type": "ECS"}, "deploymentConfiguration": {"strategy": "ROLLING"},
        "deploymentCircuitBreaker": {"enable": True, "rollback": True}, "deploymentMinimumHealthyPercent": 100,
        "deploymentMaximumPercent": 200, "availabilityZoneRebalancing": "ENABLED", "healthCheckGracePeriodSeconds": 300,
        "enableEcsManagedTags": True, "propagateTags": "SERVICE",
    }  # fmt: skip
    assert {key: made[key] for key in kept} == kept
    assert made["tags"] == {"abtest:experiment": "ranker-containers", "abtest:variant": "b", "team": "ranking"}
    assert "name" not in made


def test_services_come_after_what_forwards_to_them_and_the_name_after_the_services(found: Deployment) -> None:
    listener = found.of_type("lb/listener:Listener")["listener-443"]
    services = found.of_type("ecs/service:Service").values()
    openings = [*found.of_type("IngressRule").values(), *found.of_type("EgressRule").values()]
    for made in services:
        own = {rule.urn for rule in openings if rule.name.startswith(f"{made.name}-")}
        assert len(own) == 4
        policy = found.of_type(":RolePolicy")[f"{made.name}-execution"]
        assert {listener.urn, policy.urn, *own} <= made.depends_on
    (record,) = found.of_type("route53/record:Record").values()
    assert {made.urn for made in services} <= record.depends_on


def test_the_container_gets_what_the_file_says_and_can_write_to_tmp_alone(found: Deployment) -> None:
    logs = found.of_type(":LogGroup")["abtest-a"]
    assert container(found) == {
        "name": "model", "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/ranker:2026-10-02", "essential": True,
        "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp"}],
        "environment": [
            {"name": "LOG_LEVEL", "value": "info"}, {"name": "MODEL", "value": "s3://models.example.com/ranker/7"},
        ],
        "secrets": [{"name": "FEATURES_TOKEN", "valueFrom": f"{SECRET}:token::"}],
        "user": "1000", "readonlyRootFilesystem": True, "linuxParameters": {"initProcessEnabled": True},
        "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}],  # noqa: S108 the container's own
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": logs.state["name"], "awslogs-region": "us-east-1", "awslogs-stream-prefix": "model",
            },
        },
    }  # fmt: skip
    assert logs.inputs["retentionInDays"] == 30
    definition = found.of_type(":TaskDefinition")["abtest-a"].inputs
    assert (definition["cpu"], definition["memory"], definition["networkMode"]) == ("2048", "8192", "awsvpc")
    assert definition["runtimePlatform"] == {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}
    assert definition["volumes"] == [{"name": "tmp"}]
    assert definition["family"] == logs.state["name"]


def test_ecs_may_fetch_this_image_and_these_secrets_and_write_this_log_alone(found: Deployment) -> None:
    log = found.of_type(":LogGroup")["abtest-a"].state["arn"]
    assert statements(found) == [
        {
            "Sid": "WriteLogs", "Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{log}:*",
        },
        {"Sid": "EnterRegistry", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Sid": "PullImage", "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": "arn:aws:ecr:us-east-1:123456789012:repository/ranker",
        },
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [SECRET]},
        {
            "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:SecretARN": [SECRET]}},
        },
    ]  # fmt: skip


def test_the_container_may_do_what_the_file_names_and_nothing_else(found: Deployment) -> None:
    role = found.of_type("iam/role:Role")["abtest-a-task"]
    attached = [r.inputs for r in found.of_type(":RolePolicyAttachment").values() if r.inputs["role"] == role.id]
    assert [each["policyArn"] for each in attached] == ["arn:aws:iam::123456789012:policy/read-models"]
    assert set(found.of_type(":RolePolicy")) == {"abtest-a-execution", "abtest-b-execution"}
    definition = found.of_type(":TaskDefinition")["abtest-a"].inputs
    assert definition["taskRoleArn"] == role.state["arn"] != definition["executionRoleArn"]


def test_tasks_of_this_account_and_region_alone_take_a_role(found: Deployment) -> None:
    for role in found.of_type("iam/role:Role").values():
        (statement,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
        assert statement == {
            "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole",
            "Condition": {
                "ArnLike": {"aws:SourceArn": "arn:aws:ecs:us-east-1:123456789012:*"},
                "StringEquals": {"aws:SourceAccount": "123456789012"},
            },
        }  # fmt: skip


def test_a_service_that_scales_does_so_by_the_requests_of_its_own_group(found: Deployment) -> None:
    made = found.of_type("ecs/service:Service")["abtest-a"]
    (target,) = found.of_type("appautoscaling/target:Target").values()
    (policy,) = found.of_type("appautoscaling/policy:Policy").values()
    cluster = found.of_type(":Cluster")["abtest"].state["name"]
    assert target.inputs["resourceId"] == policy.inputs["resourceId"] == f"service/{cluster}/{made.state['name']}"
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"], made.inputs["desiredCount"]) == (2, 10, 2)
    group, balancer = found.outputs["target_group_arns"]["a"], found.outputs["load_balancer_arn"]
    assert policy.inputs["targetTrackingScalingPolicyConfiguration"] == {
        "targetValue": 600,
        "predefinedMetricSpecification": {
            "predefinedMetricType": "ALBRequestCountPerTarget",
            "resourceLabel": f"{balancer.partition('loadbalancer/')[2]}/{group.rpartition(':')[2]}",
        },
    }


def test_everything_that_takes_tags_has_them(found: Deployment) -> None:
    """A policy of a role, an attachment and a scaling policy take none."""
    without = {r.type.split(":")[-1] for r in found.resources if not r.is_component and "tags" not in r.inputs}
    assert without == {"RolePolicy", "RolePolicyAttachment", "Policy", "Record", "RandomId"}


def test_the_local_balancer_answers_for_tasks_that_run_nowhere(found: Deployment) -> None:
    groups = Deployed.from_described(found.described).groups.values()
    assert {group.variant: len(group.targets) for group in groups} == {"a": 1, "b": 1}


# Other configs --------------------------------------------------------------------------------------------------------


def test_another_registry_needs_no_rights_and_a_parameter_is_read_from_its_store() -> None:
    reads = statements(deploy(service(secrets={"TOKEN": PARAMETER})))[1:]
    assert reads == [
        {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": [PARAMETER]},
        {
            "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": [PARAMETER]}},
        },
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("210987654321.dkr.ecr.eu-west-1.amazonaws.com/team/ranker:2", "eu-west-1:210987654321:repository/team/ranker"),
        ("123456789012.dkr-ecr.us-east-1.on.aws/ranker:2", "us-east-1:123456789012:repository/ranker"),
        (f"123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/r@sha256:{'0' * 64}", "us-east-1:123456789012:repository/r"),
    ],
)  # fmt: skip
def test_an_image_is_pulled_from_the_repository_that_it_names(image: str, repository: str) -> None:
    _, _, pull = statements(deploy(service(image=image)))
    assert pull["Resource"] == f"arn:aws:ecr:{repository}"


def test_a_container_that_may_write_anywhere_has_no_volume() -> None:
    found = deploy(service(readOnlyRoot=False, ephemeralStorageGb=50, command=["--workers", "2"]))
    made = container(found)
    assert made["readonlyRootFilesystem"] is False
    assert made["command"] == ["--workers", "2"]
    assert "mountPoints" not in made
    definition = found.of_type(":TaskDefinition")["abtest-a"].inputs
    assert definition["ephemeralStorage"] == {"sizeInGib": 50}
    assert "volumes" not in definition


def test_a_health_check_on_a_port_of_its_own_reaches_the_container() -> None:
    keys = service()
    keys["abtest:variants"]["a"]["healthCheck"] = {"port": 9000}
    found = deploy(keys)
    assert [each["containerPort"] for each in container(found)["portMappings"]] == [8080, 9000]
    (made,) = found.of_type("ecs/service:Service").values()
    assert made.inputs["loadBalancers"][0]["containerPort"] == 8080
    assert {"abtest-a-from-lb-8080", "abtest-a-from-lb-9000"} <= set(found.of_type("IngressRule"))


def test_the_security_group_stays_when_a_variant_becomes_a_service() -> None:
    """Another one would cut the targets off that still serve."""
    launched = {"port": 8080, "targets": {"launch": {"instanceType": "t3.small"}}}
    was, now = (
        deploy(keys).of_type(":SecurityGroup")["abtest-a"].inputs
        for keys in (config(weights={"a": 1}, variants={"a": launched}), service())
    )
    assert (was["description"], was["tags"]) == (now["description"], now["tags"])


def test_a_cluster_that_is_named_is_used_and_none_is_made() -> None:
    found = deploy(service(cluster="models"))
    assert found.of_type(":Cluster") == {}
    (made,) = found.of_type("ecs/service:Service").values()
    assert made.inputs["cluster"] == "arn:aws:ecs:us-east-1:123456789012:cluster/models"
    assert "ECS cluster models" in found.assumed


def test_a_cluster_that_is_not_there_is_named_before_anything_is_made() -> None:
    with pytest.raises(ConfigError) as caught:
        local.deploy(service(cluster="models"), assume=False, on_resource=lambda *_: pytest.fail("made"))
    (problem,) = (each for each in caught.value.problems if each.severity == "error")
    assert problem.path == "abtest:variants.a.targets.ecs.cluster"
    assert problem.message.startswith("the cluster models cannot be found: ")


def test_rights_are_not_made_up_for_what_is_encrypted() -> None:
    with pytest.raises(DeployError, match=r"encrypted addresses or ARNs .* cannot be deployed here"):
        deploy(service(secrets={"TOKEN": {"secure": "v1:abc"}}))


# Target subnets -------------------------------------------------------------------------------------------------------


def test_what_is_started_runs_in_the_target_subnets_and_the_load_balancer_in_its_own() -> None:
    named = {
        "vpcId": "vpc-0a", "subnetIds": ["subnet-0a", "subnet-0b"],
        "targetSubnetIds": ["subnet-0c", "subnet-0d", "subnet-0e"],
    }  # fmt: skip
    launch = {"port": 8080, "targets": {"launch": {"instanceType": "t3.small", "count": 3}}}
    found = deploy(config(weights={"a": 1}, variants={"a": launch}, network=named))
    assert {r.inputs["subnetId"] for r in found.of_type(":Instance").values()} == set(named["targetSubnetIds"])
    (balancer,) = found.of_type("aws:lb/loadBalancer:LoadBalancer").values()
    assert set(balancer.inputs["subnets"]) == set(named["subnetIds"])


def test_a_zone_that_the_load_balancer_is_not_in_is_no_place_for_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    real = network._subnet

    def found(subnet: str) -> Subnet:
        return msgspec.structs.replace(real(subnet), **({"zone": "us-east-1f"} if subnet == "subnet-0f" else {}))

    monkeypatch.setattr(assumed, "_zones", lambda _: ["us-east-1a", "us-east-1b"])
    monkeypatch.setattr(network, "_subnet", found)
    tagged = {"vpcTags": {"Name": "x"}, "subnetTags": {"Tier": "public"}, "targetSubnetIds": ["subnet-0f"]}
    with pytest.raises(ConfigError) as caught:
        deploy(config(network=tagged, weights={"a": 1}, variants={"a": VARIANT}))
    (problem,) = (each for each in caught.value.problems if each.severity == "error")
    assert problem.path == "abtest:network.targetSubnetIds"
    assert problem.message.startswith(
        "subnet-0f is in us-east-1f, where the load balancer has no subnet: no request would reach what runs there (API "
        "TargetHealth, Target.NotInUse); take subnets of us-east-1a, us-east-1b"
    )


def test_target_subnets_that_are_not_there_are_named() -> None:
    for given, words in (
        ({"targetSubnetIds": ["subnet-9"]}, "targetSubnetIds: a subnet cannot be found: no matching EC2 Subnet found"),
        ({"targetSubnetTags": {"Tier": "private"}}, "has these tags"),
    ):
        with pytest.raises(ConfigError) as caught:
            deploy(config(network=given), assume=False)
        assert any(words in str(problem) for problem in caught.value.problems)
