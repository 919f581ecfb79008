"""``abtest shift``, ``ramp``, ``promote`` and ``rollback``, with an engine that knows the listener alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import pytest
from botocore.exceptions import ClientError

from abtest.cli import moves
from abtest.cli import ramp as ramp_module
from abtest.rollout import ramp as rollout
from abtest.rollout.engine import EngineError, PulumiEngine, RefusedError
from abtest.rollout.live import Health
from abtest.rollout.session import AwsError
from abtest.rollout.stack_file import StackFile
from abtest.rollout.watch import Look, look
from tests.cli.commands import Ran, run_here
from tests.rollout.fake_engine import Stand, standing_copy

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def _stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing_copy(tmp_path_factory.mktemp("stand")) as stand:
        yield stand


@pytest.fixture
def stand(_stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Stand:
    monkeypatch.setattr(moves, "PulumiEngine", lambda *_: _stand.engine)
    monkeypatch.chdir(_stand.path.parent)
    return _stand.reset()


# Shift ----------------------------------------------------------------------------------------------------------------


def test_a_shift_says_what_it_does_does_it_and_says_what_stands(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran == Ran(
        0,
        "main split: a 90 %, b 10 % → a 75 % (\N{MINUS SIGN}15), b 25 % (+15)\n"
        "sticky clients: clients that have a variant keep it for up to 60 minutes\n"
        "listener-80: update …\n"
        "the load balancer sends new clients to a 75 %, b 25 %\n"
        "commit it: git commit -m 'abtest shift b=25' Pulumi.dev.yaml\n",
        "",
    )
    assert stand.split == "a 75 %, b 25 %"


def test_file_only_edits_and_stops_and_needs_no_engine(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PulumiEngine", PulumiEngine)
    monkeypatch.setenv("PATH", "")
    before = stand.path.read_text()
    ran = run_here(capsys, "shift", "b=12.5", "--file-only")
    assert ran.code == 0
    assert ran.out.endswith(
        "edited Pulumi.dev.yaml; nothing is deployed\ncommit it: git commit -m 'abtest shift b=12.5' Pulumi.dev.yaml\n"
    )
    assert stand.path.read_text() == before.replace("{a: 90, b: 10}", "{a: 875, b: 125}")
    assert stand.split == "a 90 %, b 10 %"


def test_file_only_warns_of_a_step_that_the_guard_would_refuse(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "shift", "b=50", "--file-only")
    assert ran.code == 0
    assert (
        "warning: the update would be refused: b would go from 10 % to 50 % on the main split: 40 points of b at once; "
        "maxStep allows 25: go to 35 % first, or step by step: abtest ramp b --to 50 --stack dev\n"
    ) in ran.out
    assert "{a: 50, b: 50}" in stand.path.read_text()
    assert "warning" not in run_here(capsys, "shift", "b=60", "--file-only").out


@pytest.mark.usefixtures("stand")
def test_without_the_pulumi_cli_it_is_said_how_to_get_it(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "PulumiEngine", PulumiEngine)
    monkeypatch.setenv("PATH", "")
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran.code == 1
    assert ran.err == ("error: the Pulumi CLI is not on PATH; install it: https://www.pulumi.com/docs/install/\n")


def test_nothing_is_done_where_nothing_is_to_do(stand: Stand, capsys: Capsys) -> None:
    assert run_here(capsys, "shift", "b=10") == Ran(0, "nothing to do: b has 10 % of new clients already\n", "")
    assert stand.engine.updates == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shift", "b=10", "--file-only"], "nothing to do: Pulumi.dev.yaml gives b 10 % of new clients already\n"),
        (["ramp", "b", "--to", "10", "--yes"], "nothing to do: b has 10 % of new clients already\n"),
        (["ramp", "b", "--schedule", "5,10", "--yes"], "nothing to do: b has 10 % of new clients already\n"),
    ],
)
def test_a_share_that_stands_already_is_no_error(stand: Stand, capsys: Capsys, arguments: list[str], says: str) -> None:
    before = stand.path.read_text()
    assert run_here(capsys, *arguments) == Ran(0, says, "")
    assert (stand.path.read_text(), stand.engine.updates) == (before, [])


def test_a_file_that_is_ahead_of_the_load_balancer_is_deployed(stand: Stand, capsys: Capsys) -> None:
    """An update was cut off after the edit: the same command completes it."""
    stand.file.edited({("abtest:weights",): {"a": 75, "b": 25}}).write(over=stand.file)
    assert run_here(capsys, "shift", "b=25", "--yes").code == 0
    assert stand.split == "a 75 %, b 25 %"


def test_a_file_that_says_more_than_what_is_deployed_is_not_deployed_along(stand: Stand, capsys: Capsys) -> None:
    stand.file.edited({("abtest:rules", "path-b", "forward"): "a"}).write(over=stand.file)
    before = stand.path.read_bytes()
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran.code == 1
    assert "- rule 10 (path-b): the load balancer sends b 100 %, the stack file says a 100 %" in ran.err
    assert stand.path.read_bytes() == before
    assert stand.engine.updates == []


def test_the_guards_refusal_ends_with_3_and_the_file_as_it_was(stand: Stand, capsys: Capsys) -> None:
    before = stand.path.read_bytes()
    stand.engine.fails = [(False, RefusedError("the guard refuses this update: maxStep"))]
    ran = run_here(capsys, "shift", "b=80", "--yes")
    assert ran.code == 3
    assert ran.err == (
        "error: the guard refuses this update: maxStep\nthe load balancer and Pulumi.dev.yaml are as before\n"
    )
    assert stand.path.read_bytes() == before


def test_a_share_that_whole_weights_do_not_give_is_said(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "shift", "b=0.01", "--file-only")
    assert "weights of at most 999 do not give b 0.01 %, but 0.1 %\n" in ran.out
    assert "git commit -m 'abtest shift b=0.1'" in ran.out
    assert stand.file.experiment.weights["b"] == 1


@pytest.mark.parametrize("odd", ["{a: &x 90, b: *x}", "\t{a: 90, b: 10}"])
def test_a_file_that_the_engine_reads_and_the_editor_does_not_is_one_message(
    stand: Stand, capsys: Capsys, odd: str
) -> None:
    stand.path.write_text(stand.path.read_text().replace(" {a: 90, b: 10}", f" {odd}"))
    ran = run_here(capsys, "shift", "b=25", "--file-only")
    assert ran.code == 1
    assert ran.err.startswith("error: ")
    assert "abtest:weights" in ran.err


def test_an_answer_that_is_not_of_aws_is_one_message(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_xml(*_: object) -> None:
        raise KeyError("DescribeListenersResult")

    monkeypatch.setattr("abtest.rollout.move.read_live", no_xml)
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran == Ran(
        1, "", "error: what answers for elbv2 is not AWS: no 'DescribeListenersResult' in it; is there a proxy?\n"
    )
    assert stand.engine.updates == []


def test_nobody_agreed_nothing_is_done(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "shift", "b=25")
    assert (ran.code, ran.err) == (1, "error: not a terminal, so nothing can be confirmed; pass --yes\n")
    assert stand.engine.updates == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["c=10"], "error: there is no variant c; known here: a, b\n"),
        (["b"], 'error: "b" is not a valid share; write VARIANT=PERCENT, such as b=25\n'),
        (["b=200"], "error: 200 is over 100; a percentage is from 0 to 100\n"),
        (["b=ten"], 'error: "ten" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5\n'),
        (["b=10", "--stack", "prdo"], "Pulumi.prdo.yaml: error: there is no stack file for prdo; known here: dev\n"),
    ],
)
def test_a_wrong_share_variant_or_stack_is_one_message(
    stand: Stand, capsys: Capsys, arguments: list[str], says: str
) -> None:
    assert run_here(capsys, "shift", *arguments, "--yes") == Ran(1, "", says)
    assert stand.engine.updates == []


def test_a_stack_that_was_never_deployed_is_told(stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand.engine, "_listener", "")
    for command in (["shift", "b=25"], ["ramp", "b", "--to", "20"], ["rollback"], ["promote", "b"]):
        ran = run_here(capsys, *command, "--yes")
        assert ran == Ran(1, "", "error: the stack dev is not deployed; deploy it first: pulumi up --stack dev\n")


@pytest.mark.usefixtures("stand")
def test_an_error_of_aws_is_one_message(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran.code == 1
    assert ran.err.startswith("error: The config profile (gone) could not be found; known ones:")


def test_credentials_that_are_over_are_named_by_their_profile(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def over(*_: object) -> None:
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "over"}}, "DescribeListeners")

    monkeypatch.setattr("abtest.rollout.move.read_live", over)
    known = tmp_path / "config"
    known.write_text("[profile ranking]\nregion = us-east-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(known))
    monkeypatch.setenv("AWS_PROFILE", "ranking")
    ran = run_here(capsys, "shift", "b=25", "--yes")
    assert ran.code == 1
    assert ran.err.startswith("error: the AWS credentials of the profile ranking have expired: ")
    assert stand.engine.updates == []


# Rollback -------------------------------------------------------------------------------------------------------------


def test_a_rollback_says_what_is_left_and_what_to_look_at(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "rollback", "--yes")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[:2] == [
        "main split: a 90 %, b 10 % → a 100 % (+10), b out (\N{MINUS SIGN}10)",
        "sticky clients: those of b are reassigned immediately",
    ]
    assert "rule path-b still sends clients to b: abtest rollback --everywhere --stack dev" in lines
    assert lines[-1] == "commit it: git commit -m 'Roll back b' Pulumi.dev.yaml"
    assert stand.split == "a 100 %"


def test_what_is_held_does_not_come_back_but_by_warming_it(stand: Stand, capsys: Capsys) -> None:
    run_here(capsys, "rollback", "--yes")
    for command in (["shift", "b=10"], ["ramp", "b", "--to", "20"]):
        ran = run_here(capsys, *command, "--yes")
        assert ran.code == 3
        assert ran.err == (
            "error: b is held, as a rollback leaves it; lift the hold first, which also warms it: abtest shift b=0 --stack dev\n"
        )
    assert run_here(capsys, "shift", "b=0", "--yes").code == 0
    assert "abtest:held" not in stand.path.read_text()
    assert stand.live.held == frozenset()
    assert stand.split == "a 100 %, b 0 %"
    assert run_here(capsys, "shift", "b=10", "--yes").code == 0


def test_an_older_file_does_not_lose_the_hold_of_another_variant(stand: Stand, capsys: Capsys) -> None:
    """The listener's tag holds b; the file, merged from before the rollback, does not know."""
    run_here(capsys, "rollback", "--yes")
    text = stand.path.read_text()
    stand.path.write_text(text.replace("  abtest:held: [b]\n", ""))
    ran = run_here(capsys, "shift", "a=100", "--yes")
    assert ran.code == 0
    assert "abtest:held: [b]" in stand.path.read_text()
    assert stand.live.held == {"b"}


EXPIRED = "{reason: night, until: 2020-01-01T00:00:00Z}"


def test_an_expired_suspension_does_not_stop_a_rollback(stand: Stand, capsys: Capsys) -> None:
    text = stand.path.read_text()
    stand.path.write_text(text.replace("minHealthy: 1}", f"minHealthy: 1, suspend: {EXPIRED}}}"))
    assert run_here(capsys, "shift", "b=5", "--yes").code == 1
    ran = run_here(capsys, "rollback", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert "abtest:guardrails.suspend is over, and is removed\n" in ran.out
    assert "suspend" not in stand.path.read_text()
    assert stand.split == "a 100 %"


def test_a_rule_changed_in_the_console_is_repaired_by_a_refresh(stand: Stand, capsys: Capsys) -> None:
    stand.engine.up("", lambda _: None)
    rules = stand.elbv2.describe_rules(ListenerArn=stand.deployed.listener_arn)["Rules"]
    (arn,) = (rule["RuleArn"] for rule in rules if rule["Priority"] == "10")
    refuse = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}
    for name in ("shift b=20", "ramp b --to 20"):
        stand.elbv2.modify_rule(RuleArn=arn, Actions=[refuse])
        ran = run_here(capsys, *name.split(), "--yes")
        assert ran.code == 1
        assert "rule 10 (path-b): the load balancer says respond 503, the stack file says b 100 %" in ran.err
        assert ran.err.endswith("deploy that first (pulumi up --refresh), or take it back\n")


def test_a_rollback_names_what_it_leaves_as_it_is(stand: Stand, capsys: Capsys) -> None:
    stand.file.edited({("abtest:rules", "query-b", "forward"): "a"}).write(over=stand.file)
    ran = run_here(capsys, "rollback", "--yes")
    assert "not part of the rollback: rule 30 (query-b): the load balancer sends b 100 %" in ran.out


def test_a_rollback_goes_on_where_nobody_reads_what_it_says(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(click, "echo", closed)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert run_here(capsys, "rollback", "--yes").code == 0
    assert stand.split == "a 100 %"


def test_a_stack_file_that_is_a_link_is_the_stack_of_its_own_name(stand: Stand, capsys: Capsys) -> None:
    link = stand.path.with_name("Pulumi.other.yaml")
    link.symlink_to(stand.path)
    try:
        ran = run_here(capsys, "shift", "b=12", "--file-only", "--stack", "other")
        assert ran.code == 0
        assert StackFile.read("other").stack == "other"
        assert link.is_symlink()
    finally:
        link.unlink()


# Ramp -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What looks find: health by look, the last one for good."""
    found: dict[str, Any] = {"health": [Health(2, 2)]}

    def as_told(*given: Any) -> Look:
        health = found["health"].pop(0) if len(found["health"]) > 1 else found["health"][0]
        return Look(shares=look(*given).shares, health=health, alarms=())

    monkeypatch.setattr(rollout, "look", as_told)
    monkeypatch.setattr(moves.Interrupts, "wait", lambda *_: None)
    monkeypatch.setattr(rollout, "UNHEALTHY_LOOKS", 1)
    return found


def test_status_knows_in_the_same_folder_whether_a_ramp_runs(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("abtest.cli.status._engine", lambda _: stand.engine)
    during: list[str] = []

    def looked_at(*_: Any) -> Look:
        capsys.readouterr()  # of the ramp
        during.append(run_here(capsys, "status").out.splitlines()[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(rollout, "look", looked_at)
    run_here(capsys, "ramp", "b", "--schedule", "20,30", "--bake", "10m", "--yes")
    assert [line.partition(", ")[0] for line in during] == ["dev: Progressing: ramp of b: step 1 of 2"]
    ran = run_here(capsys, "status")
    assert ran.out.startswith("dev: Paused: ramp of b: it stopped in the bake of step 1 of 2\n")


def test_a_ramp_goes_to_its_end(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "ramp", "b", "--to", "30", "--bake", "0s", "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "ramp b from 10 % of new clients: 20 %, 30 %, each watched for 0s; on a breach: rollback, all new clients to a",
        "step 1/2: shifting b to 20 %",
        "listener-80: update …",
        "step 1/2: the load balancer gives b 20 %",
        "step 1/2, set 20 %, actual 20 %, baking 00:00 left, healthy 1/1, no alarms",
        "step 2/2: shifting b to 30 %",
        "listener-80: update …",
        "step 2/2: the load balancer gives b 30 %",
        "step 2/2, set 30 %, actual 30 %, baking 00:00 left, healthy 1/1, no alarms",
        "b has 30 % of new clients",
        "commit it: git commit -m 'Ramp b to 30 %' Pulumi.dev.yaml",
    ]
    assert stand.split == "a 70 %, b 30 %"


def test_a_breach_rolls_back_and_ends_with_5(stand: Stand, capsys: Capsys, seen: dict[str, Any]) -> None:
    seen["health"] = [Health(2, 2), Health(0, 2)]
    ran = run_here(capsys, "ramp", "b", "--schedule", "20,30", "--bake", "0s", "--yes")
    assert ran.code == 5
    assert "breach: b has 0/2 healthy targets, 1 needed\n" in ran.out
    assert "rolled back: the load balancer sends new clients to a 100 %\n" in ran.out
    assert stand.split == "a 100 %"
    assert stand.live.held == {"b"}


def test_a_breach_may_pause_and_ends_with_3(stand: Stand, capsys: Capsys, seen: dict[str, Any]) -> None:
    seen["health"] = [Health(2, 2), Health(0, 2)]
    ran = run_here(capsys, "ramp", "b", "--schedule", "20,30", "--bake", "0s", "--on-breach", "pause", "--yes")
    assert ran.code == 3
    assert ran.out.splitlines()[-1] == (
        "paused: the traffic stays as it is; the same command resumes, abtest rollback --stack dev takes it back"
    )
    assert stand.split == "a 70 %, b 30 %"


@pytest.mark.parametrize(("says", "words"), [("pass", "analysis pass: fine"), ("no data", "never had data")])
def test_a_ramp_says_what_the_logs_said(
    stand: Stand, capsys: Capsys, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch, says: Any, words: str
) -> None:
    del seen
    monkeypatch.setattr(ramp_module, "analysing", lambda *_: nullcontext(lambda: rollout.Verdict(says, "fine")))
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--bake", "0s", "--yes")
    assert ran.code == 0
    assert words in ran.out
    assert "a bake of 0s sees little of its own step" in ran.out
    assert stand.split == "a 80 %, b 20 %"


def test_what_the_logs_find_past_a_limit_is_rolled_back(
    stand: Stand, capsys: Capsys, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    del seen
    found = rollout.Verdict("fail", "error rate +4 points [3, 5]; the limit is 0.5 points")
    monkeypatch.setattr(ramp_module, "analysing", lambda *_: nullcontext(lambda: found))
    ran = run_here(capsys, "ramp", "b", "--to", "30", "--bake", "0s", "--yes")
    assert ran.code == 5
    assert "breach: error rate +4 points [3, 5]; the limit is 0.5 points\n" in ran.out
    assert stand.split == "a 100 %"


def test_a_rollback_that_fails_is_tried_again(stand: Stand, capsys: Capsys, seen: dict[str, Any]) -> None:
    seen["health"] = [Health(0, 2)]
    stand.engine.fails = [None, (False, EngineError("Throttling")), None]
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--bake", "0s", "--yes")
    assert ran.code == 5
    assert "the rollback failed, it is tried again: Throttling" in ran.out
    assert stand.split == "a 100 %"


def test_a_rollback_that_never_works_cries(stand: Stand, capsys: Capsys, seen: dict[str, Any]) -> None:
    seen["health"] = [Health(0, 2)]
    stand.engine.fails = [None, *[(False, EngineError("Throttling"))] * 3]
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--bake", "0s", "--yes")
    assert ran.code == 1
    assert ran.err.startswith("error: THE ROLLBACK FAILED, run it again (abtest rollback --stack dev): Throttling")
    assert stand.split == "a 80 %, b 20 %"


def test_a_ramps_rollback_removes_an_expired_suspension(
    stand: Stand, capsys: Capsys, seen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = stand.path.read_text()

    back = ramp_module._back

    def later(*given: Any) -> None:
        now = stand.path.read_text()
        stand.path.write_text(now.replace("minHealthy: 1}", f"minHealthy: 1, suspend: {EXPIRED}}}"))
        back(*given)

    seen["health"] = [Health(0, 2)]
    monkeypatch.setattr(ramp_module, "_back", later)
    assert run_here(capsys, "ramp", "b", "--to", "20", "--bake", "0s", "--yes").code == 5
    assert stand.split == "a 100 %"
    assert text != stand.path.read_text()


def test_a_ramp_does_not_start_where_the_file_says_more(stand: Stand, capsys: Capsys) -> None:
    stand.file.edited({("abtest:rules", "path-b", "forward"): "a"}).write(over=stand.file)
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--yes")
    assert ran.code == 1
    assert "- rule 10 (path-b):" in ran.err
    assert stand.engine.updates == []


KINDS = {
    "launch": "{port: 8080, targets: {launch: {instanceType: t3.small}}}",
    "auto scaling": "{port: 8080, targets: {launch: {instanceType: t3.small, min: 2, max: 2}}}",
    "lambda": '{targets: {lambdaArn: "arn:aws:lambda:us-east-1:123456789012:function:ranker:7"}}',
    "instances": "{port: 8080, targets: {instanceIds: [i-0123456789abcdef0]}}",
    "addresses": "{port: 8080, targets: {ipAddresses: [10.0.1.20]}}",
    "external": "{port: 8080, targets: {external: ip}}",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["shift c=0", "shift c=10", "ramp c --to 20"])
def test_a_new_variant_is_refused_with_the_way_to_add_it(stand: Stand, capsys: Capsys, kind: str, command: str) -> None:
    stand.engine.up("", lambda _: None)
    text = stand.path.read_text().replace("  abtest:variants:\n", f"  abtest:variants:\n    c: {KINDS[kind]}\n")
    stand.path.write_text(text)
    ran = run_here(capsys, *command.split(), "--yes")
    assert ran.code == 1
    assert ran.err.endswith("c enters with weight 0: write c: 0 into abtest:weights, and run pulumi up\n")
    stand.path.write_text(text.replace("b: 10}", "b: 10, c: 0}"))
    assert StackFile.read("dev").experiment.state("c") == "warm"
    ran = run_here(capsys, *command.split(), "--yes")
    assert ran.err.endswith("deploy that first (pulumi up), or take it back\n")


def test_a_new_service_is_refused_with_the_same_way(stand: Stand, capsys: Capsys) -> None:
    service = "{port: 8080, targets: {ecs: {image: example.com/model:1, cpu: 256, memory: 512, publicIp: true}}}"
    text = stand.path.read_text().replace("  abtest:variants:\n", f"  abtest:variants:\n    c: {service}\n")
    stand.path.write_text(text)
    assert run_here(capsys, "shift", "c=0", "--yes").err.endswith("add c: 0 to abtest:weights\n")
    stand.path.write_text(text.replace("b: 10}", "b: 10, c: 0}"))
    ran = run_here(capsys, "check", str(stand.path))
    assert (ran.code, ran.out) == (0, "1 stack file: 0 errors, 0 warnings\n")


def test_what_is_no_routing_is_not_deployed_along_either(stand: Stand, capsys: Capsys) -> None:
    run_here(capsys, "shift", "b=12", "--yes")
    text = stand.path.read_text()
    stand.path.write_text(text.replace("t3.small", "t3.large"))
    ran = run_here(capsys, "shift", "b=15", "--yes")
    assert ran.code == 1
    assert "- abtest:variants is not as it was deployed\n" in ran.err
    assert stand.split == "a 88 %, b 12 %"
    assert run_here(capsys, "rollback", "--yes").code == 0
    assert run_here(capsys, "shift", "b=0", "--yes").code == 1, "a rollback deploys nothing else"


def test_a_new_variant_that_is_warm_in_the_file_stays_there(stand: Stand, capsys: Capsys) -> None:
    text = stand.path.read_text().replace("{a: 90, b: 10}", "{a: 90, b: 10, c: 0}")
    stand.path.write_text(
        text.replace("    b:\n      port", "    c: {port: 8080, targets: {external: ip}}\n    b:\n      port")
    )
    assert run_here(capsys, "shift", "b=25", "--file-only").code == 0
    assert "{a: 75, b: 25, c: 0}" in stand.path.read_text()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 5), (signal.SIGTERM, 5)])
def test_an_interrupted_ramp_pauses_without_a_terminal(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr(moves.Interrupts, "wait", lambda *_: os.kill(os.getpid(), number))
    ran = run_here(capsys, "ramp", "b", "--to", "30", "--bake", "1h", "--yes")
    assert ran.code == code
    assert ran.out.splitlines()[-1].startswith("paused: the traffic stays as it is; the same command resumes")
    assert stand.split == "a 80 %, b 20 %"


@pytest.mark.parametrize(
    ("answer", "split"),
    [("pause", "a 80 %, b 20 %"), ("rollback", "a 100 %"), ("r", "a 100 %"), (click.Abort(), "a 80 %, b 20 %")],
)
def test_a_person_is_asked_and_a_second_interruption_pauses(
    stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch, answer: object, split: str
) -> None:
    def prompt(*_: object, **__: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(moves.Interrupts, "wait", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)
    assert run_here(capsys, "ramp", "b", "--to", "30", "--bake", "1h", "--yes").code == 5
    assert stand.split == split


def test_the_same_command_goes_on(stand: Stand, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["ramp", "b", "--to", "30", "--bake", "2s", "--yes"]
    with monkeypatch.context() as patch:
        patch.setattr(moves.Interrupts, "wait", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert run_here(capsys, *command).code == 5
    ran = run_here(capsys, "ramp", "b", "--to", "30", "--bake", "0s", "--yes")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == (
        "ramp b from 10 % of new clients: 20 %, 30 %, each watched for 0s; on a breach: rollback, all new clients to a"
    )
    assert stand.split == "a 70 %, b 30 %"


@pytest.mark.usefixtures("stand")
def test_json_lines_are_events_and_nothing_else(capsys: Capsys, seen: dict[str, Any]) -> None:
    seen["health"] = [Health(2, 2), Health(0, 2)]
    ran = run_here(capsys, "ramp", "b", "--to", "30", "--bake", "0s", "--yes", "--json")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [event["kind"] for event in events if event["kind"] != "note"] == [
        "start", "shifting", "shifted", "look", "shifting", "shifted", "look", "breach", "rolled back",
    ]  # fmt: skip
    assert {len(event) for event in events} == {12}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--to", "5"], "5 % is not over the current share, 10 %"),
        (["--schedule", "20,15"], "15 % comes after 20 %"),
        (["--schedule", "50"], "40 points; maxStep allows 25: --schedule"),
        (["--to", "20", "--bake", "soon"], '"soon" is not a valid time; write one such as 90s, 10m or 1h30m'),
        (["--to", "20", "--schedule", "20"], "give either --to or --schedule"),
        ([], "give either --to or --schedule"),
        (["--schedule", "20", "--step", "5"], "--step goes with --to"),
    ],
)
def test_a_ramp_that_makes_no_sense_is_one_message(
    stand: Stand, capsys: Capsys, arguments: list[str], says: str
) -> None:
    ran = run_here(capsys, "ramp", "b", *arguments, "--yes")
    assert ran.code == 1
    assert says in ran.err
    assert stand.engine.updates == []


@pytest.mark.usefixtures("stand")
def test_a_ramp_does_not_start_from_a_variant_that_is_not_well(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Look(shares={}, health=Health(0, 2), alarms=())
    monkeypatch.setattr(ramp_module, "look", lambda *_: found)
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--yes")
    assert ran == Ran(3, "", "error: b has 0/2 healthy targets, 1 needed; fix them first\n")


def test_promote_is_a_ramp_to_100_that_says_how_to_retire_the_others(stand: Stand, capsys: Capsys) -> None:
    ran = run_here(capsys, "promote", "b", "--step", "25", "--bake", "0s", "--yes")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].startswith("to retire the others: wait until their sticky clients are gone")
    assert stand.split == "a 0 %, b 100 %"


@pytest.mark.usefixtures("stand")
def test_what_cannot_be_read_for_a_while_does_not_end_it(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [AwsError("AWS throttles DescribeRules"), None]

    def flaky(*given: Any) -> Look:
        if failures and (error := failures.pop(0)):
            raise error
        return look(*given)

    monkeypatch.setattr(rollout, "look", flaky)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(moves.Interrupts, "wait", lambda *_: None)
    ran = run_here(capsys, "ramp", "b", "--to", "20", "--bake", "0s", "--yes")
    assert ran.code == 0
    assert "step 1/1, cannot look: AWS throttles DescribeRules" in ran.out
