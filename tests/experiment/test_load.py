"""The loader: unknown keys, wrong types, missing values, all problems at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import load, load_stack
from tests.configs import VARIANT, config, errors, experiment, lines_of, problems, rule, source, variant, write_stack

BROKEN = """\
config:
  abtest:wieghts: {a: 1}
  abtest:weights: {a: 1000, b: -1, c: x}
  abtest:stickinessSeconds: yes
  abtest:variants:
    a:
      port: 80800
      targets: {launch: {instanceTyp: t3.small, instanceType: t3.small}}
    b:
      port: "8080"
      healthCheck: {timeoutSeconds: 20}
      targets: {instanceIds: i-0abc}
  abtest:rules:
    x: {priority: 10, when: {path: ["/a b"], header: {Host: [a]}}, forward: bb}
    y: {priority: 10, when: {}, forward: a, respond: {status: 301}}
    z: {priority: 11, when: {sourceIp: [10.0.0.1/24]}, redirect: {query: x}}
  abtest:control: a
"""


def test_every_problem_comes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    file = write_stack(tmp_path, BROKEN)
    assert [line.removeprefix(f"{file}:") for line in lines_of(file)] == [
        "2: error: abtest:wieghts: there is no such key; did you mean weights?",
        "3: error: abtest:weights.a: 1000 is over 999; weight: 0 to 999 (API TargetGroupTuple)",
        "3: error: abtest:weights.b: -1 is below 0; weight: 0 to 999 (API TargetGroupTuple)",
        '3: error: abtest:weights.c: expected a whole number (0 to 999), got the text "x"',
        '4: error: abtest:stickinessSeconds: expected a whole number (0 to 604800 seconds), got the text "yes"',
        "7: error: abtest:variants.a.port: 80800 is over 65535; port: 1 to 65535 (API CreateTargetGroup, CreateListener)",
        "8: error: abtest:variants.a.targets.launch.instanceTyp: there is no such key; did you mean instanceType?",
        '10: error: abtest:variants.b.port: expected a whole number (1 to 65535), got the text "8080"; without quotes',
        "11: error: abtest:variants.b.healthCheck.timeoutSeconds: 20 s is not below the interval of 15 s "
        "(API CreateTargetGroup); lower it or raise intervalSeconds",
        '12: error: abtest:variants.b.targets.instanceIds: expected a list, got the text "i-0abc"; write ["i-0abc"]',
        "14: error: abtest:rules.x.forward: there is no variant bb; did you mean b?",
        "14: error: abtest:rules.x.when.header.Host: Host is not a header condition; use host (API HttpHeaderConditionConfig)",
        '14: error: abtest:rules.x.when.path[0]: "/a b" is not a valid path pattern: expected letters, digits and _ - . $ / ~ " '
        "' @ : + &, with the wildcards * and ?, at most 128 characters (API RuleCondition)",
        "15: error: abtest:rules.y: forward and respond are given; a rule has exactly one of forward, redirect, respond "
        "(API Action)",
        "15: error: abtest:rules.y.priority: 10 is taken by the rule x; priorities are unique (API CreateRule)",
        "15: error: abtest:rules.y.when: has no condition, so it would match every request; add one, or change "
        "abtest:weights (API CreateRule)",
        "16: error: abtest:rules.z.redirect: leads back to where it came from, a loop; change protocol, host, port or "
        "path (API RedirectActionConfig)",
        "16: error: abtest:rules.z.when.sourceIp[0]: 10.0.0.1/24 has host bits set; for that block write 10.0.0.0/24",
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weigths": {}}, "abtest:weigths: there is no such key; did you mean weights?"),
        ({"accessLog": {}}, "abtest:accessLog: there is no such key; did you mean accessLogs?"),
        (
            {"variants": {"a": variant(prot=1), "b": VARIANT}},
            "abtest:variants.a.prot: there is no such key; did you mean port?",
        ),
        (
            {"variants": {"a": variant(healthCheck={"interval": 5}), "b": VARIANT}},
            "abtest:variants.a.healthCheck.interval: there is no such key; did you mean intervalSeconds?",
        ),
        (
            {"variants": {"a": variant(targets={"ipAdresses": []}), "b": VARIANT}},
            "abtest:variants.a.targets.ipAdresses: there is no such key; did you mean ipAddresses?",
        ),
        ({"rules": {"r": rule(wenn=1)}}, "abtest:rules.r.wenn: there is no such key; did you mean when?"),
        (
            {"rules": {"r": rule(when={"paths": ["/x"]})}},
            "abtest:rules.r.when.paths: there is no such key; did you mean path?",
        ),
        (
            {"rules": {"r": rule(forward=None, redirect={"statusCode": 1, "path": "/y"})}},
            "abtest:rules.r.redirect.statusCode: there is no such key; did you mean status?",
        ),
        (
            {"rules": {"r": rule(forward=None, respond={"status": 403, "text": ""})}},
            "abtest:rules.r.respond.text: there is no such key; known here: body, contentType, status",
        ),
        ({"network": {"vpcID": "x"}}, "abtest:network.vpcID: there is no such key; did you mean vpcId?"),
        (
            {"listener": {"certificate": "x"}},
            "abtest:listener.certificate: there is no such key; did you mean certificateArn?",
        ),
        ({"override": {"heder": "x"}}, "abtest:override.heder: there is no such key; did you mean header?"),
        (
            {"dns": {"zone": "example.com", "name": "example.com", "wieght": 1}},
            "abtest:dns.wieght: there is no such key; did you mean weight?",
        ),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_with_the_nearest_name(keys: dict[str, Any], message: str) -> None:
    assert any(found.startswith(message) for found in errors(config(**keys))), errors(config(**keys))


def test_the_old_name_of_suspend_is_refused_with_the_new_one() -> None:
    words = "abtest:guardrails.override: there is no such key; did you mean suspend?"
    assert errors(config(guardrails={"override": {}})) == [words]


def test_where_nothing_is_near_all_known_names_are_told() -> None:
    assert errors(config(override={"qqq": 1})) == [
        "abtest:override.qqq: there is no such key; known here: header, secret"
    ]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": [1]}, "abtest:weights: expected a mapping, got the list [1]"),
        ({"weights": "a=1"}, 'abtest:weights: expected a mapping, got the text "a=1"; write {a: 1}'),
        ({"weights": {"a": None}}, "abtest:weights.a: has no value; give one, or remove the key"),
        ({"variants": {"a": None, "b": VARIANT}}, "abtest:variants.a: has no value; give one, or remove the key"),
        ({"variants": {"a": [], "b": VARIANT}}, "abtest:variants.a: expected a mapping, got the list []"),
        (
            {"variants": {"a": {"targets": {"external": "ip"}}, "b": VARIANT}},
            "abtest:variants.a.port: missing; give the port that the model server listens on, or serving",
        ),
        ({"variants": {"a": {"port": 1}, "b": VARIANT}}, "abtest:variants.a.targets: missing; it has no default"),
        (
            {"variants": {"a": variant(protocol="http"), "b": VARIANT}},
            'abtest:variants.a.protocol: expected one of HTTP, HTTPS, got the text "http"; did you mean HTTP?',
        ),
        (
            {"variants": {"a": variant(healthCheck={"port": "80"}), "b": VARIANT}},
            'abtest:variants.a.healthCheck.port: expected a whole number or traffic-port, got the text "80"; without quotes',
        ),
        (
            {"variants": {"a": variant(healthCheck={"matcher": 200}), "b": VARIANT}},
            'abtest:variants.a.healthCheck.matcher: expected text, got the number 200; write "200"',
        ),
        (
            {"listener": {"responseHeaders": {"strictTransportSecurity": 31536000}}},
            "abtest:listener.responseHeaders.strictTransportSecurity: expected text, got the number 31536000; write "
            "directives with max-age=SECONDS, such as max-age=31536000; includeSubDomains",
        ),
        ({"tags": {"a": True}}, 'abtest:tags.a: expected text, got true; write "true"'),
        (
            {"deletionProtection": "yes"},
            'abtest:deletionProtection: expected true or false, got the text "yes"; write true',
        ),
        (
            {"network": {"internal": "true"}},
            'abtest:network.internal: expected true or false, got the text "true"; write true',
        ),
        ({"rules": {"r": rule(when=["/x"])}}, 'abtest:rules.r.when: expected a mapping, got the list ["/x"]'),
        (
            {"rules": {"r": rule(when={"header": ["X"]})}},
            'abtest:rules.r.when.header: expected a mapping, got the list ["X"]',
        ),
        (
            {"rules": {"r": rule(when={"query": {"m": "b"}})}},
            'abtest:rules.r.when.query.m: expected a list, got the text "b"; write ["b"]',
        ),
        (
            {"rules": {"r": rule(when={"query": {"m": [2]}})}},
            'abtest:rules.r.when.query.m[0]: expected text, got the number 2; write "2"',
        ),
        (
            {"rules": {"r": rule(forward=["a"])}},
            'abtest:rules.r.forward: expected a text or a mapping, got the list ["a"]',
        ),
        (
            {"rules": {"r": rule(forward=None, redirect={"path": "/y", "status": 303})}},
            "abtest:rules.r.redirect.status: expected one of 301, 302, got the number 303",
        ),
        (
            {"rules": {"r": rule(forward=None, redirect={"port": []})}},
            "abtest:rules.r.redirect.port: expected a whole number or a text, got the list []",
        ),
        (
            {"alarms": {"maxErrorRate": "1 %"}},
            'abtest:alarms.maxErrorRate: expected a number (0 to 0.5), got the text "1 %"; write 0.01',
        ),
        (
            {"alarms": {"maxP99Seconds": "0.5"}},
            "abtest:alarms.maxP99Seconds: expected a number (0.001 to 4000 seconds), "
            'got the text "0.5"; without quotes',
        ),
        (
            {"alarms": {"maxErrorRate": False}},
            "abtest:alarms.maxErrorRate: expected a number (0 to 0.5), got false",
        ),
        (
            {"alarms": {"maxErrorRate": 1}},
            "abtest:alarms.maxErrorRate: 1 is over 0.5; error rate: 0 to 0.5 (a share of the requests: 0.01 is 1 %); for 1 % write 0.01",
        ),
        (
            {"alarms": {"minRequests": 0.5}},
            "abtest:alarms.minRequests: expected a whole number (1 to 1000000), got the number 0.5",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_once_in_words(keys: dict[str, Any], message: str) -> None:
    assert errors(config(**keys)) == [message]


def test_a_long_value_is_shortened_in_a_message() -> None:
    (message,) = errors(config(listener={"certificateArn": "x" * 500}))
    assert len(message) < 250
    assert '..."' in message


def test_a_key_of_the_top_level_without_a_value_is_left_out_with_a_warning() -> None:
    """The engine hands over an empty text for it, and for an empty text."""
    keys = {**config(), "abtest:override": None}
    assert experiment(keys) == experiment(config())
    assert problems(keys) == [
        "warning: abtest:override: has no value, so it counts as left out; give one, or remove the key"
    ]


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"rules": {"r": rule(when={"path": None, "method": ["POST"]})}}, "rules.r.when.path"),
        ({"network": {"ingressCidrs": None}}, "network.ingressCidrs"),
        ({"listener": {"certificateArn": None}}, "listener.certificateArn"),
        ({"variants": {"a": variant(healthCheck=None), "b": VARIANT}}, "variants.a.healthCheck"),
    ],
)
def test_a_key_without_a_value_further_down_is_refused_since_it_may_widen_what_it_should_narrow(
    keys: dict[str, Any], path: str
) -> None:
    assert errors(config(**keys)) == [f"abtest:{path}: has no value; give one, or remove the key"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"certificateArn": "x"}, "abtest:certificateArn: there is no such key; it belongs to abtest:listener"),
        (
            {"priority": 1},
            "abtest:priority: there is no such key; it belongs to abtest:rules.<name> or abtest:listener.split",
        ),
        (
            {"variants": {"a": variant(instanceType="x"), "b": VARIANT}},
            "abtest:variants.a.instanceType: there is no such key; it belongs to abtest:variants.<name>.targets.launch",
        ),
        (
            {"abtest": {"weights": {}}},
            "abtest:abtest: there is no such key; keys are written abtest:weights, not as a mapping below abtest",
        ),
        (
            {"rules": {"r": rule(forward=None, redirect={"host": "y.com", "status": "HTTP_301"})}},
            'abtest:rules.r.redirect.status: expected one of 301, 302, got the text "HTTP_301"; write 301',
        ),
        (
            {"rules": {"r": rule(forward=None, redirect={"host": "y.com", "status": "yes"})}},
            'abtest:rules.r.redirect.status: expected one of 301, 302, got the text "yes"',
        ),
    ],
)
def test_a_slip_is_told_with_what_was_probably_meant(keys: dict[str, Any], message: str) -> None:
    assert errors(config(**keys)) == [message]


def test_a_variants_wrong_name_is_not_also_held_against_the_control() -> None:
    keys = config(weights={"B_1": 1}, variants={"B_1": VARIANT})
    assert [message.partition(": ")[0] for message in errors(keys)] == ["abtest:variants.B_1", "abtest:weights.B_1"]


def test_keys_outside_config_are_pointed_out(tmp_path: Path) -> None:
    file = write_stack(tmp_path, "config:\n  aws:region: us-east-1\nabtest:weights: {a: 1}\n")
    assert any("abtest:weights is outside config: on line 3, so it is not read" in line for line in lines_of(file))


def test_an_empty_mapping_switches_the_override_on() -> None:
    found = experiment(config(override={}))
    assert found.override is not None
    assert (found.override.header, found.override.secret) == ("X-Abtest-Variant", True)


def test_a_whole_number_is_a_number_too(tmp_path: Path) -> None:
    file = write_stack(
        tmp_path,
        "config:\n"
        "  abtest:weights: {a: 1}\n"
        "  abtest:variants: {a: {port: 80, targets: {external: ip}}}\n"
        "  abtest:guardrails: {}\n"
        "  abtest:alarms: {maxErrorRate: 2.5e-2, maxP99Seconds: 2}\n",
    )
    alarms = load_stack(str(file))[0].alarms
    assert alarms is not None
    assert (alarms.max_error_rate, alarms.max_p99_seconds, alarms.min_requests) == (0.025, 2, 100)


def test_the_order_of_keys_changes_nothing() -> None:
    forth = config(rules={"x": rule(), "y": rule(priority=20)}, tags={"k": "v", "l": "w"})
    back = {key: _reversed(value) for key, value in reversed(forth.items())}
    assert experiment(forth) == experiment(back)
    assert list(experiment(back).variants) == ["a", "b"]


def _reversed(value: Any) -> Any:
    return {k: _reversed(v) for k, v in reversed(value.items())} if isinstance(value, dict) else value


def test_an_experiment_cannot_be_changed() -> None:
    found = load(source(config()))[0]
    with pytest.raises(AttributeError):
        found.control = "b"  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.weights["a"] = 1  # type: ignore[index]


def test_a_variant_is_live_warm_or_off() -> None:
    names = dict.fromkeys(("live", "ruled", "warm", "off"), VARIANT)
    found = experiment(
        config(
            weights={"live": 1, "warm": 0},
            variants=names,
            rules={"r": rule(forward="ruled"), "s": rule(priority=11, forward="split")},
            override={},
        )
    )
    assert {name: found.state(name) for name in names} == {
        "live": "live",
        "ruled": "live",
        "warm": "warm",
        "off": "off",
    }


def test_a_key_in_a_namespace_that_looks_like_a_slip_is_doubted() -> None:
    assert problems({**config(), "abtset:override": {}, "aws:region": "eu-west-1", "other:weights": 1}) == [
        "warning: abtset:override: is not read; did you mean abtest:override?"
    ]


def test_a_key_without_namespace_in_a_project_of_another_name_is_doubted(tmp_path: Path) -> None:
    file = write_stack(tmp_path, "config:\n  weights: {a: 1}\n", "name: ranker\nruntime: python\n")
    assert f"{file}:2: warning: ranker:weights: is not read; did you mean abtest:weights?" in lines_of(file)
