"""What counts as a change in effect, besides traffic; what sticky clients do; what stands in no experiment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import stack_file
from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.markdown import as_markdown
from abtest.rollout.diff.report import as_json
from abtest.rollout.diff.settings import Setting
from abtest.rollout.diff.summary import summary
from abtest.rollout.diff.version import Version
from abtest.routing.analysis import duration
from tests.configs import VARIANT, rule, variant, write_stack
from tests.rollout.diff.cases import BASE, RULES, THREE, effect, version


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"variants": {"a": VARIANT, "b": VARIANT}}, {"variants": {"b": VARIANT, "a": VARIANT}}),
        ({"weights": {"a": 90, "b": 10}}, {"weights": {"b": 1, "a": 9}}),
        ({}, {"control": "a", "listener": {"port": 80, "redirectHttp": False}, "idleTimeoutSeconds": 60}),
        (
            {},
            {"variants": {"a": VARIANT | {"healthCheck": {"path": "/", "matcher": "200", "protocol": "HTTP"}}, "b": VARIANT}},
        ),
        (
            {"variants": {n: variant(targets={"ipAddresses": ["10.0.0.1", "10.0.0.2"]}) for n in "ab"}},
            {"variants": {n: variant(targets={"ipAddresses": ["10.0.0.2", "10.0.0.1"]}) for n in "ab"}},
        ),
        (
            {"variants": {"a": VARIANT | {"serving": "triton"}, "b": VARIANT}},
            {"variants": {"a": VARIANT | {"serving": "triton", "port": 8080, "healthCheck": {"path": "/v2/health/ready"}}, "b": VARIANT}},
        ),
    ],
    ids=["order of keys", "weights of the same shares", "defaults, written out", "defaults of a check", "order of a list", "a preset, written out"],
)  # fmt: skip
def test_other_words_for_the_same_are_no_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = effect(before, after)
    assert not found.is_change
    assert summary(found).startswith("no change in effect")


@pytest.mark.parametrize(
    ("change", "path", "values"),
    [
        ({"idleTimeoutSeconds": 120}, "abtest:idleTimeoutSeconds", (60, 120)),
        ({"tags": {"team": "x"}}, "abtest:tags.team", (None, "x")),
        ({"dns": {"zone": "example.com", "name": "m.example.com"}}, "abtest:dns", None),
        ({"control": "b"}, "abtest:control", ("a", "b")),
        ({"deletionProtection": True}, "abtest:deletionProtection", (False, True)),
        ({"listener": {"port": 81}}, "abtest:listener.port", (80, 81)),
        ({"listener": {"responseHeaders": {"xFrameOptions": "DENY"}}}, "abtest:listener.responseHeaders", None),
        ({"waf": {"webAclArn": "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1"}}, "abtest:waf", None),
        ({"variants": {"a": VARIANT | {"deregistrationDelaySeconds": 5}, "b": VARIANT}}, "abtest:variants.a.deregistrationDelaySeconds", (60, 5)),
        ({"variants": {"a": VARIANT, "b": VARIANT, "c": VARIANT}}, "abtest:variants.c", None),
    ],
)  # fmt: skip
def test_every_other_value_that_differs_is_a_change(
    change: dict[str, Any], path: str, values: tuple[Any, Any] | None
) -> None:
    found = effect({}, change)
    assert (found.is_change, [setting.path for setting in found.settings]) == (True, [path])
    if values is not None:
        assert found.settings == (Setting(path=path, before=values[0], after=values[1]),)


def test_no_stack_and_a_stack_is_a_change() -> None:
    for sides in ((None, version()), (version(), None)):
        found = compare(*sides)
        assert found.is_change
        assert len(found.changed) == 3


# Clients that have a variant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "seconds", "freed"),
    [
        ({"weights": {"a": 75, "b": 25}}, 3600, ()),
        ({"weights": {"a": 1, "b": 0}}, 3600, ()),
        ({"weights": {"a": 1}}, 0, ("b",)),
        ({"weights": {"a": 75, "b": 25}, "stickinessSeconds": 60}, 3600, ()),
        ({"weights": {"a": 75, "b": 25}, "stickinessSeconds": 0}, 0, ()),
        ({"stickinessSeconds": 60}, 0, ()),
        ({"weights": {"a": 80, "c": 20}, "variants": THREE}, 3600, ("b",)),
    ],
    ids=["a shift", "weight 0", "taken out", "shorter, too", "switched off", "shorter alone", "another in its place"],
)
def test_how_long_sticky_clients_lag_behind(after: dict[str, Any], seconds: int, freed: tuple[str, ...]) -> None:
    found = effect({"variants": after.get("variants")} if "variants" in after else {}, after)
    assert (found.lag_seconds, found.freed) == (seconds, freed)


def test_without_stickiness_nobody_lags() -> None:
    found = effect({"stickinessSeconds": 0}, {"stickinessSeconds": 0, "weights": {"a": 1, "b": 1}})
    assert (found.lag_seconds, found.freed) == (0, ())


@pytest.mark.parametrize(
    ("before", "after", "undrained"),
    [
        ({}, {"weights": {"a": 1}}, ["b leaves the main split"]),
        ({"weights": {"a": 1, "b": 0}}, {"weights": {"a": 1}}, []),
        ({"stickinessSeconds": 0}, {"stickinessSeconds": 0, "weights": {"a": 1}}, []),
        ({}, {"weights": {"a": 1}, "held": ["b"]}, []),
        ({}, {"rules": {"partner": RULES["partner"] | {"forward": "a"}}}, ["b leaves rule partner"]),
        ({}, {"rules": {}}, []),
    ],
    ids=["with a share", "at weight 0", "nobody is sticky", "a rollback", "out of a rule", "a rule that is gone"],
)
def test_a_variant_that_leaves_with_a_share_is_not_drained(
    before: dict[str, Any], after: dict[str, Any], undrained: list[str]
) -> None:
    assert list(map(str, effect(before, after).undrained)) == undrained


def test_the_json_says_what_was_not_drained_and_what_switches_the_guardrails_off() -> None:
    found = as_json(effect({}, {"weights": {"a": 1}, "guardrails": None}), "test", ("before", "after"))
    assert found["notDrained"] == [{"variant": "b", "route": "main split", "share": 0.1, "stickySeconds": 3600}]
    assert found["guardrailsOff"] == "for good: `abtest:guardrails` is gone"
    same = as_json(effect({}, {}), "test", ("before", "after"))
    assert (same["notDrained"], same["guardrailsOff"]) == ([], None)


def test_what_the_guard_would_say_of_the_files_is_said() -> None:
    (words,) = effect({}, {"weights": {"a": 50, "b": 50}}).refused
    assert words.startswith("b would go from 10 % to 50 % on the main split: 40 points of b at once; maxStep allows 25")
    assert words.endswith(", or step by step: abtest ramp b --to 50 --stack test")
    (held,) = effect({"held": ["b"]}, {"weights": {"a": 80, "b": 20}}).refused
    assert "but b is held" in held
    step, removal = effect({}, {"weights": {"a": 50, "b": 50}, "guardrails": None}).refused
    assert step == words
    assert removal.startswith("this update also removes abtest:guardrails")
    assert effect({"guardrails": None}, {"weights": {"a": 50, "b": 50}, "guardrails": None}).refused == ()


def test_requests_that_come_to_a_variant_are_refused_with_an_example() -> None:
    pin, to_b = rule(priority=30, when={"path": ["/*"]}), RULES["path-b"]
    (words,) = effect({"rules": {"pin": pin, "b": to_b | {"priority": 40}}}, {"rules": {"pin": pin, "b": to_b}}).refused
    assert words.startswith(
        "requests to /v2/* would go from a 100 % (rule pin) to b 100 % (rule b), for example GET /v2/"
    )


def test_a_loosening_of_the_guardrails_comes_first() -> None:
    found = effect(
        {}, {"guardrails": {"maxStep": 100, "alarms": False, "minHealthy": 2}, "weights": {"a": 80, "b": 20}}
    )
    limits = "`abtest:guardrails.maxStep`: `25` → `100` and `abtest:guardrails.alarms`: `true` → `false`"
    assert summary(found).startswith(f"the guardrails are loosened ({limits}); b gets 20 % of new clients")
    assert "**Guardrail loosened:** `abtest:guardrails.maxStep`: `25` → `100`" in as_markdown(found, "test", ("x", "y"))
    assert as_json(found, "test", ("x", "y"))["guardrailsLoosened"] == [
        {"path": "abtest:guardrails.maxStep", "before": "25", "after": "100"},
        {"path": "abtest:guardrails.alarms", "before": "true", "after": "false"},
    ]
    assert effect({"guardrails": {"maxStep": 100}}, {}).loosened == ()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (90, "90 seconds"), (3600, "60 minutes"), (7200, "2 hours"), (604800, "7 days")],
)
def test_a_duration_is_told_in_its_largest_unit(seconds: int, words: str) -> None:
    assert duration(seconds) == words


# What a reviewer must know --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            {},
            {"weights": {"a": 1}},
            "b leaves the main split, where it had 10 % of new clients; 1 update (listener-80)",
        ),
        (
            {"rules": {}},
            {"rules": {}, "stickinessSeconds": 7200},
            "clients keep their variant for 2 hours instead of 60 minutes; 1 update (listener-80)",
        ),
        (
            {"rules": {}},
            {"rules": {}, "stickinessSeconds": 0},
            "clients no longer keep their variant; 1 update (listener-80)",
        ),
        (
            {"rules": {}},
            {"rules": {"r": rule(priority=7, forward="split")}},
            "no change in effect; 1 update (listener-80), 1 created (rule-7)",
        ),
        (
            {"rules": {"r": rule(priority=7, forward="split")}},
            {"rules": {"r": rule(priority=7, forward="split")}, "weights": {"a": 50, "b": 50}},
            "it would be refused; b gets 50 % of new clients instead of 10 % on the main split; "
            "rule `r` changes to a 50 %, b 50 %; 2 updates (listener-80 and rule-7)",
        ),
        ({}, {"tags": {"x": "y"}}, "`abtest:tags.x` is new: `y`; 3 updates (listener-80, rule-10 and rule-20)"),
    ],
)
def test_the_sentence_says_what_matters(before: dict[str, Any], after: dict[str, Any], sentence: str) -> None:
    assert summary(effect(before, after)) == sentence


def test_a_suspension_of_the_guardrails_comes_first_even_an_old_one() -> None:
    until = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"
    suspended = {"guardrails": {"suspend": {"reason": "b is *broken*", "until": until}}}
    words = f"the guardrails are off until `{until}`: `b is *broken*`; "
    for before in ({}, suspended):
        found = effect(before, {"weights": {"a": 1, "b": 0}, **suspended})
        assert (
            summary(found)
            == f"{words}b gets 0 % of new clients instead of 10 % on the main split; 1 update (listener-80)"
        )
    lifted = effect(suspended, {})
    assert summary(lifted).startswith("`abtest:guardrails.suspend` is gone")


def test_guardrails_that_were_never_there_are_no_news() -> None:
    assert summary(effect({"guardrails": None}, {"guardrails": None, "tags": {"x": "y"}})).startswith("`abtest:tags.x`")
    assert summary(effect({"guardrails": None}, {})).startswith("`abtest:guardrails` is new: ")


def test_a_rule_that_nothing_reaches_any_more_is_a_change() -> None:
    late = {"late": rule(priority=50, when={"path": ["/v2/x"]}, forward="b")}
    found = effect({}, {"rules": BASE["rules"] | late})
    assert [shadow.route.name for shadow in found.shadowed] == ["late"]
    assert (found.is_change, found.moves) == (True, ())


def test_a_deny_rule_behind_a_rule_for_the_split_leaves_the_split_reached() -> None:
    deny = {"deny": rule(priority=50, when={"path": ["/*"]}, forward=None, respond={"status": 403})}
    edge = {"edge": rule(priority=40, when={"header": {"X-Edge-Key": ["k"]}}, forward="split")}
    assert [shadow.route.is_split for shadow in effect({}, {"rules": deny}).shadowed] == [True]
    assert effect({}, {"rules": edge | deny}).shadowed == ()
    assert [shadow.route.is_split for shadow in effect({"rules": edge | deny}, {"rules": deny}).shadowed] == [True]


# What stands beside the experiment ------------------------------------------------------------------------------------

STACK = """config:
  aws:region: us-east-1
  abtest:weights: {a: 1}
  abtest:variants:
    a: {port: 8080, targets: {launch: {instanceType: t3.small, userDataFile: start.sh}}}
  abtest:rules:
    r: {priority: 1, when: {header: {X-Key: [{secure: AAA}]}}, forward: a}
"""


def read(
    folder: Path, text: str, script: str = "#!/bin/sh\n", project: str = "name: abtest\nruntime: python\n"
) -> Version:
    (folder / "start.sh").write_text(script)
    return Version.read(*stack_file(str(write_stack(folder, text, project))))


@pytest.mark.parametrize(
    ("text", "more", "paths"),
    [
        (STACK, {}, []),
        (STACK.replace("us-east-1", "eu-west-1"), {}, ["aws:region"]),
        (STACK, {"script": "#!/bin/bash\n"}, ["abtest:variants.a.targets.launch.userDataFile"]),
        (STACK.replace("AAA", "BBB"), {}, ["abtest:rules.r.when.header.X-Key[0]"]),
        (STACK + "environment: [shared]\n", {}, ["environment"]),
        (STACK, {"project": "name: other\nruntime: python\n"}, ["name", "abtest:experiment"]),
        (STACK, {"project": "name: abtest\nruntime: python\nconfig: {'abtest:idleTimeoutSeconds': 7}\n"}, ["abtest:idleTimeoutSeconds"]),
    ],
    ids=["nothing", "region", "script", "encrypted value", "environment", "project", "project's config"],
)  # fmt: skip
def test_what_decides_beside_the_file_counts(tmp_path: Path, text: str, more: dict[str, str], paths: list[str]) -> None:
    before = read(tmp_path, STACK)
    found = compare(before, read(tmp_path, text, **more))
    assert [setting.path for setting in found.settings] == paths
    assert found.is_change == bool(paths)


def test_rules_with_different_secrets_are_not_taken_for_one_another(tmp_path: Path) -> None:
    two = STACK + "    s: {priority: 2, when: {header: {X-Key: [{secure: CCC}]}}, respond: {status: 404}}\n"
    found = compare(read(tmp_path, two), read(tmp_path, STACK))
    assert [move.before.name for move in found.moves] == ["s"]


ENCRYPTED = "{secure: AAABAA}"
PLAIN = """\
config:
  abtest:control: a
  abtest:weights: {a: 1, b: 1}
  abtest:variants:
    a: {port: 80, targets: {external: ip}}
    b: {port: 80, targets: {external: ip}}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"m: {{priority: 10, when: {{header: {{X: [b, {ENCRYPTED}]}}}}, forward: a}}", f"m: {{priority: 10, when: {{header: {{X: [c, {ENCRYPTED}]}}}}, forward: a}}"),
        (f"m: {{priority: 10, when: {{path: [{ENCRYPTED}]}}, forward: a}}", f"m: {{priority: 10, when: {{path: [{ENCRYPTED}]}}, forward: b}}"),
        (
            f"c: {{priority: 10, when: {{header: {{X: [b]}}}}, forward: a}}\n    b: {{priority: 20, when: {{header: {{X: [{ENCRYPTED}]}}}}, forward: a}}",
            f"c: {{priority: 10, when: {{header: {{X: [b]}}}}, forward: a}}\n    b: {{priority: 20, when: {{header: {{X: [{ENCRYPTED}]}}}}, forward: b}}",
        ),
    ],
)  # fmt: skip
def test_a_change_of_a_rule_with_an_encrypted_value_is_a_change(tmp_path: Path, before: str, after: str) -> None:
    sides = []
    for name, rules in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        sides.append(read(tmp_path / name, PLAIN + f"  abtest:rules:\n    {rules}\n"))
    assert compare(*sides).is_change
    assert not compare(sides[0], sides[0]).is_change


def test_the_order_of_keys_elsewhere_is_no_change(tmp_path: Path) -> None:
    sides = []
    for name, tags in (("before", "{x: 1, y: 2}"), ("after", "{y: 2, x: 1}")):
        (tmp_path / name).mkdir()
        sides.append(read(tmp_path / name, PLAIN + f"  aws:defaultTags: {{tags: {tags}}}\n"))
    assert not compare(*sides).is_change
