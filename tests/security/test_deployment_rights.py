"""The rights that docs/security.md gives for `pulumi up`, against what the provider calls for each resource."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest

from tests.configs import ROOT, STACKS
from tests.deployed import deploy

#: By resource: the row of the docs, and the calls that create, change and delete it (hashicorp/terraform-provider-aws
#: internal/service/, except for what a comment says).
CALLS: dict[str, tuple[str, str]] = {
    # GetSecurityGroupsForVpc: AWS asks for it itself (kubernetes-sigs/aws-load-balancer-controller 3917).
    "aws:lb/loadBalancer:LoadBalancer": ("always", "ec2:GetSecurityGroupsForVpc elasticloadbalancing:CreateLoadBalancer"),
    "aws:lb/listener:Listener": ("always", "elasticloadbalancing:ModifyListener ModifyListenerAttributes AddTags"),
    "aws:lb/listenerCertificate:ListenerCertificate": ("always", "elasticloadbalancing:AddListenerCertificates"),
    "aws:lb/listenerRule:ListenerRule": ("always", "elasticloadbalancing:CreateRule ModifyRule SetRulePriorities"),
    "aws:lb/targetGroup:TargetGroup": ("always", "elasticloadbalancing:ModifyTargetGroupAttributes"),
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": ("always", "elasticloadbalancing:DeregisterTargets"),
    "aws:ec2/securityGroup:SecurityGroup": (
        "always", "ec2:CreateSecurityGroup DeleteSecurityGroup RevokeSecurityGroupEgress CreateTags DeleteTags",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "always", "ec2:AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress ModifySecurityGroupRules",
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        "always", "ec2:AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress ModifySecurityGroupRules",
    ),
    "aws:ec2/instance:Instance": (
        "`launch`",
        "ec2:RunInstances StartInstances StopInstances TerminateInstances ModifyInstanceAttribute "
        "ModifyNetworkInterfaceAttribute AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation "
        "DisassociateIamInstanceProfile iam:PassRole",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        "`launch` with `min`, `max`",
        "ec2:CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate",
    ),
    "aws:autoscaling/group:Group": (
        "`launch` with `min`, `max`",
        "autoscaling:CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup StartInstanceRefresh "
        "CancelInstanceRefresh CreateOrUpdateTags DeleteTags",
    ),
    "aws:autoscaling/policy:Policy": ("`launch` with `min`, `max`", "autoscaling:PutScalingPolicy DeletePolicy"),
    "aws:ecs/cluster:Cluster": ("`ecs`", "ecs:CreateCluster UpdateCluster DeleteCluster"),
    "aws:ecs/taskDefinition:TaskDefinition": ("`ecs`", "ecs:RegisterTaskDefinition DeregisterTaskDefinition iam:PassRole"),
    "aws:ecs/service:Service": ("`ecs`", "ecs:CreateService UpdateService DeleteService TagResource"),
    "aws:appautoscaling/target:Target": ("`ecs`", "application-autoscaling:RegisterScalableTarget"),
    "aws:appautoscaling/policy:Policy": ("`ecs`", "application-autoscaling:PutScalingPolicy cloudwatch:PutMetricAlarm"),
    "aws:iam/role:Role": ("`ecs`", "iam:CreateRole DeleteRole ListInstanceProfilesForRole TagRole UntagRole"),
    "aws:iam/rolePolicy:RolePolicy": ("`ecs`", "iam:PutRolePolicy DeleteRolePolicy"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": ("`ecs`", "iam:AttachRolePolicy DetachRolePolicy"),
    "aws:cloudwatch/logGroup:LogGroup": ("`ecs`", "logs:CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource"),
    "aws:lambda/permission:Permission": ("`lambdaArn`", "lambda:AddPermission RemovePermission"),
    "aws:wafv2/webAclAssociation:WebAclAssociation": ("`waf`", "wafv2:AssociateWebACL DisassociateWebACL"),
    "aws:route53/record:Record": ("`dns`", "route53:ChangeResourceRecordSets GetChange"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("`alarms`", "cloudwatch:PutMetricAlarm DeleteAlarms TagResource"),
    "aws:cloudwatch/dashboard:Dashboard": ("`alarms`", "cloudwatch:PutDashboard DeleteDashboards"),
    "aws:s3/bucket:Bucket": (
        "`accessLogs` with a bucket of its own", "s3:CreateBucket DeleteBucket DeleteObject ListBucketVersions PutBucketTagging",
    ),
    "aws:s3/bucketPolicy:BucketPolicy": ("`accessLogs` with a bucket of its own", "s3:PutBucketPolicy DeleteBucketPolicy"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("`accessLogs` with a bucket of its own", "s3:PutBucketPublicAccessBlock"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ("`accessLogs` with a bucket of its own", "s3:PutLifecycleConfiguration"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "`accessLogs` with a bucket of its own", "s3:PutEncryptionConfiguration",
    ),
}  # fmt: skip


def actions(text: str) -> Iterator[str]:
    """The actions of a text; one without a service has that of the one before it."""
    service = ""
    for prefix, action in re.findall(r"(?<![\w-])(?:([a-z][a-z0-9-]*):)?([A-Z]\w+\*?|\*)", text):
        service = prefix or service
        yield f"{service}:{action}"


def documented(row: str) -> list[str]:
    """The actions in a row of the table of `pulumi up`."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("| `pulumi up` | that, and |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| ")]
    # Only what is between backticks is an action, not the words around it.
    cells = [" ".join(re.findall(r"`([^`]+)`", cell)) for name, cell in rows if name.strip() == row]
    assert cells, f"no row of {row}"
    return [action for cell in cells for action in actions(cell)]


@pytest.mark.parametrize("kind", CALLS)
def test_the_docs_give_the_rights_for_every_call_of_a_resource(kind: str) -> None:
    row, calls = CALLS[kind]
    given = documented(row)
    assert [call for call in actions(calls) if not any(fnmatchcase(call, each) for each in given)] == []


def test_the_rights_of_every_resource_are_looked_at() -> None:
    made = {r.type for stack in STACKS for r in deploy(stack).resources if not r.is_component}
    assert {kind for kind in made if kind.startswith("aws:")} == CALLS.keys()
