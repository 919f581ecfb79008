"""An experiment on a listener that is there already: nothing but its own rules comes, changes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Cloud, Engine

pytestmark = pytest.mark.engine

WHEN = {"host": ["ranker.example.com"]}
#: What no client sends yet: the targets of a split are health-checked from then on.
CANARY = {**WHEN, "header": {"X-Canary": ["yes"]}}


def shared_listeners(cloud: Cloud) -> tuple[str, str]:
    """Somebody else's load balancer, with a rule of theirs on the first of two listeners. Returns their ARNs."""
    with cloud.client("ec2") as ec2:
        subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    elb = cloud.elb
    balancer = elb.create_load_balancer(
        Name="shared", Scheme="internal", Subnets=[subnet["SubnetId"] for subnet in subnets]
    )
    other = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    one, two = (
        elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
            Protocol="HTTP",
            Port=port,
            DefaultActions=[other],
        )["Listeners"][0]["ListenerArn"]
        for port in (80, 8080)
    )
    elb.create_rule(
        ListenerArn=one, Priority=5, Conditions=[{"Field": "path-pattern", "Values": ["/theirs"]}], Actions=[other]
    )
    return one, two


def existing(arn: str, priority: int = 200, when: dict[str, Any] = WHEN, **changes: Any) -> dict[str, Any]:
    config = changed(BASE, guardrails={"requireHealthy": False}, **{"rules": {}, **changes})
    return {**config, "listener": {"arn": arn, "split": {"priority": priority, "when": when}}}


def test_a_split_on_an_existing_listener_goes_up_moves_and_goes_down(fresh: Engine) -> None:
    arn, other = shared_listeners(fresh.cloud)
    before = fresh.cloud.arns
    for run in (fresh.preview(existing(arn)), fresh.up(existing(arn))):
        assert run.code != 0
        assert "the main split would send live requests of that listener to a and b at once" in run.output
        assert "CreateRule" not in run.routing

    made = fresh.up(existing(arn, when=CANARY)).succeeded()
    assert made.gaps == []
    assert set(fresh.cloud.layout["rules"]) == {"80 5", "80 200", "80 default", "8080 default"}
    wide = fresh.up(existing(arn, weights={"a": 60, "b": 40}))
    assert "40 points of b at once" in wide.output
    assert wide.writes == []
    fresh.up(existing(arn)).succeeded()
    assert fresh.cloud.weights("80 200") == {"abtest-a": 90, "abtest-b": 10}
    assert fresh.up().succeeded().writes == []

    refused = fresh.up(existing(arn, weights={"a": 40, "b": 60}))
    assert "b would go from 10 % to 60 % on the main split: 50 points of b at once" in refused.output
    assert refused.writes == []

    fresh.write(existing(arn))
    shifted = fresh.abtest("shift", "b=25", "--stack", "dev", "--yes")
    assert shifted.code == 0, shifted.output
    assert shifted.writes == ["ModifyRule"]
    assert fresh.cloud.weights("80 200") == {"abtest-a": 75, "abtest-b": 25}

    moved = fresh.up(existing(arn, 210, weights={"a": 0, "b": 100}))
    assert "b would go from 25 % to 100 % on the main split" in moved.output, "another priority frees nothing"
    assert moved.writes == []

    fresh.write(existing(arn, 300, weights={"a": 75, "b": 25}))  # not deployed
    back = fresh.abtest("rollback", "--stack", "dev", "--yes")
    assert back.code == 0, back.output
    assert fresh.cloud.weights("80 200") == {"abtest-a": 100}, "where it stands, not where the file would have it"
    assert "80 300" not in fresh.cloud.layout["rules"]

    elsewhere = fresh.up(existing(other, weights={"a": 40, "b": 60}))
    words = "would go from respond 404 (no rule) to a 40 %, b 60 % (the main split)"
    assert words in elsewhere.output, "nor does another listener, which has other clients"
    assert elsewhere.writes == []

    fresh.destroy().succeeded()
    assert fresh.cloud.arns == before
