"""What a change replaces: the load balancer, target groups, launched instances, services and their tasks.

Which inputs replace a resource: pulumi_aws ``lb.LoadBalancer``, ``lb.TargetGroup``, ``ec2.Instance`` and
``ecs.Service`` (ForceNew in hashicorp/terraform-provider-aws), and what ``abtest.stack.launch`` adds. A key pair or
image that the file no longer names stays. AWS replaces the instances of an Auto Scaling group when its launch template
has another version (``abtest.stack.autoscaling``), and the tasks of a service when their definition or network changes.
Where AWS would have to be asked (which subnets do these tags find?), a replacement is not certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from abtest.experiment.types import Ecs, Launch, Network, Targets, Variant
from abtest.rollout.diff.version import Version

__all__ = ["Replacement", "replacements"]

#: The key path of what differs, and whether it replaces for certain.
Reason = tuple[str, bool]


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """``count`` resources of one kind ("load balancer", "target group", "instance", "service" or "task"), or more where
    that is not ``exact``; ``why`` holds key paths.
    """

    what: str
    why: tuple[str, ...]
    certain: bool
    variant: str | None = None
    count: int = 1
    exact: bool = True

    @property
    def is_one(self) -> bool:
        return self.count == 1 and self.exact


def replacements(before: Version, after: Version) -> tuple[Replacement, ...]:
    """What both sides have, but not as the same resource. What only one side has is made or deleted."""
    return tuple(_replacements(before, after))


def _replacements(before: Version, after: Version) -> Iterator[Replacement]:
    was, now = before.experiment, after.experiment
    moved = [*_region(before, after), *_vpc(was.network, now.network)]
    if reasons := [*moved, *_differs("abtest:network.internal", was.network.internal, now.network.internal)]:
        yield _made("load balancer", reasons)
    for name in sorted(was.variants.keys() & now.variants.keys()):
        old, new = was.variants[name], now.variants[name]
        path = f"abtest:variants.{name}"
        group = [*moved, *_group(path, old, new)]
        if group:
            yield _made("target group", group, variant=name)
        starts, started = new.targets.launch, old.targets.launch
        if starts is not None and started is not None:
            own = [*_launch(f"{path}.targets.launch", started, starts), *_script(path, name, before, after)]
            elsewhere = group if starts.scales else [*moved, *_subnets(was.network, now.network)]
            if reasons := list(dict.fromkeys([*elsewhere, *own])):
                yield _instances(name, started, starts, reasons)
        runs, ran = new.targets.ecs, old.targets.ecs
        if runs is not None and ran is not None:
            yield from _service(name, ran, runs, [*moved, *_subnets(was.network, now.network)], (old, new))


def _instances(variant: str, before: Launch, after: Launch, reasons: list[Reason]) -> Replacement:
    """Of single instances those that both sides have, of an Auto Scaling group however many there are."""
    count = before.min or (before.count if after.scales else min(before.count, after.count))
    return replace(_made("instance", reasons, variant), count=count, exact=before.min == before.max)


def _made(what: str, reasons: list[Reason], variant: str | None = None) -> Replacement:
    return Replacement(
        what=what,
        why=tuple(path for path, _ in reasons),
        certain=any(certain for _, certain in reasons),
        variant=variant,
    )


def _differs(path: str, before: object, after: object, *, certain: bool = True) -> list[Reason]:
    return [(path, certain)] if before != after else []


def _region(before: Version, after: Version) -> list[Reason]:
    return _differs("aws:region", before.elsewhere.get("aws:region"), after.elsewhere.get("aws:region"))


def _vpc(before: Network, after: Network) -> list[Reason]:
    is_known = before.vpc_id is not None and after.vpc_id is not None
    return [
        *_differs("abtest:network.vpcId", before.vpc_id, after.vpc_id, certain=is_known),
        *_differs("abtest:network.vpcTags", before.vpc_tags, after.vpc_tags, certain=False)[: not is_known],
    ]


def _subnets(before: Network, after: Network) -> list[Reason]:
    """Those of what is started: the load balancer's say so only where none are named for it."""
    own = [*_target_ids(before, after), *_target_tags(before, after)]
    if all(network.target_subnet_ids or network.target_subnet_tags for network in (before, after)):
        return own
    ids = (frozenset(network.subnet_ids or ()) for network in (before, after))
    return [
        *own,
        *_differs("abtest:network.subnetIds", *ids, certain=False),
        *_differs("abtest:network.subnetTags", before.subnet_tags, after.subnet_tags, certain=False),
    ]


def _target_ids(before: Network, after: Network) -> list[Reason]:
    ids = (frozenset(network.target_subnet_ids or ()) for network in (before, after))
    return _differs("abtest:network.targetSubnetIds", *ids, certain=False)


def _target_tags(before: Network, after: Network) -> list[Reason]:
    tags = (network.target_subnet_tags for network in (before, after))
    return _differs("abtest:network.targetSubnetTags", *tags, certain=False)


#: What a task definition or a service's network says. Anything else of a service is changed in place.
_OF_TASKS = (
    "image",
    "cpu",
    "memory",
    "command",
    "environment",
    "secrets",
    "architecture",
    "ephemeral_storage_gb",
    "user",
    "read_only_root",
    "public_ip",
)


def _service(
    name: str, before: Ecs, after: Ecs, moved: list[Reason], variants: tuple[Variant, Variant]
) -> Iterator[Replacement]:
    path = f"abtest:variants.{name}.targets.ecs"
    if reasons := _differs(f"{path}.cluster", before.cluster, after.cluster):
        yield _made("service", reasons, variant=name)
    old, new = variants
    reasons = [
        *moved,
        *_differs(f"abtest:variants.{name}.port", old.target_port, new.target_port),
        *_differs(f"abtest:variants.{name}.healthCheck.port", old.health_check.port, new.health_check.port),
    ]
    for field, key in zip(Ecs.__struct_fields__, Ecs.__struct_encode_fields__, strict=True):
        if field in _OF_TASKS:
            reasons += _differs(f"{path}.{key}", getattr(before, field), getattr(after, field))
    if reasons:
        yield replace(_made("task", reasons, variant=name), exact=False)


def _group(path: str, before: Variant, after: Variant) -> list[Reason]:
    return [
        *_differs(f"{path}.port", before.target_port, after.target_port),
        *_differs(f"{path}.protocol", before.protocol, after.protocol),
        *_differs(f"{path}.protocolVersion", before.protocol_version, after.protocol_version),
        *_differs(f"{path}.targets", _types(before.targets), _types(after.targets)),
    ]


def _types(targets: Targets) -> tuple[str, str]:
    """Target type and address type of the group; of a Lambda function itself, since a group holds one."""
    if targets.lambda_arn is not None:
        return "lambda", targets.lambda_arn
    addresses = targets.ip_addresses
    return (
        targets.external or ("instance" if addresses is None and targets.ecs is None else "ip"),
        "ipv6" if any(":" in address for address in addresses or ()) else "ipv4",
    )


def _launch(path: str, before: Launch, after: Launch) -> list[Reason]:
    if before.scales != after.scales:
        return _differs(f"{path}.min", before.min, after.min)
    reasons = [
        *_differs(f"{path}.instanceType", before.instance_type, after.instance_type),
        *_differs(f"{path}.rootVolumeGb", before.root_volume_gb, after.root_volume_gb),
    ]
    if after.ami is not None:
        # Where no image was named, it was the newest of its day, which may be the very one that is named now.
        reasons += _differs(f"{path}.ami", before.ami, after.ami, certain=before.ami is not None)
    if after.scales:  # whatever the launch template says
        return [
            *reasons,
            *_differs(f"{path}.keyName", before.key_name, after.key_name),
            *_differs(f"{path}.instanceProfile", before.instance_profile, after.instance_profile),
            *_differs(f"{path}.publicIp", before.public_ip, after.public_ip),
        ]
    if after.key_name is not None:
        reasons += _differs(f"{path}.keyName", before.key_name, after.key_name)
    if after.public_ip is not None:  # where it was not said, the subnet may have said the same
        reasons += _differs(f"{path}.publicIp", before.public_ip, after.public_ip, certain=before.public_ip is not None)
    return reasons


def _script(path: str, name: str, before: Version, after: Version) -> list[Reason]:
    """The start-up script; without one of its own, a variant starts the sample server on its port."""
    scripts = before.scripts.get(name), after.scripts.get(name)
    if scripts == (None, None):
        return _differs(f"{path}.port", *(version.experiment.variants[name].target_port for version in (before, after)))
    return _differs(f"{path}.targets.launch.userDataFile", *scripts)
