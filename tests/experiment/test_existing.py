"""What an existing listener asks of a config, and what is its owner's business."""

from __future__ import annotations

from typing import Any

import pytest

from tests.configs import config, errors, rule

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
SPLIT = {"priority": 200, "when": {"host": ["ranker.example.com"]}}
OWNERS = "belongs to the existing listener's owner (abtest:listener.arn) and cannot be set here; remove it"


def of(listener: dict[str, Any] | None = None, **keys: Any) -> list[str]:
    return errors(config(listener={"arn": ARN, "split": SPLIT, **(listener or {})}, **keys))


def test_a_split_on_an_existing_listener_is_fine() -> None:
    assert of() == []


def test_an_existing_listener_needs_the_rule_of_the_split() -> None:
    (problem,) = errors(config(listener={"arn": ARN}))
    assert problem.startswith("abtest:listener.split: missing; on an existing listener the split is a rule")


def test_a_split_needs_an_existing_listener() -> None:
    (problem,) = errors(config(listener={"split": SPLIT}))
    assert problem.startswith("abtest:listener.split: needs arn")


def test_the_conditions_of_the_split_are_checked_like_those_of_a_rule() -> None:
    assert of({"split": {"priority": 200, "when": {}}}) == [
        "abtest:listener.split.when: has no condition, so it would match every request; add one, or change abtest:weights (API CreateRule)"
    ]
    (problem,) = of({"split": {"priority": 200, "when": {"path": [f"/{n}" for n in range(6)]}}})
    assert problem.startswith("abtest:listener.split.when: 6 condition values, at most 5 are allowed")


def test_a_rule_cannot_have_the_priority_of_the_split() -> None:
    (problem,) = of(rules={"r": rule(priority=200)})
    assert (
        problem
        == "abtest:rules.r.priority: 200 is taken by abtest:listener.split; priorities are unique (API CreateRule)"
    )


def test_the_listener_is_in_the_region_of_the_stack() -> None:
    (problem,) = of({"arn": ARN.replace("us-east-1", "eu-west-1")})
    assert problem == (
        "abtest:listener.arn: the listener is in eu-west-1, the stack in us-east-1; it must be in the load balancer's region"
    )


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/net/x/50dc6c495c0c9188/f2f7dc8efc522ab2",
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/shared/50dc6c495c0c9188",
    ],
)
def test_only_a_listener_of_an_application_load_balancer_will_do(arn: str) -> None:
    (problem,) = of({"arn": arn})
    assert "expected the ARN of a listener of an Application Load Balancer" in problem


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"network": {"internal": True}}, "network.internal"),
        ({"network": {"vpcId": "vpc-0a"}}, "network.vpcId"),
        ({"network": {"ingressCidrs": ["10.0.0.0/8"]}}, "network.ingressCidrs"),
        ({"idleTimeoutSeconds": 90}, "idleTimeoutSeconds"),
        ({"deletionProtection": True}, "deletionProtection"),
    ],
)
def test_what_belongs_to_the_owner_is_refused(keys: dict[str, Any], path: str) -> None:
    assert of(**keys) == [f"abtest:{path}: {OWNERS}"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", 8443),
        ("certificateArn", "arn:aws:acm:us-east-1:123456789012:certificate/1"),
        ("sslPolicy", "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
        ("redirectHttp", False),
        ("responseHeaders", {}),
    ],
)
def test_the_listeners_own_settings_are_refused(key: str, value: object) -> None:
    assert f"abtest:listener.{key}: {OWNERS}" in of({key: value})


def test_an_override_would_come_before_other_peoples_rules() -> None:
    (problem,) = of(override={})
    assert problem.startswith("abtest:override: takes the priorities 1 to n")


def test_access_logs_are_only_said_where_they_are() -> None:
    (problem,) = of(accessLogs={"retainDays": 30})
    assert problem.startswith("abtest:accessLogs: the existing load balancer's owner configures its logs")
    assert of(accessLogs={"bucket": "shared-alb-logs"}) == []


def test_what_a_redirect_changes_is_not_judged_by_what_that_listener_may_speak() -> None:
    to_https = rule(forward=None, redirect={"protocol": "HTTPS"})
    assert of(rules={"r": to_https}) == []
