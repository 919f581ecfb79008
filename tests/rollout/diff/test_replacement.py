"""What is said to be replaced and updated is what the deployed resources of both sides differ in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from abtest.local import Deployment, Resource
from abtest.rollout.diff.effect import Effect, compare
from abtest.rollout.diff.summary import summary
from abtest.rollout.diff.version import Version
from tests.configs import SERVICE, VARIANT, config, experiment, rule, variant
from tests.deployed import deploy

#: Inputs that replace a resource (ForceNew in hashicorp/terraform-provider-aws; user data by its own flag, a volume by
#: its size).
REPLACES = {
    "aws:lb/loadBalancer:LoadBalancer": ("internal",),
    ":TargetGroup": ("port", "protocol", "protocolVersion", "targetType", "vpcId", "ipAddressType"),
    ":Instance": ("instanceType", "userData", "subnetId", "keyName", "ami", "rootBlockDevice"),
}
LAUNCHED = variant(targets={"launch": {"instanceType": "t3.small", "ami": "ami-0a", "count": 2}})
BASE: dict[str, Any] = {
    "weights": {"a": 90, "b": 10},
    "stickinessSeconds": 60,
    "variants": {"a": LAUNCHED, "b": VARIANT, "c": variant(targets={"ipAddresses": ["10.0.0.1"]})},
    "rules": {
        "split": rule(priority=10, when={"path": ["/s", "/t"]}, forward="split"),
        "one": rule(priority=20, when={"path": ["/b"]}, forward="b"),
        "no": rule(priority=30, when={"path": ["/n"]}, forward=None, respond={"status": 404}),
    },
}


def launched(**changes: Any) -> dict[str, Any]:
    launch = {"instanceType": "t3.small", "ami": "ami-0a", "count": 2, **changes}
    return {"a": variant(targets={"launch": {key: value for key, value in launch.items() if value is not None}})}


def variants(**changes: Any) -> dict[str, Any]:
    return {"variants": BASE["variants"] | changes}


def rules(**changes: Any) -> dict[str, Any]:
    found = BASE["rules"] | changes
    return {"rules": {name: one for name, one in found.items() if one is not None}}


HTTPS = {"certificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a shift": {"weights": {"a": 75, "b": 25}},
    "other weights of the same shares": {"weights": {"a": 9, "b": 1}},
    "another instance type": variants(**launched(instanceType="t3.large")),
    "another image and key": variants(**launched(ami="ami-0b", keyName="k")),
    "more instances": variants(**launched(count=3)),
    "another volume": variants(**launched(rootVolumeGb=50)),
    "a profile": variants(**launched(instanceProfile="p")),
    "another port": variants(a=LAUNCHED | {"port": 9000}),
    "another protocol": variants(b=VARIANT | {"protocol": "HTTPS"}),
    "another kind of target": variants(b=variant(targets={"external": "instance"})),
    "other targets and checks": variants(
        b=VARIANT | {"healthCheck": {"path": "/ok"}}, c=variant(targets={"ipAddresses": ["10.0.0.2"]})
    ),
    "a variant more": variants(d=VARIANT),
    "an internal load balancer": {"network": {"internal": True}},
    "a rule renamed, one moved, one less": rules(
        split=None,
        renamed=rule(priority=10, when={"path": ["/t", "/s"]}, forward="split"),
        one=None,
        no=rule(priority=31, when={"path": ["/n"]}, forward=None, respond={"status": 404}),
    ),
    "tags": {"tags": {"team": "x"}},
    "another timeout": {"idleTimeoutSeconds": 61},
    "https": {"listener": HTTPS},
    "response headers": {"listener": {"responseHeaders": {"xFrameOptions": "DENY"}}},
    "a certificate more": {"listener": HTTPS | {"certificateArns": [HTTPS["certificateArn"] + "2"]}},
    "a web ACL": {"waf": {"webAclArn": "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1"}},
    "a preset of the same port": variants(b={"serving": "sagemaker", "targets": {"external": "ip"}}),
    "a preset of another port": variants(b={"serving": "vllm", "targets": {"external": "ip"}}),
    "an override": {"override": {"secret": False}},
}


def sides(change: dict[str, Any]) -> tuple[tuple[Deployment, Deployment], Effect]:
    configs = [config(**BASE), config(**BASE | change)]
    versions = [
        Version(stack="test", experiment=experiment(keys), elsewhere={"aws:region": "us-east-1"}) for keys in configs
    ]
    before, after = (deploy(keys) for keys in configs)
    return (before, after), compare(*versions)


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_replaced_are_the_resources_whose_inputs_ask_for_it(name: str) -> None:
    (before, after), effect = sides(CHANGES[name])
    expected = set()
    for kind, keys in REPLACES.items():
        old, new = before.of_type(kind), after.of_type(kind)
        expected |= {
            named for named in old.keys() & new.keys()
            if any(old[named].inputs.get(key) != new[named].inputs.get(key) for key in keys)
        }  # fmt: skip
    names = [
        (r.what == "load balancer" and ["abtest"])
        or (r.what == "target group" and [f"abtest-{r.variant}"])
        or [f"abtest-{r.variant}-{n + 1}" for n in range(r.count)]
        for r in effect.replaced
        if r.certain
    ]
    assert {one for several in names for one in several} == expected


@pytest.mark.parametrize("name", CHANGES)
def test_the_updates_are_the_listeners_and_rules_whose_inputs_differ(name: str) -> None:
    (before, after), effect = sides(CHANGES[name])
    groups = {f"abtest-{r.variant}" for r in effect.replaced if r.what == "target group"}
    new_balancer = any(r.what == "load balancer" for r in effect.replaced)
    arns = {r.id: f"{r.name} anew" for r in after.of_type(":TargetGroup").values() if r.name in groups}
    old, new = (found.of_type(":Listener") | found.of_type(":ListenerRule") for found in (before, after))
    both = old.keys() & new.keys()
    replaced = {
        n for n in both if new_balancer or (old[n].inputs.get("listenerArn") != new[n].inputs.get("listenerArn"))
    }
    assert {*effect.updates.created} == new.keys() - old.keys()
    assert {*effect.updates.deleted} == old.keys() - new.keys()
    assert {*effect.updates.replaced} == replaced
    assert {*effect.updates.updated} == {
        n for n in both - replaced if inputs(old[n], {}) != inputs(new[n], arns)
    }  # fmt: skip


def inputs(resource: Resource, arns: dict[str, str]) -> Any:
    """A resource's inputs; lists are sets to the provider, and a group that is replaced has another ARN."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list):
            return sorted(map(plain, value), key=repr)
        return arns.get(value, value) if isinstance(value, str) else value

    return plain(dict(resource.inputs))


# Scripts, networks, encrypted values: what no deployment here can show ------------------------------------------------


def version(changes: dict[str, Any], **more: Any) -> Version:
    return Version(stack="test", experiment=experiment(config(**BASE | changes)), **more)


def test_a_script_is_what_it_holds() -> None:
    before, same, other = (version({}, scripts={"a": text}) for text in (b"#!/bin/a", b"#!/bin/a", b"#!/bin/b"))
    assert not compare(before, same).is_change
    (found,) = compare(before, other).replaced
    assert (found.what, found.variant, found.count, found.certain) == ("instance", "a", 2, True)
    assert found.why == ("abtest:variants.a.targets.launch.userDataFile",)


def test_an_image_or_key_that_is_no_longer_named_stays() -> None:
    named = version(variants(**launched(keyName="k")))
    assert not compare(named, version(variants(**launched(ami=None)))).replaced


def test_an_image_that_was_not_named_may_be_the_one_that_is() -> None:
    (found,) = compare(version(variants(**launched(ami=None))), version({})).replaced
    assert (found.what, found.certain) == ("instance", False)


def test_addresses_of_another_family_replace_their_group() -> None:
    before, after = (
        version({"network": {"ipAddressType": "dualstack"}} | variants(c=variant(targets={"ipAddresses": [address]})))
        for address in ("10.0.0.1", "fd00::1")
    )
    (found,) = compare(before, after).replaced
    assert (found.what, found.variant, found.why) == ("target group", "c", ("abtest:variants.c.targets",))


def test_another_network_replaces_for_certain_only_where_both_are_named() -> None:
    named, other, tagged, subnets = (
        version({"network": network})
        for network in ({"vpcId": "vpc-1"}, {"vpcId": "vpc-2"}, {"vpcTags": {"x": "y"}}, {"subnetTags": {"x": "y"}})
    )
    assert {(r.what, r.certain) for r in compare(named, other).replaced} == {
        ("load balancer", True), ("target group", True), ("instance", True),
    }  # fmt: skip
    assert {r.certain for r in compare(named, tagged).replaced} == {False}
    assert [(r.what, r.certain) for r in compare(version({}), subnets).replaced] == [("instance", False)]


def test_another_region_replaces_everything() -> None:
    found = compare(version({}, elsewhere={"aws:region": "a"}), version({}, elsewhere={"aws:region": "b"}))
    assert {r.what for r in found.replaced if r.certain} == {"load balancer", "target group", "instance"}
    assert found.settings[0].path == "aws:region"


# Auto Scaling groups and functions: AWS replaces what the engine does not see -------------------------------------------

SCALED = {"count": None, "min": 2, "max": 5, "requestsPerTarget": 100}
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ranker"


def scaled(**changes: Any) -> Version:
    return version(variants(**launched(**SCALED | changes)))


@pytest.mark.parametrize(
    "change",
    [
        {"instanceType": "t3.large"}, {"keyName": "k"}, {"instanceProfile": "p"}, {"rootVolumeGb": 50}, {"publicIp": True},
        {"ami": "ami-0b"},
    ],
)  # fmt: skip
def test_another_launch_template_replaces_every_instance(change: dict[str, Any]) -> None:
    (found,) = compare(scaled(), scaled(**change)).replaced
    assert (found.what, found.variant, found.certain) == ("instance", "a", True)
    assert found.why == (f"abtest:variants.a.targets.launch.{next(iter(change))}",)
    assert summary(compare(scaled(), scaled(**change))).startswith("2 or more instances of a are replaced")


@pytest.mark.parametrize(
    "change", [{"min": 1}, {"requestsPerTarget": 50}, {"healthCheckGraceSeconds": 9}, {"ami": None}]
)
def test_what_only_the_group_says_replaces_none(change: dict[str, Any]) -> None:
    assert not compare(scaled(), scaled(**change)).replaced


def test_another_target_group_takes_other_instances() -> None:
    own = {"userDataFile": "tests/write_generated.py"}  # the sample server speaks HTTP alone
    before, after = (
        version(variants(a=launched(**SCALED | own)["a"] | {"protocol": protocol})) for protocol in ("HTTP", "HTTPS")
    )
    assert [r.what for r in compare(before, after).replaced] == ["target group", "instance"]


def test_other_subnets_are_for_the_next_instances_of_a_group() -> None:
    before, after = (
        version({"network": network} | variants(**launched(**SCALED))) for network in ({}, {"subnetTags": {"x": "y"}})
    )
    assert not compare(before, after).replaced


def test_an_auto_scaling_group_in_place_of_instances_replaces_them_and_back() -> None:
    single = version(variants(**launched(count=3)))
    there, back = compare(single, scaled(instanceType="t3.large")), compare(scaled(), single)
    assert [found.why for found in there.replaced] == [("abtest:variants.a.targets.launch.min",)]
    assert summary(there).startswith("3 instances of a are replaced")
    assert summary(back).startswith("2 or more instances of a are replaced")


def test_a_public_address_that_was_the_subnets_to_give_may_be_the_same() -> None:
    unsaid, said, other = (version(variants(**launched(publicIp=ip))) for ip in (None, True, False))
    assert [r.certain for r in compare(unsaid, said).replaced] == [False]
    assert [r.certain for r in compare(said, other).replaced] == [True]
    assert not compare(said, unsaid).replaced


def test_another_function_is_another_group() -> None:
    before, after = (version(variants(c={"targets": {"lambdaArn": f"{FUNCTION}:{number}"}})) for number in (1, 2))
    (found,) = compare(before, after).replaced
    assert (found.what, found.variant, found.why) == ("target group", "c", ("abtest:variants.c.targets",))


def test_clients_of_a_replaced_group_are_chosen_anew() -> None:
    assert compare(version({}), version(variants(b=VARIANT | {"port": 81}))).freed == ("b",)
    assert compare(version({}), version(variants(c=VARIANT))).freed == ()


# Services -------------------------------------------------------------------------------------------------------------


def served(**changes: Any) -> dict[str, Any]:
    """The variant b as a service."""
    ecs = {**SERVICE["targets"]["ecs"], **changes}
    return variants(b={"port": 8080, "targets": {"ecs": ecs}})


SERVICES: dict[str, dict[str, Any]] = {
    "an image": {"image": "example.com/model:2"},
    "a size": {"cpu": 512, "memory": 1024},
    "a variable": {"environment": {"X": "y"}},
    "a secret": {"secrets": {"X": "arn:aws:ssm:us-east-1:123456789012:parameter/x"}},
    "a command": {"command": ["serve"]},
    "an architecture": {"architecture": "ARM64"},
    "a disk": {"ephemeralStorageGb": 30},
    "a user": {"user": "1000"},
    "a root": {"readOnlyRoot": False},
    "a cluster": {"cluster": "models"},
    "more tasks": {"count": 3},
    "scaling": {"autoscaling": {"min": 1, "max": 2, "requestsPerTarget": 60}},
    "a log": {"logRetentionDays": 7},
    "rights": {"taskPolicyArns": ["arn:aws:iam::123456789012:policy/p"]},
    "patience": {"healthCheckGraceSeconds": 60},
}


def dashed(name: str) -> str:
    return name.replace(" ", "-")


@pytest.fixture(scope="module")
def services() -> tuple[tuple[Deployment, Deployment], Effect]:
    """A service by each name, before and after its change; all of them behind one load balancer."""
    sides = []
    unchanged: dict[str, dict[str, Any]] = {name: {} for name in SERVICES}
    for changes in (unchanged, SERVICES):
        names = {dashed(name): served(**change)["variants"]["b"] for name, change in changes.items()}
        paths = {f"to-{name}": rule(priority=n, forward=name) for n, name in enumerate(names, 100)}
        sides.append({"variants": BASE["variants"] | names, "rules": paths})
    before, after = (deploy(config(**BASE | side)) for side in sides)
    return (before, after), compare(*map(version, sides))


@pytest.mark.parametrize("name", SERVICES)
def test_tasks_are_replaced_with_their_definition_and_a_service_with_its_cluster(
    services: tuple[tuple[Deployment, Deployment], Effect], name: str
) -> None:
    sides, effect = services
    one = dashed(name)
    keys = ("containerDefinitions", "cpu", "memory", "runtimePlatform", "ephemeralStorage", "volumes")
    definitions = [side.of_type(":TaskDefinition")[f"abtest-{one}"].inputs for side in sides]
    clusters = [side.of_type("ecs/service:Service")[f"abtest-{one}"].inputs["cluster"] for side in sides]
    expected = {"task"} if len({json.dumps([d.get(key) for key in keys]) for d in definitions}) > 1 else set()
    expected |= {"service"} if len(set(clusters)) > 1 else set()
    replaced = [r for r in effect.replaced if r.variant == one]
    assert {(r.what, r.certain) for r in replaced} == {(what, True) for what in expected}
    assert {r.variant for r in effect.replaced} <= set(map(dashed, SERVICES))


def test_a_public_address_and_a_port_replace_the_tasks() -> None:
    private = served(publicIp=False)
    assert [r.what for r in compare(version(served()), version(private)).replaced] == ["task"]
    port = variants(b=served()["variants"]["b"] | {"port": 9000})
    assert [r.what for r in compare(version(served()), version(port)).replaced] == ["target group", "task"]


def test_target_subnets_move_what_is_started_and_then_those_of_the_load_balancer_do_not() -> None:
    plain, named, both = (
        version(served() | {"network": network})
        for network in (
            {}, {"targetSubnetTags": {"x": "y"}}, {"targetSubnetTags": {"x": "y"}, "subnetTags": {"x": "z"}},
        )
    )  # fmt: skip
    assert [(r.what, r.certain) for r in compare(plain, named).replaced] == [("instance", False), ("task", False)]
    assert compare(named, both).replaced == ()


def test_what_ecs_cannot_do_in_one_update_is_told_before_it() -> None:
    new = variants(d=SERVICE) | {"weights": {"a": 80, "b": 10, "d": 10}}
    (words,) = compare(version({}), version(new)).refused
    assert words.startswith("d would go from 0 % to 10 % on rule split, but no rule forwards to d yet")
    assert compare(version({}), version(new | {"weights": {"a": 90, "b": 10, "d": 0}})).refused == ()
    launched_before = version(variants(b=LAUNCHED))
    (words,) = compare(launched_before, version(served())).refused
    assert words.startswith("the target group of b would be replaced, but the tasks of its service come to the new one")
    assert compare(version(served()), version(served(image="x:2"))).refused == ()


def test_a_service_may_take_over_the_group_that_somebody_else_filled() -> None:
    assert compare(version({}), version(served())).refused == ()


def test_what_the_guard_would_refuse_is_not_told_while_it_is_suspended() -> None:
    until = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    suspended = {"guardrails": {"suspend": {"reason": "a is broken", "until": until}}}
    assert compare(version(variants(b=LAUNCHED)), version(served() | suspended)).refused == ()
