"""``abtest explain``: the rules, and what happens to a request."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from abtest.local import Deployment
from tests.cli.commands import run_here
from tests.configs import ROOT

Capsys = pytest.CaptureFixture[str]


def test_the_readmes_example_is_what_it_prints(capsys: Capsys) -> None:
    ran = run_here(
        capsys, "explain", "--stack", "prod", "--url", "https://models.example.com/batch/1", "--method", "POST"
    )
    assert (ran.code, ran.err) == (0, "")
    assert ran.out in (ROOT / "README.md").read_text()
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
        "| 10 | path-b | `path /v2/*` | b 100 % |\n"
        "| 20 | header-b | `header X-Model = b` | b 100 % |\n"
        "| 30 | query-b | `query model = b` | b 100 % |\n"
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--path", "x"], 'error: path: \'x\' must start with "/" and hold no "?", "#" or space\n'),
        (["--header", "X-Model"], "error: --header 'X-Model': expected 'NAME: VALUE'\n"),
        (["--from-json", "gone.json"], "gone.json: error: cannot be read: No such file or directory\n"),
        (
            ["--from-json", "Pulumi.yaml"],
            "Pulumi.yaml: error: this is not what `aws elbv2 describe-rules --output json` prints\n",
        ),
        (["--stack", "nope"], "Pulumi.nope.yaml: error: there is no stack file for nope; known here: dev, prod\n"),
    ],
)
def test_a_mistake_is_one_clear_line(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, "explain", *arguments)
    assert (ran.code, ran.out, ran.err) == (1, "", message)
