"""The load balancer, its listeners and rules, target groups and their targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from abtest.local.clients import Clients, Inputs, tag_list
from abtest.local.resources.making import Created, Makers, physical_name

__all__ = ["MAKERS"]


def _target_group(aws: Clients, name: str, inputs: Inputs) -> Created:
    health = inputs.take("healthCheck")  # only missing for functions, which AWS does not check by default
    version = inputs.take("protocolVersion")
    group = aws.elbv2.create_target_group(
        Name=physical_name(name),
        **({"ProtocolVersion": version} if version else {}),
        **inputs.some(
            Port="port",
            Protocol="protocol",
            TargetType="targetType",
            VpcId="vpcId",
            IpAddressType="ipAddressType",
        ),
        **(_health_check(health, version) if health else {"HealthCheckEnabled": False}),
        Tags=tag_list(inputs.take("tags")),
    )["TargetGroups"][0]
    arn = group["TargetGroupArn"]
    attributes = {
        "deregistration_delay.timeout_seconds": inputs.take("deregistrationDelay"),
        "slow_start.duration_seconds": inputs.take("slowStart"),
        "load_balancing.algorithm.type": inputs.take("loadBalancingAlgorithmType"),
        "load_balancing.algorithm.anomaly_mitigation": inputs.take("loadBalancingAnomalyMitigation"),
    }
    if attributes["deregistration_delay.timeout_seconds"] == 3600:
        # moto takes a delay of 3600 s for too long; AWS allows it (API TargetGroupAttribute).
        attributes["deregistration_delay.timeout_seconds"] = 3599
    if given := [{"Key": key, "Value": str(value)} for key, value in attributes.items() if value is not None]:
        aws.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=given)
    return arn, {"arn": arn, "arnSuffix": arn.split(":")[-1], "name": group["TargetGroupName"]}


def _health_check(health: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    return {
        "HealthCheckEnabled": health["enabled"],
        "HealthCheckPath": health["path"],
        **Inputs("health check", dict(health)).some(HealthCheckPort="port", HealthCheckProtocol="protocol"),
        "HealthCheckIntervalSeconds": health["interval"],
        "HealthCheckTimeoutSeconds": health["timeout"],
        "HealthyThresholdCount": health["healthyThreshold"],
        "UnhealthyThresholdCount": health["unhealthyThreshold"],
        "Matcher": {"GrpcCode" if version == "GRPC" else "HttpCode": health["matcher"]},
    }


def _attachment(aws: Clients, name: str, inputs: Inputs) -> Created:
    arn = inputs.take("targetGroupArn")
    target = {"Id": inputs.take("targetId"), **inputs.some(Port="port", AvailabilityZone="availabilityZone")}
    aws.elbv2.register_targets(TargetGroupArn=arn, Targets=[target])
    return f"{arn}-{name}", {}


def _load_balancer(aws: Clients, name: str, inputs: Inputs) -> Created:
    attributes = {
        "idle_timeout.timeout_seconds": inputs.take("idleTimeout"),
        "routing.http2.enabled": inputs.take("enableHttp2"),
        "routing.http.drop_invalid_header_fields.enabled": inputs.take("dropInvalidHeaderFields"),
        "routing.http.desync_mitigation_mode": inputs.take("desyncMitigationMode"),
        "deletion_protection.enabled": inputs.take("enableDeletionProtection"),
        "waf.fail_open.enabled": inputs.take("enableWafFailOpen"),
    }
    if logs := inputs.take("accessLogs"):
        attributes |= {
            "access_logs.s3.enabled": logs["enabled"],
            "access_logs.s3.bucket": logs["bucket"],
            "access_logs.s3.prefix": logs.get("prefix"),
        }
    balancer = aws.elbv2.create_load_balancer(
        Name=physical_name(name),
        Scheme="internal" if inputs.take("internal") else "internet-facing",
        # moto knows no dualstack-without-public-ipv4, which is dualstack with fewer addresses.
        IpAddressType=inputs.take("ipAddressType", "ipv4").removesuffix("-without-public-ipv4"),
        **inputs.some(Subnets="subnets", SecurityGroups="securityGroups", Type="loadBalancerType"),
        Tags=tag_list(inputs.take("tags")),
    )["LoadBalancers"][0]
    arn = balancer["LoadBalancerArn"]
    aws.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=_attributes(attributes))
    return arn, {
        "arn": arn,
        "arnSuffix": arn.split("loadbalancer/")[-1],
        "dnsName": balancer["DNSName"],
        "zoneId": balancer["CanonicalHostedZoneId"],
        "vpcId": balancer["VpcId"],
        "name": balancer["LoadBalancerName"],
    }


def _listener(aws: Clients, _: str, inputs: Inputs) -> Created:
    balancer, port, certificate = inputs.take("loadBalancerArn"), inputs.take("port"), inputs.take("certificateArn")
    taken = [ls["Port"] for ls in aws.elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"]]
    if port in taken:  # AWS refuses this, moto lets it through.
        message = f"A listener already exists on port {port} of this load balancer"
        raise ClientError({"Error": {"Code": "DuplicateListener", "Message": message}}, "CreateListener")
    listener = aws.elbv2.create_listener(
        LoadBalancerArn=balancer,
        Port=port,
        **inputs.some(Protocol="protocol", SslPolicy="sslPolicy"),
        **({"Certificates": [{"CertificateArn": certificate}]} if certificate else {}),
        DefaultActions=[_action(action) for action in inputs.take("defaultActions")],
        Tags=tag_list(inputs.take("tags")),
    )["Listeners"][0]
    arn = listener["ListenerArn"]
    if headers := _attributes({key: inputs.take(name) for name, key in _RESPONSE_HEADERS.items()}):
        aws.elbv2.modify_listener_attributes(ListenerArn=arn, Attributes=headers)
    return arn, {"arn": arn}


#: input -> listener attribute
_RESPONSE_HEADERS = {
    "routingHttpResponseServerEnabled": "routing.http.response.server.enabled",
    **{
        f"routingHttpResponse{name.title().replace('_', '')}HeaderValue": f"routing.http.response.{name}.header_value"
        for name in (
            "strict_transport_security",
            "content_security_policy",
            "x_content_type_options",
            "x_frame_options",
            "access_control_allow_origin",
            "access_control_allow_methods",
            "access_control_allow_headers",
            "access_control_allow_credentials",
            "access_control_expose_headers",
            "access_control_max_age",
        )
    },
}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, str]]:
    """The attributes that are given, in the API's form."""
    return [
        {"Key": key, "Value": str(value).lower() if isinstance(value, bool) else str(value)}
        for key, value in values.items()
        if value is not None
    ]


def _listener_certificate(aws: Clients, _: str, inputs: Inputs) -> Created:
    listener, certificate = inputs.take("listenerArn"), inputs.take("certificateArn")
    aws.elbv2.add_listener_certificates(ListenerArn=listener, Certificates=[{"CertificateArn": certificate}])
    return f"{listener}_{certificate}", {}


def _listener_rule(aws: Clients, _: str, inputs: Inputs) -> Created:
    conditions = [_condition(condition) for condition in inputs.take("conditions")]
    rule = aws.elbv2.create_rule(
        **inputs.some(ListenerArn="listenerArn", Priority="priority"),
        Conditions=[_without_regex(condition) for condition in conditions],
        Actions=[_action(action) for action in inputs.take("actions")],
        Tags=tag_list(inputs.take("tags")),
    )["Rules"][0]
    outputs: dict[str, Any] = {"arn": rule["RuleArn"]}
    if any("RegexValues" in config for condition in conditions for config in condition.values()):
        outputs["regexConditions"] = conditions
    return rule["RuleArn"], outputs


def _action(action: dict[str, Any]) -> dict[str, Any]:
    taken = Inputs(f"action {action['type']}", action)
    made: dict[str, Any] = {"Type": taken.take("type")}
    if forward := taken.take("forward"):
        stickiness = forward["stickiness"]
        made["ForwardConfig"] = {
            "TargetGroups": [{"TargetGroupArn": g["arn"], "Weight": g["weight"]} for g in forward["targetGroups"]],
            "TargetGroupStickinessConfig": {
                "Enabled": stickiness["enabled"],
                "DurationSeconds": stickiness["duration"],
            },
        }
    if redirect := taken.take("redirect"):
        parts = Inputs("redirect", redirect)
        kept = {
            "Protocol": "#{protocol}",
            "Host": "#{host}",
            "Port": "#{port}",
            "Path": "/#{path}",
            "Query": "#{query}",
        }
        given = parts.some(
            Protocol="protocol", Host="host", Port="port", Path="path", Query="query", StatusCode="statusCode"
        )
        made["RedirectConfig"] = {**kept, **given}
        parts.finish()
    if response := taken.take("fixedResponse"):
        parts = Inputs("fixed response", response)
        made["FixedResponseConfig"] = parts.some(
            StatusCode="statusCode", ContentType="contentType", MessageBody="messageBody"
        )
        parts.finish()
    taken.finish()
    return made


def _condition(condition: dict[str, Any]) -> dict[str, Any]:
    ((kind, config),) = ((kind, config) for kind, config in condition.items() if config is not None)
    if kind == "queryStrings":
        pairs = [
            {name: pair[key] for name, key in (("Key", "key"), ("Value", "value")) if pair.get(key) is not None}
            for pair in config
        ]
        return {"Field": "query-string", "QueryStringConfig": {"Values": pairs}}
    field, name = {
        "pathPattern": ("path-pattern", "PathPatternConfig"),
        "hostHeader": ("host-header", "HostHeaderConfig"),
        "httpHeader": ("http-header", "HttpHeaderConfig"),
        "httpRequestMethod": ("http-request-method", "HttpRequestMethodConfig"),
        "sourceIp": ("source-ip", "SourceIpConfig"),
    }[kind]
    taken = Inputs(f"condition {kind}", config)
    made = taken.some(HttpHeaderName="httpHeaderName", Values="values", RegexValues="regexValues")
    taken.finish()
    return {"Field": field, name: made}


def _without_regex(condition: dict[str, Any]) -> dict[str, Any]:
    """Moto raises KeyError on RegexValues: it is given a text instead, and the real conditions are kept beside it."""
    return {
        key: {k: v for k, v in {**config, "Values": ["regular-expression.invalid"]}.items() if k != "RegexValues"}
        if isinstance(config, dict) and "RegexValues" in config
        else config
        for key, config in condition.items()
    }


MAKERS: Makers = {
    "aws:lb/targetGroup:TargetGroup": _target_group,
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": _attachment,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerCertificate:ListenerCertificate": _listener_certificate,
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
}
