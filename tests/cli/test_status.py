"""``abtest status``: how a stack stands, on the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from abtest.cli.schema import NAMES, schema_of
from abtest.experiment import Source, stack_file
from abtest.rollout.alarms import Alarm
from abtest.rollout.engine import EngineError, Update
from abtest.rollout.schedule import Plan
from tests.cli.commands import run_here
from tests.cli.test_diff import git
from tests.configs import ROOT, write_stack
from tests.rollout.standing import standing

Capsys = pytest.CaptureFixture[str]

DEV = ROOT / "Pulumi.dev.yaml"
PLAN = Plan(variant="b", shares=(Fraction(1, 10), Fraction(1, 4)), bake_seconds=0, start={"a": 1, "b": 0})


@dataclass
class Standing:
    """An engine that knows what stands on the embedded AWS, and a history."""

    listener: str
    groups: Mapping[str, str]
    updates: tuple[Update, ...] = ()

    def outputs(self) -> Mapping[str, Any]:
        return {"listener_arn": self.listener, "target_group_arns": self.groups} if self.listener else {}

    def history(self, count: int = 20) -> tuple[Update, ...]:
        return self.updates

    def up(self, message: str, say: object, *, refresh: bool = False) -> None:
        raise AssertionError


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    """Pulumi.dev.yaml, deployed for all tests of this file; none changes it."""
    with standing(str(DEV)) as elbv2:
        yield elbv2


@pytest.fixture
def engine(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Standing:
    (balancer,) = aws.describe_load_balancers()["LoadBalancers"]
    (listener,) = aws.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    groups = {
        group["TargetGroupName"].split("-")[1]: group["TargetGroupArn"]
        for group in aws.describe_target_groups()["TargetGroups"]
    }
    made = Standing(listener["ListenerArn"], groups)
    monkeypatch.setattr("abtest.cli.status._engine", lambda _: made)
    monkeypatch.setattr("abtest.cli.status._git", lambda _: ("",))
    return made


def update(message: str, **changes: Any) -> Update:
    """An update of Pulumi.dev.yaml, an hour ago."""
    config = {**Source.from_file(*stack_file(str(DEV))).values, **changes}
    at = datetime.now(UTC) - timedelta(hours=1)
    return Update(kind="update", result="succeeded", started=at, ended=at, message=message, config=config)


def changed(folder: Path, old: str, new: str) -> str:
    """The path of a stack file that says something else than Pulumi.dev.yaml, of which it is a copy."""
    return str(write_stack(folder, DEV.read_text().replace(old, new)))


# Text -----------------------------------------------------------------------------------------------------------------


def test_a_ramp_that_was_left_is_shown_with_what_to_do(capsys: Capsys, engine: Standing) -> None:
    engine.updates = (update(PLAN.message(1)), update("", **{"abtest:weights": '{"a": 1, "b": 0}'}))
    ran = run_here(capsys, "status")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert (ran.code, ran.err) == (0, "")
    assert lines[:9] == [
        "dev: Paused: ramp of b: the bake of step 1 of 2 is over, and no other came",
        "Ramp of b: step 1/2 (10, 25 %)",
        "",
        "variant     ┃ state ┃ weight ┃  set ┃ actual ┃ healthy ┃ alarms",
        "━━━━━━━━━━━━╇━━━━━━━╇━━━━━━━━╇━━━━━━╇━━━━━━━━╇━━━━━━━━━╇━━━━━━━",
        "a (control) │ live  │     90 │ 90 % │   90 % │     1/1 │ -",
        "b           │ live  │     10 │ 10 % │   10 % │     1/1 │ -",
        "",
        "last moves       ┃ result    ┃ what                                   ┃ message",
    ]
    assert "│ succeeded │ main split: a 90 % (\N{MINUS SIGN}10), b 10 % (+10) │ abtest ramp b: step 1 of 2" in lines[10]
    assert lines[-1] == "Next: abtest ramp b --schedule 10,25 --bake 0s --stack dev (or: abtest rollback --stack dev)"


@pytest.mark.usefixtures("engine")
def test_drift_is_2_and_shows_both_weights(capsys: Capsys, tmp_path: Path) -> None:
    ran = run_here(capsys, "status", "--stack", changed(tmp_path, "{a: 90, b: 10}", "{a: 80, b: 20}"))
    assert (ran.code, ran.err) == (2, "")
    assert ran.out.startswith("test: OutOfSync: the load balancer differs from the stack file\n")
    assert "b           │ live  │ 20, actual 10 │ 20 % │   10 % │" in ran.out
    assert "\ndrift: default: the load balancer sends a 90 %, b 10 %, the stack file says a 80 %, b 20 %\n" in ran.out
    assert ran.out.endswith("Next: pulumi up --refresh --stack test\n")


@pytest.mark.usefixtures("engine")
def test_a_broken_guardrail_is_3(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = [
        Alarm(name="b-5xx", variant="b", state="ALARM", reason="too many"),
        Alarm(name="b-p99", variant="b", state="OK", reason=""),
    ]
    monkeypatch.setattr("abtest.rollout.status.alarms_of", lambda *_: tuple(alarms))
    rails = "requireHealthy: false, minHealthy: 2"  # true is refused where one instance is launched
    ran = run_here(capsys, "status", "--stack", changed(tmp_path, "requireHealthy: true, minHealthy: 1", rails))
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.startswith("test: Degraded: b has 1/1 healthy targets, 2 needed; alarm b-5xx")
    assert "│ 1 ALARM, 1 OK\n" in ran.out
    assert "\nalarm b-5xx of b: too many\n" in ran.out


@pytest.mark.usefixtures("aws")
def test_without_the_pulumi_cli_it_works_and_says_what_is_missing(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    ran = run_here(capsys, "status", "--format", "json")
    found = json.loads(ran.out)
    assert (ran.code, found["status"], found["moves"]) == (0, "Healthy", None)
    assert (
        found["notes"][-1]
        == "no past moves and no ramp: these are in the engine's history, and the Pulumi CLI is not on PATH"
    )


def test_a_watch_shows_it_anew_until_ctrl_c(capsys: Capsys, engine: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    def passing(_: float) -> None:
        if engine.updates:
            raise KeyboardInterrupt
        engine.updates = (update(PLAN.message(1)),)

    monkeypatch.setattr("time.sleep", passing)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    ran = run_here(capsys, "status", "--watch", "1")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.index("Healthy") < ran.out.index("Paused")


def test_a_watch_goes_on_where_a_look_fails(capsys: Capsys, engine: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter((lambda: monkeypatch.setattr(engine, "history", _refuses), lambda: _raise(KeyboardInterrupt())))
    monkeypatch.setattr("time.sleep", lambda _: next(waits)())
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    ran = run_here(capsys, "status", "--watch", "1")
    assert (ran.code, ran.err) == (0, "")
    assert "not read again: error: the backend does not answer" in ran.out


def _refuses(*_: object) -> Any:
    raise EngineError("the backend does not answer")


def _raise(error: BaseException) -> None:
    raise error


# JSON -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_a_schema_and_printed(capsys: Capsys, name: str) -> None:
    printed = json.loads(run_here(capsys, "schema", name).out)
    jsonschema.Draft202012Validator.check_schema(printed)
    assert printed == json.loads(json.dumps(schema_of(name)))


def test_the_json_is_what_its_schema_says(capsys: Capsys, engine: Standing, tmp_path: Path) -> None:
    engine.updates = (update(PLAN.message(1)), update("", **{"abtest:weights": '{"a": 1, "b": 0}'}))
    check = jsonschema.Draft202012Validator(schema_of("status"))
    for stack in ("dev", changed(tmp_path, "{a: 90, b: 10}", "{a: 90}")):
        found = json.loads(run_here(capsys, "status", "--stack", stack, "--format", "json").out)
        check.validate(found)
        assert found.keys() == schema_of("status")["$defs"]["Status"]["properties"].keys()
    assert not check.is_valid({**found, "status": "Fine"})
    assert found["variants"][1] == {
        "name": "b", "isControl": False, "state": "live", "held": False,
        "weight": {"set": None, "actual": 10}, "share": {"set": None, "actual": 0.1}, "healthy": 1, "targets": 1,
    }  # fmt: skip
    assert found["ramp"]["shares"] == [0.1, 0.25]


# Git ------------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("aws")
def test_what_is_not_committed_is_told(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    file = write_stack(tmp_path, DEV.read_text())
    assert "\nnot compared with Git: there is no repository, or no commit in it\n" in uncommitted(capsys, file)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "Pulumi.yaml")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    head = git(tmp_path, "rev-parse", "--short", "HEAD")
    assert f"\nnot committed: {file} is not in {head}\n" in uncommitted(capsys, file)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "two")
    assert "committed" not in uncommitted(capsys, file)
    file.write_text(DEV.read_text().replace("{a: 90, b: 10}", "{a: 80, b: 20}"))
    head = git(tmp_path, "rev-parse", "--short", "HEAD")
    shift = "b gets 20 % of new clients instead of 10 % on the main split; 1 update (listener-80)"
    assert f"\nnot committed: since {head}: {shift}\n" in uncommitted(capsys, file)


def uncommitted(capsys: Capsys, file: Path) -> str:
    return run_here(capsys, "status", "--stack", str(file)).out


# Mistakes -------------------------------------------------------------------------------------------------------------


def test_a_stack_that_was_never_deployed_is_told_how_to_be(capsys: Capsys, engine: Standing) -> None:
    engine.listener = ""
    ran = run_here(capsys, "status")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: the stack dev is not deployed; deploy it: pulumi up --stack dev\n"


def test_what_the_engine_cannot_do_is_one_message(
    capsys: Capsys, engine: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> Mapping[str, Any]:
        raise EngineError("the backend has no stack dev; make it (pulumi stack init dev)")

    monkeypatch.setattr(engine, "outputs", missing)
    ran = run_here(capsys, "status")
    assert (ran.code, ran.out, ran.err) == (
        1,
        "",
        "error: the backend has no stack dev; make it (pulumi stack init dev)\n",
    )


@pytest.mark.usefixtures("engine")
def test_credentials_that_are_missing_are_one_message(capsys: Capsys, tmp_path: Path) -> None:
    stack = changed(tmp_path, "aws:region: us-east-1", "aws:region: us-east-1\n  aws:profile: nope")
    ran = run_here(capsys, "status", "--stack", stack)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: The config profile (nope) could not be found; known ones: aws configure list-profiles\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stack", "nope"], "Pulumi.nope.yaml: error: there is no stack file for nope; known here: dev, prod\n"),
        (["--watch", "5"], "Error: --watch shows text on a terminal; elsewhere run the command again and again\n"),
    ],
)
def test_a_mistake_is_one_message(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, "status", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.endswith(message)
