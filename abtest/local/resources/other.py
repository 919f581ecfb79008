"""Route 53 records, the association of a web ACL, and what the random provider makes."""

from __future__ import annotations

import hashlib

from abtest.local.clients import Clients, Inputs
from abtest.local.resources.making import Created, Makers

__all__ = ["MAKERS"]


def _record(aws: Clients, _: str, inputs: Inputs) -> Created:
    zone, name, kind = inputs.take("zoneId"), inputs.take("name"), inputs.take("type")
    (alias,) = inputs.take("aliases")
    record = {
        "Name": name,
        "Type": kind,
        "AliasTarget": {
            "HostedZoneId": alias["zoneId"],
            "DNSName": alias["name"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        },
        **inputs.some(SetIdentifier="setIdentifier"),
    }
    for policy in inputs.take("weightedRoutingPolicies", []):
        record["Weight"] = policy["weight"]
    aws.route53.change_resource_record_sets(
        HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    )
    return f"{zone}_{name}_{kind}", {"fqdn": name}


def _web_acl_association(aws: Clients, _: str, inputs: Inputs) -> Created:
    acl, resource = inputs.take("webAclArn"), inputs.take("resourceArn")
    aws.wafv2.associate_web_acl(WebACLArn=acl, ResourceArn=resource)
    return f"{acl},{resource}", {}


def _random_id(_: Clients, name: str, inputs: Inputs) -> Created:
    length, keepers = inputs.take("byteLength"), inputs.take("keepers", {})
    digits = hashlib.sha256(f"{name}{sorted(keepers.items())}".encode()).hexdigest()[: 2 * length]
    return digits, {"hex": digits, "dec": str(int(digits, 16))}


def _random_password(_: Clients, name: str, inputs: Inputs) -> Created:
    for flag in ("special", "upper", "lower", "numeric"):
        inputs.take(flag)
    return "none", {"result": hashlib.sha256(name.encode()).hexdigest()[: inputs.take("length")]}


MAKERS: Makers = {
    "aws:route53/record:Record": _record,
    "aws:wafv2/webAclAssociation:WebAclAssociation": _web_acl_association,
    "random:index/randomId:RandomId": _random_id,
    "random:index/randomPassword:RandomPassword": _random_password,
}
