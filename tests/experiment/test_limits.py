"""Each limit at, below and above, through the loader, with the message that a person would read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from abtest.experiment import limits
from abtest.experiment.limits import Measure, Range, Shape
from tests.configs import config, errors, problems, rule, variant


def one_variant(**changes: Any) -> dict[str, Any]:
    return config(weights={"a": 1}, variants={"a": variant(**changes)})


def launch(**changes: Any) -> dict[str, Any]:
    return one_variant(targets={"launch": {"instanceType": "t3.small", **changes}})


def one_rule(**changes: Any) -> dict[str, Any]:
    return config(rules={"r": rule(**changes)})


def health(**changes: Any) -> dict[str, Any]:
    return one_variant(healthCheck=changes)


CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"

RANGES: dict[str, tuple[Range, Callable[[Any], dict[str, Any]]]] = {
    "weights": (limits.WEIGHT, lambda n: config(weights={"a": n, "b": 1})),
    "weights of a rule": (limits.WEIGHT, lambda n: one_rule(forward={"a": n, "b": 1})),
    "stickiness": (limits.STICKINESS, lambda n: config(stickinessSeconds=n)),
    "idle timeout": (limits.IDLE_TIMEOUT, lambda n: config(idleTimeoutSeconds=n)),
    "port": (limits.PORT, lambda n: one_variant(port=n)),
    "deregistration": (limits.DEREGISTRATION_DELAY, lambda n: one_variant(deregistrationDelaySeconds=n)),
    "slow start": (limits.SLOW_START, lambda n: one_variant(slowStartSeconds=n, loadBalancing="round_robin")),
    "health port": (limits.PORT, lambda n: health(port=n)),
    "interval": (limits.HEALTH_INTERVAL, lambda n: health(intervalSeconds=n, timeoutSeconds=2)),
    "timeout": (limits.HEALTH_TIMEOUT, lambda n: health(intervalSeconds=300, timeoutSeconds=n)),
    "healthy": (limits.HEALTH_THRESHOLD, lambda n: health(healthyThreshold=n)),
    "unhealthy": (limits.HEALTH_THRESHOLD, lambda n: health(unhealthyThreshold=n)),
    "count": (limits.TARGET_COUNT, lambda n: launch(count=n)),
    "root volume": (limits.ROOT_VOLUME, lambda n: launch(rootVolumeGb=n, ami="ami-0abc")),
    "priority": (limits.PRIORITY, lambda n: one_rule(priority=n)),
    "dns weight": (
        limits.DNS_WEIGHT,
        lambda n: config(dns={"zone": "example.com", "name": "m.example.com", "weight": n, "setIdentifier": "x"}),
    ),
    "age of a preflight answer": (limits.CORS_AGE, lambda n: headers(accessControlMaxAge=n)),
    "redirect port": (limits.PORT, lambda n: one_rule(forward=None, redirect={"port": n})),
    "requests": (limits.SAMPLE, lambda n: alarms(minRequests=n)),
    "listener port": (limits.PORT, lambda n: config(listener={"port": n})),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_taken_at_its_limits_and_refused_beyond_them(name: str) -> None:
    limit, build = RANGES[name]
    for fine in (limit.low, limit.high):
        assert errors(build(fine)) == [], fine
    for number, side, bound in ((limit.low - 1, "below", limit.low), (limit.high + 1, "over", limit.high)):
        (message,) = errors(build(number))
        unit = f" {limit.unit}" if limit.unit else ""
        assert f"{number} is {side} {bound}{unit}; {limit.what}: {limit} ({limit.source})" in message


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("wrong", [True, 1.5, [1], {}])
def test_a_number_that_is_none_is_refused_in_words(name: str, wrong: object) -> None:
    _, build = RANGES[name]
    (message,) = errors(build(wrong))
    assert re.search("expected (a )?whole number", message) or "expected a mapping" in message


def headers(**changes: Any) -> dict[str, Any]:
    return config(listener={"certificateArn": CERTIFICATE, "responseHeaders": changes})


def alarms(**changes: Any) -> dict[str, Any]:
    return config(alarms=changes)


MEASURES: dict[str, tuple[Measure, Callable[[Any], dict[str, Any]]]] = {
    "error rate": (limits.ERROR_RATE, lambda n: alarms(maxErrorRate=n)),
    "response time": (limits.RESPONSE_TIME, lambda n: alarms(maxP99Seconds=n)),
}


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_is_taken_at_its_limits_and_refused_beyond_them(name: str) -> None:
    limit, build = MEASURES[name]
    for fine in (limit.low, limit.high):
        assert errors(build(fine)) == [], fine
    for number, side, bound in ((limit.low - 0.25, "below", limit.low), (limit.high + 0.25, "over", limit.high)):
        (message,) = errors(build(number))
        unit = f" {limit.unit}" if limit.unit else ""
        assert f"{number} is {side} {bound}{unit}; {limit.what}: {limit} ({limit.source})" in message


#: shape -> how to use a text, texts that fit, texts that do not
SHAPES: dict[str, tuple[Shape, Callable[[Any], dict[str, Any]], list[str], list[str]]] = {
    "tag value": (limits.TAG_VALUE, lambda t: config(tags={"team": t}), ["", "a b", "Zürich", "x" * 256], ["a*b", "x" * 257]),
    "tag key": (
        limits.TAG_KEY, lambda t: config(tags={t: "x"}), ["team", "a b", "x" * 128], ["aws:x", "abtest:x", "a#b", "x" * 129],
    ),
    "experiment": (limits.TAG_VALUE, lambda t: config(experiment=t), ["ranker-2026"], ["a,b", "x" * 257]),
    "rule name": (limits.RULE_NAME, lambda t: config(rules={t: rule()}), ["r", "a b.c", "x" * 128], ["", "a*", "x" * 129]),
    "health path": (
        limits.HEALTH_PATH, lambda t: health(path=t), ["/", "/a?b=c", "/" + "x" * 1023], ["x", "/a b", "/" + "x" * 1024],
    ),
    "path": (
        limits.PATH_VALUE,
        lambda t: one_rule(when={"path": [t]}),
        ["*", "/v2/*", "/a-b_c.d$e~f\"g'h@i:j+k&l?m", "/" + "x" * 127],
        ["/a b", "/a%20", "/é", "/a#b", "/a^", "/a[b]", "/a(b)", "/a=b", "/a,b", "/a!b", "/a;b", "", "/" + "x" * 128],
    ),
    "host": (
        limits.HOST_VALUE,
        lambda t: one_rule(when={"host": [t]}),
        ["example.com", "*.example.com", "a?.example.COM", "x" * 124 + ".com"],
        ["example.com:80", "a_b.com", "é.com", "x" * 125 + ".com"],
    ),
    "header value": (
        limits.TEXT_VALUE, lambda t: one_rule(when={"header": {"X": [t]}}), ["b", "a b, c*", "x" * 128], ["", "é", "a\tb", "x" * 129],
    ),
    "header name": (
        limits.HEADER_NAME, lambda t: one_rule(when={"header": {t: ["b"]}}), ["X-Model", "x" * 40], ["", "X Model", "X:Y", "x" * 41],
    ),
    "query value": (limits.TEXT_VALUE, lambda t: one_rule(when={"query": {"m": [t]}}), ["b", "*", "x" * 128], ["", "é", "x" * 129]),
    "query key": (limits.TEXT_VALUE, lambda t: one_rule(when={"query": {t: ["b"]}}), ["m", "*", "x" * 128], ["", "é", "x" * 129]),
    "method": (limits.METHOD, lambda t: one_rule(when={"method": [t]}), ["GET", "X_Y-Z", "X" * 40], ["get", "", "X" * 41, "G*"]),
    "regex": (limits.REGEX_VALUE, lambda t: one_rule(when={"pathRegex": [t]}), ["^/a$", "^" + "x" * 126 + "$"], ["^" + "x" * 128]),
    "certificate": (
        limits.CERTIFICATE,
        lambda t: config(listener={"certificateArn": t}),
        [CERTIFICATE, "arn:aws:iam::123456789012:server-certificate/x", "arn:aws-cn:acm:us-east-1:123456789012:certificate/x"],
        ["x", "arn:aws:acm:us-east-1:1:certificate/x", "arn:aws:s3:::bucket"],
    ),
    "policy": (
        limits.SSL_POLICY,
        lambda t: config(listener={"certificateArn": CERTIFICATE, "sslPolicy": t}),
        ["ELBSecurityPolicy-2016-08"],
        ["TLS13", "ELBSecurityPolicy-"],
    ),
    "vpc": (limits.VPC_ID, lambda t: config(network={"vpcId": t}), ["vpc-0abc"], ["0abc", "vpc-", "vpc-XYZ"]),
    "subnet": (
        limits.SUBNET_ID, lambda t: config(network={"subnetIds": [t, "subnet-1"]}), ["subnet-0abc"], ["0abc", "subnet-"],
    ),
    "instance": (limits.INSTANCE_ID, lambda t: one_variant(targets={"instanceIds": [t]}), ["i-0abc"], ["0abc", "i-", "i-g"]),
    "ami": (limits.AMI_ID, lambda t: launch(ami=t), ["ami-0abc"], ["0abc", "ami-"]),
    "instance type": (limits.INSTANCE_TYPE, lambda t: launch(instanceType=t), ["t3.small", "u-6tb1.metal"], ["t3", "T3.small", ""]),
    "profile": (limits.IAM_NAME, lambda t: launch(instanceProfile=t), ["models", "x" * 128], ["a/b", "", "x" * 129]),
    "key": (limits.KEY_NAME, lambda t: launch(keyName=t), ["ops key", "x" * 255], ["", "é", "x" * 256]),
    "dns name": (
        limits.DNS_NAME,
        lambda t: config(dns={"zone": "example.com", "name": t}),
        ["example.com", "m.example.com", "*.example.com", "_x.example.com."],
        ["example", "a b.example.com", "-a.example.com", "x" * 64 + ".example.com"],
    ),
    "HSTS": (
        limits.HSTS,
        lambda t: headers(strictTransportSecurity=t),
        ["max-age=0", "max-age=31536000; includeSubDomains; preload", "includeSubDomains;max-age=5", 'Max-Age="5"'],
        ["31536000", "includeSubDomains", "max-age=", "max-age=1y", "max-age=1, preload", "x-max-age=1", "max-age=1; " + "x" * 1014],
    ),
    "policy of contents": (
        limits.RESPONSE_HEADER, lambda t: headers(contentSecurityPolicy=t), ["default-src 'self'", "x" * 1024], ["", "a\nb", "é", "x" * 1025],
    ),
    "frames": (
        limits.FRAME_OPTIONS, lambda t: headers(xFrameOptions=t), ["DENY", "SAMEORIGIN", "ALLOW-FROM https://example.com"], ["deny", "", "ALLOW-FROM"],
    ),
    "origin": (
        limits.CORS_ORIGIN,
        lambda t: headers(accessControlAllowOrigin=t),
        ["*", "null", "https://app.example.com", "http://localhost:3000"],
        ["app.example.com", "https://app.example.com/", "https://a.com, https://b.com", ""],
    ),
    "methods": (
        limits.CORS_METHODS,
        lambda t: headers(accessControlAllowMethods=t),
        ["*", "GET", "GET, POST,PUT"],
        ["get", "GET POST", "GET,", "*, GET", "FETCH", ""],
    ),
    "web ACL": (
        limits.WEB_ACL,
        lambda t: config(waf={"webAclArn": t}),
        ["arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1a-2b"],
        ["main", "arn:aws:wafv2:us-east-1:1:regional/webacl/main/1", "arn:aws:waf-regional:us-east-1:123456789012:webacl/1"],
    ),
    "redirect host": (
        limits.REDIRECT_HOST, lambda t: one_rule(forward=None, redirect={"host": t}), ["b.example.com", "x.#{host}"], ["a/b", "", "#{path}"],
    ),
    "redirect path": (
        limits.REDIRECT_PATH, lambda t: one_rule(forward=None, redirect={"path": t}), ["/", "/v2/#{path}"], ["x", "/#{query}", "/#x"],
    ),
    "redirect query": (
        limits.REDIRECT_QUERY,
        lambda t: one_rule(forward=None, redirect={"path": "/x", "query": t}),
        ["", "a=b&#{query}"],
        ["?a=b", "#{x}"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_text_is_taken_in_its_shape_and_refused_in_any_other(name: str) -> None:
    limit, build, fitting, wrong = SHAPES[name]
    for text in fitting:
        assert errors(build(text)) == [], text
    for text in wrong:
        found = errors(build(text))
        assert found, text
        assert limit.source in found[0] or "is empty" in found[0], found


def test_a_variants_name_fits_into_a_target_groups_name() -> None:
    longest = "a" * 17
    assert errors(config(weights={longest: 1}, variants={longest: variant()})) == []
    long = "a" * 18
    (first, *_) = errors(config(weights={long: 1}, variants={long: variant()}))
    assert f'"{long}" has 18 characters, at most 17 are allowed (variant name;' in first


def test_a_name_with_a_double_hyphen_is_doubted_not_refused() -> None:
    for name in ("a--b", "-a", "a-"):
        assert errors(config(weights={name: 1}, variants={name: variant()})) == []
        (warning,) = problems(config(weights={name: 1}, variants={name: variant()}))
        assert warning.startswith(f"warning: abtest:variants.{name}: its target group's name would hold")


@pytest.mark.parametrize(("count", "fine"), [(1, True), (5, True), (6, False)])
def test_a_forward_takes_one_to_five_variants(count: int, fine: bool) -> None:  # noqa: FBT001
    names = {f"v{n}": variant() for n in range(max(count, 2))}
    weights = dict.fromkeys(list(names)[:count], 1)
    for keys, path in (
        (config(weights=weights, variants=names), "weights"),
        (config(weights={"v0": 1}, variants=names, rules={"r": rule(forward=weights)}), "rules.r.forward"),
    ):
        expected = (
            f"abtest:{path}: {count} variants, but a forward takes 1 to 5 variants ({limits.FORWARD_GROUPS.source})"
        )
        assert errors(keys) == ([] if fine else [f"{expected}; take some out"])


@pytest.mark.parametrize(("count", "fine"), [(5, True), (6, False)])
def test_a_rule_has_at_most_five_values_over_all_its_conditions(count: int, fine: bool) -> None:  # noqa: FBT001
    when = {"path": ["/a", "/b"], "query": {"m": ["b"]}, "header": {"X": [f"v{n}" for n in range(count - 3)]}}
    assert errors(one_rule(when=when)) == (
        []
        if fine
        else [
            "abtest:rules.r.when: 6 condition values, at most 5 are allowed in a rule, over all its conditions "
            "(ALB guide load-balancer-limits); make two rules of it"
        ]
    )


def test_wildcards_are_fine_up_to_five_doubted_at_six_and_refused_beyond() -> None:
    def found(stars: int) -> list[str]:
        return problems(one_rule(when={"path": ["/" + "*/" * (stars - 1)], "query": {"m": ["\\*x?"]}}))

    assert found(5) == []
    assert found(6)[0].startswith("warning: abtest:rules.r.when: 6 wildcards (* and ?)")
    assert found(7)[0].startswith("error: abtest:rules.r.when: 7 wildcards (* and ?), at most 6 are allowed in a rule")


@pytest.mark.parametrize(("length", "fine"), [(1024, True), (1025, False)])
def test_the_body_of_a_fixed_response_has_at_most_1024_characters(length: int, fine: bool) -> None:  # noqa: FBT001
    found = errors(one_rule(forward=None, respond={"status": 403, "body": "x" * length}))
    assert (found == []) is fine
    assert fine or "has 1025 characters, at most 1024 are allowed (body of a fixed response" in found[0]


@pytest.mark.parametrize(("count", "fine"), [(45, True), (46, False)])
def test_there_is_room_for_45_tags_of_ones_own(count: int, fine: bool) -> None:  # noqa: FBT001
    assert (errors(config(tags={f"k{n}": "v" for n in range(count)})) == []) is fine


def test_more_rules_than_the_quota_are_doubted_since_aws_can_raise_it() -> None:
    rules = {f"r{n}": rule(priority=n + 10) for n in range(101)}
    assert problems(config(rules=rules))[0].startswith(
        "warning: abtest:rules: 101 rules (with those of abtest:override)"
    )
    del rules["r0"]
    assert problems(config(rules=rules)) == []


@pytest.mark.parametrize("status", [199, 300, 302, 399, 600])
def test_a_fixed_response_is_2xx_4xx_or_5xx(status: int) -> None:
    assert errors(one_rule(forward=None, respond={"status": status}))


def test_every_limit_names_its_source() -> None:
    named = [value for value in vars(limits).values() if isinstance(value, Measure | Shape | limits.Length)]
    assert len(named) > 40
    assert all(limit.source and limit.what for limit in named)
