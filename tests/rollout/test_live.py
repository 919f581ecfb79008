"""Reading the deployed load balancer: finding its listener, names from tags, no secrets, AWS's failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from abtest.experiment import Experiment, load_stack
from abtest.local.clients import Clients
from abtest.rollout.drift import drift
from abtest.rollout.live import Health, Live, health_of, read_live
from abtest.rollout.redaction import hide
from abtest.rollout.session import AwsError, client
from abtest.routing import RoutingTable
from tests.configs import VARIANT, config, experiment, rule, source
from tests.rollout.standing import standing

TOKEN = "0123456789abcdefghijklmnopqrstuv"  # noqa: S105 of the form alone


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_was_just_deployed_is_what_the_stack_file_says(stack: str) -> None:
    declared = load_stack(stack)[0]
    with standing(stack) as elbv2:
        live = read_live(elbv2, declared)
    assert drift(RoutingTable.from_experiment(declared), live.table) == ()
    assert live.overrides == frozenset(declared.override_priorities.values())
    assert [route.name for route in live.table.routes] == [
        *[None] * len(live.overrides), *(name for name, _ in declared.rules_in_order()), None,
    ]  # fmt: skip


def test_a_function_that_is_not_checked_counts_as_healthy_and_what_leaves_does_not_count() -> None:
    states: tuple[dict[str, str], ...] = (
        {"State": "unavailable", "Reason": "Target.HealthCheckDisabled"},
        {"State": "unavailable", "Reason": "Elb.InternalError"},
        {"State": "unhealthy", "Reason": "Target.Timeout"},
        {"State": "healthy"},
        {"State": "draining"},
        {"State": "unhealthy.draining"},
    )
    with client(source(config()), "elbv2") as elbv2, Stubber(elbv2) as stub:
        found = [{"Target": {"Id": "x"}, "TargetHealth": state} for state in states]
        stub.add_response("describe_target_health", {"TargetHealthDescriptions": found}, {"TargetGroupArn": "arn"})
        assert health_of(elbv2, "arn") == Health(2, 4)


# Which listener -------------------------------------------------------------------------------------------------------


def test_two_stacks_with_one_experiment_are_listed_and_a_listener_is_asked_for() -> None:
    one, two = [listener("HTTP", 80, "forward")], [listener("HTTP", 80, "redirect"), listener("HTTPS", 443, "forward")]
    with pytest.raises(AwsError) as caught:
        read_main(one, two)
    assert str(caught.value) == (
        "several listeners belong to load balancers with the tag abtest:experiment = abtest; "
        "name yours (pulumi stack output listener_arn): --listener ARN\n"
        "  listener-80 (HTTP, port 80)\n"
        "  listener-443 (HTTPS, port 443)"
    )


def test_an_experiment_that_is_not_deployed_is_not_found() -> None:
    with mock_aws(), pytest.raises(AwsError) as caught:
        read_live(Clients("us-east-1").elbv2, experiment(config(experiment="ranker")))
    assert str(caught.value) == (
        "no load balancer in us-east-1 has the tag abtest:experiment = ranker and listens; "
        "deploy the stack (pulumi up), or name its listener: --listener ARN"
    )


def test_the_main_listener_is_found_when_somebody_made_it_redirect() -> None:
    assert read_main([listener("HTTP", 80, "redirect")]) == 80


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], 8080),
        ([("HTTP", 80, "redirect")], 8080),
        ([("HTTP", 80, "forward")], 80),
        ([("HTTP", 81, "forward"), ("HTTP", 80, "forward")], 80),
        ([("HTTP", 81, "forward")], None),
    ],
    ids=["the only one", "not the redirect", "the stack file's port", "of several", "two others"],
)
def test_the_main_listener_is_told_from_others(others: list[tuple[str, int, str]], expected: int | None) -> None:
    listeners = [listener(*given) for given in [("HTTP", 8080, "forward"), *others]]
    if expected is None:
        with pytest.raises(AwsError, match="several listeners"):
            read_main(listeners)
    else:
        assert read_main(listeners) == expected


def test_lists_are_read_page_by_page_and_tags_twenty_at_a_time() -> None:
    balancers = [f"lb-{n}" for n in range(25)]
    with stubbed() as (elbv2, stub):
        for marker, page, following in ((None, balancers[:15], "next"), ("next", balancers[15:], None)):
            found: dict[str, Any] = {"LoadBalancers": [{"LoadBalancerArn": arn} for arn in page]}
            found |= {"NextMarker": following} if following else {}
            stub.add_response("describe_load_balancers", found, {"Marker": marker} if marker else {})
        mine = {"lb-24": {"abtest:experiment": "abtest"}, "lb-23": {"abtest:experiment": "another"}}
        for batch in (balancers[:20], balancers[20:]):
            answer = tagged({arn: mine.get(arn, {}) for arn in batch})
            stub.add_response("describe_tags", answer, {"ResourceArns": batch})
        found = {"Listeners": [listener("HTTP", 80, "forward")]}
        stub.add_response("describe_listeners", found, {"LoadBalancerArn": "lb-24"})
        rules = [live_rule(n) for n in range(1, 4)]
        first = {"Rules": rules[:2], "NextMarker": "more"}
        stub.add_response("describe_rules", first, {"ListenerArn": "listener-80"})
        last = {"Rules": [rules[2], default_rule()]}
        stub.add_response("describe_rules", last, {"ListenerArn": "listener-80", "Marker": "more"})
        stub.add_response("describe_tags", tagged({f"rule-{n}": {"abtest:rule": f"name-{n}"} for n in range(1, 4)}))
        stub.add_response("describe_tags", tagged({"group": {"abtest:variant": "a"}}), {"ResourceArns": ["group"]})
        table = read_live(elbv2, experiment(config())).table
    assert [(route.priority, route.name) for route in table.routes] == [
        (1, "name-1"), (2, "name-2"), (3, "name-3"), (None, None),
    ]  # fmt: skip
    assert {name for route in table.routes for name in route.action.shares} == {"a"}


def test_the_control_is_in_the_listeners_tag() -> None:
    live = read_rules([live_rule(5)], of_listener={"abtest:control": "a", "abtest:held": "b"})
    assert (live.control, live.held) == ("a", frozenset("b"))
    assert read_rules([live_rule(5)]).control is None


def test_a_rule_that_rewrites_requests_is_told_as_drift() -> None:
    rewrite = {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/v1", "Replace": "/"}]}}
    live = read_rules([live_rule(5) | {"Transforms": [rewrite]}])
    declared = replace(live.table, routes=tuple(replace(route, rewrites=()) for route in live.table.routes))
    assert drift(declared, live.table) == (
        "rule 5: the load balancer rewrites the URL: ^/v1 → /, the stack file does not",
    )


def test_a_condition_that_is_not_known_is_named() -> None:
    with pytest.raises(
        AwsError, match="listener-80: rule 5 has a condition on phase-of-the-moon, which abtest does not know"
    ):
        read_rules([live_rule(5) | {"Conditions": [{"Field": "phase-of-the-moon"}]}])


# Secrets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tags", [{"abtest:variant": "a"}, {}], ids=["tagged", "tags taken off"])
@pytest.mark.parametrize("override", [{}, {"header": "X-New"}, None], ids=["same header", "another header", "gone"])
def test_the_token_of_an_override_is_never_in_the_table(tags: dict[str, str], override: dict[str, str] | None) -> None:
    asked = header_condition("x-abtest-variant", f"{TOKEN}-a")
    live = read_rules([live_rule(1) | {"Conditions": [asked]}], tags, override=override)
    assert TOKEN not in repr(live)
    assert str(live.table.routes[0].conditions[0]) == "header x-abtest-variant = <token>-a"


def test_a_token_that_a_rule_of_ones_own_asks_for_is_hidden_too() -> None:
    asked = header_condition("X-Abtest-Variant", f"{TOKEN}-a")
    live = read_rules([live_rule(5) | {"Conditions": [asked]}], {"abtest:rule": "mine"}, override={})
    assert TOKEN not in repr(live)


def test_a_header_that_only_looks_like_a_token_is_shown() -> None:
    asked = header_condition("X-Session", f"{TOKEN}-a")
    live = read_rules([live_rule(5) | {"Conditions": [asked]}], {"abtest:rule": "mine"}, override={})
    assert str(live.table.routes[0].conditions[0]) == f"header X-Session = {TOKEN}-a"


def test_what_the_stack_file_encrypts_is_shown_as_there_and_not_compared() -> None:
    def stack(text: object) -> Experiment:
        when = {"header": {"X-Key": [text], "X-Plain": ["p"]}, "query": {"key": [text], "plain": ["1"]}}
        answer = rule(priority=20, forward=None, respond={"status": 403, "body": text})
        leave = rule(priority=30, forward=None, redirect={"host": text})
        return experiment(config(rules={"one": rule(when=when), "two": answer, "three": leave}))

    declared = stack({"secure": "v1:abc"})
    hidden = hide(RoutingTable.from_experiment(stack("open-sesame.example.com")), declared)
    assert "open-sesame" not in repr(hidden)
    assert drift(RoutingTable.from_experiment(declared), hidden) == ()


# The stack's own settings ---------------------------------------------------------------------------------------------


@pytest.fixture
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without AWS accounts."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("_nobody")
def test_region_keys_and_endpoints_are_the_stacks() -> None:
    keys = {
        "aws:accessKey": "mine",
        "aws:secretKey": "s",
        "aws:endpoints": [{"ec2": "http://x"}, {"elbv2": "http://y"}],
    }
    with client(source(config() | keys | {"aws:region": "eu-west-1"}), "elbv2") as elbv2:
        assert (elbv2.meta.region_name, elbv2.meta.endpoint_url) == ("eu-west-1", "http://y")
        assert elbv2._request_signer._credentials.access_key == "mine"


@pytest.mark.usefixtures("_nobody")
def test_encrypted_keys_leave_it_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of the environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    keys = {"aws:accessKey": "mine", "aws:secretKey": {"secure": "v1:abc"}}
    with client(source(config() | keys), "elbv2") as elbv2:
        assert elbv2._request_signer._credentials.access_key == "of the environment"


@pytest.mark.usefixtures("_nobody")
def test_roles_are_taken_one_after_the_other() -> None:
    roles = [{"roleArn": f"arn:aws:iam::123456789012:role/r{n}", "externalId": "xx"} for n in (1, 2)]
    keys = {"aws:accessKey": "mine", "aws:secretKey": "s", "aws:assumeRoles": roles}
    with mock_aws(), client(source(config() | keys), "sts") as sts:
        assert sts.get_caller_identity()["Arn"] == "arn:aws:sts::123456789012:assumed-role/r2/abtest"


@pytest.mark.usefixtures("_nobody")
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "there are no usable AWS credentials: set AWS_PROFILE or aws:profile, or log in again (aws sso login)"),
        (
            {"aws:profile": "nope"},
            "The config profile (nope) could not be found; known ones: aws configure list-profiles",
        ),
        ({"aws:region": ""}, "there is no region: set aws:region in the stack file, or AWS_REGION"),
        ({"aws:endpoints": [{"elbv2": "localhost"}]}, "config: Invalid endpoint: localhost"),
        ({"aws:endpoints": {"elbv2": "x"}}, "config: aws:endpoints: expected a list of mappings, as pulumi-aws has it"),
        (
            {"aws:accessKey": "k", "aws:secretKey": "s", "aws:assumeRoles": [{"externalId": "xx"}]},
            "AWS cannot be asked: Parameter validation failed: "
            "Invalid length for parameter RoleArn, value: 0, valid min length: 20",
        ),
        (
            {"aws:accessKey": "k", "aws:secretKey": "s", "aws:endpoints": [{"elbv2": "http://127.0.0.1:9"}]},
            "AWS cannot be reached; check the network, aws:region and aws:endpoints: "
            'Could not connect to the endpoint URL: "http://127.0.0.1:9/"',
        ),
    ],
    ids=["no credentials", "no such profile", "no region", "no endpoint", "no list", "no role", "nobody there"],
)
def test_settings_that_lead_nowhere_are_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(AwsError) as caught, client(source(config() | settings), "elbv2") as elbv2:
        elbv2.describe_load_balancers()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ExpiredToken", "the AWS credentials have expired: set AWS_PROFILE or"),
        ("InvalidClientTokenId", "AWS does not know the credentials: set AWS_PROFILE or"),
        ("AccessDenied", "AWS does not allow DescribeLoadBalancers; grant it, or use other credentials: Why it is so."),
        ("Throttling", "AWS throttles DescribeLoadBalancers: wait a moment and try again"),
        ("SomethingNew", "AWS refuses DescribeLoadBalancers: Why it is so."),
    ],
)
def test_a_refusal_of_aws_is_one_line(code: str, message: str) -> None:
    with pytest.raises(AwsError) as caught:
        read_refused(code)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# Answers of the API ---------------------------------------------------------------------------------------------------


@contextmanager
def stubbed() -> Iterator[tuple[Any, Stubber]]:
    """A client that answers what it is told to, in that order, and nothing else."""
    made = Clients("us-east-1").elbv2  # one for all tests: making a client takes half a second
    with mock.patch("abtest.rollout.session._client", return_value=made), Stubber(made) as stub:
        with client(source(config()), "elbv2") as elbv2:
            yield elbv2, stub
        stub.assert_no_pending_responses()


def read_refused(code: str) -> None:
    with stubbed() as (elbv2, stub):
        stub.add_client_error("describe_load_balancers", code, "Why\nit is so.")
        read_live(elbv2, experiment(config()))


def read_main(*listeners: list[dict[str, Any]]) -> int:
    """The port of the listener that is found for an experiment on port 80, on load balancers with these."""
    arns = [f"lb-{n}" for n in range(len(listeners))]
    with stubbed() as (elbv2, stub):
        stub.add_response("describe_load_balancers", {"LoadBalancers": [{"LoadBalancerArn": arn} for arn in arns]})
        stub.add_response("describe_tags", tagged({arn: {"abtest:experiment": "abtest"} for arn in arns}))
        for own in listeners:
            stub.add_response("describe_listeners", {"Listeners": own})
        stub.add_response("describe_rules", {"Rules": [default_rule()]})
        stub.add_response("describe_tags", tagged({"listener": {}}))
        stub.add_response("describe_tags", tagged({"group": {"abtest:variant": "a"}}))
        return read_live(elbv2, experiment(config())).table.port or 0


def read_rules(
    rules: list[dict[str, Any]],
    tags: dict[str, str] | None = None,
    of_listener: dict[str, str] | None = None,
    **changes: Any,
) -> Live:
    """What is read where a listener on port 80 has these rules, all with these tags."""
    with stubbed() as (elbv2, stub):
        stub.add_response("describe_listeners", {"Listeners": [listener("HTTP", 80, "forward")]})
        stub.add_response("describe_rules", {"Rules": [*rules, default_rule()]})
        of_rules = {rule["RuleArn"]: tags or {} for rule in rules}
        stub.add_response("describe_tags", tagged({"listener-80": of_listener or {}, **of_rules}))
        stub.add_response("describe_tags", tagged({"group": {"abtest:variant": "a"}}))
        return read_live(elbv2, experiment(config(variants={"a": VARIANT, "b": VARIANT}, **changes)), "listener-80")


def listener(protocol: str, port: int, kind: str) -> dict[str, Any]:
    action = {"Type": kind, "TargetGroupArn": "group"} if kind == "forward" else {"Type": kind}
    return {"ListenerArn": f"listener-{port}", "Protocol": protocol, "Port": port, "DefaultActions": [action]}


def live_rule(priority: int) -> dict[str, Any]:
    path = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/x"]}}
    return default_rule() | {
        "RuleArn": f"rule-{priority}", "Priority": str(priority), "IsDefault": False, "Conditions": [path],
    }  # fmt: skip


def default_rule() -> dict[str, Any]:
    actions = [{"Type": "forward", "TargetGroupArn": "group"}]
    return {"RuleArn": "default", "Priority": "default", "IsDefault": True, "Conditions": [], "Actions": actions}


def header_condition(name: str, value: str) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, "Values": [value]}}


def tagged(tags: dict[str, dict[str, str]]) -> dict[str, Any]:
    pairs = {arn: [{"Key": key, "Value": value} for key, value in given.items()] for arn, given in tags.items()}
    return {"TagDescriptions": [{"ResourceArn": arn} | ({"Tags": own} if own else {}) for arn, own in pairs.items()]}
