"""``abtest explain``: the rules, and what happens to a request."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abtest.local import Deployment
from abtest.rollout.live import Live, read_live
from abtest.routing.table import Rewrite
from tests.cli.commands import Ran, run_here
from tests.configs import ROOT, write_stack
from tests.engine.cloud import client_of, moto_server
from tests.rollout.standing import standing

Capsys = pytest.CaptureFixture[str]


def test_the_readmes_example_is_what_it_prints(capsys: Capsys) -> None:
    ran = run_here(
        capsys, "explain", "--stack", "prod", "--url", "https://models.example.com/batch/1", "--method", "POST"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out in (ROOT / "docs" / "check-explain-diff.md").read_text()
    assert ran.out.endswith("=> a 100 %\n")


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (["--header", "X-Model: b"], "=> b 100 %"),
        (["--header", "X-Model: a", "--header", "x-model: B"], "=> b 100 %"),
        (["--path", "/v2/x"], "=> b 100 %"),
        (["--query", "model=b"], "=> b 100 %"),
        (["--path", "/", "--source-ip", "192.0.2.1"], "=> a 90 %, b 10 %"),
        (["--stack", "prod", "--path", "/admin"], "=> respond 403"),
        (["--stack", "prod", "--source-ip", "198.51.100.9", "--path", "/x"], "=> a 50 %, b 50 %"),
        (["--stack", "prod", "--header", "X-Abtest-Variant: <token>-b"], "=> b 100 %"),
        (
            ["--stack", "prod", "--host", "old.example.com", "--path", "/a", "--query", "x=1"],
            "=> redirect 301 to https://models.example.com:443/a?x=1",
        ),
    ],
)
def test_a_request_ends_with_what_happens_to_it(capsys: Capsys, arguments: list[str], outcome: str) -> None:
    ran = run_here(capsys, "explain", *arguments)
    assert (ran.code, ran.out.splitlines()[-1]) == (0, outcome)


def test_a_decision_as_json_is_the_contracts(capsys: Capsys) -> None:
    found = json.loads(run_here(capsys, "explain", "--path", "/v2/x", "--format", "json").out)
    assert found == {
        "priority": 10, "rule": "path-b", "action": "forward", "shares": {"b": 1.0},
        "trace": ["rule 10 (path-b) matches: path /v2/*"],
    }  # fmt: skip


def test_without_a_request_the_rules_are_shown_in_every_form(capsys: Capsys) -> None:
    assert "path /v2/*" in run_here(capsys, "explain").out
    rules = json.loads(run_here(capsys, "explain", "--format", "json").out)
    assert [rule["priority"] for rule in rules] == [10, 20, 30, "default"]
    assert rules[-1]["shares"] == {"a": 0.9, "b": 0.1}
    assert rules[-1]["stickinessSeconds"] == 3600
    assert run_here(capsys, "explain", "--format", "markdown").out == (
        "| priority | rule | when | then |\n|-|-|-|-|\n"
        "| 10 | `path-b` | `path /v2/*` | b 100 % |\n"
        "| 20 | `header-b` | `header X-Model = b` | b 100 % |\n"
        "| 30 | `query-b` | `query model = b` | b 100 % |\n"
        "| default |  | everything else | a 90 %, b 10 % |\n"
    )
    chart = run_here(capsys, "explain", "--format", "mermaid", "--stack", "prod").out
    assert chart.startswith("flowchart LR\n  client([client]) --> r0\n")
    assert '  r0{{"1: header X-Abtest-Variant = #lt;token#gt;-a"}}\n' in chart
    assert chart.count("-->|no|") == 6


def test_requests_come_as_json_lines_and_each_gets_its_answer(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = '{"path": "/v2/x"}\n\n{"paht": "/"}\nno\n{"path": "/", "headers": {"X-Model": ["a", "b"]}}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    ran = run_here(capsys, "explain", "--requests", "-")
    first, second, third, fourth = map(json.loads, ran.out.splitlines())
    assert ran.code == 1
    assert (first["rule"], fourth["rule"]) == ("path-b", "header-b")
    assert second["error"].startswith("there is no field paht")
    assert third["error"].startswith("no JSON")


def test_any_load_balancer_is_explained_from_what_the_api_says(capsys: Capsys, tmp_path: Path, dev: Deployment) -> None:
    (rules,) = dev.described["Rules"].values()
    saved = tmp_path / "rules.json"
    saved.write_text(json.dumps({"Rules": rules}))
    ran = run_here(capsys, "explain", "--from-json", str(saved), "--path", "/v2/x")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "rule 10 matches: path /v2/*",
        f"=> {dev.outputs['target_group_arns']['b']} 100 %",
    ]


def test_a_saved_answer_of_the_api_is_shown_without_its_token(capsys: Capsys, tmp_path: Path, prod: Deployment) -> None:
    (rules,) = (found for found in prod.described["Rules"].values() if len(found) > 1)
    saved = tmp_path / "rules.json"
    saved.write_text(json.dumps({"Rules": rules}))
    ran = run_here(capsys, "explain", "--from-json", str(saved))
    assert prod.outputs["override_token"] in saved.read_text()
    assert prod.outputs["override_token"] not in ran.out
    assert "header X-Abtest-Variant = <token>-a" in ran.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"Rules": [{"Priority": "1", "Actions": []}]}', "this is not what"),
        ("[" * 100_000, "this is not JSON"),
        (
            '{"Rules": [{"Priority": "default", "Actions": [{"Type": "forward", "TargetGroupArn": "a"}], "Conditions": '
            '[{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1/8x"]}}]}]}',
            "this is not what",
        ),
    ],
)
def test_a_saved_answer_that_is_none_is_one_message(capsys: Capsys, tmp_path: Path, text: str, message: str) -> None:
    saved = tmp_path / "rules.json"
    saved.write_text(text)
    ran = run_here(capsys, "explain", "--from-json", str(saved), "--path", "/x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{saved}: error: {message}")


GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/1"
FORWARD = {"Type": "forward", "TargetGroupArn": GROUP}
DEFAULT = {"Priority": "default", "IsDefault": True, "Conditions": [], "Actions": [FORWARD]}
AWAY = {"Type": "redirect", "RedirectConfig": {"Host": "example.net", "StatusCode": "HTTP_302"}}


def saved_rules(folder: Path, *rules: dict[str, Any], **more: Any) -> str:
    """A saved describe-rules: rules by priority from 10 on, for the paths /10, /20, ..., and the default rule."""
    made = [
        {"Priority": str(n), "Conditions": [{"Field": "path-pattern", "Values": [f"/{n}"]}], **rule}
        for n, rule in zip(range(10, 1000, 10), rules, strict=False)
    ]
    file = folder / "rules.json"
    file.write_text(json.dumps({"Rules": [*made, DEFAULT], **more}))
    return str(file)


@pytest.mark.parametrize(
    ("address", "location"),
    [
        ("https://example.com/10?x=1", "https://example.net:443/10?x=1"),
        ("http://example.com/10", "http://example.net:80/10"),
        ("https://example.com:8443/10", "https://example.net:8443/10"),
    ],
)
def test_a_redirect_keeps_the_protocol_and_port_of_the_url(
    capsys: Capsys, tmp_path: Path, address: str, location: str
) -> None:
    file = saved_rules(tmp_path, {"Actions": [AWAY]})
    ran = run_here(capsys, "explain", "--from-json", file, "--url", address)
    assert ran.out.splitlines()[-1] == f"=> redirect 302 to {location}"


def test_without_a_url_the_protocol_and_port_stay_unknown(capsys: Capsys, tmp_path: Path) -> None:
    file = saved_rules(tmp_path, {"Actions": [AWAY]})
    ran = run_here(capsys, "explain", "--from-json", file, "--path", "/10")
    assert ran.out.splitlines()[-1] == "=> redirect 302 to #{protocol}://example.net:#{port}/10?#{query}"


TRANSFORMS = [
    {"Type": "host-header-rewrite", "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": "^(.+)$", "Replace": "v2.$1"}]}},
    {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/10", "Replace": "/"}]}},
]


def test_a_rewrite_is_in_the_listing_and_in_the_trace(capsys: Capsys, tmp_path: Path) -> None:
    file = saved_rules(tmp_path, {"Actions": [FORWARD], "Transforms": TRANSFORMS})
    for form in ("text", "markdown", "mermaid"):
        shown = run_here(capsys, "explain", "--from-json", file, "--format", form).out
        assert "rewrites host: ^(.+)$ → v2.$1; rewrites URL: ^/10 → /" in shown.replace("#gt;", ">").replace("`", "")
    (first, _) = json.loads(run_here(capsys, "explain", "--from-json", file, "--format", "json").out)
    rewrites = [
        {"part": "host", "regex": "^(.+)$", "replacement": "v2.$1"},
        {"part": "URL", "regex": "^/10", "replacement": "/"},
    ]
    assert first["rewrites"] == rewrites
    assert run_here(capsys, "explain", "--from-json", file, "--path", "/10").out.splitlines() == [
        "rule 10 matches: path /10",
        "the target sees another host: ^(.+)$ → v2.$1 (the same one if that does not match)",
        "the target sees another URL: ^/10 → / (the same one if that does not match)",
        f"=> {GROUP} 100 %",
    ]
    found = json.loads(run_here(capsys, "explain", "--from-json", file, "--path", "/10", "--format", "json").out)
    assert found["rewrites"] == rewrites
    assert "rewrites" not in run_here(capsys, "explain", "--from-json", file, "--path", "/x", "--format", "json").out


@pytest.mark.parametrize("groups", [1, 2])
def test_a_rule_whose_groups_all_weigh_0_says_so(capsys: Capsys, tmp_path: Path, groups: int) -> None:
    zero = [{"TargetGroupArn": f"{GROUP}{n}", "Weight": 0} for n in range(groups)]
    file = saved_rules(tmp_path, {"Actions": [{"Type": "forward", "ForwardConfig": {"TargetGroups": zero}}]})
    names = ", ".join(f"{GROUP}{n} 0 %" for n in range(groups))
    words = f"{names} (all weights are 0: AWS does not document what it does then)"
    assert run_here(capsys, "explain", "--from-json", file, "--path", "/10").out.splitlines()[-1] == f"=> {words}"
    assert words in run_here(capsys, "explain", "--from-json", file, "--format", "markdown").out
    assert "all weights are 0" in run_here(capsys, "explain", "--from-json", file, "--format", "mermaid").out


@pytest.mark.parametrize("kind", ["authenticate-oidc", "authenticate-cognito", "jwt-validation"])
@pytest.mark.parametrize(
    ("last", "words"),
    [
        (FORWARD, f"{GROUP} 100 %"),
        ({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "204"}}, "respond 204"),
        (AWAY, "redirect 302 to https://example.net:443/10"),
    ],
)
def test_actions_before_the_last_one_are_named(
    capsys: Capsys, tmp_path: Path, kind: str, last: dict[str, Any], words: str
) -> None:
    file = saved_rules(tmp_path, {"Actions": [{**last, "Order": 2}, {"Type": kind, "Order": 1}]})
    ran = run_here(capsys, "explain", "--from-json", file, "--url", "https://example.com/10")
    assert ran.out.splitlines()[-1] == f"=> {kind}, then {words}"
    (first, _) = json.loads(run_here(capsys, "explain", "--from-json", file, "--format", "json").out)
    assert first["before"] == [kind]


def test_a_forward_may_name_one_group_in_either_form(capsys: Capsys, tmp_path: Path) -> None:
    config = {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": GROUP}]}}
    file = saved_rules(tmp_path, {"Actions": [config]}, {"Actions": [{**FORWARD, **config}]})
    for path in ("/10", "/20", "/x"):
        assert run_here(capsys, "explain", "--from-json", file, "--path", path).out.endswith(f"=> {GROUP} 100 %\n")


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            {"Conditions": [{"Field": "cookie", "Values": ["x"]}], "Actions": [FORWARD]},
            "rule 10 has a condition on cookie, which abtest does not know",
        ),
        (
            {"Actions": [{"Type": "tarpit"}]},
            "rule 10 ends with the action tarpit, which abtest does not know",
        ),
        (
            {"Actions": [{"Type": "authenticate-oidc"}]},
            "rule 10 ends with the action authenticate-oidc, which abtest does not know",
        ),
        (
            {"Actions": [FORWARD], "Transforms": [{"Type": "header-rewrite"}]},
            "rule 10 has the transform header-rewrite, which abtest does not know",
        ),
    ],
)
def test_what_is_new_in_a_rule_is_named(capsys: Capsys, tmp_path: Path, rule: dict[str, Any], words: str) -> None:
    file = saved_rules(tmp_path, rule)
    ran = run_here(capsys, "explain", "--from-json", file)
    assert (ran.code, ran.out, ran.err) == (1, "", f"{file}: error: {words}\n")


SAVE = "save the output of `aws elbv2 describe-rules --listener-arn ARN --output json`"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"Listeners": []}', f"this is what describe-listeners prints, without the rules; {SAVE}"),
        ('{"LoadBalancers": []}', f"this is what describe-load-balancers prints, without the rules; {SAVE}"),
        ("Rules:\n- Priority: default\n", f"this is not JSON; {SAVE}"),
        ("", f"this is not JSON; {SAVE}"),
        ('{"Rules": []}', f"the default rule is missing, so this is a part of the rules; {SAVE}"),
    ],
)
def test_another_file_is_refused_with_the_command_to_use(capsys: Capsys, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(text)
    ran = run_here(capsys, "explain", "--from-json", str(file))
    assert (ran.code, ran.out, ran.err) == (1, "", f"{file}: error: {words}\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_that_powershell_saved_can_be_read(capsys: Capsys, tmp_path: Path, encoding: str) -> None:
    file = Path(saved_rules(tmp_path))
    file.write_bytes(file.read_text().encode(encoding))
    assert run_here(capsys, "explain", "--from-json", str(file), "--path", "/").out.endswith(f"=> {GROUP} 100 %\n")


def test_requests_that_cannot_be_read_are_one_message(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "lines").write_bytes(b"\xff\xfe")
    ran = run_here(capsys, "explain", "--requests", str(tmp_path / "lines"))
    assert (ran.code, ran.err) == (1, f"{tmp_path / 'lines'}: error: is not UTF-8 text; save it as UTF-8\n")
    (tmp_path / "deep").write_text("[" * 100_000 + "\n")
    ran = run_here(capsys, "explain", "--requests", str(tmp_path / "deep"))
    assert (ran.code, json.loads(ran.out)["error"][:7]) == (1, "no JSON")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--path", "/x", "--format", "mermaid"],
        ["--path", "/x", "--requests", "-"],
        ["--requests", "-", "--format", "markdown"],
    ],
)
def test_what_would_be_ignored_is_refused(capsys: Capsys, arguments: list[str]) -> None:
    ran = run_here(capsys, "explain", *arguments)
    assert (ran.code, ran.out) == (1, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--path", "x"], 'error: path: \'x\' must start with "/" and hold no "?", "#" or space\n'),
        (["--header", "X-Model"], "error: --header 'X-Model': expected 'NAME: VALUE'\n"),
        (["--from-json", "gone.json"], "gone.json: error: cannot be read: No such file or directory\n"),
        (
            ["--from-json", "Pulumi.yaml"],
            "Pulumi.yaml: error: this is not JSON; save the output of `aws elbv2 describe-rules --listener-arn ARN "
            "--output json`\n",
        ),
        (
            ["--live", "--stack", "nope"],
            "Pulumi.nope.yaml: error: there is no stack file for nope; known here: dev, prod\n",
        ),
        (["--stack", "nope"], "Pulumi.nope.yaml: error: there is no stack file for nope; known here: dev, prod\n"),
    ],
)
def test_a_mistake_is_one_clear_line(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, "explain", *arguments)
    assert (ran.code, ran.out, ran.err) == (1, "", message)


# The deployed load balancer -------------------------------------------------------------------------------------------


def test_live_without_drift_shows_the_deployed_rules_and_says_so(capsys: Capsys) -> None:
    with standing("prod"):
        ran = run_here(capsys, "explain", "--live", "--stack", "prod")
        offline = run_here(capsys, "explain", "--stack", "prod")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{offline.out}\nno drift: the load balancer does what Pulumi.prod.yaml says\n"


def test_live_with_drift_tells_each_difference_and_ends_with_2_in_every_form(capsys: Capsys) -> None:
    line = "rule 10 (path-b): the load balancer sends a 100 %, the stack file says b 100 %"
    with standing("dev") as elbv2:
        forward_rule_10_to_a(elbv2)
        text, markdown, chart, as_json = (
            run_here(capsys, "explain", "--live", "--format", form) for form in ("text", "markdown", "mermaid", "json")
        )
    assert {ran.code for ran in (text, markdown, chart, as_json)} == {2}
    assert text.out.endswith(f"\n\ndrift: {line}\n")
    assert markdown.out.startswith(
        "| priority | rule | when | then |\n|-|-|-|-|\n| 10 | `path-b` | `path /v2/*` | a 100 % |\n"
    )
    assert markdown.out.endswith(f"|\n\n- drift: {line}\n")
    assert chart.out.endswith(f"\n\n%% drift: {line}\n")
    found = json.loads(as_json.out)
    assert ":listener/app/" in found["listener"]
    assert (found["rules"][0]["rule"], found["rules"][0]["shares"], found["drift"]) == ("path-b", {"a": 1.0}, [line])


def test_a_request_is_answered_by_the_deployed_rules(capsys: Capsys, tmp_path: Path) -> None:
    requests = tmp_path / "requests"
    requests.write_text('{"path": "/v2/x"}\n{"path": "/"}\n')
    with standing("dev") as elbv2:
        forward_rule_10_to_a(elbv2)
        one = run_here(capsys, "explain", "--live", "--path", "/v2/x")
        many = run_here(capsys, "explain", "--live", "--requests", str(requests))
    assert one == Ran(0, "rule 10 (path-b) matches: path /v2/*\n=> a 100 %\n", "")
    assert (many.code, [json.loads(line)["shares"] for line in many.out.splitlines()]) == (
        0, [{"a": 1.0}, {"a": 0.9, "b": 0.1}],
    )  # fmt: skip


def test_the_overrides_token_is_in_no_output(capsys: Capsys) -> None:
    with standing("prod") as elbv2:
        (token, *_) = override_tokens(elbv2)
        ran = [
            run_here(capsys, "explain", "--live", "--stack", "prod", *arguments)
            for arguments in (
                [], ["--format", "json"], ["--format", "markdown"], ["--format", "mermaid"],
                ["--path", "/x"], ["--path", "/x", "--format", "json"],
            )
        ]  # fmt: skip
    assert len(token) == 32
    assert not [each for each in ran if token in each.out + each.err]
    assert "header X-Abtest-Variant = <token>-a" in ran[0].out


def test_a_named_listener_wins_over_the_tags(capsys: Capsys) -> None:
    with standing("prod") as elbv2:
        (port_80,) = (listener["ListenerArn"] for listener in listeners(elbv2) if listener["Port"] == 80)
        ran = run_here(capsys, "explain", "--stack", "prod", "--listener", port_80, "--format", "json")
    found = json.loads(ran.out)
    assert (ran.code, found["listener"], found["rules"][0]["action"]) == (2, port_80, "redirect")
    assert found["drift"][0] == "listener: the load balancer has HTTP 80, the stack file says HTTPS 443"


def test_a_rewrite_of_requests_is_drift(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "rule 10 (path-b): the load balancer rewrites the URL: ^/v2 → /, the stack file does not"

    def rewriting(*given: Any) -> Live:
        live = read_live(*given)
        first, *others = live.table.routes
        changed = replace(first, rewrites=(Rewrite(part="URL", regex="^/v2", replacement="/"),))
        return replace(live, table=replace(live.table, routes=(changed, *others)))

    monkeypatch.setattr("abtest.rollout.live.read_live", rewriting)
    with standing("dev"):
        ran = run_here(capsys, "explain", "--live")
    assert (ran.code, ran.out.splitlines()[-1]) == (2, f"drift: {line}")


def test_a_device_or_a_huge_file_of_rules_is_refused(capsys: Capsys, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1_000_000_000)
    for name, why in (
        ("/dev/null", "it is not a regular file"),
        (tmp_path / "huge", "it has more than 10,000,000 bytes"),
    ):
        ran = run_here(capsys, "explain", "--from-json", str(name))
        assert (ran.code, ran.err) == (1, f"{name}: error: cannot be read: {why}\n")


def test_a_request_of_1_gb_is_refused(capsys: Capsys, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.write(b"{}\n")
        file.truncate(1_000_000_000)
    ran = run_here(capsys, "explain", "--requests", str(tmp_path / "huge"))
    assert ran.err == f"{tmp_path}/huge:2: error: a request has at most 1,000,000 characters\n"
    assert (ran.code, ran.out.count("\n")) == (1, 1)


def test_a_saved_answer_and_a_live_one_exclude_each_other(capsys: Capsys) -> None:
    ran = run_here(capsys, "explain", "--live", "--from-json", "rules.json")
    assert (ran.code, ran.err.splitlines()[-1]) == (1, "Error: --from-json and --live exclude each other")


def test_aws_is_asked_where_the_stack_file_says(capsys: Capsys, tmp_path: Path) -> None:
    with moto_server() as url:
        file = write_stack(tmp_path, STACK_ELSEWHERE.format(url=url))
        missing = run_here(capsys, "explain", "--live", "--stack", str(file))
        elbv2, ec2 = client_of("elbv2", url), client_of("ec2", url)
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
        tags = [{"Key": "abtest:experiment", "Value": "abtest"}]
        balancer = elbv2.create_load_balancer(Name="one", Subnets=subnets[:2], Tags=tags)["LoadBalancers"][0]
        elbv2.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
        )  # fmt: skip
        found = run_here(capsys, "explain", "--live", "--stack", str(file))
        elbv2.close()
        ec2.close()
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.startswith("error: no load balancer in us-east-1 has the tag abtest:experiment = abtest")
    assert found.code == 2
    assert found.out.splitlines()[-1] == (
        "drift: default: the load balancer says respond 503, the stack file says a 100 %"
    )


STACK_ELSEWHERE = """
config:
  aws:region: us-east-1
  aws:accessKey: testing
  aws:secretKey: testing
  aws:endpoints: [{{elbv2: "{url}"}}]
  abtest:weights: {{a: 1}}
  abtest:variants: {{a: {{port: 8080, targets: {{external: ip}}}}}}
"""


def listeners(elbv2: Any) -> list[Any]:
    (balancer,) = elbv2.describe_load_balancers()["LoadBalancers"]
    found: list[Any] = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    return found


def rules(elbv2: Any) -> list[Any]:
    return [
        rule
        for listener in listeners(elbv2)
        for rule in elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    ]


def forward_rule_10_to_a(elbv2: Any) -> None:
    """What somebody does in the console."""
    (rule,) = (rule for rule in rules(elbv2) if rule["Priority"] == "10")
    groups = elbv2.describe_target_groups()["TargetGroups"]
    (group,) = (each["TargetGroupArn"] for each in groups if each["TargetGroupName"].startswith("abtest-a"))
    elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=[{"Type": "forward", "TargetGroupArn": group}])


def override_tokens(elbv2: Any) -> list[str]:
    asked = [condition for rule in rules(elbv2) for condition in rule["Conditions"]]
    values = [value for each in asked if each["Field"] == "http-header" for value in each["HttpHeaderConfig"]["Values"]]
    return [value.rpartition("-")[0] for value in values]
