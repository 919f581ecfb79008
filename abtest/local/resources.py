"""Each resource type of the program as calls of the AWS API: inputs in the provider's names, outputs in the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from abtest.local.clients import ACCOUNT, Clients, Inputs, location, tag_list

__all__ = ["CREATE", "RegexConditions", "create"]

#: id and outputs of a new resource
Created = tuple[str, dict[str, Any]]

#: rule ARN -> its conditions, for rules with regular expressions, which moto does not know
RegexConditions = dict[str, list[dict[str, Any]]]


def create(aws: Clients, token: str, name: str, inputs: Inputs, regex: RegexConditions) -> Created:
    """Make one resource. Raises KeyError for an unknown type, ClientError for what moto refuses."""
    made = CREATE[token](aws, name, inputs)
    inputs.finish()
    conditions = made[1].pop("regexConditions", None)
    if conditions is not None:
        regex[made[0]] = conditions
    return made


def _physical_name(name: str) -> str:
    """Pulumi's autonaming: the logical name, a hyphen and 7 hexadecimal digits; here always the same ones."""
    return f"{name}-{hashlib.sha256(name.encode()).hexdigest()[:7]}"


# EC2 --------------------------------------------------------------------------------------------------------------


def _security_group(aws: Clients, name: str, inputs: Inputs) -> Created:
    tags = inputs.take("tags")
    group = aws.ec2.create_security_group(
        GroupName=inputs.take("name") or _physical_name(name),
        Description=inputs.take("description"),
        VpcId=inputs.take("vpcId"),
        TagSpecifications=[{"ResourceType": "security-group", "Tags": tag_list(tags)}],
    )["GroupId"]
    # The provider takes away the allow-all egress that AWS gives a new group.
    aws.ec2.revoke_security_group_egress(
        GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    )
    return group, {"arn": f"arn:aws:ec2:{aws.region}:{ACCOUNT}:security-group/{group}", "ownerId": ACCOUNT}


def _security_group_rule(aws: Clients, inputs: Inputs, direction: str) -> Created:
    permission = {
        **inputs.some(IpProtocol="ipProtocol", FromPort="fromPort", ToPort="toPort"),
        **{
            name: [{key: value}]
            for name, key, value in (
                ("IpRanges", "CidrIp", inputs.take("cidrIpv4")),
                ("Ipv6Ranges", "CidrIpv6", inputs.take("cidrIpv6")),
                ("UserIdGroupPairs", "GroupId", inputs.take("referencedSecurityGroupId")),
            )
            if value is not None
        },
    }
    authorize = getattr(aws.ec2, f"authorize_security_group_{direction}")
    rule = authorize(
        GroupId=inputs.take("securityGroupId"),
        IpPermissions=[permission],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": tag_list(inputs.take("tags"))}],
    )["SecurityGroupRules"][0]
    return rule["SecurityGroupRuleId"], {"securityGroupRuleId": rule["SecurityGroupRuleId"]}


def _ingress_rule(aws: Clients, _: str, inputs: Inputs) -> Created:
    return _security_group_rule(aws, inputs, "ingress")


def _egress_rule(aws: Clients, _: str, inputs: Inputs) -> Created:
    return _security_group_rule(aws, inputs, "egress")


def _instance(aws: Clients, _: str, inputs: Inputs) -> Created:
    inputs.take("userDataReplaceOnChange")  # concerns replacement, which does not happen here
    metadata, root = inputs.take("metadataOptions", {}), inputs.take("rootBlockDevice", {})
    profile = inputs.take("iamInstanceProfile")
    instance = aws.ec2.run_instances(
        MinCount=1,
        MaxCount=1,
        **inputs.some(
            ImageId="ami",
            InstanceType="instanceType",
            SubnetId="subnetId",
            SecurityGroupIds="vpcSecurityGroupIds",
            KeyName="keyName",
            UserData="userData",
        ),
        **({"IamInstanceProfile": {"Name": profile}} if profile else {}),
        MetadataOptions={"HttpTokens": metadata.get("httpTokens"), "HttpEndpoint": metadata.get("httpEndpoint")},
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "Encrypted": root["encrypted"],
                    "VolumeType": root["volumeType"],
                    "VolumeSize": root.get("volumeSize", 8),  # moto has no image that would tell a size
                },
            }
        ],
        TagSpecifications=[{"ResourceType": "instance", "Tags": tag_list(inputs.take("tags"))}],
    )["Instances"][0]
    return instance["InstanceId"], {
        "privateIp": instance["PrivateIpAddress"],
        "availabilityZone": instance["Placement"]["AvailabilityZone"],
    }


# Load balancing ---------------------------------------------------------------------------------------------------


def _target_group(aws: Clients, name: str, inputs: Inputs) -> Created:
    health = inputs.take("healthCheck", {})
    version = inputs.take("protocolVersion")
    group = aws.elbv2.create_target_group(
        Name=_physical_name(name),
        ProtocolVersion=version,
        **inputs.some(
            Port="port",
            Protocol="protocol",
            TargetType="targetType",
            VpcId="vpcId",
            IpAddressType="ipAddressType",
        ),
        HealthCheckEnabled=health["enabled"],
        HealthCheckPath=health["path"],
        HealthCheckPort=health["port"],
        HealthCheckProtocol=health["protocol"],
        HealthCheckIntervalSeconds=health["interval"],
        HealthCheckTimeoutSeconds=health["timeout"],
        HealthyThresholdCount=health["healthyThreshold"],
        UnhealthyThresholdCount=health["unhealthyThreshold"],
        Matcher={"GrpcCode" if version == "GRPC" else "HttpCode": health["matcher"]},
        Tags=tag_list(inputs.take("tags")),
    )["TargetGroups"][0]
    arn = group["TargetGroupArn"]
    # moto takes a delay of 3600 s for too long; AWS allows it (API TargetGroupAttribute).
    delay = min(int(inputs.take("deregistrationDelay")), 3599)
    aws.elbv2.modify_target_group_attributes(
        TargetGroupArn=arn,
        Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay)},
            {"Key": "slow_start.duration_seconds", "Value": str(inputs.take("slowStart"))},
            {"Key": "load_balancing.algorithm.type", "Value": inputs.take("loadBalancingAlgorithmType")},
        ],
    )
    return arn, {"arn": arn, "arnSuffix": arn.split(":")[-1], "name": group["TargetGroupName"]}


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
    }
    if logs := inputs.take("accessLogs"):
        attributes |= {
            "access_logs.s3.enabled": logs["enabled"],
            "access_logs.s3.bucket": logs["bucket"],
            "access_logs.s3.prefix": logs.get("prefix"),
        }
    balancer = aws.elbv2.create_load_balancer(
        Name=_physical_name(name),
        Scheme="internal" if inputs.take("internal") else "internet-facing",
        **inputs.some(
            Subnets="subnets", SecurityGroups="securityGroups", Type="loadBalancerType", IpAddressType="ipAddressType"
        ),
        Tags=tag_list(inputs.take("tags")),
    )["LoadBalancers"][0]
    arn = balancer["LoadBalancerArn"]
    aws.elbv2.modify_load_balancer_attributes(
        LoadBalancerArn=arn,
        Attributes=[
            {"Key": key, "Value": str(value).lower()} for key, value in attributes.items() if value is not None
        ],
    )
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
    return listener["ListenerArn"], {"arn": listener["ListenerArn"]}


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


# CloudWatch ---------------------------------------------------------------------------------------------------------


def _metric_alarm(aws: Clients, name: str, inputs: Inputs) -> Created:
    physical_name = _physical_name(name)
    warm_up = inputs.take("warmUpConfiguration")
    aws.cloudwatch.put_metric_alarm(
        AlarmName=physical_name,
        Metrics=[_metric_query(query) for query in inputs.take("metricQueries")],
        **inputs.some(
            AlarmDescription="alarmDescription",
            ComparisonOperator="comparisonOperator",
            Threshold="threshold",
            EvaluationPeriods="evaluationPeriods",
            DatapointsToAlarm="datapointsToAlarm",
            TreatMissingData="treatMissingData",
            AlarmActions="alarmActions",
            OKActions="okActions",
        ),
        **({"WarmUpConfiguration": _capitalized(warm_up)} if warm_up else {}),
        Tags=tag_list(inputs.take("tags")),
    )
    return physical_name, {"arn": f"arn:aws:cloudwatch:{aws.region}:{ACCOUNT}:alarm:{physical_name}"}


def _metric_query(query: dict[str, Any]) -> dict[str, Any]:
    taken = Inputs(f"metric query {query['id']}", query)
    metric = taken.take("metric")
    made = taken.some(Id="id", Expression="expression", Label="label")
    made["ReturnData"] = taken.take("returnData", default=False)
    taken.finish()
    if metric:
        parts = Inputs(f"metric {query['id']}", metric)
        dimensions = [{"Name": name, "Value": value} for name, value in parts.take("dimensions").items()]
        made["MetricStat"] = {
            "Metric": {**parts.some(Namespace="namespace", MetricName="metricName"), "Dimensions": dimensions},
            **parts.some(Stat="stat", Period="period"),
        }
        parts.finish()
    return made


def _capitalized(values: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: value for key, value in values.items()}


def _dashboard(aws: Clients, _: str, inputs: Inputs) -> Created:
    name = inputs.take("dashboardName")
    aws.cloudwatch.put_dashboard(DashboardName=name, DashboardBody=inputs.take("dashboardBody"))
    return name, {"dashboardArn": f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{name}"}


# S3 -----------------------------------------------------------------------------------------------------------------


def _bucket(aws: Clients, name: str, inputs: Inputs) -> Created:
    bucket = _physical_name(name)
    aws.s3.create_bucket(Bucket=bucket, **location(aws.region))
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_list(inputs.take("tags"))})
    return bucket, {"arn": f"arn:aws:s3:::{bucket}", "bucket": bucket}


def _bucket_encryption(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    rules = [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": default["sseAlgorithm"]}}
        for rule in inputs.take("rules")
        for default in [rule["applyServerSideEncryptionByDefault"]]
    ]
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})
    return bucket, {}


def _bucket_lifecycle(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    rules = [
        {
            "ID": rule["id"],
            "Status": rule["status"],
            "Filter": {"Prefix": rule["filter"]["prefix"]},
            "Expiration": {"Days": rule["expiration"]["days"]},
            "AbortIncompleteMultipartUpload": {
                "DaysAfterInitiation": rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"]
            },
        }
        for rule in inputs.take("rules")
    ]
    aws.s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    return bucket, {}


def _bucket_closed(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    closed = inputs.some(
        BlockPublicAcls="blockPublicAcls",
        BlockPublicPolicy="blockPublicPolicy",
        IgnorePublicAcls="ignorePublicAcls",
        RestrictPublicBuckets="restrictPublicBuckets",
    )
    aws.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=closed)
    return bucket, {}


def _bucket_policy(aws: Clients, _: str, inputs: Inputs) -> Created:
    bucket = inputs.take("bucket")
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=inputs.take("policy"))
    return bucket, {}


# Route 53 and random ------------------------------------------------------------------------------------------------


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


def _random_id(_: Clients, name: str, inputs: Inputs) -> Created:
    length, keepers = inputs.take("byteLength"), inputs.take("keepers", {})
    digits = hashlib.sha256(f"{name}{sorted(keepers.items())}".encode()).hexdigest()[: 2 * length]
    return digits, {"hex": digits, "dec": str(int(digits, 16))}


def _random_password(_: Clients, name: str, inputs: Inputs) -> Created:
    for flag in ("special", "upper", "lower", "numeric"):
        inputs.take(flag)
    return "none", {"result": hashlib.sha256(name.encode()).hexdigest()[: inputs.take("length")]}


CREATE: dict[str, Callable[[Clients, str, Inputs], Created]] = {
    "aws:ec2/securityGroup:SecurityGroup": _security_group,
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ingress_rule,
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _egress_rule,
    "aws:ec2/instance:Instance": _instance,
    "aws:lb/targetGroup:TargetGroup": _target_group,
    "aws:lb/targetGroupAttachment:TargetGroupAttachment": _attachment,
    "aws:lb/loadBalancer:LoadBalancer": _load_balancer,
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
    "aws:cloudwatch/metricAlarm:MetricAlarm": _metric_alarm,
    "aws:cloudwatch/dashboard:Dashboard": _dashboard,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _bucket_lifecycle,
    "aws:s3/bucketPolicy:BucketPolicy": _bucket_policy,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _bucket_closed,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _bucket_encryption,
    "aws:route53/record:Record": _record,
    "random:index/randomId:RandomId": _random_id,
    "random:index/randomPassword:RandomPassword": _random_password,
}
