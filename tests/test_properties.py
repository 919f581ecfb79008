"""Whatever the checks accept, botocore's parameter validation and moto accept too; and key order changes nothing.

Exceptions that are moto's fault, not AWS's: a target group name with "--" (AWS documents no such rule), a
deregistration delay of 3600 s and regular expressions (both handled in abtest/local).
"""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abtest.experiment import limits, try_load
from abtest.local import deploy
from tests.configs import config, errors, source

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9]|-(?=[a-z0-9])){0,16}", fullmatch=True).filter(
    lambda name: name != "split" and len(name) < 18
)
PATHS = st.from_regex(r"""/[A-Za-z0-9_\-.$/~"'@:+&]{0,60}[*?]?""", fullmatch=True)
HOSTS = st.from_regex(r"(\*\.)?[a-z0-9-]{1,20}\.[a-z]{2,5}", fullmatch=True)
TEXTS = st.from_regex(r"[!-)+->@-~]{1,40}", fullmatch=True)
HEADERS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,39}", fullmatch=True).filter(lambda name: name.lower() != "host")
METHODS = st.sampled_from(["GET", "POST", "HEAD", "PURGE", "X-Y_Z"])
REGEXES = st.sampled_from(["^/a$", "^[a-z]+$", r"^\d{2,3}\.x$", "^(a|b)?$"])
CIDRS = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32"])


def edges(limit: limits.Range) -> st.SearchStrategy[int]:
    """Numbers within a limit, its ends more often than chance would have them."""
    return st.sampled_from([limit.low, limit.high]) | st.integers(limit.low, limit.high)


def some(values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(values, min_size=1, max_size=2, unique=True)


def optional(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


HEALTH = optional(
    path=PATHS.map(lambda path: path.rstrip("*?")),
    port=edges(limits.PORT) | st.just("traffic-port"),
    intervalSeconds=edges(limits.HEALTH_INTERVAL),
    timeoutSeconds=edges(limits.HEALTH_TIMEOUT),
    healthyThreshold=edges(limits.HEALTH_THRESHOLD),
    unhealthyThreshold=edges(limits.HEALTH_THRESHOLD),
    matcher=st.sampled_from(["200", "200,204", "200-499"]),
)
TARGETS = st.one_of(
    st.just({"external": "ip"}),
    st.just({"external": "instance"}),
    st.just({"instanceIds": ["i-0a", "i-0b"]}),
    st.just({"ipAddresses": ["10.0.0.9", "172.31.0.9"]}),
    st.just({"launch": {"instanceType": "t4g.small", "ami": "ami-0abc", "rootVolumeGb": 16384, "keyName": "k"}}),
    st.fixed_dictionaries(
        {"launch": st.fixed_dictionaries({"instanceType": st.just("t3.small"), "count": st.integers(1, 2)})}
    ),
)
VARIANTS = st.fixed_dictionaries(
    {"port": edges(limits.PORT), "targets": TARGETS},
    optional={
        "protocol": st.sampled_from(["HTTP", "HTTPS"]),
        "protocolVersion": st.sampled_from(["HTTP1", "HTTP2", "GRPC"]),
        "healthCheck": HEALTH,
        "loadBalancing": st.sampled_from(["least_outstanding_requests", "round_robin", "weighted_random"]),
        "deregistrationDelaySeconds": edges(limits.DEREGISTRATION_DELAY),
        "slowStartSeconds": st.sampled_from([0, 30, 900]),
    },
)
WHEN = optional(
    path=some(PATHS),
    pathRegex=some(REGEXES),
    host=some(HOSTS),
    hostRegex=some(REGEXES),
    header=st.dictionaries(HEADERS, some(TEXTS), min_size=1, max_size=2),
    headerRegex=st.dictionaries(HEADERS, some(REGEXES), min_size=1, max_size=1),
    query=st.dictionaries(TEXTS | st.just("*"), some(TEXTS), min_size=1, max_size=2),
    method=some(METHODS),
    sourceIp=some(CIDRS),
)
#: One or two conditions that may be in one rule.
CONDITIONS = st.builds(
    lambda one, other: one | other,
    st.sampled_from(["path", "pathRegex", "sourceIp", "method"]).flatmap(
        lambda key: st.fixed_dictionaries(
            {key: some({"path": PATHS, "pathRegex": REGEXES, "sourceIp": CIDRS, "method": METHODS}[key])}
        )
    ),
    st.one_of(
        st.just({}),
        st.fixed_dictionaries({"host": some(HOSTS)}),
        st.fixed_dictionaries({"hostRegex": some(REGEXES)}),
        st.fixed_dictionaries({"header": st.dictionaries(HEADERS, some(TEXTS), min_size=1, max_size=1)}),
        st.fixed_dictionaries({"headerRegex": st.dictionaries(HEADERS, some(REGEXES), min_size=1, max_size=1)}),
        st.fixed_dictionaries(
            {
                "query": st.dictionaries(
                    TEXTS | st.just("*"), st.lists(TEXTS, min_size=1, max_size=1), min_size=1, max_size=2
                )
            }
        ),
    ),
)
REDIRECTS = optional(
    protocol=st.sampled_from(["HTTP", "HTTPS", "#{protocol}"]),
    host=st.sampled_from(["b.example.com", "www.#{host}"]),
    port=edges(limits.PORT) | st.just("#{port}"),
    path=st.sampled_from(["/", "/v2/#{path}", "/#{path}"]),
    query=st.sampled_from(["", "a=b", "#{query}&x=#{host}"]),
    status=st.sampled_from([301, 302]),
)
RESPONSES = st.fixed_dictionaries(
    {"status": st.sampled_from([200, 299, 400, 404, 500, 599])},
    optional={"body": st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=1024)},
)


CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"


@st.composite
def configs(draw: st.DrawFn, *, rules: int = 0) -> dict[str, Any]:
    """Configs of all sections, right or wrong, with at least that many rules."""
    variants = draw(st.dictionaries(NAMES, VARIANTS, min_size=1, max_size=3))
    names = st.sampled_from(sorted(variants))
    weights = st.dictionaries(names, edges(limits.WEIGHT), min_size=1)
    actions = st.one_of(
        names.map(lambda name: {"forward": name}),
        weights.map(lambda found: {"forward": found}),
        st.just({"forward": "split"}),
        REDIRECTS.map(lambda found: {"redirect": found}),
        RESPONSES.map(lambda found: {"respond": found}),
    )
    priorities = draw(st.lists(edges(limits.PRIORITY), min_size=rules, max_size=rules + 3, unique=True))
    rules_by_name = {f"r{n}": {"priority": n, "when": draw(WHEN), **draw(actions)} for n in priorities}
    https = {"certificateArn": CERTIFICATE}
    return config(
        weights=draw(weights),
        variants=variants,
        rules=rules_by_name,
        stickinessSeconds=draw(edges(limits.STICKINESS)),
        idleTimeoutSeconds=draw(edges(limits.IDLE_TIMEOUT)),
        listener=draw(st.sampled_from([{}, {"port": 8080}, https, {**https, "port": 8443, "redirectHttp": False}])),
        override=draw(st.sampled_from([None, {}, {"header": "X-Force", "secret": False}])),
        deletionProtection=draw(st.booleans()),
        network=draw(
            st.sampled_from(
                [{}, {"internal": True}, {"ingressCidrs": ["10.0.0.0/8", "2001:db8::/32"]}, {"vpcTags": {"Name": "x"}}]
            )
        ),
        control=draw(st.none() | names),
        experiment=draw(st.none() | st.sampled_from(["ranker", "a b:c", "x" * 256])),
        dns=draw(
            st.sampled_from(
                [
                    None,
                    {"zone": "example.com", "name": "m.example.com"},
                    {
                        "zone": "internal",
                        "name": "m.internal",
                        "privateZone": True,
                        "weight": 255,
                        "setIdentifier": "x",
                    },
                ]
            )
        ),
        tags=draw(st.dictionaries(st.sampled_from(["team", "a b", "x:y"]), st.just("v"), max_size=2)),
    )


@st.composite
def sound_configs(draw: st.DrawFn) -> dict[str, Any]:
    """Configs with two to five rules whose values fit together, so that the checks accept most of them."""
    keys = draw(configs(rules=2))
    variants = keys["abtest:variants"]
    for keys_of in variants.values():
        fit(keys_of)
    if any(one.get("protocolVersion", "HTTP1") != "HTTP1" for one in variants.values()):
        keys["abtest:listener"] = {"certificateArn": CERTIFICATE}
    is_https = "certificateArn" in keys["abtest:listener"]
    for priority, rule in enumerate(keys["abtest:rules"].values()):
        rule["when"] = draw(CONDITIONS)
        if rule["priority"] <= 5:
            rule["priority"] = 6 + priority  # the override takes the first ones
        if redirect := rule.get("redirect"):
            redirect["host"] = "b.example.com"
            if is_https and redirect.get("protocol") == "HTTP":
                del redirect["protocol"]
    splits = [rule["forward"] for rule in keys["abtest:rules"].values() if isinstance(rule.get("forward"), dict)]
    for weights in (keys["abtest:weights"], *splits):
        if not any(weights.values()):
            weights.update(dict.fromkeys(weights, 1))
    return keys


def fit(variant: dict[str, Any]) -> None:
    """Change what the other keys of a variant forbid."""
    if "launch" in variant["targets"]:  # the sample server speaks plain HTTP/1.1 on one port
        variant.pop("protocol", None)
        variant.pop("protocolVersion", None)
        variant.get("healthCheck", {}).pop("port", None)
    if variant.get("slowStartSeconds"):
        variant["loadBalancing"] = "round_robin"
    if health := variant.get("healthCheck"):
        if variant.get("protocolVersion") == "GRPC":
            health.pop("matcher", None)
        interval = health.get("intervalSeconds", 15)
        health["timeoutSeconds"] = min(health.get("timeoutSeconds", 5), interval - 1)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(keys=sound_configs().filter(lambda keys: not errors(keys)))
def test_what_the_checks_accept_the_api_accepts(keys: dict[str, Any]) -> None:
    found = deploy(keys)
    assert len(found.of_type(":ListenerRule")) == len(keys["abtest:rules"]) + len(found.experiment.override_priorities)


@settings(max_examples=100, suppress_health_check=list(HealthCheck))
@given(keys=configs(), seed=st.integers())
def test_the_order_of_keys_changes_nothing(keys: dict[str, Any], seed: int) -> None:
    assert try_load(source(keys)) == try_load(source(shuffled(keys, random.Random(seed))))


def shuffled(value: Any, order: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: shuffled(value[key], order) for key in keys}
