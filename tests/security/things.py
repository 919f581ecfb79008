"""What a deployment made, in the units that Security Hub's controls look at."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from abtest.local import Deployment, Resource

__all__ = ["Thing", "things"]

#: Plain values: a resource's inputs in the provider's camelCase, and what other resources say of it.
Thing = Mapping[str, Any]

_PLAIN = {
    "listener": ":Listener",
    "target group": ":TargetGroup",
    "ingress": ":SecurityGroupIngressRule",
    "launch template": ":LaunchTemplate",
    "service": ":Service",
    "cluster": "ecs/cluster:Cluster",
}


def things(deployment: Deployment, kind: str) -> dict[str, Thing]:
    """The things of a kind by name. What a stack names as existing is somebody else's, and not among them."""
    if kind in _PLAIN:
        return {name: found.inputs for name, found in _made(deployment, _PLAIN[kind]).items()}
    return dict(_JOINED[kind](deployment))


def _made(deployment: Deployment, suffix: str) -> dict[str, Resource]:
    return {
        found.name: found for found in deployment.resources if found.type.endswith(suffix) and not found.is_component
    }


def _balancers(deployment: Deployment) -> Iterator[tuple[str, Thing]]:
    protected = {found.inputs["resourceArn"] for found in _made(deployment, ":WebAclAssociation").values()}
    # Single instances of two variants may meet in one zone: what counts is a variant that is in several by itself.
    zones = defaultdict[str, set[str]](set)
    for instance in _made(deployment, ":Instance").values():
        zones[instance.parent].add(instance.state["availabilityZone"])
    for name, found in _made(deployment, ":LoadBalancer").items():
        spanned = max(map(len, zones.values()), default=len(found.inputs["subnets"]))
        yield name, {**found.inputs, "hasWebAcl": found.state["arn"] in protected, "zones": spanned}


def _instances(deployment: Deployment) -> Iterator[tuple[str, Thing]]:
    """Single ones, and those that an Auto Scaling group makes from its template."""
    for name, found in _made(deployment, ":Instance").items():
        yield name, {**found.inputs, "volumes": [found.inputs["rootBlockDevice"]], "networkInterfaces": [found.inputs]}
    for name, found in _made(deployment, ":LaunchTemplate").items():
        volumes = [given["ebs"] for given in found.inputs["blockDeviceMappings"]]
        yield f"of {name}", {**found.inputs, "volumes": volumes}


def _containers(deployment: Deployment) -> Iterator[tuple[str, Thing]]:
    for name, found in _made(deployment, ":TaskDefinition").items():
        for container in json.loads(found.inputs["containerDefinitions"]):
            yield f"{container['name']} of {name}", container


def _buckets(deployment: Deployment) -> Iterator[tuple[str, Thing]]:
    """A bucket with what is said of it elsewhere, by the last word of that resource's type: Policy, Versioning, …"""
    for name, found in _made(deployment, "s3/bucket:Bucket").items():
        said = {
            part.type.rpartition(":Bucket")[2]: part.inputs
            for part in deployment.resources
            if part.type.startswith("aws:s3/bucket") and part.inputs.get("bucket") == found.id
        }
        policy = json.loads(said["Policy"]["policy"])["Statement"] if "Policy" in said else []
        yield name, {**found.inputs, **said, "arn": found.state["arn"], "statements": policy}


_JOINED = {"load balancer": _balancers, "instance": _instances, "container": _containers, "bucket": _buckets}
