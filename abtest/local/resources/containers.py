"""Fargate services with what they need: roles, a log, a cluster, task definitions and scaling. No task ever runs."""

from __future__ import annotations

import json

from abtest.local.clients import ACCOUNT, Clients, Inputs, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _role(aws: Clients, name: str, inputs: Inputs) -> Created:
    role = aws.iam.create_role(
        RoleName=physical_name(name),
        AssumeRolePolicyDocument=inputs.take("assumeRolePolicy"),
        Tags=tag_list(inputs.take("tags")),
    )["Role"]
    return role["RoleName"], {"arn": role["Arn"], "name": role["RoleName"]}


def _role_policy(aws: Clients, name: str, inputs: Inputs) -> Created:
    role, policy = inputs.take("role"), physical_name(name)
    aws.iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=inputs.take("policy"))
    return f"{role}:{policy}", {"name": policy}


def _role_policy_attachment(aws: Clients, _: str, inputs: Inputs) -> Created:
    role, policy = inputs.take("role"), inputs.take("policyArn")
    aws.iam.attach_role_policy(RoleName=role, PolicyArn=policy)
    return f"{role}-{policy}", {}


def _log_group(aws: Clients, name: str, inputs: Inputs) -> Created:
    group = physical_name(name)
    aws.logs.create_log_group(logGroupName=group, tags=inputs.take("tags"))
    aws.logs.put_retention_policy(logGroupName=group, retentionInDays=inputs.take("retentionInDays"))
    return group, {"arn": f"arn:{aws.partition}:logs:{aws.region}:{ACCOUNT}:log-group:{group}", "name": group}


def _cluster(aws: Clients, name: str, inputs: Inputs) -> Created:
    cluster = aws.ecs.create_cluster(
        clusterName=physical_name(name), settings=inputs.take("settings"), tags=_tags(inputs)
    )["cluster"]
    return cluster["clusterArn"], {"arn": cluster["clusterArn"], "name": cluster["clusterName"]}


def _task_definition(aws: Clients, _: str, inputs: Inputs) -> Created:
    platform, disk = inputs.take("runtimePlatform"), inputs.take("ephemeralStorage")
    definition = aws.ecs.register_task_definition(
        containerDefinitions=json.loads(inputs.take("containerDefinitions")),
        runtimePlatform={
            "cpuArchitecture": platform["cpuArchitecture"],
            "operatingSystemFamily": platform["operatingSystemFamily"],
        },
        volumes=[{"name": volume["name"]} for volume in inputs.take("volumes", [])],
        **({"ephemeralStorage": {"sizeInGiB": disk["sizeInGib"]}} if disk else {}),
        **inputs.some(
            family="family",
            requiresCompatibilities="requiresCompatibilities",
            networkMode="networkMode",
            cpu="cpu",
            memory="memory",
            executionRoleArn="executionRoleArn",
            taskRoleArn="taskRoleArn",
        ),
        tags=_tags(inputs),
    )["taskDefinition"]
    return definition["family"], {"arn": definition["taskDefinitionArn"], "revision": definition["revision"]}


def _service(aws: Clients, name: str, inputs: Inputs) -> Created:
    inputs.take("waitForSteadyState")  # no task starts here
    strategy, breaker = inputs.take("deploymentConfiguration"), inputs.take("deploymentCircuitBreaker")
    network = inputs.take("networkConfiguration")
    service = aws.ecs.create_service(
        serviceName=physical_name(name),
        deploymentConfiguration={
            "strategy": strategy["strategy"],
            "deploymentCircuitBreaker": {"enable": breaker["enable"], "rollback": breaker["rollback"]},
            "minimumHealthyPercent": inputs.take("deploymentMinimumHealthyPercent"),
            "maximumPercent": inputs.take("deploymentMaximumPercent"),
        },
        deploymentController={"type": inputs.take("deploymentController")["type"]},
        loadBalancers=[
            {
                "targetGroupArn": balancer["targetGroupArn"],
                "containerName": balancer["containerName"],
                "containerPort": balancer["containerPort"],
            }
            for balancer in inputs.take("loadBalancers")
        ],
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": network["subnets"],
                "securityGroups": network["securityGroups"],
                "assignPublicIp": "ENABLED" if network["assignPublicIp"] else "DISABLED",
            }
        },
        **inputs.some(
            cluster="cluster",
            taskDefinition="taskDefinition",
            desiredCount="desiredCount",
            launchType="launchType",
            platformVersion="platformVersion",
            availabilityZoneRebalancing="availabilityZoneRebalancing",
            healthCheckGracePeriodSeconds="healthCheckGracePeriodSeconds",
            enableECSManagedTags="enableEcsManagedTags",
            propagateTags="propagateTags",
        ),
        tags=_tags(inputs),
    )["service"]
    return service["serviceArn"], {"arn": service["serviceArn"], "name": service["serviceName"]}


def _scaling_target(aws: Clients, _: str, inputs: Inputs) -> Created:
    resource, namespace = inputs.take("resourceId"), inputs.take("serviceNamespace")
    dimension = inputs.take("scalableDimension")
    getattr(aws, "application-autoscaling").register_scalable_target(
        ServiceNamespace=namespace,
        ResourceId=resource,
        ScalableDimension=dimension,
        MinCapacity=inputs.take("minCapacity"),
        MaxCapacity=inputs.take("maxCapacity"),
        Tags=inputs.take("tags"),
    )
    return f"{namespace}/{resource}/{dimension}", {"resourceId": resource}


def _scaling_policy(aws: Clients, name: str, inputs: Inputs) -> Created:
    policy, tracking = physical_name(name), inputs.take("targetTrackingScalingPolicyConfiguration")
    metric = tracking["predefinedMetricSpecification"]
    getattr(aws, "application-autoscaling").put_scaling_policy(
        PolicyName=policy,
        PolicyType=inputs.take("policyType"),
        ServiceNamespace=inputs.take("serviceNamespace"),
        ResourceId=inputs.take("resourceId"),
        ScalableDimension=inputs.take("scalableDimension"),
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": tracking["targetValue"],
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": metric["predefinedMetricType"],
                "ResourceLabel": metric["resourceLabel"],
            },
        },
    )
    return policy, {"name": policy}


def _tags(inputs: Inputs) -> list[dict[str, str]]:
    """ECS has names of its own for the parts of a tag."""
    return [{"key": key, "value": value} for key, value in inputs.take("tags").items()]


MAKERS: Makers = {
    "aws:iam/role:Role": _role,
    "aws:iam/rolePolicy:RolePolicy": _role_policy,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _role_policy_attachment,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ecs/cluster:Cluster": _cluster,
    "aws:ecs/taskDefinition:TaskDefinition": _task_definition,
    "aws:ecs/service:Service": _service,
    "aws:appautoscaling/target:Target": _scaling_target,
    "aws:appautoscaling/policy:Policy": _scaling_policy,
}
