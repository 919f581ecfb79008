"""AWS's limits as data, each with its source.

One table serves the checks, their messages, the JSON Schema and the documentation. Sources are AWS's own:
``API <operation or shape>`` is the Elastic Load Balancing v2 API reference (unless another service is named),
``ALB guide <page>`` the User Guide for Application Load Balancers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from msgspec import Meta, Struct

__all__ = ["Length", "Measure", "Range", "Shape"]


class Measure(Struct, frozen=True, kw_only=True):
    """A number from ``low`` to ``high``, both allowed. ``whole`` is 100 % of a share: 1 or 100."""

    what: str
    low: float
    high: float
    unit: str = ""
    whole: int | None = None
    source: str

    def meta(self, description: str) -> Meta:
        return Meta(ge=self.low, le=self.high, description=description, extra={"limit": self})

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.low} to {self.high}{unit}"


class Range(Measure, frozen=True, kw_only=True):
    """A whole number from ``low`` to ``high``, both allowed."""

    low: int
    high: int


class Length(Struct, frozen=True, kw_only=True):
    """A number of entries, or of characters where ``unit`` says so."""

    what: str
    low: int = 0
    high: int
    unit: str
    source: str

    def __str__(self) -> str:
        return f"{self.low} to {self.high} {self.unit}" if self.low else f"at most {self.high} {self.unit}"


class Shape(Struct, frozen=True, kw_only=True):
    """A text of a given form: ``pattern`` is anchored, ``says`` puts it into words.

    ``is_chosen`` marks names that people choose, so that another one can be suggested. ``is_path`` marks paths that
    start with "/". ``template`` is the form of an ARN with an id or a name in it.
    """

    what: str
    pattern: str
    says: str
    longest: int | None = None
    is_chosen: bool = False
    is_path: bool = False
    template: str = ""
    source: str

    def meta(self, description: str) -> Meta:
        return Meta(pattern=self.pattern, max_length=self.longest, description=description, extra={"limit": self})

    def __str__(self) -> str:
        return self.says if self.longest is None else f"{self.says}, at most {self.longest} characters"


# Ranges ---------------------------------------------------------------------------------------------------------

PORT = Range(what="port", low=1, high=65535, source="API CreateTargetGroup, CreateListener")
WEIGHT = Range(what="weight", low=0, high=999, whole=100, source="API TargetGroupTuple")
PRIORITY = Range(what="priority", low=1, high=50_000, source="API CreateRule")
STICKINESS = Range(
    what="group stickiness",
    low=0,
    high=604_800,
    unit="seconds",
    source="API TargetGroupStickinessConfig: 1 to 604800 (7 days); 0 switches it off here",
)
IDLE_TIMEOUT = Range(what="idle timeout", low=1, high=4000, unit="seconds", source="API LoadBalancerAttribute")
DEREGISTRATION_DELAY = Range(
    what="deregistration delay", low=0, high=3600, unit="seconds", source="API TargetGroupAttribute"
)
SLOW_START = Range(
    what="slow start", low=0, high=900, unit="seconds", source="API TargetGroupAttribute: 0 (off) or 30 to 900"
)
SLOW_START_LEAST = 30
HEALTH_INTERVAL = Range(what="health check interval", low=5, high=300, unit="seconds", source="API CreateTargetGroup")
HEALTH_TIMEOUT = Range(what="health check timeout", low=2, high=120, unit="seconds", source="API CreateTargetGroup")
HEALTH_THRESHOLD = Range(what="health check threshold", low=2, high=10, source="API CreateTargetGroup")
HTTP_MATCHER = Range(what="HTTP status in a matcher", low=200, high=499, source="API Matcher")
GRPC_MATCHER = Range(what="gRPC status in a matcher", low=0, high=99, source="API Matcher")
RESPONSE_STATUS = Range(
    what="status of a fixed response",
    low=200,
    high=599,
    source="API FixedResponseActionConfig: 2xx, 4xx or 5xx",
)
MAX_STEP = Range(what="step", low=1, high=100, unit="points", whole=100, source="points of a share")
MIN_HEALTHY = Range(what="healthy targets", low=1, high=1000, source="ALB guide load-balancer-limits: targets a group")
ERROR_RATE = Measure(what="error rate", low=0, high=0.5, whole=1, source="a share of the requests: 0.01 is 1 %")
WORSE_BY = Measure(what="difference", low=0, high=1, whole=1, source="a difference of two shares: 0.01 is a point")
MIN_UNITS = Range(what="clients", low=2, high=1_000_000, source="an interval needs two; below 50 it is not worth much")
RESPONSE_TIME = Measure(
    what="response time",
    low=0.001,
    high=4000,
    unit="seconds",
    source="the longest idle timeout, API LoadBalancerAttribute",
)
SAMPLE = Range(what="requests", low=1, high=1_000_000, source="requests of a variant in five minutes")
DNS_WEIGHT = Range(what="weight of a record", low=0, high=255, source="Route 53 API ResourceRecordSet")
ROOT_VOLUME = Range(
    what="root volume",
    low=1,
    high=16_384,
    unit="GiB",
    source="EC2 API EbsBlockDevice, gp3",
)
TARGET_COUNT = Range(
    what="number of targets", low=1, high=1000, source="ALB guide load-balancer-limits: targets a target group"
)

REQUESTS_PER_TARGET = Range(
    what="requests of a target",
    low=1,
    high=10_000_000,
    unit="requests per minute",
    source="Auto Scaling API TargetTrackingConfiguration, Application Auto Scaling API PredefinedMetricSpecification",
)
GRACE = Range(
    what="grace period",
    low=0,
    high=2_147_483_647,
    unit="seconds",
    source="ECS API CreateService, Auto Scaling API CreateAutoScalingGroup",
)
USUAL_GRACE = 300
TASK_MEMORY = Range(
    what="memory of a task", low=512, high=122_880, unit="MiB", source="ECS API RegisterTaskDefinition, Fargate"
)
TASK_CPU = Range(what="CPU of a task", low=256, high=16_384, unit="CPU units", source="ECS API RegisterTaskDefinition")
LOG_RETENTION = Range(what="retention", low=1, high=3653, unit="days", source="CloudWatch Logs API PutRetentionPolicy")
EPHEMERAL_STORAGE = Range(
    what="disk of a task", low=21, high=200, unit="GiB", source="ECS API EphemeralStorage; 20 without it"
)
CORS_AGE = Range(what="age of a preflight answer", low=0, high=86_400, unit="seconds", source="API ListenerAttribute")
RETAIN_DAYS = Range(
    what="days until a log is deleted", low=1, high=36_500, unit="days", source="S3 API LifecycleExpiration: 1 or more"
)

# Lengths --------------------------------------------------------------------------------------------------------

FORWARD_GROUPS = Length(
    what="target groups in a forward",
    low=1,
    high=5,
    unit="variants",
    source="API ForwardActionConfig; ALB guide load-balancer-limits",
)
RULE_VALUES = Length(what="condition values a rule", high=5, unit="values", source="ALB guide load-balancer-limits")
RULE_WILDCARDS = Length(
    what="wildcards a rule",
    high=6,
    unit="wildcards",
    source="ALB guide load-balancer-limits says 6, rule-condition-types says 5",
)
RULE_WILDCARDS_SURE = 5
RULES = Length(
    what="rules a load balancer", high=100, unit="rules", source="ALB guide load-balancer-limits (adjustable)"
)
CERTIFICATES = Length(
    what="further certificates a load balancer",
    high=25,
    unit="certificates",
    source="ALB guide load-balancer-limits (adjustable)",
)
CONDITION_VALUE = Length(what="condition value", high=128, unit="characters", source="API RuleCondition")
RESPONSE_BODY = Length(
    what="body of a fixed response", high=1024, unit="characters", source="API FixedResponseActionConfig"
)
REDIRECT_PART = Length(
    what="host, path or query of a redirect", high=128, unit="characters", source="API RedirectActionConfig"
)
HEALTH_PATH_LENGTH = 1024
USER_DATA = Length(what="user data", high=16_384, unit="bytes", source="EC2 guide, user data: 16 KB before base64")
TAGS = Length(
    what="tags of your own",
    high=45,
    unit="tags",
    source="AWS allows 50 a resource; the program sets up to 5 itself",
)
TASK_POLICIES = Length(
    what="policies of a role", high=20, unit="policies", source="IAM guide, quotas: 10, and 20 on request"
)
TASK_POLICIES_SURE = 10
ZONES = Length(what="availability zones", low=2, high=100, unit="zones", source="ALB guide application-load-balancers")

# Shapes ---------------------------------------------------------------------------------------------------------

#: Pulumi adds 8 characters to a logical name (``abtest-<variant>``), and AWS allows 32 for a target group.
VARIANT_NAME = Shape(
    what="variant name",
    pattern=r"^[a-z0-9-]{1,17}$",
    longest=17,
    says="lower-case letters, digits and hyphens",
    is_chosen=True,
    source="API CreateTargetGroup: names of at most 32 letters, digits and hyphens",
)
TAG_VALUE = Shape(
    what="tag value",
    pattern=r"^[\w \-.:/=+@]*$",
    longest=256,
    says="letters, digits, spaces and _ . : / = + - @",
    source="API Tag",
)
TAG_KEY = Shape(
    what="tag key",
    pattern=r"^(?![Aa][Ww][Ss]:|abtest:)[\w \-.:/=+@]+$",
    longest=128,
    says="letters, digits, spaces and _ . : / = + - @, not starting with aws: or abtest:",
    source="API Tag; aws: is AWS's, abtest: this program's",
)
RULE_NAME = Shape(
    what="rule name",
    pattern=r"^[\w \-.:/=+@]+$",
    longest=128,
    is_chosen=True,
    says="letters, digits, spaces and _ . : / = + - @",
    source="API Tag: it becomes the tag abtest:rule",
)
HEALTH_PATH = Shape(
    what="health check path",
    pattern=r"^/[!-~]*$",
    longest=HEALTH_PATH_LENGTH,
    says='a path that starts with "/", without spaces',
    is_path=True,
    source="API CreateTargetGroup",
)
#: The API documents several values and a range. Many public configurations that are in use have both at once, such as
#: 200-299,301 for Terraform's aws_lb_target_group and 200-202,400-404 for CDK's healthyHttpCodes.
MATCHER = Shape(
    what="matcher",
    pattern=r"^\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*$",
    says='status codes and ranges such as "200", "200,202" or "200-299,301"',
    source="API Matcher",
)
HEADER_NAME = Shape(
    what="header name",
    pattern=r"^[0-9A-Za-z_!#$%&'*+,.^`|~-]{1,40}$",
    longest=40,
    says="letters, digits and the other characters of an HTTP token",
    source="API HttpHeaderConditionConfig",
)
METHOD = Shape(
    what="request method",
    pattern=r"^[A-Z_-]{1,40}$",
    longest=40,
    says="upper-case letters, - and _",
    source="API HttpRequestMethodConditionConfig",
)
PATH_VALUE = Shape(
    what="path pattern",
    pattern=r"""^[A-Za-z0-9_\-.$/~"'@:+&*?]+$""",
    longest=CONDITION_VALUE.high,
    says="letters, digits and _ - . $ / ~ \" ' @ : + &, with the wildcards * and ?",
    source="API RuleCondition",
)
HOST_VALUE = Shape(
    what="host pattern",
    pattern=r"^[A-Za-z0-9\-.*?]+$",
    longest=CONDITION_VALUE.high,
    says="letters, digits, hyphens and dots, with the wildcards * and ?",
    source="API HostHeaderConditionConfig",
)
TEXT_VALUE = Shape(
    what="condition value",
    pattern=r"^[ -~]+$",
    longest=CONDITION_VALUE.high,
    says="visible ASCII characters",
    source="API HttpHeaderConditionConfig, QueryStringConditionConfig; ALB guide rule-condition-types",
)
REGEX_VALUE = Shape(
    what="regular expression",
    pattern=r"^[ -~]+$",
    longest=CONDITION_VALUE.high,
    says="visible ASCII characters",
    source="ALB guide rule-condition-types",
)
REDIRECT_HOST = Shape(
    what="host of a redirect",
    pattern=r"^(?:[A-Za-z0-9\-._]|#\{host\})+$",
    longest=REDIRECT_PART.high,
    says="a host name, or #{host}",
    source="API RedirectActionConfig",
)
REDIRECT_PATH = Shape(
    what="path of a redirect",
    pattern=r"^/(?:[!-\"$-~]|#\{(?:host|port|path)\})*$",
    longest=REDIRECT_PART.high,
    says='a path that starts with "/" and may hold #{host}, #{path} and #{port}',
    is_path=True,
    source="API RedirectActionConfig",
)
REDIRECT_QUERY = Shape(
    what="query of a redirect",
    pattern=r"^(?!\?)(?:[!-\"$-~]|#\{(?:host|port|path|query|protocol)\})*$",
    longest=REDIRECT_PART.high,
    says='a query without the leading "?", which may hold #{host}, #{path}, #{port}, #{query} and #{protocol}',
    source="API RedirectActionConfig",
)
REDIRECT_PORT = Shape(
    what="port of a redirect",
    pattern=r"^(?:#\{port\}|[1-9]\d{0,4})$",
    says="1 to 65535, or #{port}",
    source="API RedirectActionConfig",
)
CERTIFICATE = Shape(
    what="certificate ARN",
    pattern=r"^arn:[a-z0-9-]+:(?:acm:[a-z0-9-]+:\d{12}:certificate/|iam::\d{12}:server-certificate/).+$",
    says="the ARN of an ACM certificate or an IAM server certificate",
    template="arn:aws:acm:REGION:ACCOUNT:certificate/{}",
    source="API Certificate",
)
SSL_POLICY = Shape(
    what="security policy",
    pattern=r"^ELBSecurityPolicy-[A-Za-z0-9-]+$",
    says="the name of an ELB security policy",
    source="ALB guide describe-ssl-policies",
)
BUCKET = Shape(
    what="bucket name",
    # Neither an address nor one of S3's reserved names.
    pattern=r"^(?!xn--|sthree-|amzn-s3-demo-|\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    says="3 to 63 lower-case letters, digits, dots and hyphens",
    source="S3 guide, Bucket naming rules",
)
LOG_PREFIX = Shape(
    what="prefix of access logs",
    pattern=r"^(?!.*AWSLogs)[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*$",
    says='a folder such as alb/prod, without "AWSLogs" and without / at its ends',
    longest=512,
    source="ALB guide enable-access-logging",
)
LISTENER_ARN = Shape(
    what="listener ARN",
    pattern=r"^arn:[a-z0-9-]+:elasticloadbalancing:[a-z0-9-]+:\d{12}:listener/app/[^/]+/[0-9a-f]+/[0-9a-f]+$",
    says="the ARN of a listener of an Application Load Balancer",
    source="API Listener",
)
RESPONSE_HEADER = Shape(
    what="response header",
    pattern=r"^[ -~]+$",
    longest=1024,
    says="visible ASCII characters",
    source="ALB guide header-modification: at most 1 KB",
)
HSTS = Shape(
    what="Strict-Transport-Security",
    # Directives in any order, max-age among them.
    pattern=r"""^(?=(.*; *)?[Mm][Aa][Xx]-[Aa][Gg][Ee] *= *("?)\d+\2 *(;|$))[ -~]+$""",
    longest=1024,
    says="directives with max-age=SECONDS, such as max-age=31536000; includeSubDomains",
    source="RFC 6797, section 6.1",
)
CORS_ORIGIN = Shape(
    what="Access-Control-Allow-Origin",
    pattern=r"^(\*|null|[a-z][a-z0-9+.-]*://[^\s/,]+)$",
    longest=1024,
    says="* or one origin such as https://app.example.com, without a path",
    source="Fetch standard, CORS protocol",
)
_METHODS = "(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH)"
CORS_METHODS = Shape(
    what="Access-Control-Allow-Methods",
    pattern=rf"^(\*|{_METHODS}(, *{_METHODS})*)$",
    longest=1024,
    says="* or methods such as GET, POST",
    source="Fetch standard, CORS protocol",
)
FRAME_OPTIONS = Shape(
    what="X-Frame-Options",
    pattern=r"^(DENY|SAMEORIGIN|ALLOW-FROM \S+)$",
    longest=1024,
    says="DENY, SAMEORIGIN or ALLOW-FROM and an origin",
    source="API ListenerAttribute",
)
WEB_ACL = Shape(
    what="web ACL ARN",
    pattern=r"^arn:[a-z0-9-]+:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[^/]+/[0-9a-f-]+$",
    says="the ARN of a regional web ACL of AWS WAF (v2)",
    source="WAFV2 API AssociateWebACL",
)
FUNCTION_ARN = Shape(
    what="function ARN",
    pattern=r"^arn:[a-z0-9-]+:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?$",
    says="the ARN of a Lambda function, with a version or alias if wanted",
    template="arn:aws:lambda:REGION:ACCOUNT:function:{}",
    source="Lambda API Invoke",
)
IMAGE = Shape(
    what="container image",
    pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/#-]{0,254}(@sha256:[A-Fa-f0-9]{64})?$",
    says="an image such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/ranker:2, at most 255 characters and a digest",
    source="ECS API ContainerDefinition",
)
ENVIRONMENT_NAME = Shape(
    what="name of a variable",
    pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$",
    says="letters, digits and _ . -, not starting with a digit",
    source="what containers can read; ECS API KeyValuePair takes any text",
)
SECRET_ARN = Shape(
    what="place of a secret",
    pattern=(
        r"^arn:[a-z0-9-]+:(secretsmanager:[a-z0-9-]+:\d{12}:secret:[^:\s]+-[A-Za-z0-9]{6}(:\S+)?"
        r"|ssm:[a-z0-9-]+:\d{12}:parameter/\S+)$"
    ),
    says=(
        "the ARN of a secret in Secrets Manager, its name followed by a hyphen and six characters, or of a parameter "
        "in the Parameter Store"
    ),
    template="arn:aws:secretsmanager:REGION:ACCOUNT:secret:{}-SUFFIX",
    source="ECS API Secret; Secrets Manager API CreateSecret, Name",
)
CLUSTER_NAME = Shape(
    what="cluster name",
    pattern=r"^[A-Za-z0-9_-]{1,255}$",
    longest=255,
    says="letters, digits, hyphens and underscores",
    source="ECS API CreateCluster",
)
CONTAINER_USER = Shape(
    what="user of a container",
    pattern=r"^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$",
    says="a user or user:group, by name or number",
    source="ECS API ContainerDefinition",
)
POLICY_ARN = Shape(
    what="policy ARN",
    pattern=r"^arn:[a-z0-9-]+:iam::(aws|\d{12}):policy/\S+$",
    says="the ARN of an IAM policy",
    template="arn:aws:iam::aws:policy/{}",
    source="IAM API AttachRolePolicy",
)
SNS_TOPIC = Shape(
    what="topic ARN",
    pattern=r"^arn:[a-z0-9-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?$",
    says="the ARN of an SNS topic",
    template="arn:aws:sns:REGION:ACCOUNT:{}",
    source="SNS API CreateTopic",
)
VPC_ID = Shape(what="VPC id", pattern=r"^vpc-[0-9a-f]+$", says="an id such as vpc-0abc", source="EC2 API")
SUBNET_ID = Shape(what="subnet id", pattern=r"^subnet-[0-9a-f]+$", says="an id such as subnet-0abc", source="EC2 API")
INSTANCE_ID = Shape(what="instance id", pattern=r"^i-[0-9a-f]+$", says="an id such as i-0abc", source="EC2 API")
AMI_ID = Shape(what="image id", pattern=r"^ami-[0-9a-f]+$", says="an id such as ami-0abc", source="EC2 API")
INSTANCE_TYPE = Shape(
    what="instance type", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$", says="a type such as t3.small", source="EC2 API"
)
IAM_NAME = Shape(
    what="instance profile",
    pattern=r"^[\w+=,.@-]{1,128}$",
    longest=128,
    says="the profile's name (not its ARN)",
    source="IAM API InstanceProfile",
)
KEY_NAME = Shape(
    what="key pair name",
    pattern=r"^[ -~]{1,255}$",
    longest=255,
    says="ASCII characters",
    source="EC2 API CreateKeyPair",
)
DNS_NAME = Shape(
    what="DNS name",
    pattern=r"^(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{2,63}\.?$",
    longest=255,
    says="a full name such as models.example.com",
    source="Route 53 guide, DNS domain name format",
)
ZONE_NAME = Shape(
    what="hosted zone",
    pattern=r"^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9-]{2,63}\.?$",
    longest=255,
    says="the zone's name, such as example.com",
    source="Route 53 guide, DNS domain name format",
)
SET_IDENTIFIER = Shape(
    what="set identifier",
    pattern=r"^[ -~]{1,128}$",
    longest=128,
    says="ASCII characters",
    source="Route 53 API ResourceRecordSet",
)
INSTANT = Shape(
    what="point in time",
    # As it is written, or as the engine hands over what is written without quotes (Go's time.Time.String).
    pattern=r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| ?[+-]\d\d:?\d\d( \S+)?)$",
    says="a time with its zone, such as 2026-11-22T20:00:00Z",
    source="RFC 3339",
)
REASON = Shape(what="reason", pattern=r"^.*\S.*$", longest=256, says="some words", source="for whoever reads it later")

# Networks and sizes -------------------------------------------------------------------------------------------------

#: Where ip targets may lie besides the VPC's own blocks. Source: API CreateTargetGroup, RegisterTargets.
TARGET_NETWORKS = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))

#: A subnet of a load balancer is /27 or larger, with 8 free addresses. Source: ALB guide application-load-balancers.
SMALLEST_SUBNET_PREFIX = 27

#: What the default image, Amazon Linux 2023, needs of a root volume, in GiB.
DEFAULT_IMAGE_SIZE = 8

#: Healthy targets below which anomalies are not looked for. Source: ALB guide load-balancer-target-groups, "Automatic
#: Target Weights".
ANOMALY_TARGETS = 3
#: CPU units of a Fargate task -> what memory goes with them, in MiB. Source: ECS API RegisterTaskDefinition, memory.
FARGATE_MEMORY: Mapping[int, Sequence[int]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16_384 + 1, 1024),
    4096: range(8192, 30_720 + 1, 1024),
    8192: range(16_384, 61_440 + 1, 4096),
    16_384: range(32_768, 122_880 + 1, 8192),
}

#: Variables that no container gets in the clear. Source: Security Hub control ECS.8.
SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "ECS_ENGINE_AUTH_DATA")

#: Target groups a load balancer, fixed. Source: ALB guide load-balancer-limits.
TARGET_GROUPS = 100

# Values ---------------------------------------------------------------------------------------------------------

#: The policy AWS recommends and the console's default; what the API takes when none is given still allows TLS 1.0.
#: ALB guide describe-ssl-policies.
RECOMMENDED_SSL_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
REGION = Shape(
    what="region",
    pattern=r"^[a-z]{2,4}(-[a-z]+){1,2}-\d{1,2}$",
    says="a region such as us-east-1",
    source="Regions guide, AWS Regions",
)

#: AWS adds some from time to time (Regions guide, AWS Regions; those of China and the US government by name).
REGIONS = frozenset(
    """
    af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1
    ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1
    eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1
    me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2 cn-north-1 cn-northwest-1 us-gov-east-1
    us-gov-west-1 us-iso-east-1 us-iso-west-1 us-isob-east-1 us-isob-west-1 eu-isoe-west-1 us-isof-east-1
    us-isof-south-1 eusc-de-east-1
    """.split()  # noqa: SIM905 one a line would be a page
)
