"""Security Hub's controls that concern what the program makes: each a question to one thing.

Titles and what a control asks are AWS's (Security Hub guide, "Control reference"). Controls of the account, of things
that the program does not make and of services that it does not use are not here; docs/security.md names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from abtest.local import Deployment
from tests.security.things import Thing, things

__all__ = ["CONTROLS", "Control"]


@dataclass(frozen=True)
class Control:
    """``holds`` is asked for each thing of a kind."""

    id: str
    title: str
    kind: str
    holds: Callable[[Thing], bool]

    def failing(self, deployment: Deployment) -> list[str]:
        """The names of the things for which it does not hold."""
        return [name for name, thing in things(deployment, self.kind).items() if not self.holds(thing)]


#: Source: Security Hub guide, ELB.17.
_POLICIES = {
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09",
}

#: Source: Security Hub guide, EC2.19.
_HIGH_RISK = {20, 21, 22, 23, 25, 110, 135, 143, 445, 1433, 1434, 3000, 3306, 3389, 4333, 5000, 5432, 5500, 5601}
_HIGH_RISK |= {8080, 8088, 8888, 9200, 9300}


def _redirects_to_https(listener: Thing) -> bool:
    return all(action.get("redirect", {}).get("protocol") == "HTTPS" for action in listener["defaultActions"])


def _is_function(group: Thing) -> bool:
    return bool(group["targetType"] == "lambda")


def _requires_imdsv2(made: Thing) -> bool:
    return bool(made.get("metadataOptions", {}).get("httpTokens") == "required")


def _open_to_all(rule: Thing) -> bool:
    return rule.get("cidrIpv4") == "0.0.0.0/0" or rule.get("cidrIpv6") == "::/0"


def _open(rule: Thing, ports: Iterable[int]) -> bool:
    """Whether everybody may reach one of these ports."""
    low, high = (rule["fromPort"], rule["toPort"]) if rule["ipProtocol"] != "-1" else (0, 65535)
    return _open_to_all(rule) and any(low <= port <= high for port in ports)


def _allowed(bucket: Thing) -> Iterator[str]:
    """Who may do something: principals of the policy's Allow statements, a service by its name."""
    for statement in bucket["statements"]:
        if statement["Effect"] == "Allow":
            principal = statement["Principal"]
            yield from principal.values() if isinstance(principal, dict) else [principal]


def _denies_without_tls(bucket: Thing) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] == "s3:*"
        and set(statement["Resource"]) == {bucket["arn"], f"{bucket['arn']}/*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in bucket["statements"]
    )


def _algorithms(bucket: Thing) -> set[str]:
    rules = bucket.get("ServerSideEncryptionConfiguration", {}).get("rules", [])
    return {rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] for rule in rules}


def _is_closed(bucket: Thing) -> bool:
    closed = bucket.get("PublicAccessBlock", {})
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    return all(closed.get(flag) is True for flag in flags)


def _forgets(bucket: Thing) -> bool:
    return any(rule["status"] == "Enabled" for rule in bucket.get("LifecycleConfiguration", {}).get("rules", []))


def _versioning(bucket: Thing) -> Thing:
    found: Thing = bucket.get("Versioning", {}).get("versioningConfiguration", {})
    return found


def _has_insights(cluster: Thing) -> bool:
    settings = {setting["name"]: setting["value"] for setting in cluster.get("settings", [])}
    return settings.get("containerInsights") in {"enabled", "enhanced"}


#: Source: Security Hub guide, ECS.8.
_KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ECS_ENGINE_AUTH_DATA"}

# fmt: off
CONTROLS = (
    Control("ELB.1", "Application Load Balancer should be configured to redirect all HTTP requests to HTTPS", "listener",
            lambda listener: listener["protocol"] != "HTTP" or _redirects_to_https(listener)),
    Control("ELB.4", "Application Load Balancer should be configured to drop invalid http headers", "load balancer",
            lambda balancer: balancer.get("dropInvalidHeaderFields") is True),
    Control("ELB.5", "Application and Classic Load Balancers logging should be enabled", "load balancer",
            lambda balancer: balancer.get("accessLogs", {}).get("enabled") is True),
    Control("ELB.6", "Application, Gateway, and Network Load Balancers should have deletion protection enabled", "load balancer",
            lambda balancer: balancer.get("enableDeletionProtection") is True),
    Control("ELB.12", "Application Load Balancer should be configured with defensive or strictest desync mitigation mode", "load balancer",
            lambda balancer: balancer.get("desyncMitigationMode") in {"defensive", "strictest"}),
    Control("ELB.13", "Application, Network and Gateway Load Balancers should span multiple Availability Zones", "load balancer",
            lambda balancer: bool(balancer["zones"] > 1)),
    Control("ELB.16", "Application Load Balancers should be associated with an AWS WAF web ACL", "load balancer",
            lambda balancer: bool(balancer["hasWebAcl"])),
    Control("ELB.17", "Application and Network Load Balancers with listeners should use recommended security policies", "listener",
            lambda listener: listener["protocol"] != "HTTPS" or listener.get("sslPolicy") in _POLICIES),
    Control("ELB.18", "Application and Network Load Balancer listeners should use secure protocols to encrypt data in transit", "listener",
            lambda listener: listener["protocol"] == "HTTPS"),
    Control("ELB.21", "Application and Network Load Balancer target groups should use encrypted health check protocols", "target group",
            lambda group: _is_function(group) or group["healthCheck"].get("protocol") == "HTTPS"),
    Control("ELB.22", "ELB target groups should use encrypted transport protocols", "target group",
            lambda group: _is_function(group) or group.get("protocol") == "HTTPS"),

    Control("EC2.3", "Attached Amazon EBS volumes should be encrypted at-rest", "instance",
            lambda instance: all(volume.get("encrypted") in {True, "true"} for volume in instance["volumes"])),
    Control("EC2.8", "EC2 instances should use Instance Metadata Service Version 2 (IMDSv2)", "instance", _requires_imdsv2),
    # Where the program does not say, the subnet does: that may be yes.
    Control("EC2.9", "Amazon EC2 instances should not have a public IPv4 address", "instance",
            lambda instance: all(each.get("associatePublicIpAddress") in {False, "false"} for each in instance["networkInterfaces"])),
    Control("EC2.13", "Security groups should not allow ingress from 0.0.0.0/0 or ::/0 to port 22", "ingress",
            lambda rule: not _open(rule, [22])),
    Control("EC2.14", "Security groups should not allow ingress from 0.0.0.0/0 or ::/0 to port 3389", "ingress",
            lambda rule: not _open(rule, [3389])),
    Control("EC2.17", "Amazon EC2 instances should not use multiple ENIs", "instance",
            lambda instance: len(instance["networkInterfaces"]) == 1),
    Control("EC2.18", "Security groups should only allow unrestricted incoming traffic for authorized ports", "ingress",
            lambda rule: not _open_to_all(rule) or rule.get("fromPort") == rule.get("toPort") in {80, 443}),
    Control("EC2.19", "Security groups should not allow unrestricted access to ports with high risk", "ingress",
            lambda rule: not _open(rule, _HIGH_RISK)),
    Control("EC2.25", "Amazon EC2 launch templates should not assign public IPs to network interfaces", "launch template",
            lambda template: not any(each.get("associatePublicIpAddress") == "true" for each in template["networkInterfaces"])),
    Control("EC2.170", "EC2 launch templates should use Instance Metadata Service Version 2 (IMDSv2)", "launch template", _requires_imdsv2),
    Control("EC2.180", "EC2 network interfaces should have source/destination checking enabled", "instance",
            lambda instance: instance.get("sourceDestCheck") is not False),
    Control("EC2.181", "EC2 launch templates should enable encryption for attached EBS volumes", "launch template",
            lambda template: all(each["ebs"].get("encrypted") == "true" for each in template["blockDeviceMappings"])),

    Control("ECS.2", "ECS services should not have public IP addresses assigned to them automatically", "service",
            lambda service: not service["networkConfiguration"].get("assignPublicIp")),
    Control("ECS.4", "ECS containers should run as non-privileged", "container",
            lambda container: not container.get("privileged")),
    Control("ECS.5", "ECS task definitions should configure containers to be limited to read-only access to root filesystems", "container",
            lambda container: container.get("readonlyRootFilesystem") is True),
    Control("ECS.8", "Secrets should not be passed as container environment variables", "container",
            lambda container: _KEYS.isdisjoint(variable["name"] for variable in container.get("environment", []))),
    Control("ECS.9", "ECS task definitions should have a logging configuration", "container",
            lambda container: bool(container.get("logConfiguration", {}).get("logDriver"))),
    Control("ECS.10", "ECS Fargate services should run on the latest Fargate platform version", "service",
            lambda service: service.get("platformVersion", "LATEST") in {"LATEST", "1.4.0"}),
    Control("ECS.12", "ECS clusters should use Container Insights", "cluster", _has_insights),
    Control("ECS.20", "ECS Task Definitions should configure non-root users in Linux container definitions", "container",
            lambda container: container.get("user", "root").partition(":")[0] not in {"", "0", "root"}),

    Control("S3.2", "S3 general purpose buckets should block public read access", "bucket",
            lambda bucket: _is_closed(bucket) and "*" not in _allowed(bucket)),
    Control("S3.3", "S3 general purpose buckets should block public write access", "bucket",
            lambda bucket: _is_closed(bucket) and "*" not in _allowed(bucket)),
    Control("S3.5", "S3 general purpose buckets should require requests to use SSL", "bucket", _denies_without_tls),
    Control("S3.6", "S3 general purpose bucket policies should restrict access to other AWS accounts", "bucket",
            lambda bucket: all(who.endswith(".amazonaws.com") for who in _allowed(bucket))),
    Control("S3.8", "S3 general purpose buckets should block public access", "bucket", _is_closed),
    Control("S3.9", "S3 general purpose buckets should have server access logging enabled", "bucket",
            lambda bucket: "Logging" in bucket),
    Control("S3.10", "S3 general purpose buckets with versioning enabled should have Lifecycle configurations", "bucket",
            lambda bucket: _versioning(bucket).get("status") != "Enabled" or _forgets(bucket)),
    Control("S3.12", "ACLs should not be used to manage user access to S3 general purpose buckets", "bucket",
            lambda bucket: not {"acl", "grants", "Acl"} & set(bucket)),
    Control("S3.13", "S3 general purpose buckets should have Lifecycle configurations", "bucket", _forgets),
    Control("S3.14", "S3 general purpose buckets should have versioning enabled", "bucket",
            lambda bucket: _versioning(bucket).get("status") == "Enabled"),
    Control("S3.15", "S3 general purpose buckets should have Object Lock enabled", "bucket",
            lambda bucket: bucket.get("objectLockEnabled") is True),
    Control("S3.17", "S3 general purpose buckets should be encrypted at rest with AWS KMS keys", "bucket",
            lambda bucket: bool(_algorithms(bucket)) and _algorithms(bucket) <= {"aws:kms", "aws:kms:dsse"}),
    Control("S3.20", "S3 general purpose buckets should have MFA delete enabled", "bucket",
            lambda bucket: _versioning(bucket).get("mfaDelete") == "Enabled"),
)
# fmt: on
