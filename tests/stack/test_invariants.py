"""The invariants of the resources that hold whatever the config says (docs/limits.md, "What it promises")."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from abtest.local import Deployment, Resource
from tests.configs import VARIANT, config, rule, variant
from tests.deployed import deploy

INSTANCES = {name: variant(targets={"instanceIds": [f"i-0{name}1", f"i-0{name}2"]}) for name in "abc"}


@pytest.fixture(scope="module")
def wide() -> Deployment:
    """Three variants (one off), every kind of action and condition, override, no stickiness."""
    return deploy(
        config(
            experiment="ranker",
            weights={"a": 3, "b": 0},
            variants=INSTANCES,
            override={"secret": False},
            tags={"team": "ranking", "Name": "mine"},
            rules={
                "split": rule(priority=10, forward="split"),
                "mix": rule(
                    priority=20, forward={"b": 1, "a": 2}, when={"host": ["a.example.com"], "method": ["GET", "HEAD"]}
                ),
                "one": rule(priority=30, forward={"b": 100}, when={"query": {"m": ["b", "c"], "*": ["x"]}}),
                "away": rule(priority=40, forward=None, redirect={"host": "b.example.com", "port": 8443, "query": "q"}),
                "no": rule(priority=50, forward=None, respond={"status": 404}, when={"sourceIp": ["10.0.0.0/8"]}),
                "regex": rule(
                    priority=60, when={"pathRegex": ["^/r$"], "hostRegex": [r"^a\.b$"], "headerRegex": {"X": ["^y$"]}}
                ),
            },
        )
    )


@pytest.fixture(scope="module")
def sticky() -> Deployment:
    return deploy(
        config(
            stickinessSeconds=60,
            override={},
            rules={
                "mix": rule(priority=20, forward={"a": 1, "b": 1}),
                "one": rule(priority=30, forward={"b": 100}),
                "b": rule(priority=40, forward="b"),
            },
        )
    )


def forwards(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Logical name -> the forward of every listener and rule that has one."""
    found = {}
    for resource in deployment.resources:
        for action in resource.inputs.get("actions") or resource.inputs.get("defaultActions") or []:
            if action["type"] == "forward":
                found[resource.name] = action
    return found


def attachments(deployment: Deployment, variant_name: str) -> set[str]:
    found = deployment.of_type(":TargetGroupAttachment").items()
    return {r.urn for name, r in found if name.startswith(f"abtest-{variant_name}-")}


def variant_of(deployment: Deployment, arn: str) -> str:
    (name,) = (r.name for r in deployment.of_type(":TargetGroup").values() if r.id == arn)
    return name.removeprefix("abtest-")


def test_a_forward_depends_on_every_target_of_the_groups_that_it_names(wide: Deployment) -> None:
    """Invariant 3: otherwise the engine may move traffic to a group before it has targets."""
    by_name = {r.name: r for r in wide.resources if r.type.startswith("aws:lb/listener")}
    assert len(forwards(wide)) == 8
    for name, action in forwards(wide).items():
        for group in action["forward"]["targetGroups"]:
            needed = attachments(wide, variant_of(wide, group["arn"]))
            assert len(needed) == 2
            assert needed <= by_name[name].depends_on, name


def needed_by(deployment: Deployment, resource: Resource) -> set[str]:
    """Everything that comes before a resource, by its dependencies and theirs."""
    by_urn = {r.urn: r for r in deployment.resources}
    found: set[str] = set()
    open_ends = [resource]
    while open_ends:
        new = open_ends.pop().depends_on - found
        found |= new
        open_ends += [by_urn[urn] for urn in new if urn in by_urn]
    return found


def test_a_forward_comes_after_the_way_to_its_targets_is_open(dev: Deployment, prod: Deployment) -> None:
    """Otherwise a listener may send clients to a port that no security group admits yet."""
    for deployment in (dev, prod):
        opened = {r.urn for r in deployment.of_type("IngressRule").values()}
        opened |= {r.urn for name, r in deployment.of_type("EgressRule").items() if name.endswith("-to-8080")}
        for listener in deployment.of_type(":Listener").values():
            assert opened <= needed_by(deployment, listener)


def test_an_instance_depends_on_its_way_out(dev: Deployment) -> None:
    """Its start-up script may fetch packages at once."""
    needed = {r.urn for name, r in dev.of_type("EgressRule").items() if name.startswith("abtest-a-to-")}
    assert len(needed) == 3
    assert needed <= dev.of_type(":Instance")["abtest-a-1"].depends_on


def test_a_forward_depends_on_no_target_of_other_groups(wide: Deployment) -> None:
    """A new variant that is slow to start must not hold back a shift between the others."""
    listener = wide.of_type(":Listener")["listener-80"]
    assert not attachments(wide, "c") & listener.depends_on


def test_stickiness_is_always_written_with_a_legal_duration(wide: Deployment, sticky: Deployment) -> None:
    """Invariant 5."""
    for action in [*forwards(wide).values(), *forwards(sticky).values()]:
        stickiness = action["forward"]["stickiness"]
        assert 1 <= stickiness["duration"] <= 604_800
        assert isinstance(stickiness["enabled"], bool)
        assert "targetGroupArn" not in action


def test_only_real_splits_are_sticky(sticky: Deployment) -> None:
    """A rule to one variant, an override above all, gives no cookie that would hold the client in that variant."""
    enabled = {name: f["forward"]["stickiness"]["enabled"] for name, f in forwards(sticky).items()}
    assert enabled == {
        "listener-80": True, "rule-20": True, "rule-30": False, "rule-40": False, "rule-1": False, "rule-2": False,
    }  # fmt: skip
    assert forwards(sticky)["rule-20"]["forward"]["stickiness"]["duration"] == 60


def test_without_stickiness_none_is_sticky(wide: Deployment) -> None:
    assert not any(f["forward"]["stickiness"]["enabled"] for f in forwards(wide).values())


def test_to_the_engine_a_rule_is_its_priority_and_a_listener_its_port(wide: Deployment) -> None:
    """Invariant 4."""
    rules = wide.of_type(":ListenerRule")
    assert {name: r.inputs["priority"] for name, r in rules.items()} == {
        f"rule-{n}": n for n in (1, 2, 3, 10, 20, 30, 40, 50, 60)
    }
    assert {name: r.inputs["port"] for name, r in wide.of_type(":Listener").items()} == {"listener-80": 80}


def test_the_redirect_comes_after_the_https_listener_and_all_its_rules(prod: Deployment) -> None:
    """Invariant 4: on the way from 80 to 443 nobody is sent to a port where nothing answers yet."""
    redirect = prod.of_type(":Listener")["listener-80"]
    needed = {prod.of_type(":Listener")["listener-443"].urn, *(r.urn for r in prod.of_type(":ListenerRule").values())}
    assert needed <= redirect.depends_on


def test_nothing_has_a_physical_name_and_no_logical_name_holds_the_experiments(
    wide: Deployment, prod: Deployment
) -> None:
    """Invariant 6."""
    for deployment in (wide, prod):
        for resource in deployment.resources:
            assert "ranker" not in resource.name
            if not resource.type.endswith(("route53/record:Record",)):
                assert not {"name", "namePrefix"} & set(resource.inputs), resource
    assert all(len(name) <= 24 for name in [*wide.of_type(":TargetGroup"), *wide.of_type(":LoadBalancer")])


def test_a_new_experiment_changes_tags_and_the_salt_and_nothing_else() -> None:
    """Invariant 6."""
    keys = config(experiment="next", weights={"a": 3, "b": 0}, variants=INSTANCES)
    before, after = deploy({**keys, "abtest:experiment": "ranker"}), deploy(keys)
    assert [r.urn for r in before.resources] == [r.urn for r in after.resources]
    changed = {
        (r.name, key)
        for r, s in zip(before.resources, after.resources, strict=True)
        for key in {*r.inputs, *s.inputs}
        if r.inputs.get(key) != s.inputs.get(key)
    }
    assert {key for _, key in changed} == {"tags", "keepers"}
    assert [name for name, key in changed if key == "keepers"] == ["abtest-salt"]
    assert before.outputs["assignment_salt"] != after.outputs["assignment_salt"]


def test_the_salt_stays_when_anything_else_changes() -> None:
    first = deploy(config())
    second = deploy(config(weights={"a": 1, "b": 0}, control="b", tags={"k": "v"}))
    assert first.outputs["assignment_salt"] == second.outputs["assignment_salt"]


def test_the_order_of_keys_changes_nothing() -> None:
    """Invariant 7."""
    keys = config(
        variants=INSTANCES, rules={"x": rule(), "y": rule(priority=20)}, tags={"k": "v", "l": "w"}, override={}
    )
    assert deploy(keys).resources == deploy(_reversed(keys)).resources


def _reversed(value: Any) -> Any:
    return {k: _reversed(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value


def test_a_shift_changes_the_listener_and_the_rules_that_say_split_and_nothing_else() -> None:
    """Invariant 2."""
    rules = {"s": rule(forward="split"), "t": rule(priority=20, forward={"a": 1, "b": 1}), "u": rule(priority=30)}
    before, after = (deploy(config(weights={"a": 100 - b, "b": b}, rules=rules)) for b in (10, 25))
    changed = [r.name for r, s in zip(before.resources, after.resources, strict=True) if r != s]
    assert changed == ["listener-80", "rule-10"]


def test_a_rule_that_is_deleted_changes_the_split_whose_hook_judges_it() -> None:
    """The engine runs no hook before it deletes a rule."""
    rules = {"s": rule(forward="split"), "t": rule(priority=20)}
    before, after = (deploy(config(rules=some)) for some in (rules, {"s": rules["s"]}))
    listeners = [deepcopy(made.of_type("aws:lb/listener:Listener")["listener-80"].inputs) for made in (before, after)]
    assert [inputs["tags"].pop("abtest:rules") for inputs in listeners] == ["2", "1"]
    assert listeners[0] == listeners[1]


def test_every_child_has_its_component_as_parent(wide: Deployment) -> None:
    components = {r.urn for r in wide.resources if r.is_component}
    assert all(r.parent in components or r.name == "abtest-salt" for r in wide.resources if not r.is_component)
    assert {r.type for r in wide.resources if r.is_component} == {
        "abtest:stack:Network", "abtest:stack:Variant", "abtest:stack:LoadBalancer", "abtest:stack:Routing",
    }  # fmt: skip


TAGGED = (
    ":SecurityGroup",
    "GroupIngressRule",
    "GroupEgressRule",
    ":TargetGroup",
    "aws:lb/loadBalancer:LoadBalancer",
    ":Listener",
    ":ListenerRule",
    ":Instance",
)


def test_every_resource_that_can_have_tags_tells_its_experiment(
    dev: Deployment, prod: Deployment, wide: Deployment
) -> None:
    for deployment in (dev, prod, wide):
        for resource in deployment.resources:
            if resource.type.endswith(TAGGED) and not resource.is_component:
                assert resource.inputs["tags"]["abtest:experiment"] == deployment.experiment.experiment, resource


def test_tags_tell_variant_and_rule_and_hold_the_users_own(wide: Deployment) -> None:
    def tags(resource: Resource) -> dict[str, str]:
        return dict(resource.inputs["tags"])

    assert tags(wide.of_type(":Listener")["listener-80"])["abtest:control"] == "a"
    assert tags(wide.of_type(":TargetGroup")["abtest-a"])["abtest:variant"] == "a"
    assert tags(wide.of_type(":ListenerRule")["rule-20"])["abtest:rule"] == "mix"
    assert "abtest:rule" not in tags(wide.of_type(":ListenerRule")["rule-1"])
    assert tags(wide.of_type(":ListenerRule")["rule-1"])["abtest:variant"] == "a"
    assert tags(wide.of_type(":SecurityGroup")["abtest"])["Name"] == "mine"
    assert all(tags(r)["team"] == "ranking" for r in wide.of_type(":ListenerRule").values())


def test_no_token_of_the_override_shows_in_plain(sticky: Deployment) -> None:
    """Invariant 8."""
    token = sticky.outputs["override_token"]
    assert len(token) == 32
    assert sticky.secret_outputs == {"override_token"}
    rules = sticky.of_type(":ListenerRule")
    assert {name: rule.secret_inputs for name, rule in rules.items() if rule.secret_inputs} == {
        "rule-1": {"conditions"},
        "rule-2": {"conditions"},
    }
    holders = [
        r for r in sticky.resources if token in str({k: v for k, v in r.inputs.items() if k not in r.secret_inputs})
    ]
    assert holders == []
    values = [
        sticky.of_type(":ListenerRule")[f"rule-{n}"].inputs["conditions"][0]["httpHeader"]["values"] for n in (1, 2)
    ]
    assert values == [[f"{token}-a"], [f"{token}-b"]]


def test_an_open_override_is_the_plain_name(wide: Deployment) -> None:
    rules = wide.of_type(":ListenerRule")
    assert [rules[f"rule-{n}"].inputs["conditions"] for n in (1, 2, 3)] == [
        [{"httpHeader": {"httpHeaderName": "X-Abtest-Variant", "values": [name]}}] for name in "abc"
    ]
    assert "override_token" not in wide.outputs


def test_every_condition_reaches_the_load_balancer_as_one_block_of_its_kind(wide: Deployment) -> None:
    (found,) = wide.described["Rules"].values()
    conditions = {rule["Priority"]: rule["Conditions"] for rule in found}
    assert conditions["20"] == [
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["a.example.com"]}},
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "HEAD"]}},
    ]
    assert conditions["30"] == [
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Value": "x"}]}},
        {
            "Field": "query-string",
            "QueryStringConfig": {"Values": [{"Key": "m", "Value": "b"}, {"Key": "m", "Value": "c"}]},
        },
    ]
    assert conditions["50"] == [{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}]
    assert conditions["60"] == [
        {"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/r$"]}},
        {"Field": "host-header", "HostHeaderConfig": {"RegexValues": [r"^a\.b$"]}},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X", "RegexValues": ["^y$"]}},
    ]


def test_every_action_reaches_the_load_balancer(wide: Deployment) -> None:
    (found,) = wide.described["Rules"].values()
    actions = {rule["Priority"]: rule["Actions"][0] for rule in found}
    assert actions["40"]["RedirectConfig"] == {
        "Protocol": "#{protocol}", "Host": "b.example.com", "Port": "8443", "Path": "/#{path}", "Query": "q",
        "StatusCode": "HTTP_302",
    }  # fmt: skip
    assert actions["50"]["FixedResponseConfig"] == {"ContentType": "text/plain", "StatusCode": "404"}
    weights = {priority: _weights(wide, action) for priority, action in actions.items()}
    assert weights["10"] == weights["default"] == {"a": 3, "b": 0}
    assert (weights["20"], weights["30"]) == ({"a": 2, "b": 1}, {"b": 100})


def _weights(deployment: Deployment, action: dict[str, Any]) -> dict[str, int]:
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    return {variant_of(deployment, g["TargetGroupArn"]): g["Weight"] for g in groups}


def test_five_variants_are_the_most_a_split_takes() -> None:
    names = {f"v{n}": VARIANT for n in range(5)}
    found = deploy(config(weights=dict.fromkeys(names, 1), variants=names))
    assert len(forwards(found)["listener-80"]["forward"]["targetGroups"]) == 5
