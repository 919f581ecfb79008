"""Moves of traffic that something breaks off: after one more command, file, engine and load balancer are in step."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from itertools import cycle

import pytest
import yaml

from tests.engine.cloud import moto_server
from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

GUARDED = changed(BASE, guardrails={"maxStep": 25, "requireHealthy": True, "minHealthy": 1})
COMMENTS = ("# Ours.", "  # Who gets what.", "  # of new clients", "# The end.")


@pytest.fixture
def moving(standing: Engine) -> Iterator[Engine]:
    standing.write(GUARDED)
    text = standing.file.read_text(encoding="utf-8")
    kept = "  # Who gets what.\n  abtest:weights: {a: 90, b: 10}  # of new clients\n"
    text = text.replace("  abtest:weights:\n    a: 90\n    b: 10\n", kept)
    standing.file.write_text(f"# Ours.\n{text}# The end.\n", encoding="utf-8")
    yield standing
    standing.clear_up()


def in_step(engine: Engine, run: Run, code: int = 0) -> None:
    """The command went well; the file is whole and says what the load balancer does."""
    assert run.code == code, run.output
    assert "Traceback" not in run.output
    text = engine.file.read_text(encoding="utf-8")
    assert all(comment in text for comment in COMMENTS), text
    weights = {f"abtest-{name}": weight for name, weight in yaml.safe_load(text)["config"]["abtest:weights"].items()}
    assert _shares(engine.cloud.weights("80 default")) == _shares(weights), run.output


def _shares(weights: Mapping[str, int]) -> dict[str, float]:
    return {name: round(weight / sum(weights.values()), 6) for name, weight in weights.items()}


def gaps(engine: Engine, since: int) -> list[str]:
    """The moments at which clients were sent to a group that is gone or has no target, over all calls since then."""
    return Run(0, "", (), tuple(engine.cloud.proxy.calls[since:])).gaps


# kill -9 --------------------------------------------------------------------------------------------------------------

KILLS, SEED = int(os.environ.get("KILLS", "50")), 20261122


@pytest.mark.soak
def test_a_ramp_that_is_killed_at_any_moment_is_ended_by_one_more_command(moving: Engine) -> None:
    draw, figures, since = random.Random(SEED), Counter[str](), len(moving.cloud.proxy.calls)
    print(f"\nseed {SEED}")  # noqa: T201
    began = time.monotonic()
    in_step(moving, moving.abtest(*_ramp(10)))
    lasts = time.monotonic() - began
    for n in range(KILLS):
        share = moving.cloud.weights("80 default").get("abtest-b", 0)
        group, breach = draw.random() < 0.5, draw.random() < 0.2
        again = _ramp(share) if draw.random() < 0.5 and not breach else ("rollback", "--yes")
        after = draw.uniform(0, lasts * 1.2 if breach else lasts)
        # Asked before the ramp, by the guard, and at the first look.
        failing = moving.cloud.proxy.health({"abtest-b": [*["healthy"] * 3, "unhealthy"]}) if breach else nullcontext()
        before = len(moving.cloud.proxy.calls)
        with failing, moving.starting(*_ramp(share)) as process:
            time.sleep(after)
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
            said = _said(process)
            writes = [call.action for call in moving.cloud.proxy.calls[before:]].count("ModifyListener")
            phase = _phase(said, writes)
            # Those whom the kill left alive still run.
            run = moving.abtest(*again)
        where = f"{n:2}: {after:4.1f} s, {'group' if group else 'alone'}, {phase}, then {again[0]}"
        print(where, flush=True)  # noqa: T201
        in_step(moving, run)
        figures.update(
            (
                phase,
                "the whole group" if group else "the CLI alone",
                f"then {again[0]}",
                *(
                    word
                    for word in ("cleared the lock", "waiting for another", "looks at what is there")
                    if word in run.output
                ),
            )
        )
        if again[0] == "rollback":
            _let_go(moving)
    assert gaps(moving, since) == []
    assert moving.preview().succeeded().steps == ()
    left = [path.name for path in moving.folder.glob(".Pulumi.dev.yaml.*")]
    lines = (*(f"{count:4} {what}" for what, count in sorted(figures.items())), f"files left: {left}")
    print(*lines, sep="\n")  # noqa: T201


def _ramp(share: int) -> tuple[str, ...]:
    return ("ramp", "b", "--schedule", f"{share + 1},{share + 2}", "--bake", "1s", "--yes")


def _let_go(engine: Engine) -> None:
    """After a rollback: b may go up again."""
    in_step(engine, engine.abtest("shift", "b=0", "--yes"))


def _said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    return process.stdout.read().splitlines()


def _phase(said: list[str], writes: int) -> str:
    """Where a ramp was, by what it said and how often the listener was written."""
    steps = [line for line in said if "shifting" in line]
    if not steps:
        return "killed before the first update"
    if said[-1].startswith("b has "):
        return "killed after the end"
    if any(line.startswith("breach: ") for line in said):
        return f"killed in the rollback, {'after' if writes > len(steps) else 'before'} the write"
    if said.index(steps[-1]) < len(said) - 1 and ("gives b" in said[-1] or "baking" in said[-1]):
        return "killed in a bake"
    return f"killed in an update, {'after' if writes >= len(steps) else 'before'} the write"


# Calls that AWS refuses -----------------------------------------------------------------------------------------------

#: Every kind of call that a shift makes, with how many calls of that operation come before it.
CALLS = [
    ("DescribeListeners", 0, "before the update"),
    ("DescribeRules", 0, "before the update"),
    ("DescribeTags", 0, "before the update"),
    ("DescribeVpcs", 0, "by the program"),
    ("DescribeListeners", 1, "by the guard"),
    ("DescribeRules", 1, "by the guard"),
    ("DescribeTags", 2, "by the guard"),
    ("DescribeTargetHealth", 0, "by the guard"),
    ("DescribeAlarms", 0, "by the guard"),
    ("ModifyListener", 0, "by the provider"),
    ("DescribeListeners", 2, "after the update"),
    ("DescribeRules", 2, "after the update"),
    ("DescribeTags", 4, "after the update"),
]


def test_a_shift_that_is_throttled_anywhere_is_completed_by_the_same_command(moving: Engine) -> None:
    """Figures with -s: which calls were refused, and what became of the stack file."""
    since = len(moving.cloud.proxy.calls)
    for (action, earlier, who), share in zip(CALLS, cycle((20, 10)), strict=False):
        before = moving.file.read_bytes()
        with moving.cloud.proxy.throttling(action, but=earlier):
            broken = moving.abtest("shift", f"b={share}", "--yes")
        file = "as before" if moving.file.read_bytes() == before else "changed"
        where = f"{action} {who}: exit {broken.code}, the file is {file}"
        print(where, flush=True)  # noqa: T201
        assert broken.code == 1, (where, broken.output)
        assert "hrottl" in broken.output
        assert "Traceback" not in broken.output
        is_made = moving.cloud.weights("80 default") == {"abtest-a": 100 - share, "abtest-b": share}
        # What cannot be read may have been made.
        assert file == ("changed" if is_made or "cannot be read" in broken.output else "as before"), broken.output

        in_step(moving, moving.abtest("shift", f"b={share}", "--yes"))
        assert moving.cloud.weights("80 default") == {"abtest-a": 100 - share, "abtest-b": share}
    assert gaps(moving, since) == []


def test_a_ramp_that_cannot_look_for_a_moment_goes_on(moving: Engine) -> None:
    ramp = ("ramp", "b", "--schedule", "20", "--bake", "6s", "--yes")
    with moving.starting(*ramp) as process:
        said = _until(process, "baking")
        with moving.cloud.proxy.unreachable():
            said += _until(process, "cannot look")
        rest, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said + rest
    assert "b has 20 % of new clients" in rest


def test_a_network_that_fails_within_an_update_costs_one_more_command(moving: Engine) -> None:
    since = len(moving.cloud.proxy.calls)
    proxy = moving.cloud.proxy
    with proxy.slowing("ModifyListener") as arrived, moving.starting("shift", "b=20", "--yes") as process:
        assert arrived.wait(60)
        with proxy.unreachable():
            said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "what the load balancer does now cannot be read" in said
    assert "Traceback" not in said
    in_step(moving, moving.abtest("shift", "b=20", "--yes"))
    assert gaps(moving, since) == []


def test_an_aws_that_has_lost_everything_is_named_and_nothing_is_changed(fresh: Engine) -> None:
    fresh.up(GUARDED).succeeded()
    before = fresh.file.read_bytes()
    with moto_server() as empty, fresh.cloud.proxy.before(empty):
        for command in ("shift b=20", "ramp b --to 20", "rollback"):
            run = fresh.abtest(*command.split(), "--yes")
            assert run.code == 1, run.output
            assert "Traceback" not in run.output
            print(run.output)  # noqa: T201
            assert run.writes == []
    assert fresh.file.read_bytes() == before


# Health that comes and goes -------------------------------------------------------------------------------------------


def test_targets_that_come_and_go_leave_file_and_load_balancer_in_step(moving: Engine) -> None:
    draw, since, figures = random.Random(SEED), len(moving.cloud.proxy.calls), Counter[str]()
    for n in range(4):
        states = [draw.choice(["healthy", "healthy", "unhealthy"]) for _ in range(200)]
        share = moving.cloud.weights("80 default").get("abtest-b", 0)
        with moving.cloud.proxy.health({"abtest-b": states}):
            run = moving.abtest(*_ramp(share))
        assert run.code in {0, 3, 5}, run.output
        figures[f"exit {run.code}"] += 1
        back = n % 2 == 1 or run.code == 5
        in_step(moving, moving.abtest(*(("rollback", "--yes") if back else _ramp(share))))
        if back:
            _let_go(moving)
    assert gaps(moving, since) == []
    print(dict(figures))  # noqa: T201


def _until(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(said)
