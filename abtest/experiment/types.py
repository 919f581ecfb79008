"""What a stack config says, as frozen types.

One declaration serves the loader, the JSON Schema and the config reference: names (camelCase in YAML, snake_case
here, by one rename rule), types, defaults, limits and descriptions. Mappings are sorted by key, so that the order of
keys in a file changes nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from abtest.experiment import limits

__all__ = [
    "SECRET",
    "AccessLogs",
    "Alarms",
    "Dns",
    "Experiment",
    "Guardrails",
    "GuardrailsOverride",
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
    "Rule",
    "Secret",
    "State",
    "Targets",
    "Variant",
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
        Annotated[str, limits.HEALTH_PATH.meta("Path to ask. Default: `/`; for GRPC `/AWS.ALB/healthcheck`.")] | None
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
    ami: (
        Annotated[str, limits.AMI_ID.meta("Image. Default: the newest Amazon Linux 2023 at the first start.")] | None
    ) = None
    instance_profile: Annotated[str, limits.IAM_NAME.meta("Name of an IAM instance profile.")] | None = None
    user_data_file: (
        Annotated[
            str,
            Meta(
                min_length=1,
                description="Start-up script, a path from the project folder. Default: the sample model server.",
            ),
        ]
        | None
    ) = None
    key_name: Annotated[str, limits.KEY_NAME.meta("Name of an EC2 key pair.")] | None = None
    root_volume_gb: (
        Annotated[int, limits.ROOT_VOLUME.meta("Size of the encrypted root volume. Default: the image's own size.")]
        | None
    ) = None


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
            Meta(description="Somebody else registers targets of this type, through the exported target group ARN."),
        ]
        | None
    ) = None


class Variant(Section, frozen=True, kw_only=True):
    """A version of the model: one target group."""

    port: Annotated[int, limits.PORT.meta("Port that the model server listens on.")]
    protocol: Annotated[
        Literal["HTTP", "HTTPS"], Meta(description="Protocol from the load balancer to the targets.")
    ] = "HTTP"
    protocol_version: Annotated[
        Literal["HTTP1", "HTTP2", "GRPC"], Meta(description="HTTP2 and GRPC need an HTTPS listener.")
    ] = "HTTP1"
    health_check: Annotated[HealthCheck, Meta(description="How health is found out.")] = field(
        default_factory=HealthCheck
    )
    load_balancing: Annotated[
        Literal["least_outstanding_requests", "round_robin", "weighted_random"],
        Meta(description="How a target of the group is chosen; inference times vary, hence the default."),
    ] = "least_outstanding_requests"
    deregistration_delay_seconds: Annotated[
        int, limits.DEREGISTRATION_DELAY.meta("Time that a leaving target has to finish its requests.")
    ] = 60
    slow_start_seconds: Annotated[
        int,
        limits.SLOW_START.meta("Time over which a new target is given its full load; 0 is off, needs `round_robin`."),
    ] = 0
    targets: Annotated[Targets, Meta(description="What answers for the variant: exactly one of the keys below.")]

    @property
    def health(self) -> HealthCheck:
        """The health check with the defaults that depend on the variant."""
        given, is_grpc = self.health_check, self.protocol_version == "GRPC"
        return replace(
            given,
            path=given.path or ("/AWS.ALB/healthcheck" if is_grpc else "/"),
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


class Network(Section, frozen=True, kw_only=True):
    """The existing VPC and subnets, and who may reach the load balancer."""

    vpc_id: Annotated[str, limits.VPC_ID.meta("The VPC. Default: by `vpcTags`, else the default VPC.")] | None = None
    vpc_tags: Annotated[Mapping[str, str], Meta(description="Tags that find exactly one VPC.")] | None = None
    subnet_ids: (
        Annotated[
            tuple[Annotated[str, limits.SUBNET_ID.meta("A subnet.")], ...],
            Meta(
                description="Subnets, at least two, one a zone. "
                "Default: by `subnetTags`, else all of the VPC (of the default VPC: its default subnets)."
            ),
        ]
        | None
    ) = None
    subnet_tags: Annotated[Mapping[str, str], Meta(description="Tags that find the subnets within the VPC.")] | None = (
        None
    )
    internal: Annotated[bool, Meta(description="A load balancer without a public address.")] = False
    ip_address_type: Annotated[
        Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"],
        Meta(description="dualstack also serves IPv6; the subnets need IPv6 blocks."),
    ] = "ipv4"
    ingress_cidrs: Annotated[
        tuple[Text, ...], Meta(description="Who may reach the listener ports, as CIDR blocks.")
    ] = ("0.0.0.0/0",)


class Listener(Section, frozen=True, kw_only=True):
    """Where the load balancer listens. HTTPS exactly when `certificateArn` is given."""

    port: Annotated[int, limits.PORT.meta("Port. Default: 443 with a certificate, else 80.")] | None = None
    certificate_arn: (
        Annotated[str, limits.CERTIFICATE.meta("Certificate of the HTTPS listener, in the stack's region.")] | None
    ) = None
    ssl_policy: (
        Annotated[str, limits.SSL_POLICY.meta(f"Security policy. Default: `{limits.RECOMMENDED_SSL_POLICY}`.")] | None
    ) = None
    redirect_http: (
        Annotated[bool, Meta(description="Redirect port 80 to the HTTPS listener. Default: true with a certificate.")]
        | None
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


class GuardrailsOverride(Section, frozen=True, kw_only=True):
    """For emergencies: no guardrail holds until a point in time."""

    reason: Annotated[str, limits.REASON.meta("Why, for whoever reads the file later; it is exported.")]
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
        int, limits.MAX_STEP.meta("Points of share that a variant but the control may gain on a route in one update.")
    ] = 25
    require_healthy: Annotated[bool, Meta(description="A variant that gains share has healthy targets.")] = True
    min_healthy: Annotated[int, limits.MIN_HEALTHY.meta("How many of them.")] = 1
    alarms: Annotated[
        bool,
        Meta(description="A variant but the control gains no share while one of its CloudWatch alarms is in ALARM."),
    ] = True
    metrics: Annotated[MetricLimits, Meta(description="Limits of a ramp, judged by access logs.")] | None = None
    override: Annotated[GuardrailsOverride, Meta(description="Switches the guardrails off for a while.")] | None = None


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
        Annotated[str, limits.SNS_TOPIC.meta("Topic that is told when an alarm goes off, and when it is over.")] | None
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
        str, limits.VARIANT_NAME.meta("What the other variants are compared with. Default: the first by name.")
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
    deletion_protection: Annotated[bool, Meta(description="AWS refuses to delete the load balancer.")] = False
    idle_timeout_seconds: Annotated[int, limits.IDLE_TIMEOUT.meta("A connection without data is closed after it.")] = 60
    tags: Annotated[
        Mapping[
            Annotated[str, limits.TAG_KEY.meta("A tag's key.")], Annotated[str, limits.TAG_VALUE.meta("A tag's value.")]
        ],
        Meta(description="Tags of your own on every resource."),
    ] = field(default_factory=_nothing)

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

    @property
    def override_priorities(self) -> Mapping[str, int]:
        """Variant -> priority of the rule that forces it; empty without an override."""
        return {name: n for n, name in enumerate(sorted(self.variants), 1)} if self.override else {}


#: `forward: split` stands for the main weights, so no variant can be called so.
SPLIT = "split"
