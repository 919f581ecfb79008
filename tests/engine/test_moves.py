"""shift, ramp, promote and rollback on the real engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from abtest.rollout.ramp import Event
from abtest.rollout.weights import Share
from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Run
from tests.engine.terminal import CTRL_C

pytestmark = pytest.mark.engine

GUARDED = changed(BASE, guardrails={"maxStep": 25, "requireHealthy": True, "minHealthy": 1})

#: The provider writes tags before anything else of a resource (hashicorp/terraform-provider-aws,
#: internal/provider/sdkv2/tags_interceptor.go).
TAGGED = ["AddTags", "ModifyListener"]


@pytest.fixture
def moving(standing: Engine) -> Iterator[Engine]:
    """A stack whose file says more than the deployed one only in the guardrails, which are no part of it."""
    yield prepared(standing, GUARDED)
    standing.clear_up()


def prepared(engine: Engine, config: Mapping[str, object]) -> Engine:
    """The stack file as a person keeps it: with comments, and the weights on one line."""
    engine.write(config)
    text = engine.file.read_text(encoding="utf-8")
    block = "  abtest:weights:\n    a: 90\n    b: 10\n"
    assert block in text
    kept = "  # Who gets what.\n  abtest:weights: {a: 90, b: 10}  # of new clients\n"
    engine.file.write_text(f"# Ours.\n{text.replace(block, kept)}# The end.\n", encoding="utf-8")
    return engine


def split(engine: Engine) -> Mapping[str, int]:
    """The weights of the main split, as the load balancer has them."""
    return {name.removeprefix("abtest-"): w for name, w in engine.cloud.weights("80 default").items()}


def edits(before: bytes, engine: Engine) -> list[str]:
    """The lines of the stack file that are not as they were."""
    old = before.decode().splitlines()
    return [line for line in engine.file.read_text(encoding="utf-8").splitlines() if line not in old]


def ended(run: Run, code: int, *words: str) -> Run:
    assert run.code == code, run.output
    assert "Traceback" not in run.output, run.output
    assert run.gaps == []
    for each in words:
        assert each in run.output, run.output
    return run


@contextmanager
def alarm(engine: Engine, variant: str, state: str) -> Iterator[str]:
    """An alarm of somebody else's that looks at a variant's target group; its name."""
    arn = engine.outputs()["target_group_arns"][variant]
    with engine.cloud.client("cloudwatch") as cloudwatch:
        name = f"5xx-of-{variant}"
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/ApplicationELB",
            MetricName="HTTPCode_Target_5XX_Count",
            Dimensions=[{"Name": "TargetGroup", "Value": arn.rpartition(":")[2]}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        try:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test says so")
            yield name
        finally:
            cloudwatch.delete_alarms(AlarmNames=[name])


# shift ----------------------------------------------------------------------------------------------------------------


def test_a_shift_edits_one_line_and_is_one_write(moving: Engine) -> None:
    moving.up().succeeded()
    before = moving.file.read_bytes()

    run = ended(moving.abtest("shift", "b=25", "--yes"), 0)

    assert run.writes == ["ModifyListener"]
    assert split(moving) == {"a": 75, "b": 25}
    assert edits(before, moving) == ["  abtest:weights: {a: 75, b: 25}  # of new clients"]
    assert "main split: a 90 %, b 10 % → a 75 %" in run.output
    assert "clients that have a variant keep it for up to 60 minutes" in run.output
    assert "the load balancer sends new clients to a 75 %, b 25 %" in run.output
    assert "git commit -m 'abtest shift b=25' Pulumi.dev.yaml" in run.output

    again = ended(moving.abtest("shift", "b=25", "--yes"), 0, "nothing to do: b has 25 % of new clients already")

    assert again.writes == []
    assert moving.preview().succeeded().steps == (), "file, engine and load balancer are in step"


def test_a_shift_that_the_guard_refuses_leaves_the_file_byte_for_byte(moving: Engine) -> None:
    before = moving.file.read_bytes()

    run = ended(moving.abtest("shift", "b=60", "--yes"), 3, "maxStep allows 25: go to 35 % first")

    assert run.writes == []
    assert "the load balancer and Pulumi.dev.yaml are as before" in run.output
    assert moving.file.read_bytes() == before
    assert split(moving) == {"a": 90, "b": 10}


def test_a_shift_for_a_pull_request_needs_no_engine(moving: Engine, tmp_path: Path) -> None:
    before, alone = moving.file.read_bytes(), {"PATH": str(tmp_path)}

    run = ended(moving.abtest("shift", "b=25", "--file-only", env=alone), 0, "nothing is deployed")

    assert run.calls == ()
    assert edits(before, moving) == ["  abtest:weights: {a: 75, b: 25}  # of new clients"]

    ended(moving.abtest("shift", "b=30", "--yes", env=alone), 1, "https://www.pulumi.com/docs/install/")


def test_a_shift_takes_rules_that_forward_to_the_split_along_and_completes_half_of_one(moving: Engine) -> None:
    config = changed(GUARDED, rules__halves__forward="split")
    moving.up(changed(config, guardrails=None)).succeeded()
    prepared(moving, config)

    with moving.cloud.proxy.throttling("ModifyRule"):
        ended(moving.abtest("shift", "b=25", "--yes"), 1, "Throttling", "a part of the update was made")

    ended(moving.abtest("shift", "b=25", "--yes"), 0)
    assert split(moving) == {"a": 75, "b": 25}
    assert moving.cloud.weights("80 20") == moving.cloud.weights("80 default")


def test_what_nobody_agrees_to_is_not_done(moving: Engine) -> None:
    before = moving.file.read_bytes()

    for command in (("shift", "b=20"), ("ramp", "b", "--to", "20", "--bake", "0s"), ("rollback",)):
        run = ended(moving.abtest(*command), 1, "say --yes")
        assert run.writes == []

    assert moving.file.read_bytes() == before


# Wrong usage ----------------------------------------------------------------------------------------------------------


def test_wrong_words_end_with_one_message_before_anything_is_asked(moving: Engine) -> None:
    before = moving.file.read_bytes()
    for command, words in {
        "shift bb=10 --yes": "there is no variant bb; did you mean b?",
        "shift b=110 --yes": "110 is over 100",
        "shift b=x --yes": '"x" is no percentage',
        "shift b --yes": "write VARIANT=PERCENT",
        "ramp b --yes": "either --to or --schedule",
        "ramp c --to 50 --yes": "there is no variant c",
        "ramp b --to 50 --stack elsewhere --yes": "elsewhere",
    }.items():
        assert ended(moving.abtest(*command.split()), 1, words).calls == ()
    for command, words in {
        "ramp b --to 5 --yes": "5 % is not over the current share, 10 %",
        "ramp b --schedule 20,15 --yes": "15 % comes after 20 %",
        "ramp b --schedule 20,60 --yes": "maxStep allows 25: --schedule 20,45,60",
        "ramp b --to 50 --bake soon --yes": '"soon" is no time',
    }.items():
        assert ended(moving.abtest(*command.split()), 1, words).writes == []
    assert moving.file.read_bytes() == before


def test_a_stack_that_cannot_be_reached_is_explained(moving: Engine, tmp_path: Path) -> None:
    before = moving.file.read_bytes()
    stranger = moving.folder / "Pulumi.stranger.yaml"
    stranger.write_bytes(before)
    ended(moving.abtest("shift", "b=25", "--yes", "--stack", "stranger"), 1, "pulumi stack init stranger")
    stranger.unlink()
    for env, words in (
        ({"PULUMI_BACKEND_URL": tmp_path.as_uri()}, "no stack"),
        ({"PULUMI_BACKEND_URL": "file:///nowhere/at/all"}, "/nowhere/at/all"),
        ({"PULUMI_CONFIG_PASSPHRASE": "another"}, "passphrase"),
        ({"AWS_PROFILE": "nobodys"}, "nobodys"),
    ):
        ended(moving.abtest("shift", "b=25", "--yes", env=env), 1, words)
        assert moving.file.read_bytes() == before
    assert split(moving) == {"a": 90, "b": 10}


def test_expired_credentials_are_named(moving: Engine) -> None:
    with moving.cloud.proxy.throttling("DescribeListeners", code="ExpiredToken"):
        run = ended(moving.abtest("shift", "b=25", "--yes"), 1, "the AWS credentials have expired")
    assert run.writes == []


def test_a_stack_that_was_never_deployed_is_to_be_deployed_first(fresh: Engine) -> None:
    fresh.write(GUARDED)
    for command in ("shift b=20", "ramp b --to 20", "rollback"):
        ended(fresh.abtest(*command.split(), "--yes"), 1, "is not deployed; deploy it first: pulumi up --stack dev")


def test_what_else_is_not_deployed_is_no_part_of_a_move(moving: Engine) -> None:
    prepared(moving, changed(GUARDED, rules__halves__forward="a"))
    before = moving.file.read_bytes()
    for command in ("shift b=20", "ramp b --to 20"):
        run = ended(
            moving.abtest(*command.split(), "--yes"), 1, "rule 20 (halves)", "deploy that first (pulumi up), or"
        )
        assert run.writes == []
    assert moving.file.read_bytes() == before


# ramp -----------------------------------------------------------------------------------------------------------------


def until(process: subprocess.Popen[str], words: str) -> str:
    """Read what a command prints until it says ``words``; all that."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


def finished(process: subprocess.Popen[str], said: str, code: int, *words: str) -> str:
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == code, said + rest
    for each in words:
        assert each in said + rest, said + rest
    return said + rest


def test_a_ramp_makes_its_steps_and_says_what_it_sees(moving: Engine) -> None:
    moving.up().succeeded()
    before = moving.file.read_bytes()

    run = ended(moving.abtest("ramp", "b", "--schedule", "20,30", "--bake", "1s", "--yes", "--json"), 0)

    assert run.writes == ["ModifyListener", "ModifyListener"]
    assert split(moving) == {"a": 70, "b": 30}
    assert edits(before, moving) == ["  abtest:weights: {a: 70, b: 30}  # of new clients"]
    events = [msgspec.json.decode(line, type=Event, strict=True) for line in run.output.splitlines()]
    kinds = [event.kind for event in events if event.kind != "note"]
    assert kinds[0] == "start"
    assert kinds[-1] == "done"
    assert [event.share and event.share.actual for event in events if event.kind == "shifted"] == [0.2, 0.3]
    looks = [event for event in events if event.kind == "look"]
    assert {(look.step, look.share, look.healthy, look.targets) for look in looks} == {
        (1, Share(set=0.2, actual=0.2), 1, 1),
        (2, Share(set=0.3, actual=0.3), 1, 1),
    }
    assert [look.left_seconds for look in looks if look.step == 2][-1] == 0


def test_a_variant_that_fails_its_checks_is_rolled_back_and_one_bad_look_is_no_reason(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "3s", "--yes")
    # Asked before the ramp, by the guard, and at the first look.
    good, proxy = ["healthy"] * 3, moving.cloud.proxy

    with proxy.health({"abtest-b": [*good, "unhealthy", "healthy", "healthy", "unhealthy"]}):
        run = ended(moving.abtest(*ramp), 5, "healthy 0/1", "breach: b has 0/1 healthy targets, 1 needed")

    assert run.writes == [*TAGGED, *TAGGED], "the guardrails, which were not deployed, and the hold"
    assert "rolled back: the load balancer sends new clients to a 100 %" in run.output
    assert "rule to-b still sends clients to b" in run.output
    assert split(moving) == {"a": 100}
    assert {"  abtest:weights: {a: 100}  # of new clients", "  abtest:held: [b]"} < set(
        moving.file.read_text(encoding="utf-8").splitlines()
    )
    ended(moving.abtest(*ramp), 3, "b is held, as a rollback leaves it; lift the hold first")


def test_an_alarm_in_the_bake_pauses_if_so_requested(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--yes", "--on-breach", "pause")
    with alarm(moving, "b", "OK") as name, moving.starting(*ramp) as process:
        said = until(process, "alarms OK")
        with moving.cloud.client("cloudwatch") as cloudwatch:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="it burns")
        finished(process, said, 3, f"breach: alarm {name} is in ALARM: it burns", "paused: the traffic stays as it is")

        assert split(moving) == {"a": 80, "b": 20}
        ended(moving.abtest(*ramp), 3, f"alarm {name} is in ALARM (it burns); see to it first")


def test_an_alarm_that_fires_in_the_middle_of_an_update_rolls_back(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--yes")
    with (
        alarm(moving, "b", "OK") as name,
        moving.cloud.proxy.slowing("ModifyListener") as arrived,
        moving.cloud.client("cloudwatch") as cloudwatch,
        moving.starting(*ramp) as process,
    ):
        assert arrived.wait(60)
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="it burns")
        finished(process, "", 5, "rolled back: the load balancer sends new clients to a 100 %")
    assert split(moving) == {"a": 100}


def test_a_stack_file_that_somebody_edits_stops_the_ramp(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--yes")
    with moving.starting(*ramp) as process:
        said = until(process, "baking")
        moving.file.write_text(moving.file.read_text(encoding="utf-8") + "# More.\n", encoding="utf-8")
        edited = moving.file.read_bytes()
        finished(process, said, 1, "Pulumi.dev.yaml was edited under the ramp; the ramp stops")
    assert moving.file.read_bytes() == edited
    assert split(moving) == {"a": 80, "b": 20}


def test_traffic_that_somebody_else_moves_stops_the_ramp(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--yes")
    with moving.starting(*ramp) as process:
        said = until(process, "baking")
        move_by_hand(moving, {"a": 50, "b": 50})
        finished(process, said, 1, "traffic was changed by another update: the load balancer sends a 50 %, b 50 %")
    ended(moving.abtest("rollback", "--yes"), 0)
    assert split(moving) == {"a": 100}


def test_a_shift_in_the_middle_of_a_ramps_update_waits_for_it_and_ends_the_ramp(moving: Engine) -> None:
    end = threading.Event()
    with (
        moving.cloud.proxy.slowing("ModifyListener", until=end) as arrived,
        moving.starting("ramp", "b", "--schedule", "20,30", "--bake", "60s", "--yes") as ramp,
    ):
        assert arrived.wait(60)
        with moving.starting("shift", "b=15", "--yes") as shift:
            said = until(shift, "waiting for another update of this stack")
            assert split(moving) == {"a": 90, "b": 10}
            end.set()
            finished(shift, said, 0, "the load balancer sends new clients to a 85 %, b 15 %")
        finished(ramp, "", 1, "Pulumi.dev.yaml was edited under the ramp; the ramp stops")
    assert split(moving) == {"a": 85, "b": 15}
    assert "  abtest:weights: {a: 85, b: 15}  # of new clients" in moving.file.read_text(encoding="utf-8")
    assert moving.preview().succeeded().steps == ()


def move_by_hand(engine: Engine, weights: Mapping[str, int]) -> None:
    """As in the console of AWS, past the engine."""
    arn = engine.outputs()["listener_arn"]
    (listener,) = engine.cloud.elb.describe_listeners(ListenerArns=[arn])["Listeners"]
    (action,) = listener["DefaultActions"]
    groups = action["ForwardConfig"]["TargetGroups"]
    for group in groups:
        group["Weight"] = next(w for name, w in weights.items() if f"/abtest-{name}-" in group["TargetGroupArn"])
    engine.cloud.elb.modify_listener(ListenerArn=arn, DefaultActions=[action])


def test_status_after_a_console_change_names_the_update_that_repairs_it(moving: Engine) -> None:
    moving.up().succeeded()
    move_by_hand(moving, {"a": 50, "b": 50})
    ended(moving.abtest("status"), 2, "OutOfSync", "Next: pulumi up --refresh --stack dev")

    moving.up().succeeded()
    assert split(moving) == {"a": 50, "b": 50}
    moving.up(None, "--refresh").succeeded()

    assert split(moving) == {"a": 90, "b": 10}
    ended(moving.abtest("status"), 0, "Healthy")


def test_promote_ends_at_100_and_says_how_to_retire_the_others(moving: Engine) -> None:
    moving.up(changed(BASE, weights={"a": 20, "b": 80})).succeeded()
    moving.write(changed(GUARDED, weights={"a": 20, "b": 80}))

    ended(moving.abtest("promote", "b", "--step", "25", "--bake", "0s", "--yes"), 0, "to retire the others")

    assert split(moving) == {"a": 0, "b": 100}
    ended(moving.abtest("rollback", "--yes"), 0)
    assert split(moving) == {"a": 100}


# rollback -------------------------------------------------------------------------------------------------------------


def test_a_rollback_holds_first_then_shifts_and_names_the_rules_that_still_reach_the_variant(moving: Engine) -> None:
    before = moving.file.read_bytes()

    run = ended(moving.abtest("rollback", "--yes"), 0)

    assert run.writes == TAGGED
    assert split(moving) == {"a": 100}
    assert edits(before, moving) == ["  abtest:weights: {a: 100}  # of new clients", "  abtest:held: [b]"]
    for rule in ("to-b", "halves"):
        assert f"rule {rule} still sends clients to b: abtest rollback --everywhere --stack dev" in run.output

    everywhere = ended(moving.abtest("rollback", "--everywhere", "--yes"), 0)

    assert everywhere.writes == ["ModifyRule", "ModifyRule"]
    assert moving.cloud.weights("80 10").keys() == moving.cloud.weights("80 20").keys() == {"abtest-a"}
    assert "still sends" not in everywhere.output
    assert moving.preview().succeeded().steps == ()


def test_a_rollback_of_which_half_was_made_is_completed_by_the_same_command(moving: Engine) -> None:
    with moving.cloud.proxy.throttling("ModifyListener"):
        for words in ("a part of the update was made; Pulumi.dev.yaml keeps the change", "was not changed"):
            ended(moving.abtest("rollback", "--yes"), 1, "Throttling", words)
    assert split(moving) == {"a": 90, "b": 10}
    ended(moving.abtest("shift", "b=20", "--yes"), 3, "b is held, as a rollback leaves it")

    ended(moving.abtest("rollback", "--yes"), 0)

    assert split(moving) == {"a": 100}
    assert moving.preview().succeeded().steps == ()


def test_a_merge_of_the_old_file_does_not_undo_a_rollback(moving: Engine) -> None:
    before = moving.file.read_bytes()
    ended(moving.abtest("rollback", "--yes"), 0)

    moving.file.write_bytes(before)
    refused = moving.up()

    assert refused.code != 0
    assert refused.writes == []
    assert (
        "b would go from 0 % to 10 % on the main split, but b is held; the deployed listener holds it" in refused.output
    )
    assert split(moving) == {"a": 100}
    ended(
        moving.abtest("shift", "b=20", "--yes"),
        3,
        "lift the hold first, which also warms it: abtest shift b=0 --stack dev",
    )
    ended(moving.abtest("ramp", "b", "--to", "20", "--yes"), 3, "abtest shift b=0 --stack dev")
    assert moving.file.read_bytes() == before

    ended(moving.abtest("shift", "b=0", "--yes"), 0)
    ended(moving.abtest("shift", "b=20", "--yes"), 0)
    assert split(moving) == {"a": 80, "b": 20}


def test_a_rollback_needs_a_healthy_control(moving: Engine) -> None:
    before = moving.file.read_bytes()
    with moving.cloud.proxy.health({"abtest-a": "unhealthy"}):
        run = ended(moving.abtest("rollback", "--yes"), 3, "but a has 0 healthy targets and needs 1 (minHealthy)")
    assert run.writes == []
    assert moving.file.read_bytes() == before


# Cut off --------------------------------------------------------------------------------------------------------------


def kill(process: subprocess.Popen[str], *, group: bool) -> None:
    (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("group", [False, True], ids=["the CLI alone", "the whole group"])
def test_a_ramp_that_was_killed_in_its_first_update_goes_on_with_that_step(moving: Engine, *, group: bool) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "1s", "--yes")
    with moving.cloud.proxy.slowing("ModifyListener") as arrived, moving.starting(*ramp) as process:
        assert arrived.wait(60)
        kill(process, group=group)
        time.sleep(2)  # what was under way at AWS is done there, whoever is killed here
    assert split(moving) == {"a": 80, "b": 20}

    run = ended(moving.abtest(*ramp), 0, "step 1/2, set 20 %", "step 2/2, set 30 %")

    assert "cleared the lock of an update that died" in run.output
    assert split(moving) == {"a": 70, "b": 30}
    assert moving.preview().succeeded().steps == ()


def test_a_ramp_that_was_killed_in_a_bake_goes_on_with_that_step_or_is_rolled_back(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "15,20,30", "--bake", "1s", "--yes")
    with moving.starting(*ramp) as process:
        until(process, "step 2/3, set 20 %")
        kill(process, group=True)

    run = ended(moving.abtest(*ramp), 0, "it goes on at step 2", "step 2/3, set 20 %", "step 3/3, set 30 %")

    assert "set 15 %" not in run.output
    assert run.writes == ["ModifyListener"]
    ended(moving.abtest("rollback", "--yes"), 0)
    assert split(moving) == {"a": 100}


def test_an_engine_that_dies_is_an_error_and_the_same_command_goes_on(moving: Engine) -> None:
    shift = ("shift", "b=20", "--yes")
    with moving.cloud.proxy.slowing("ModifyListener") as arrived, moving.starting(*shift) as process:
        assert arrived.wait(60)
        ps = ["/bin/ps", "-o", "pid=", "--ppid", str(process.pid)]
        (engine,) = subprocess.run(ps, capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(engine), signal.SIGKILL)
        finished(process, "", 1, "error: ")
        time.sleep(2)  # what was under way at AWS is done there

    ended(moving.abtest(*shift), 0, "cleared the lock of an update that died")
    assert split(moving) == {"a": 80, "b": 20}


def test_a_ramp_whose_output_nobody_reads_any_more_goes_on(moving: Engine) -> None:
    with moving.starting("ramp", "b", "--schedule", "20,30", "--bake", "2s", "--yes") as process:
        until(process, "baking")
        assert process.stdout
        process.stdout.close()
        assert process.wait(60) == 0
    assert split(moving) == {"a": 70, "b": 30}


def locked(engine: Engine, host: str, pid: int, at: str | None = None) -> Path:
    """The lock of a process, as a backend of files has it."""
    state = Path(engine.backend.removeprefix("file://"))
    lock = state / ".pulumi/locks/organization/abtest/dev/00000000-0000-4000-8000-000000000000.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    at = at or f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    told = {"pid": pid, "username": "ann", "hostname": host, "timestamp": at}
    lock.write_text(json.dumps(told), encoding="utf-8")
    return lock


@pytest.mark.parametrize(
    ("host", "doubt"),
    [
        ("elsewhere", "it is on another machine, or may be"),
        (socket.gethostname(), "it was not started by abtest in this folder"),
    ],
    ids=["another host", "this host"],
)
def test_a_lock_that_is_not_proven_dead_is_explained(host: str, doubt: str, moving: Engine) -> None:
    """Of an update in another container, or of a number that another program has by now."""
    before, lock = moving.file.read_bytes(), locked(moving, host, os.getpid(), "2026-01-01T00:00:00Z")

    run = ended(moving.abtest("shift", "b=20", "--yes"), 1, "another update of the stack dev is running")

    assert f"process {os.getpid()} of ann on {host}, since 2026-01-01T00:00:00Z; {doubt}" in run.output
    assert f"if you know that it died: rm {lock}, then this command again" in run.output
    assert lock.exists()
    assert moving.file.read_bytes() == before


# At a terminal --------------------------------------------------------------------------------------------------------


def test_ctrl_c_in_a_bake_asks_and_pauses_or_rolls_back(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "60s")
    with moving.at_a_terminal(*ramp) as shown:
        shown.until("Start?")
        shown.type("y\n")
        shown.until("baking 00:5")
        shown.type(CTRL_C)
        shown.until("[p]ause or [r]oll back?")
        shown.type("pause\n")
        assert shown.code() == 5
    assert "paused: the traffic stays as it is; the same command resumes" in shown.shown
    assert split(moving) == {"a": 80, "b": 20}

    with moving.at_a_terminal(*ramp, "--yes") as shown:
        shown.until("baking 00:5")
        shown.type(CTRL_C)
        shown.until("[p]ause or [r]oll back?")
        shown.type("rollback\n")
        assert shown.code() == 5
    assert "rolled back: the load balancer sends new clients to a 100 %" in shown.shown
    assert split(moving) == {"a": 100}


def test_ctrl_c_in_an_update_leaves_file_and_load_balancer_in_step_and_a_second_one_pauses(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20,30", "--bake", "1s", "--yes")
    with moving.cloud.proxy.slowing("ModifyListener") as arrived, moving.at_a_terminal(*ramp) as shown:
        assert arrived.wait(60)
        shown.type(CTRL_C)
        shown.until("[p]ause or [r]oll back?")
        time.sleep(0.5)  # until it reads what is typed
        shown.type(CTRL_C)
        assert shown.code() == 5
    assert "paused" in shown.shown
    assert "Traceback" not in shown.shown
    weights = split(moving)
    assert f"abtest:weights: {{a: {weights['a']}, b: {weights['b']}}}" in moving.file.read_text(encoding="utf-8")

    ended(moving.abtest(*ramp), 0)
    assert split(moving) == {"a": 70, "b": 30}


def test_two_quick_ctrl_c_end_a_shift_and_one_more_command_repairs_what_that_broke(moving: Engine) -> None:
    shift = ("shift", "b=20", "--yes")
    with moving.cloud.proxy.slowing("ModifyListener") as arrived, moving.at_a_terminal(*shift) as shown:
        assert arrived.wait(60)
        shown.type(CTRL_C)
        time.sleep(0.2)
        shown.type(CTRL_C)
        code = shown.code()
    assert code in {1, 5}, shown.shown
    assert "Traceback" not in shown.shown

    ended(moving.abtest("shift", "b=20", "--yes"), 0)
    assert split(moving) == {"a": 80, "b": 20}
    assert "  abtest:weights: {a: 80, b: 20}  # of new clients" in moving.file.read_text(encoding="utf-8")


def test_who_does_not_want_to_wait_for_another_update_leaves_with_ctrl_c(moving: Engine, tmp_path: Path) -> None:
    before, busy = moving.file.read_bytes(), tmp_path / "pulumi-of-ann"
    shutil.copy("/bin/sleep", busy)
    with subprocess.Popen([busy, "300"]) as process, moving.at_a_terminal("shift", "b=20", "--yes") as shown:
        try:
            lock = locked(moving, socket.gethostname(), process.pid)
            shown.until("waiting for another update of this stack")
            time.sleep(1)
            shown.type(CTRL_C)
            assert shown.code(10) == 1
        finally:
            process.kill()
    assert "the load balancer and Pulumi.dev.yaml are as before" in shown.shown
    assert moving.file.read_bytes() == before
    assert lock.exists()
