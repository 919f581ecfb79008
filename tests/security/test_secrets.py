"""No secret in the clear in any output.

The stack stands with the plain texts, as Pulumi deploys it: it decrypts. The file that the commands then read holds the
same texts encrypted, and the token of the override is the load balancer's alone.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from abtest.cli import evidence, moves, status
from abtest.rollout.engine import Say, Update
from abtest.rollout.stack_file import StackFile
from tests.cli.commands import Ran, run_here
from tests.cli.test_report import Standing, lines, log
from tests.configs import ROOT, write_stack
from tests.rollout.standing import standing
from tests.security.rights import asked_of_aws, documented

Capsys = pytest.CaptureFixture[str]

STACK = """\
config:
  aws:region: us-east-1
  abtest:experiment: ranker
  abtest:control: a
  abtest:weights: {a: 90, b: 10}
  abtest:stickinessSeconds: "3600"
  abtest:guardrails: {}
  abtest:alarms: {}
  abtest:accessLogs: {}
  abtest:variants:
    a: {port: 8080, targets: {ipAddresses: [10.0.0.4]}}
    b: {port: 8080, targets: {ipAddresses: [10.0.0.5]}}
  abtest:override: {header: X-Abtest-Variant, secret: true}
  abtest:tags: {team: hush-tag}
  abtest:rules:
    keyed: {priority: 10, when: {header: {X-Key: [hush-header]}}, forward: b}
    asked: {priority: 20, when: {query: {key: [hush-query]}}, forward: b}
    moved: {priority: 30, when: {path: [/old]}, redirect: {host: hush.example.com, status: 301}}
    told: {priority: 40, when: {path: [/told]}, respond: {status: 403, body: hush-body}}
    hidden: {priority: 50, when: {path: [/hush-path]}, respond: {status: 404}}
"""
ENCRYPTED = re.sub(r"/?hush[-.\w]*", "{secure: v1:AAAA}", STACK)


@dataclass
class Engine:
    """It knows the main listener alone, and moves its split."""

    elbv2: Any
    file: Path
    listener: str
    groups: Mapping[str, str]

    def outputs(self) -> Mapping[str, Any]:
        return {"listener_arn": self.listener, "target_group_arns": self.groups}

    def history(self, count: int = 20) -> tuple[Update, ...]:
        return ()

    def up(self, message: str, say: Say, *, refresh: bool = False, only: Sequence[str] = ()) -> None:
        weights = StackFile.read(str(self.file)).experiment.weights
        groups = [{"TargetGroupArn": self.groups[name], "Weight": weight} for name, weight in weights.items()]
        sticky = {"Enabled": True, "DurationSeconds": 3600}
        forward = {"TargetGroups": groups, "TargetGroupStickinessConfig": sticky}
        self.elbv2.modify_listener(
            ListenerArn=self.listener, DefaultActions=[{"Type": "forward", "ForwardConfig": forward}]
        )


@pytest.fixture(scope="module")
def _engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("stand")
    shutil.copy(ROOT / "__main__.py", folder)
    file = write_stack(folder, STACK)
    with standing(str(file)) as elbv2:
        (balancer,) = elbv2.describe_load_balancers()["LoadBalancers"]
        (listener,) = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        found = elbv2.describe_target_groups()["TargetGroups"]
        groups = {group["TargetGroupName"].split("-")[1]: group["TargetGroupArn"] for group in found}
        yield Engine(elbv2, file, listener["ListenerArn"], groups)


@pytest.fixture
def engine(_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    _engine.file.write_text(ENCRYPTED)
    monkeypatch.chdir(_engine.file.parent)
    monkeypatch.setattr(moves, "PulumiEngine", lambda *_: _engine)
    monkeypatch.setattr(status, "_engine", lambda _: _engine)
    monkeypatch.setattr(status, "_git", lambda _: ("",))
    return _engine


def secrets(engine: Engine) -> list[str]:
    """The override's token, and every text that is encrypted, as the load balancer has them."""
    rules = json.dumps(engine.elbv2.describe_rules(ListenerArn=engine.listener))
    texts = sorted(set(re.findall(r"hush[-.\w]*", rules)))
    assert texts == ["hush-body", "hush-header", "hush-path", "hush-query", "hush.example.com"]
    (token,) = set(re.findall(r'"(\w{32})-[ab]"', rules))
    return [token, *texts, "hush"]


def shown(ran: Ran) -> str:
    """All that a command prints, on one line, since a terminal breaks lines anywhere."""
    return (ran.out + ran.err).replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *((["check", *more], 0) for more in ([], ["--format", "json"])),
        *((["explain", *more], 0) for more in ([], ["--format", "json"], ["--format", "markdown"], ["--format", "mermaid"])),
        *((["explain", "--path", "/x", *more], 0) for more in ([], ["--format", "json"])),
        *((["explain", "--live", *more], 0) for more in ([], ["--format", "json"], ["--format", "markdown"], ["--format", "mermaid"])),
        *((["explain", "--live", "--path", "/x", *more], 0) for more in ([], ["--format", "json"])),
        *((["status", *more], 0) for more in ([], ["--format", "json"])),
        (["diff", "--from", "before.yaml"], 2),
        (["shift", "b=25"], 1),
        (["shift", "b=20", "--yes"], 0),
        (["rollback", "--yes"], 0),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_no_command_prints_a_secret(engine: Engine, capsys: Capsys, arguments: list[str], code: int) -> None:
    hushed = secrets(engine)
    (engine.file.parent / "before.yaml").write_text(ENCRYPTED.replace("{a: 90, b: 10}", "{a: 80, b: 20}"))
    engine.up("", lambda _: None)
    where = [] if arguments[0] == "check" else ["--stack", str(engine.file)]
    ran = run_here(capsys, *arguments, *where)
    assert (ran.code, ran.out != "") == (code, True), ran
    assert [secret for secret in hushed if secret in shown(ran)] == []


@pytest.mark.parametrize("kind", ["text", "json", "html", "markdown"])
def test_no_report_prints_a_secret(
    engine: Engine, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    monkeypatch.setattr(evidence, "PulumiEngine", lambda *_: Standing())
    hushed = secrets(engine)
    ran = run_here(capsys, "report", "--stack", str(engine.file), "--logs", log(tmp_path, lines(100)), "--format", kind)
    assert (ran.code, ran.out != "") == (0, True), ran
    assert [secret for secret in hushed if secret in shown(ran)] == []


def test_the_docs_give_the_rights_for_what_is_asked_of_aws(engine: Engine, capsys: Capsys) -> None:
    asked = {}
    for command in ("explain --live", "status"):
        with asked_of_aws() as asked[command]:
            run_here(capsys, *command.split(), "--stack", str(engine.file))
    assert asked["explain --live"] == documented("explain --live")
    assert asked["status"] <= documented("status")
