"""The same stack as a straight script: the same look-ups and resources, by plain calls with literals.

The benchmark measures what components, a typed config and checks cost beyond this. It reads what any Pulumi program
would read (weights, rules), believes it, and does nothing else.
"""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_random as random

config = pulumi.Config()
weights = config.require_object("weights")
rules = config.require_object("rules")
tags = {"abtest:experiment": "abtest"}

vpc = aws.ec2.get_vpc(default=True)
found = aws.ec2.get_subnets(
    filters=[{"name": "vpc-id", "values": [vpc.id]}, {"name": "default-for-az", "values": ["true"]}]
)
subnets = sorted((aws.ec2.get_subnet(id=i) for i in found.ids), key=lambda s: (s.availability_zone, s.id))

lb_group = aws.ec2.SecurityGroup(
    "abtest",
    description="Load balancer of the A/B test",
    vpc_id=vpc.id,
    tags={"Name": "abtest", **tags},
)
aws.vpc.SecurityGroupIngressRule(
    "abtest-from-0.0.0.0/0-80",
    security_group_id=lb_group.id,
    ip_protocol="tcp",
    from_port=80,
    to_port=80,
    cidr_ipv4="0.0.0.0/0",
    tags=tags,
)

architectures = aws.ec2.get_instance_type(instance_type="t3.small").supported_architectures
image = aws.ssm.get_parameter(
    name=f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{architectures[-1]}"
).value
zones = aws.ec2.get_instance_type_offerings(
    location_type="availability-zone", filters=[{"name": "instance-type", "values": ["t3.small"]}]
).locations
offering = [subnet for subnet in subnets if subnet.availability_zone in zones]

server = (Path(__file__).parents[2] / "abtest" / "sample" / "server.py").read_text(encoding="utf-8")
target_groups = {}
attachments = {}
groups = {}
for variant in ("a", "b"):
    variant_tags = {**tags, "abtest:variant": variant}
    target_groups[variant] = aws.lb.TargetGroup(
        f"abtest-{variant}",
        port=8080,
        protocol="HTTP",
        protocol_version="HTTP1",
        target_type="instance",
        ip_address_type="ipv4",
        vpc_id=vpc.id,
        load_balancing_algorithm_type="least_outstanding_requests",
        deregistration_delay=60,
        slow_start=0,
        health_check={
            "enabled": True,
            "path": "/healthz",
            "port": "traffic-port",
            "protocol": "HTTP",
            "interval": 15,
            "timeout": 5,
            "healthy_threshold": 2,
            "unhealthy_threshold": 2,
            "matcher": "200",
        },
        tags=variant_tags,
    )
    groups[variant] = aws.ec2.SecurityGroup(
        f"abtest-{variant}",
        description="Instances of a variant of the A/B test",
        vpc_id=vpc.id,
        tags={"Name": f"abtest-{variant}", **variant_tags},
    )
    aws.vpc.SecurityGroupIngressRule(
        f"abtest-{variant}-from-lb-8080",
        security_group_id=groups[variant].id,
        ip_protocol="tcp",
        from_port=8080,
        to_port=8080,
        referenced_security_group_id=lb_group.id,
        tags=variant_tags,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"abtest-{variant}-to-8080",
        security_group_id=lb_group.id,
        ip_protocol="tcp",
        from_port=8080,
        to_port=8080,
        referenced_security_group_id=groups[variant].id,
        tags=variant_tags,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"abtest-{variant}-to-0.0.0.0/0",
        security_group_id=groups[variant].id,
        ip_protocol="-1",
        cidr_ipv4="0.0.0.0/0",
        tags=variant_tags,
    )
    aws.vpc.SecurityGroupEgressRule(
        f"abtest-{variant}-to-::/0",
        security_group_id=groups[variant].id,
        ip_protocol="-1",
        cidr_ipv6="::/0",
        tags=variant_tags,
    )
    instance = aws.ec2.Instance(
        f"abtest-{variant}-1",
        ami=image,
        instance_type="t3.small",
        subnet_id=offering[1 if variant == "a" else 2].id,
        vpc_security_group_ids=[groups[variant].id],
        user_data=f"""#!/bin/bash
set -euo pipefail
install -d /opt/abtest
cat > /opt/abtest/server.py <<'END_OF_SERVER'
{server.rstrip()}
END_OF_SERVER
cat > /etc/systemd/system/abtest-sample.service <<'END_OF_UNIT'
[Unit]
Description=Sample model server, version {variant}
After=network-online.target
[Service]
ExecStart=/usr/bin/python3 /opt/abtest/server.py --port 8080 --version={variant}
Restart=always
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
[Install]
WantedBy=multi-user.target
END_OF_UNIT
systemctl daemon-reload
systemctl enable --now abtest-sample.service
""",
        user_data_replace_on_change=True,
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required"},
        root_block_device={"encrypted": True, "volume_type": "gp3"},
        tags={"Name": f"abtest-{variant}-1", **variant_tags},
        opts=pulumi.ResourceOptions(replace_on_changes=["instanceType", "userData"], ignore_changes=["ami"]),
    )
    attachments[variant] = aws.lb.TargetGroupAttachment(
        f"abtest-{variant}-1",
        target_group_arn=target_groups[variant].arn,
        target_id=instance.id,
        port=8080,
    )

balancer = aws.lb.LoadBalancer(
    "abtest",
    load_balancer_type="application",
    internal=False,
    ip_address_type="ipv4",
    subnets=[subnet.id for subnet in subnets],
    security_groups=[lb_group.id],
    idle_timeout=60,
    enable_http2=True,
    drop_invalid_header_fields=True,
    desync_mitigation_mode="defensive",
    enable_deletion_protection=False,
    tags=tags,
)
listener = aws.lb.Listener(
    "listener-80",
    load_balancer_arn=balancer.arn,
    port=80,
    protocol="HTTP",
    default_actions=[
        {
            "type": "forward",
            "forward": {
                "target_groups": [
                    {"arn": target_groups["a"].arn, "weight": weights["a"]},
                    {"arn": target_groups["b"].arn, "weight": weights["b"]},
                ],
                "stickiness": {"enabled": True, "duration": 3600},
            },
        }
    ],
    tags={**tags, "abtest:control": "a"},
    opts=pulumi.ResourceOptions(depends_on=[attachments["a"], attachments["b"]]),
)
for name, rule in rules.items():
    conditions: list[Any] = []
    if "path" in rule["when"]:
        conditions.append({"path_pattern": {"values": rule["when"]["path"]}})
    for header, values in rule["when"].get("header", {}).items():
        conditions.append({"http_header": {"http_header_name": header, "values": values}})
    aws.lb.ListenerRule(
        f"rule-{rule['priority']}",
        listener_arn=listener.arn,
        priority=rule["priority"],
        conditions=conditions,
        actions=[
            {
                "type": "forward",
                "forward": {
                    "target_groups": [{"arn": target_groups[rule["forward"]].arn, "weight": 1}],
                    "stickiness": {"enabled": False, "duration": 1},
                },
            }
        ],
        tags={**tags, "abtest:rule": name},
        opts=pulumi.ResourceOptions(depends_on=[attachments[rule["forward"]]]),
    )
salt = random.RandomId("abtest-salt", byte_length=8, keepers={"experiment": "abtest"})

pulumi.export("alb_dns_name", balancer.dns_name)
pulumi.export("url", pulumi.Output.concat("http://", balancer.dns_name))
pulumi.export("listener_arn", listener.arn)
pulumi.export("load_balancer_arn", balancer.arn)
pulumi.export("target_group_arns", {name: group.arn for name, group in target_groups.items()})
pulumi.export("weights", weights)
pulumi.export("security_group_ids", {"load_balancer": lb_group.id, **{name: g.id for name, g in groups.items()}})
pulumi.export("assignment_salt", salt.hex)
