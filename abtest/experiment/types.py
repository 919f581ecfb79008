"""What a stack config says, as frozen types.

One declaration serves the loader, the JSON Schema and the config reference: names (camelCase in YAML, snake_case
here, by one rename rule), types, defaults, limits and descriptions. Mappings are sorted by key, so that the order of
keys in a file changes nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta, MsgspecError, Struct, convert, field
from msgspec.structs import asdict, replace

from abtest.experiment import limits
from abtest.experiment.serving import PRESETS, Server

__all__ = [
    "SECRET",
    "AccessLogs",
    "Alarms",
    "Autoscaling",
    "Dns",
    "Ecs",
    "Experiment",
    "Guardrails",
    "GuardrailsSuspension",
    "HealthCheck",
    "Launch",
    "Listener",
    "MaxErrorRate",
    "MaxSlow",
    "MetricLimits",
    "Network",
    "Override",
    "Redirect",
    "Respond",
    "ResponseHeaders",
    "Rule",
    "Secret",
    "Split",
    "State",
    "Targets",
    "Variant",
    "Waf",
    "When",
]


class Secret(str):
    """A text that is encrypted in the stack file: present, but unknown outside the engine."""

    __slots__ = ()


SECRET = Secret("[secret]")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


class Section(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A mapping of the config with fixed keys."""


# Shorthands; the text after a limit is the description that the schema and the reference show.
Text = Annotated[str, Meta(min_length=1)]
VariantName = Annotated[str, limits.VARIANT_NAME.meta("A variant's name.")]
Weight = Annotated[int, limits.WEIGHT.meta("Relative weight; its share is the weight over the sum.")]
PathValue = Annotated[str, limits.PATH_VALUE.meta("A path pattern; case-sensitive, never compared with the query.")]
HostValue = Annotated[str, limits.HOST_VALUE.meta("A host pattern; letter case does not matter.")]
TextValue = Annotated[str, limits.TEXT_VALUE.meta("A pattern; letter case does not matter.")]
RegexValue = Annotated[str, limits.REGEX_VALUE.meta("A regular expression, with ^ and $.")]
HeaderName = Annotated[str, limits.HEADER_NAME.meta("A request header's name.")]
QueryKey = Annotated[str, limits.TEXT_VALUE.meta("A query key; * is any key.")]


class HealthCheck(Section, frozen=True, kw_only=True):
    """How the load balancer finds out whether a target is healthy."""

    path: (
        Annotated[
            str,
            limits.HEALTH_PATH.meta(
                "Path to ask. Default: that of `serving`, else `/`; for GRPC `/AWS.ALB/healthcheck`."
            ),
        ]
        | None
    ) = None
    port: Annotated[int, limits.PORT.meta("Port to ask.")] | Literal["traffic-port"] = "traffic-port"
    protocol: Annotated[Literal["HTTP", "HTTPS"], Meta(description="Default: the variant's protocol.")] | None = None
    interval_seconds: Annotated[int, limits.HEALTH_INTERVAL.meta("Time between two checks.")] = 15
    timeout_seconds: Annotated[int, limits.HEALTH_TIMEOUT.meta("Time for an answer; below the interval.")] = 5
    healthy_threshold: Annotated[
        int, limits.HEALTH_THRESHOLD.meta("Passed checks in a row that make a target healthy.")
    ] = 2
    unhealthy_threshold: Annotated[
        int, limits.HEALTH_THRESHOLD.meta("Failed checks in a row that make it unhealthy.")
    ] = 2
    matcher: Annotated[str, limits.MATCHER.meta("Statuses that pass. Default: `200`; for GRPC `12`.")] | None = None


class Launch(Section, frozen=True, kw_only=True):
    """EC2 instances that this program starts."""

    instance_type: Annotated[str, limits.INSTANCE_TYPE.meta("EC2 instance type, such as `t3.small`.")]
    count: Annotated[
        int, limits.TARGET_COUNT.meta("Number of instances, spread over the zones that offer the type.")
    ] = 1
    min: (
        Annotated[
            int, limits.TARGET_COUNT.meta("Least number of an Auto Scaling group; with `max`, in place of `count`.")
        ]
        | None
    ) = None
    max: Annotated[int, limits.TARGET_COUNT.meta("Greatest number of an Auto Scaling group.")] | None = None
    requests_per_target: (
        Annotated[
            int, limits.REQUESTS_PER_TARGET.meta("Scales to about that many requests per minute for each instance.")
        ]
        | None
    ) = None
    health_check_grace_seconds: Annotated[
        int,
        limits.GRACE.meta("Time that a new instance of an Auto Scaling group has before a failed check ends it."),
    ] = limits.USUAL_GRACE
    ami: (
        Annotated[str, limits.AMI_ID.meta("Image. Default: the newest Amazon Linux 2023 at the first start.")] | None
    ) = None
    instance_profile: Annotated[str, limits.IAM_NAME.meta("Name of an IAM instance profile.")] | None = None
    user_data_file: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="Start-up script, a path within the project folder. Default: the sample model server.",
            ),
        ]
        | None
    ) = None
    key_name: Annotated[str, limits.KEY_NAME.meta("Name of an EC2 key pair.")] | None = None
    root_volume_gb: (
        Annotated[int, limits.ROOT_VOLUME.meta("Size of the encrypted root volume. Default: the image's own size.")]
        | None
    ) = None
    public_ip: Annotated[bool, Meta(description="A public address. Default: what the subnet says.")] | None = None

    @property
    def scales(self) -> bool:
        """Whether it is an Auto Scaling group, not single instances."""
        return self.min is not None or self.max is not None


class Autoscaling(Section, frozen=True, kw_only=True):
    """Between how many tasks a service scales, by the requests of each."""

    min: Annotated[int, limits.TARGET_COUNT.meta("Least number of tasks.")]
    max: Annotated[int, limits.TARGET_COUNT.meta("Greatest number of tasks.")]
    requests_per_target: Annotated[
        int, limits.REQUESTS_PER_TARGET.meta("Scales to about that many requests per minute for each task.")
    ]


class Ecs(Section, frozen=True, kw_only=True):
    """A Fargate service that this program runs. Its container listens on the variant's port."""

    image: Annotated[str, limits.IMAGE.meta("Container image, with its registry unless it is Docker Hub's.")]
    cpu: Annotated[
        Literal[256, 512, 1024, 2048, 4096, 8192, 16384],
        Meta(description="CPU units of a task; 1024 are one vCPU.", extra={"limit": limits.TASK_CPU}),
    ]
    memory: Annotated[int, limits.TASK_MEMORY.meta("Memory of a task; which sizes there are depends on `cpu`.")]
    count: Annotated[int, limits.TARGET_COUNT.meta("Number of tasks; `autoscaling` has its own.")] = 1
    command: Annotated[tuple[str, ...], Meta(description="Arguments of the container. Default: the image's.")] = ()
    environment: Annotated[
        Mapping[Annotated[str, limits.ENVIRONMENT_NAME.meta("A variable's name.")], str],
        Meta(description="Environment variables, in the clear."),
    ] = field(default_factory=_nothing)
    secrets: Annotated[
        Mapping[
            Annotated[str, limits.ENVIRONMENT_NAME.meta("A variable's name.")],
            Annotated[str, limits.SECRET_ARN.meta("Where its value is.")],
        ],
        Meta(description="Environment variables whose values are in Secrets Manager or the Parameter Store."),
    ] = field(default_factory=_nothing)
    cluster: (
        Annotated[str, limits.CLUSTER_NAME.meta("Name of an existing cluster. Default: one of the stack's own.")] | None
    ) = None
    architecture: Annotated[Literal["X86_64", "ARM64"], Meta(description="What the image is built for.")] = "X86_64"
    autoscaling: Annotated[Autoscaling, Meta(description="Scaling by requests; a fixed number when absent.")] | None = (
        None
    )
    ephemeral_storage_gb: (
        Annotated[int, limits.EPHEMERAL_STORAGE.meta("Disk of a task, with its image. Default: 20 GiB.")] | None
    ) = None
    user: (
        Annotated[str, limits.CONTAINER_USER.meta("User of the container. Default: the image's, often root.")] | None
    ) = None
    read_only_root: Annotated[
        bool,
        Meta(description="The container can only write to /tmp, and its user can if the image says `VOLUME /tmp`."),
    ] = True
    public_ip: Annotated[
        bool, Meta(description="A public address for each task: in a public subnet it cannot fetch its image without.")
    ] = False
    health_check_grace_seconds: Annotated[
        int, limits.GRACE.meta("Time that a new task has before a failed health check ends it.")
    ] = 300
    log_retention_days: Annotated[
        Literal[
            1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
        ],
        Meta(
            description="Days that CloudWatch keeps what the container prints.",
            extra={"limit": limits.LOG_RETENTION},
        ),
    ] = 30
    task_policy_arns: Annotated[
        tuple[Annotated[str, limits.POLICY_ARN.meta("An IAM policy.")], ...],
        Meta(description="What the container may do in AWS, such as read model weights from S3. Default: nothing."),
    ] = ()


class Targets(Section, frozen=True, kw_only=True):
    """What answers for a variant: exactly one of these."""

    launch: Annotated[Launch, Meta(description="Instances that this program starts.")] | None = None
    instance_ids: (
        Annotated[
            tuple[Annotated[str, limits.INSTANCE_ID.meta("An EC2 instance.")], ...],
            Meta(description="Running EC2 instances of the VPC."),
        ]
        | None
    ) = None
    ip_addresses: (
        Annotated[
            tuple[Text, ...], Meta(description="Private addresses, IPv4 or IPv6, of the VPC or reachable from it.")
        ]
        | None
    ) = None
    external: (
        Annotated[
            Literal["ip", "instance"],
            Meta(description="Targets of this type are registered elsewhere, through the exported target group ARN."),
        ]
        | None
    ) = None
    ecs: (
        Annotated[
            Ecs,
            Meta(
                description="A Fargate service that this program runs. "
                "On a deployed stack, a new one joins with weight 0."
            ),
        ]
        | None
    ) = None
    lambda_arn: Annotated[str, limits.FUNCTION_ARN.meta("A Lambda function, or a version or alias of one.")] | None = (
        None
    )

    @property
    def starts(self) -> bool:
        """Whether the program starts what answers, in the target subnets."""
        return self.launch is not None or self.ecs is not None

    @property
    def is_function(self) -> bool:
        """Whether it is a Lambda function: it has no address, and is invoked."""
        return self.lambda_arn is not None

    @property
    def most(self) -> int | None:
        """How many there can be; None where the config does not say."""
        if self.launch is not None:
            return self.launch.max or self.launch.count
        if self.ecs is not None:
            return self.ecs.autoscaling.max if self.ecs.autoscaling else self.ecs.count
        if self.is_function:
            return 1
        return len(self.instance_ids or self.ip_addresses or ()) or None


class Variant(Section, frozen=True, kw_only=True):
    """A version of the model: one target group."""

    serving: (
        Annotated[Server, Meta(description="The model server: its documented port and health path, unless given.")]
        | None
    ) = None
    port: (
        Annotated[
            int,
            limits.PORT.meta(
                "Port that the model server listens on. Default: that of `serving`; none with `lambdaArn`."
            ),
        ]
        | None
    ) = None
    protocol: Annotated[
        Literal["HTTP", "HTTPS"], Meta(description="Protocol from the load balancer to the targets.")
    ] = "HTTP"
    protocol_version: Annotated[
        Literal["HTTP1", "HTTP2", "GRPC"], Meta(description="HTTP2 and GRPC need an HTTPS listener.")
    ] = "HTTP1"
    health_check: Annotated[
        HealthCheck,
        Meta(description="How health is found out. With `lambdaArn` it is not, unless something is said here."),
    ] = field(default_factory=HealthCheck)
    load_balancing: Annotated[
        Literal["least_outstanding_requests", "round_robin", "weighted_random"],
        Meta(description="How a target of the group is chosen; inference times vary, hence the default."),
    ] = "least_outstanding_requests"
    anomaly_mitigation: Annotated[
        bool, Meta(description="Fewer requests to targets that fail more than others; needs `weighted_random`.")
    ] = False
    deregistration_delay_seconds: Annotated[
        int, limits.DEREGISTRATION_DELAY.meta("Time that a leaving target has to finish its requests.")
    ] = 60
    slow_start_seconds: Annotated[
        int,
        limits.SLOW_START.meta("Time over which a new target is given its full load; 0 is off, needs `round_robin`."),
    ] = 0
    targets: Annotated[Targets, Meta(description="What answers for the variant: exactly one of the keys below.")]

    @property
    def target_port(self) -> int:
        """The port of the targets; 0 for a Lambda function, which has none."""
        if self.port or self.serving is None:
            return self.port or 0
        preset = PRESETS[self.serving]
        return (preset.grpc_port or 0) if self.protocol_version == "GRPC" else preset.port

    @property
    def is_checked(self) -> bool:
        """Whether its health is checked; a Lambda function's only where that is said: each check is an invocation."""
        return not self.targets.is_function or self.health_check != HealthCheck()

    @property
    def health(self) -> HealthCheck:
        """The health check with the defaults that depend on the variant."""
        given, is_grpc = self.health_check, self.protocol_version == "GRPC"
        usual = PRESETS[self.serving].health_path if self.serving else "/"
        return replace(
            given,
            path=given.path or ("/AWS.ALB/healthcheck" if is_grpc else usual),
            protocol=given.protocol or self.protocol,
            matcher=given.matcher or ("12" if is_grpc else "200"),
        )


class When(Section, frozen=True, kw_only=True):
    """Conditions of a rule: the keys AND together, the values of one key OR."""

    path: Annotated[tuple[PathValue, ...], Meta(description="Path patterns with `*` and `?`.")] | None = None
    path_regex: Annotated[tuple[RegexValue, ...], Meta(description="Regular expressions for the path.")] | None = None
    host: Annotated[tuple[HostValue, ...], Meta(description="Host patterns with `*` and `?`.")] | None = None
    host_regex: Annotated[tuple[RegexValue, ...], Meta(description="Regular expressions for the host.")] | None = None
    header: (
        Annotated[
            Mapping[HeaderName, tuple[TextValue, ...]], Meta(description="Header name -> patterns; several names AND.")
        ]
        | None
    ) = None
    header_regex: (
        Annotated[Mapping[HeaderName, tuple[RegexValue, ...]], Meta(description="Header name -> regular expressions.")]
        | None
    ) = None
    query: (
        Annotated[
            Mapping[QueryKey, tuple[TextValue, ...]], Meta(description="Query key -> patterns; the key `*` is any key.")
        ]
        | None
    ) = None
    method: (
        Annotated[
            tuple[Annotated[str, limits.METHOD.meta("A request method.")], ...],
            Meta(description="Request methods; HEAD is not GET."),
        ]
        | None
    ) = None
    source_ip: (
        Annotated[tuple[Text, ...], Meta(description="CIDR blocks of the peer's address (never X-Forwarded-For).")]
        | None
    ) = None


class Redirect(Section, frozen=True, kw_only=True):
    """An answer that sends the client elsewhere; parts left out keep their value."""

    protocol: (
        Annotated[Literal["HTTP", "HTTPS", "#{protocol}"], Meta(description="HTTP, HTTPS or `#{protocol}`.")] | None
    ) = None
    host: Annotated[str, limits.REDIRECT_HOST.meta("Host, which may hold `#{host}`.")] | None = None
    port: (
        Annotated[int, limits.PORT.meta("Port.")]
        | Annotated[str, limits.REDIRECT_PORT.meta("Port, or `#{port}`.")]
        | None
    ) = None
    path: (
        Annotated[str, limits.REDIRECT_PATH.meta("Path, which may hold `#{host}`, `#{path}` and `#{port}`.")] | None
    ) = None
    query: Annotated[str, limits.REDIRECT_QUERY.meta("Query without the `?`.")] | None = None
    status: Annotated[Literal[301, 302], Meta(description="301 is remembered by clients, 302 is not.")] = 302


class Respond(Section, frozen=True, kw_only=True):
    """A fixed answer of the load balancer itself."""

    status: Annotated[int, limits.RESPONSE_STATUS.meta("Status: 2xx, 4xx or 5xx.")]
    body: Annotated[
        str, Meta(max_length=limits.RESPONSE_BODY.high, description="Body.", extra={"limit": limits.RESPONSE_BODY})
    ] = ""
    content_type: Annotated[
        Literal["text/plain", "text/css", "text/html", "application/javascript", "application/json"],
        Meta(description="Type of the body."),
    ] = "text/plain"


class Rule(Section, frozen=True, kw_only=True):
    """Requests that do not take the main split: conditions and exactly one of forward, redirect, respond."""

    priority: Annotated[int, limits.PRIORITY.meta("Order of evaluation: the lowest number that matches wins.")]
    when: Annotated[When, Meta(description="Conditions; at least one.")]
    forward: (
        Annotated[
            VariantName | Mapping[VariantName, Weight],
            Meta(description="A variant, a mapping of weights, or `split` for the main weights."),
        ]
        | None
    ) = None
    redirect: Annotated[Redirect, Meta(description="Send the client elsewhere.")] | None = None
    respond: Annotated[Respond, Meta(description="Answer from the load balancer.")] | None = None


IpAddressType = Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"]


class Network(Section, frozen=True, kw_only=True):
    """The existing VPC and subnets, and who may reach the load balancer."""

    vpc_id: Annotated[str, limits.VPC_ID.meta("The VPC. Default: by `vpcTags`, else the default VPC.")] | None = None
    vpc_tags: Annotated[Mapping[str, str], Meta(description="Tags that find exactly one VPC.")] | None = None
    subnet_ids: (
        Annotated[
            tuple[Annotated[str, limits.SUBNET_ID.meta("A subnet.")], ...],
            Meta(
                description="Subnets, at least two, one per zone. "
                "Default: by `subnetTags`, else all of the VPC (of the default VPC: its default subnets)."
            ),
        ]
        | None
    ) = None
    subnet_tags: Annotated[Mapping[str, str], Meta(description="Tags that find the subnets within the VPC.")] | None = (
        None
    )
    target_subnet_ids: (
        Annotated[
            tuple[Annotated[str, limits.SUBNET_ID.meta("A subnet.")], ...],
            Meta(
                description="Subnets of the instances and tasks that the program starts. "
                "Default: by `targetSubnetTags`, else the load balancer's."
            ),
        ]
        | None
    ) = None
    target_subnet_tags: (
        Annotated[Mapping[str, str], Meta(description="Tags that find these subnets within the VPC.")] | None
    ) = None
    internal: Annotated[bool, Meta(description="A load balancer without a public address.")] = False
    ip_address_type: Annotated[
        IpAddressType,
        Meta(description="dualstack also serves IPv6; the subnets need IPv6 blocks."),
    ] = "ipv4"
    ingress_cidrs: Annotated[
        tuple[Text, ...], Meta(description="Who may reach the listener ports, as CIDR blocks.")
    ] = ("0.0.0.0/0",)


class Split(Section, frozen=True, kw_only=True):
    """The main split as a rule of an existing listener."""

    priority: Annotated[int, limits.PRIORITY.meta("Order of evaluation among all rules of that listener.")]
    when: Annotated[When, Meta(description="Which requests take the split; at least one condition.")]


HeaderText = Annotated[str, limits.RESPONSE_HEADER.meta("A response header's value.")]


class ResponseHeaders(Section, frozen=True, kw_only=True):
    """Response headers that the load balancer sets, in place of what a model server says. A header that is taken out
    here stays as it was on the load balancer (docs/edge.md says how to take it away).
    """

    strict_transport_security: (
        Annotated[str, limits.HSTS.meta("HSTS, such as `max-age=31536000`; `max-age=0` ends it.")] | None
    ) = None
    content_security_policy: Annotated[HeaderText, Meta(description="CSP.")] | None = None
    x_content_type_options: Annotated[Literal["nosniff"], Meta(description="No guessing of types.")] | None = None
    x_frame_options: Annotated[str, limits.FRAME_OPTIONS.meta("Who may show answers in a frame.")] | None = None
    access_control_allow_origin: (
        Annotated[str, limits.CORS_ORIGIN.meta("CORS: from where scripts may ask; one origin, or `*`.")] | None
    ) = None
    access_control_allow_methods: Annotated[str, limits.CORS_METHODS.meta("CORS: methods.")] | None = None
    access_control_allow_headers: Annotated[HeaderText, Meta(description="CORS: request headers.")] | None = None
    access_control_allow_credentials: Annotated[bool, Meta(description="CORS: cookies may be sent along.")] = False
    access_control_expose_headers: Annotated[HeaderText, Meta(description="CORS: response headers.")] | None = None
    access_control_max_age: Annotated[int, limits.CORS_AGE.meta("CORS: how long a preflight answer holds.")] | None = (
        None
    )
    server: Annotated[bool, Meta(description="`Server: awselb/2.0` in the load balancer's own answers.")] = True

    @property
    def values(self) -> Mapping[str, str]:
        """The headers that are set; names as AWS's listener attributes have them: ``x_frame_options``."""
        found = {name: value for name, value in asdict(self).items() if name != "server"}
        return {
            name: "true" if value is True else str(value)
            for name, value in found.items()
            if value is not None and value is not False
        }


class Listener(Section, frozen=True, kw_only=True):
    """Where the load balancer listens. HTTPS exactly when `certificateArn` is given, or as `arn` is."""

    arn: (
        Annotated[
            str,
            limits.LISTENER_ARN.meta("An existing listener; the split becomes a rule of it, and nothing else is made."),
        ]
        | None
    ) = None
    split: Annotated[Split, Meta(description="The rule of the split, with `arn`.")] | None = None
    port: Annotated[int, limits.PORT.meta("Port. Default: 443 with a certificate, else 80.")] | None = None
    certificate_arn: (
        Annotated[str, limits.CERTIFICATE.meta("Certificate of the HTTPS listener, in the stack's region.")] | None
    ) = None
    certificate_arns: Annotated[
        tuple[Annotated[str, limits.CERTIFICATE.meta("A certificate.")], ...],
        Meta(description="Further certificates: clients get the one for the name they ask for (SNI)."),
    ] = ()
    ssl_policy: (
        Annotated[str, limits.SSL_POLICY.meta(f"Security policy. Default: `{limits.RECOMMENDED_SSL_POLICY}`.")] | None
    ) = None
    redirect_http: (
        Annotated[bool, Meta(description="Redirect port 80 to the HTTPS listener. Default: true with a certificate.")]
        | None
    ) = None
    response_headers: (
        Annotated[ResponseHeaders, Meta(description="Response headers that it sets; none when absent.")] | None
    ) = None

    @property
    def is_https(self) -> bool:
        return self.certificate_arn is not None

    @property
    def protocol(self) -> Literal["HTTP", "HTTPS"]:
        return "HTTPS" if self.is_https else "HTTP"

    @property
    def listens_on(self) -> int:
        return self.port or (443 if self.is_https else 80)

    @property
    def policy(self) -> str | None:
        """The security policy. It is always said: left out, AWS would still take TLS 1.0."""
        return (self.ssl_policy or limits.RECOMMENDED_SSL_POLICY) if self.is_https else None

    @property
    def says_server(self) -> bool:
        """Whether the load balancer's own answers have a `Server` header. It is always set: where it is not, the
        provider creates a listener without it (hashicorp/terraform-provider-aws, internal/service/elbv2/listener.go).
        """
        return self.response_headers is None or self.response_headers.server

    @property
    def redirects_port_80(self) -> bool:
        return self.is_https if self.redirect_http is None else self.redirect_http

    @property
    def ports(self) -> tuple[int, ...]:
        """Every port that a client may reach."""
        return (80, self.listens_on) if self.redirects_port_80 else (self.listens_on,)


class Override(Section, frozen=True, kw_only=True):
    """A header that forces a variant, for testers. Takes the priorities 1 to n, n being the number of variants."""

    header: Annotated[str, limits.HEADER_NAME.meta("Name of the header.")] = "X-Abtest-Variant"
    secret: Annotated[
        bool, Meta(description="The value is `<token>-<variant>` with a generated token, else the variant's name.")
    ] = True


class Dns(Section, frozen=True, kw_only=True):
    """A Route 53 alias record for the load balancer."""

    zone: Annotated[str, limits.ZONE_NAME.meta("Name of an existing hosted zone.")]
    name: Annotated[str, limits.DNS_NAME.meta("Name of the record, within the zone.")]
    private_zone: Annotated[bool, Meta(description="Look for the zone among the private ones.")] = False
    weight: Annotated[int, limits.DNS_WEIGHT.meta("Weight of this record among those of the same name.")] | None = None
    set_identifier: (
        Annotated[str, limits.SET_IDENTIFIER.meta("Tells this record from the others of its name; with `weight`.")]
        | None
    ) = None


class GuardrailsSuspension(Section, frozen=True, kw_only=True):
    """For emergencies: suspends all guardrails until a point in time."""

    reason: Annotated[str, limits.REASON.meta("The reason; it is exported.")]
    until: Annotated[str, limits.INSTANT.meta("Until when, at most 24 hours ahead.")]


class MaxErrorRate(Section, frozen=True, kw_only=True):
    """The share of requests that fail with a 5xx, against the control's."""

    worse_by: Annotated[float, limits.WORSE_BY.meta("How much more may fail: 0.005 is half a point.")]


class MaxSlow(Section, frozen=True, kw_only=True):
    """The share of answers that take longer than some time, against the control's."""

    seconds: Annotated[float, limits.RESPONSE_TIME.meta("The time.")]
    worse_by: Annotated[float, limits.WORSE_BY.meta("How much more may take longer: 0.01 is a point.")]


class MetricLimits(Section, frozen=True, kw_only=True):
    """What `abtest ramp` judges a variant by, from access logs: a breach is what is certainly past a limit."""

    error_rate: Annotated[MaxErrorRate, Meta(description="Limit of the share of failed requests.")] | None = None
    slower_than: Annotated[MaxSlow, Meta(description="Limit of the share of slow answers.")] | None = None
    min_units: Annotated[int, limits.MIN_UNITS.meta("Clients of each variant below which nothing is judged.")] = 50


class Guardrails(Section, frozen=True, kw_only=True):
    """What every update of traffic is held to, by whatever way it comes."""

    max_step: Annotated[
        int, limits.MAX_STEP.meta("Points of share that a variant but the control gains of any requests per update.")
    ] = 25
    require_healthy: Annotated[bool, Meta(description="A variant that gains share has healthy targets.")] = True
    min_healthy: Annotated[int, limits.MIN_HEALTHY.meta("How many of them.")] = 1
    alarms: Annotated[
        bool,
        Meta(description="A variant but the control gains no share while one of its CloudWatch alarms is in ALARM."),
    ] = True
    metrics: Annotated[MetricLimits, Meta(description="Limits of a ramp, judged by access logs.")] | None = None
    suspend: Annotated[GuardrailsSuspension, Meta(description="Suspends the guardrails for a while.")] | None = None

    @property
    def tag(self) -> str:
        """The limits of one update, as a tag of the deployed listener has them."""
        health, alarms = (str(switch).lower() for switch in (self.require_healthy, self.alarms))
        return f"maxStep={self.max_step} requireHealthy={health} minHealthy={self.min_healthy} alarms={alarms}"

    @classmethod
    def of_tag(cls, text: str) -> "Guardrails":
        """The limits that a tag holds; the defaults if it cannot be read."""
        try:
            return convert(dict(part.split("=") for part in text.split()), cls, strict=False)
        except (ValueError, MsgspecError):
            return cls()

    def with_stricter(self, other: "Guardrails | None") -> "Guardrails":
        """The stricter of each limit of one update."""
        if other is None:
            return self
        least = [rails.min_healthy for rails in (self, other) if rails.require_healthy]
        return replace(
            self,
            max_step=min(self.max_step, other.max_step),
            require_healthy=bool(least),
            min_healthy=max(least, default=self.min_healthy),
            alarms=self.alarms or other.alarms,
        )


class Alarms(Section, frozen=True, kw_only=True):
    """CloudWatch alarms of the variants and the load balancer, and a dashboard."""

    max_error_rate: Annotated[
        float,
        limits.ERROR_RATE.meta("Share of the requests that may fail with a 5xx, of a variant or the load balancer."),
    ] = 0.01
    max_p99_seconds: Annotated[
        float, limits.RESPONSE_TIME.meta("Time within which a variant starts to answer 99 of 100 requests.")
    ] = 0.5
    min_requests: Annotated[
        int, limits.SAMPLE.meta("Requests in five minutes below which neither of the two is judged.")
    ] = 100
    sns_topic_arn: (
        Annotated[str, limits.SNS_TOPIC.meta("Topic that is notified when an alarm starts and when it ends.")] | None
    ) = None


class AccessLogs(Section, frozen=True, kw_only=True):
    """Where the load balancer logs every request: a bucket of its own, or one that is there."""

    retain_days: (
        Annotated[int, limits.RETAIN_DAYS.meta("Days after which the bucket of its own deletes a log. Default: 90.")]
        | None
    ) = None
    bucket: (
        Annotated[str, limits.BUCKET.meta("An existing bucket, whose policy lets the load balancer write.")] | None
    ) = None
    prefix: Annotated[str, limits.LOG_PREFIX.meta("Folder of the logs in the bucket.")] | None = None
    delete_with_stack: Annotated[
        bool,
        Meta(
            description="Delete the bucket of its own, with all logs, when the stack or `accessLogs` is removed; takes "
            "effect with the next `pulumi up`. By default the bucket is kept."
        ),
    ] = False


class Waf(Section, frozen=True, kw_only=True):
    """A web ACL in front of the load balancer."""

    web_acl_arn: Annotated[str, limits.WEB_ACL.meta("A regional web ACL of AWS WAF, in the stack's region.")]
    fail_open: Annotated[bool, Meta(description="Let requests through while WAF does not answer.")] = False


State = Literal["live", "warm", "off"]


class Experiment(Section, frozen=True, kw_only=True):
    """A whole stack config, checked."""

    experiment: Annotated[
        str,
        limits.TAG_VALUE.meta(
            "Name of the experiment: tags, and the salt changes with it. Default: the project's name."
        ),
    ]
    control: Annotated[
        str,
        limits.VARIANT_NAME.meta(
            "What the other variants are compared with, and what a rollback goes back to; in `weights`. "
            "Default: a variant named `control`, or the only one in `weights`."
        ),
    ]
    weights: Annotated[
        Mapping[VariantName, Weight], Meta(description="The main split: 1 to 5 variants. The line that shifts traffic.")
    ]
    stickiness_seconds: Annotated[int, limits.STICKINESS.meta("How long a client keeps its variant; 0 is off.")] = 0
    variants: Annotated[Mapping[VariantName, Variant], Meta(description="The versions of the model.")]
    rules: Annotated[
        Mapping[Annotated[str, limits.RULE_NAME.meta("A rule's name.")], Rule],
        Meta(description="Requests that do not take the main split."),
    ] = field(default_factory=_nothing)
    network: Annotated[Network, Meta(description="Existing VPC and subnets.")] = field(default_factory=Network)
    listener: Annotated[Listener, Meta(description="Port and certificate.")] = field(default_factory=Listener)
    override: Annotated[Override, Meta(description="Header that forces a variant; off when absent.")] | None = None
    dns: Annotated[Dns, Meta(description="Route 53 record; none when absent.")] | None = None
    guardrails: (
        Annotated[Guardrails, Meta(description="What every update of traffic is held to; nothing when absent.")] | None
    ) = None
    alarms: Annotated[Alarms, Meta(description="CloudWatch alarms and a dashboard; none when absent.")] | None = None
    held: Annotated[
        tuple[VariantName, ...],
        Meta(description="Variants that may not gain share; a rollback writes it."),
    ] = ()
    access_logs: Annotated[AccessLogs, Meta(description="A log of every request; none when absent.")] | None = None
    waf: Annotated[Waf, Meta(description="Web application firewall; none when absent.")] | None = None
    deletion_protection: Annotated[bool, Meta(description="AWS refuses to delete the load balancer.")] = False
    idle_timeout_seconds: Annotated[int, limits.IDLE_TIMEOUT.meta("A connection without data is closed after it.")] = 60
    tags: Annotated[
        Mapping[
            Annotated[str, limits.TAG_KEY.meta("A tag's key.")], Annotated[str, limits.TAG_VALUE.meta("A tag's value.")]
        ],
        Meta(description="Tags of your own on every resource."),
    ] = field(default_factory=_nothing)

    @property
    def metric_limits(self) -> MetricLimits | None:
        """What a ramp is judged by."""
        return self.guardrails.metrics if self.guardrails else None

    @property
    def services(self) -> Mapping[str, Ecs]:
        """By variant, for those that are Fargate services."""
        targets = {name: variant.targets for name, variant in self.variants.items()}
        return {name: each.ecs for name, each in targets.items() if each.ecs is not None}

    def least_healthy(self, variant: str) -> int:
        """How many healthy targets a variant has to have. For the control, which others fall back to, one is enough."""
        return self.guardrails.min_healthy if self.guardrails and variant != self.control else 1

    def forward_weights(self, rule: Rule) -> Mapping[str, int]:
        """The weights of a rule that forwards; empty for any other."""
        if rule.forward is None:
            return {}
        if isinstance(rule.forward, str):
            return self.weights if rule.forward == SPLIT else {rule.forward: 1}
        return rule.forward

    def stickiness_of(self, rule: Rule) -> int:
        """How long a rule keeps its clients, in seconds. A rule with one variant does not: its cookie would carry the
        client's requests of the main split there too.
        """
        return self.stickiness_seconds if len(self.forward_weights(rule)) > 1 else 0

    def rules_in_order(self) -> tuple[tuple[str, Rule], ...]:
        """Name and rule by priority."""
        return tuple(sorted(self.rules.items(), key=lambda item: (item[1].priority, item[0])))

    def state(self, variant: str) -> State:
        """live: some client may be sent there; warm: only in forwards with weight 0; off: in none."""
        forwards = [self.weights, *(self.forward_weights(rule) for rule in self.rules.values())]
        weights = [forward[variant] for forward in forwards if variant in forward]
        if any(weights):
            return "live"
        return "warm" if weights else "off"

    def is_forwarded(self, variant: str) -> bool:
        """Whether something forwards to it; what a rollback took out, and holds, counts as if it did."""
        return self.state(variant) != "off" or variant in self.held or self.override is not None

    @property
    def override_priorities(self) -> Mapping[str, int]:
        """Variant -> priority of the rule that forces it; empty without an override."""
        return {name: n for n, name in enumerate(sorted(self.variants), 1)} if self.override else {}


#: `forward: split` stands for the main weights, so no variant can be called so.
SPLIT = "split"
