"""Fargate services: the tasks behind a variant's target group.

ECS makes a service only behind a target group that a listener uses already (ECS API CreateService), so a service comes
after the listener and its rules. Only stacks that have such a variant load this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

from abtest.experiment import Experiment
from abtest.experiment.types import Autoscaling, Ecs
from abtest.stack.ecs_roles import execution_role, task_role
from abtest.stack.look_up import Surroundings
from abtest.stack.network import ports_of
from abtest.stack.tags import tags_of
from abtest.stack.timeouts import beyond_drain
from abtest.stack.variant import Variant

if TYPE_CHECKING:
    from pulumi_aws import ecs

__all__ = ["Service", "services_of"]

TYPE = "abtest:stack:Service"

CONTAINER = "model"

#: Minutes to wait for a service, without its drain. On create and update until it runs: the circuit breaker finds out
#: what fails after several tasks have failed, each of them after its grace period. On delete as long as the provider
#: does by itself (hashicorp/terraform-provider-aws internal/service/ecs/service.go).
WAIT = {"create": 60, "update": 60, "delete": 20}


def services_of(
    name: str,
    experiment: Experiment,
    surroundings: Surroundings,
    variants: Mapping[str, Variant],
    balancer_suffix: pulumi.Input[str],
    after: Sequence[pulumi.Resource],
) -> Mapping[str, Service]:
    """By variant, for those that have a service. ``balancer_suffix`` is the last part of the load balancer's ARN;
    ``after`` is what forwards to the target groups.
    """
    clusters: dict[str | None, pulumi.Output[str]] = {
        known: pulumi.Output.from_input(arn) for known, arn in surroundings.clusters.items()
    }
    if any(config.cluster is None for config in experiment.services.values()):
        settings: list[ecs.ClusterSettingArgsDict] = [{"name": "containerInsights", "value": "enabled"}]
        clusters[None] = aws.ecs.Cluster(name, settings=settings, tags=tags_of(experiment)).arn
    return {
        variant: Service(
            variant,
            config,
            experiment,
            surroundings,
            clusters[config.cluster],
            variants[variant],
            balancer_suffix,
            after,
        )
        for variant, config in experiment.services.items()
    }


class Service(pulumi.ComponentResource):
    """A variant's tasks: their log, their rights, their definition, how many there are."""

    service: aws.ecs.Service

    def __init__(
        self,
        variant: str,
        config: Ecs,
        experiment: Experiment,
        surroundings: Surroundings,
        cluster_arn: pulumi.Output[str],
        behind: Variant,
        balancer_suffix: pulumi.Input[str],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name = f"abtest-{variant}"
        super().__init__(TYPE, name, None, opts)
        self._name, self._config, self._behind, self._cluster_arn = name, config, behind, cluster_arn
        self._variant = experiment.variants[variant]
        self._tags = tags_of(experiment, variant=variant)
        self._child = pulumi.ResourceOptions(parent=self)
        ports = ports_of(self._variant)
        definition, rights = self._definition(ports)
        self.service = self._service(
            definition,
            port=ports[0],
            subnets=[subnet.id for subnet in surroundings.network.target_subnets],
            after=[*after, *behind.openings, *rights],
        )
        if config.autoscaling is not None:
            self._scaling(config.autoscaling, balancer_suffix)
        self.register_outputs({"service_name": self.service.name})

    def _definition(self, ports: Sequence[int]) -> tuple[aws.ecs.TaskDefinition, list[pulumi.Resource]]:
        """The task definition, and what gives its roles their rights."""
        config, name, tags = self._config, self._name, self._tags
        logs = aws.cloudwatch.LogGroup(name, retention_in_days=config.log_retention_days, tags=tags, opts=self._child)
        starts, policy = execution_role(f"{name}-execution", config, self._cluster_arn, logs, tags, self._child)
        runs, policies = task_role(f"{name}-task", config, self._cluster_arn, tags, self._child)
        definition = aws.ecs.TaskDefinition(
            name,
            family=logs.name,  # it has to have one, which no other stack has
            requires_compatibilities=["FARGATE"],
            network_mode="awsvpc",
            cpu=str(config.cpu),
            memory=str(config.memory),
            runtime_platform={"operating_system_family": "LINUX", "cpu_architecture": config.architecture},
            ephemeral_storage=None
            if config.ephemeral_storage_gb is None
            else {"size_in_gib": config.ephemeral_storage_gb},
            execution_role_arn=starts.arn,
            task_role_arn=runs.arn,
            container_definitions=pulumi.Output.json_dumps([self._container(ports, logs)]),
            volumes=[{"name": "tmp"}] if config.read_only_root else None,
            tags=tags,
            opts=self._child,
        )
        return definition, [policy, *policies]

    def _container(self, ports: Sequence[int], logs: aws.cloudwatch.LogGroup) -> Mapping[str, Any]:
        """Source: ECS API ContainerDefinition."""
        config = self._config
        given: dict[str, Any] = {"command": list(config.command), "user": config.user}
        if config.read_only_root:
            given["mountPoints"] = [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}]  # noqa: S108 the container's own
        return {
            "name": CONTAINER,
            "image": config.image,
            "essential": True,
            "portMappings": [{"containerPort": port, "hostPort": port, "protocol": "tcp"} for port in ports],
            "environment": [{"name": key, "value": value} for key, value in sorted(config.environment.items())],
            "secrets": [{"name": key, "valueFrom": arn} for key, arn in sorted(config.secrets.items())],
            "readonlyRootFilesystem": config.read_only_root,
            # A model server is no init: without one nobody takes care of the processes that it leaves.
            "linuxParameters": {"initProcessEnabled": True},
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": logs.name,
                    "awslogs-region": self._cluster_arn.apply(lambda arn: arn.split(":")[3]),
                    "awslogs-stream-prefix": CONTAINER,
                },
            },
            **{key: value for key, value in given.items() if value},
        }

    def _service(
        self,
        definition: aws.ecs.TaskDefinition,
        *,
        port: int,
        subnets: Sequence[str],
        after: Sequence[pulumi.Resource],
    ) -> aws.ecs.Service:
        config, group = self._config, self._behind.security_group
        scaling = config.autoscaling
        return aws.ecs.Service(
            self._name,
            cluster=self._cluster_arn,
            task_definition=definition.arn,
            desired_count=config.count if scaling is None else scaling.min,
            launch_type="FARGATE",
            platform_version="LATEST",
            # Never its blue/green, linear or canary: ECS would then set the weights of the listener, which are ours.
            deployment_controller={"type": "ECS"},
            deployment_configuration={"strategy": "ROLLING"},
            deployment_circuit_breaker={"enable": True, "rollback": True},
            # New tasks are healthy before old ones leave.
            deployment_minimum_healthy_percent=100,
            deployment_maximum_percent=200,
            availability_zone_rebalancing="ENABLED",
            load_balancers=[
                {
                    "target_group_arn": self._behind.target_group.arn,
                    "container_name": CONTAINER,
                    "container_port": port,
                }
            ],
            health_check_grace_period_seconds=config.health_check_grace_seconds,
            network_configuration={
                "subnets": list(subnets),
                "security_groups": [group.id] if group is not None else [],
                "assign_public_ip": config.public_ip,
            },
            wait_for_steady_state=True,
            enable_ecs_managed_tags=True,
            propagate_tags="SERVICE",
            tags=self._tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(after),
                custom_timeouts=beyond_drain(self._variant, **WAIT),
                ignore_changes=None if scaling is None else ["desiredCount"],
            ),
        )

    def _scaling(self, scaling: Autoscaling, balancer_suffix: pulumi.Input[str]) -> None:
        """As many tasks as keep the requests of each at a number."""
        cluster = self._cluster_arn.apply(lambda arn: arn.rpartition("/")[2])
        target = aws.appautoscaling.Target(
            self._name,
            service_namespace="ecs",
            scalable_dimension="ecs:service:DesiredCount",
            resource_id=pulumi.Output.concat("service/", cluster, "/", self.service.name),
            min_capacity=scaling.min,
            max_capacity=scaling.max,
            tags=self._tags,
            opts=self._child,
        )
        aws.appautoscaling.Policy(
            self._name,
            policy_type="TargetTrackingScaling",
            service_namespace=target.service_namespace,
            scalable_dimension=target.scalable_dimension,
            resource_id=target.resource_id,
            target_tracking_scaling_policy_configuration={
                "target_value": scaling.requests_per_target,
                "predefined_metric_specification": {
                    "predefined_metric_type": "ALBRequestCountPerTarget",
                    "resource_label": self._behind.requests_behind(balancer_suffix),
                },
            },
            opts=self._child,
        )
