"""``abtest report``: from logs, a history and a config to what it prints."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from moto import mock_aws

from abtest.cli import evidence
from abtest.cli.schema import schema_of
from abtest.experiment.engine_text import as_text
from abtest.readout.sums import Sums
from abtest.readout.table import Lines, Table
from abtest.rollout.engine import EngineError, PulumiEngine, Update
from tests.cli.commands import Ran, run_here, run_shell
from tests.configs import write_stack
from tests.readout.log_lines import GROUPS, NOON, OURS, line

Capsys = pytest.CaptureFixture[str]

STACK = """\
config:
  aws:region: us-east-1
  abtest:control: a
  abtest:weights: {a: 50, b: 50}
  abtest:stickinessSeconds: "3600"
  abtest:guardrails: {}
  abtest:variants:
    a: {port: 8080, targets: {external: ip}}
    b: {port: 8080, targets: {external: ip}}
"""
LISTENER = f"arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/{OURS}/0467ef3c8400ae65"


def lines(clients: int = 400, b_fails: float = 0.2, begin: float = 0, **changes: Any) -> list[str]:
    """A request of each client within a minute; every second one has b."""
    return [
        line(
            at=begin + 60 * n / clients,
            client=f"10.{int(begin) % 250}.{n >> 8}.{n & 255}:50000",
            variant="ab"[n % 2],
            status=500 if n % 2 and n % 100 < 100 * b_fails else 200,
            trace=f"Root=1-{n:08x}-{n:024x}",
            **changes,
        )
        for n in range(clients)
    ]


def log(folder: Path, text: list[str]) -> str:
    file = folder / "access.log"
    file.write_text("\n".join([*text, ""]))
    return str(file)


@dataclass
class Standing:
    """An engine of a stack that is deployed."""

    updates: tuple[Update, ...] = ()

    def outputs(self) -> Mapping[str, Any]:
        groups = {variant: arn for arn, variant in GROUPS.items()}
        return {"listener_arn": LISTENER, "target_group_arns": groups, "access_logs_bucket": "own-logs"}

    def history(self, count: int = 20) -> tuple[Update, ...]:
        return self.updates


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pulumi.test.yaml in a project of its own, on a machine without the Pulumi CLI."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    return write_stack(tmp_path, STACK)


@pytest.fixture
def report(stack: Path, capsys: Capsys) -> Callable[..., Ran]:
    return lambda *options: run_here(capsys, "report", "--stack", str(stack), *options)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Standing:
    made = Standing()
    monkeypatch.setattr(evidence, "PulumiEngine", lambda *_: made)
    return made


def update(hour: float, **weights: int) -> Update:
    """Deployed so many hours after noon."""
    at = NOON + timedelta(hours=hour)
    keys = {
        "aws:region": "us-east-1",
        "abtest:weights": weights,
        "abtest:stickinessSeconds": 3600,
        "abtest:variants": {name: {"port": 8080, "targets": {"external": "ip"}} for name in "ab"},
    }
    config = {key: as_text(value) for key, value in keys.items()}
    return Update(kind="update", result="succeeded", started=at, ended=at, message="", config=config)


# What it says ---------------------------------------------------------------------------------------------------------


def test_the_worse_variant_is_named_in_the_first_lines(report: Callable[..., Ran], tmp_path: Path) -> None:
    ran = report("--logs", log(tmp_path, lines()))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[1].startswith("b is worse: error rate +20 points [")
    assert "there is no history of the stack (the Pulumi CLI is not on PATH" in ran.out


def test_a_process_prints_the_report_and_nothing_else(tmp_path: Path) -> None:
    file = write_stack(tmp_path, STACK)
    ran = run_shell("report", "--stack", str(file), "--logs", log(tmp_path, lines()), "--weights", "a=50,b=50")
    assert (ran.code, ran.err) == (0, "")


def test_replaced_target_groups_are_known_by_their_names(report: Callable[..., Ran], tmp_path: Path) -> None:
    """Without an engine all of them are, and the hash at their end is anything."""
    ran = report("--logs", log(tmp_path, [each.replace("-1a2b3c4/", "-7654321/") for each in lines()]))
    assert "b is worse" in ran.out
    assert "of no known variant" not in ran.out


def test_the_json_is_what_its_schema_says(report: Callable[..., Ran], tmp_path: Path) -> None:
    found = json.loads(report("--logs", log(tmp_path, lines()), "--format", "json", "--by", "path").out)
    jsonschema.validate(found, schema_of("report"))
    assert found["conclusions"][0]["standing"] == "worse"
    assert found["breakdowns"]["path"][0]["key"] == "/predict"


@pytest.mark.parametrize(("form", "begins"), [("markdown", "#"), ("html", "<!DOCTYPE html>")])
def test_other_forms_are_whole_texts(report: Callable[..., Ran], tmp_path: Path, form: str, begins: str) -> None:
    ran = report("--logs", log(tmp_path, lines()), "--format", form)
    assert ran.out.startswith(begins)
    assert "b is worse: error rate +20 points" in ran.out


def test_a_window_takes_a_part(report: Callable[..., Ran], tmp_path: Path) -> None:
    file = log(tmp_path, lines())
    window = ("--from", "2026-11-22T12:00:30Z", "--to", "2026-11-22T12:00:45+00:00")
    found = json.loads(report("--logs", file, *window, "--format", "json").out)
    assert (found["lines"]["parsed"], found["lines"]["outside"]) == (400, 300)


def test_the_split_may_be_said(report: Callable[..., Ran], tmp_path: Path) -> None:
    ran = report("--logs", log(tmp_path, lines()), "--weights", "a=90,b=10")
    assert "no verdict on b: the split is not as asked: a 50.0 % (asked 90.0 %)" in ran.out.splitlines()[1]


def test_outcomes_are_compared_too(report: Callable[..., Ran], tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    rows = [f"1-{n:08x}-{n:024x},{int(n % 2 == 0)}" for n in range(400)]
    outcomes.write_text("\n".join(["trace_id,corrected", *rows]))
    options = ("--logs", log(tmp_path, lines(b_fails=0)), "--outcomes", str(outcomes))
    minus = "\N{MINUS SIGN}100 points"
    assert report(*options).out.splitlines()[1].startswith(f"b is different: corrected {minus}")
    ran = report(*options, "--higher-is-better", "corrected")
    assert ran.out.splitlines()[1].startswith(f"b is worse: corrected {minus}")
    ran = report(*options, "--lower-is-better", "corrected")
    assert ran.out.splitlines()[1].startswith(f"b is better: corrected {minus}")
    ran = report(*options, "--lower-is-better", "corect")
    assert ran.err == "error: --lower-is-better corect: there is no such outcome; there are corrected\n"


def test_an_outcome_of_which_nothing_joined_is_not_compared(report: Callable[..., Ran], tmp_path: Path) -> None:
    outcomes = tmp_path / "outcomes.csv"
    outcomes.write_text("trace_id,clicked\n1-0-0,1\n")
    found = json.loads(report("--logs", log(tmp_path, lines()), "--outcomes", str(outcomes), "--format", "json").out)
    assert [each["metric"] for each in found["routes"][0]["effects"]][-1] == "bytes"


# The history ----------------------------------------------------------------------------------------------------------


def test_the_splits_come_from_the_history(report: Callable[..., Ran], tmp_path: Path, engine: Standing) -> None:
    engine.updates = (update(2, a=50, b=50), update(-1, a=90, b=10))
    early = [each.replace("-b-", "-a-") if n % 10 else each for n, each in enumerate(lines(b_fails=0), 1)]
    file = log(tmp_path, [*early, *lines(b_fails=0.5, begin=3 * 3600)])
    found = json.loads(report("--logs", file, "--format", "json").out)
    assert [each["weights"] for each in found["periods"]] == [{"a": 90, "b": 10}, {"a": 50, "b": 50}]
    assert found["conclusions"][0]["standing"] == "worse"
    assert found["lines"]["foreign"] == 0


def test_a_retired_variant_is_known_from_the_history(
    report: Callable[..., Ran], stack: Path, tmp_path: Path, engine: Standing
) -> None:
    engine.updates = (update(5, a=100), update(-1, a=50, b=50))
    stack.write_text(STACK.replace("{a: 50, b: 50}", "{a: 100}").replace("    b: {port", "    c: {port"))
    ran = report("--logs", log(tmp_path, [each.replace("-1a2b3c4/6d", "-7654321/6d") for each in lines()]))
    assert "b is worse: error rate +20 points" in ran.out


def test_what_was_said_of_the_split_holds_without_asking_the_stack(
    report: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "PulumiEngine", _interrupted)
    ran = report("--logs", log(tmp_path, lines(elb="app/other/0123456789abcdef")), "--weights", "a=50,b=50")
    assert "b is worse" in ran.out


def test_a_file_that_is_named_twice_counts_once(report: Callable[..., Ran], tmp_path: Path) -> None:
    file = log(tmp_path, lines())
    found = json.loads(report("--logs", file, "--logs", "access.log", "--logs", "*.log", "--format", "json").out)
    assert found["lines"]["parsed"] == 400


def test_a_log_without_requests_is_reported_as_such(report: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "access.log").touch()
    ran = report("--logs", "access.log")
    assert re.match(r"test: b against a, until [\d-]+ [\d:]+ UTC\n", ran.out)
    assert "BROKEN  the logs hold no requests; send some, or name other files (--logs)" in ran.out


def test_another_load_balancers_lines_are_foreign(report: Callable[..., Ran], tmp_path: Path, engine: Standing) -> None:
    engine.updates = (update(-1, a=50, b=50),)
    ran = report("--logs", log(tmp_path, lines(elb="app/other/0123456789abcdef")))
    assert "no request of this load balancer: every line is another one's" in ran.out


# Buckets --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1")


def test_metrics_of_your_own_are_shown(
    report: Callable[..., Ran], engine: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CloudWatch itself is tested in tests/readout; here it is what the command makes of it."""
    engine.updates = (update(-1, a=50, b=50),)
    cells = {
        (0, "all routes", name): {"errors": Sums(n=100, y=1), "Ranker/Clicks": Sums(n=50, y=clicks)}
        for name, clicks in (("a", 5), ("b", 10))
    }
    monkeypatch.setattr("abtest.readout.cloudwatch.read_cloudwatch", lambda *_, **__: Table(lines=Lines(), cells=cells))
    ran = report("--cloudwatch", "--metric", "Ranker/Clicks")
    (row,) = [line.split("│") for line in ran.out.splitlines() if line.startswith("Ranker/Clicks")]
    assert [cell.strip() for cell in row[1:]] == ["0.1", "0.2"]


def test_the_stacks_own_bucket_is_read_where_nobody_says(
    report: Callable[..., Ran], stack: Path, engine: Standing, s3: Any
) -> None:
    stack.write_text(f"{STACK}  abtest:accessLogs: {{prefix: models}}\n")
    now = datetime.now(UTC)
    began = (now - NOON).total_seconds() - 600
    engine.updates = (update(began / 3600 - 1, a=50, b=50),)
    s3.create_bucket(Bucket="own-logs")
    key = (
        f"models/AWSLogs/123456789012/elasticloadbalancing/us-east-1/{now:%Y/%m/%d}/123456789012_elasticloadbalancing_"
        f"us-east-1_{OURS.replace('/', '.')}_{now:%Y%m%dT%H%MZ}_10.0.0.1_abc.log.gz"
    )
    text = "\n".join([*lines(begin=began), ""])
    s3.put_object(Bucket="own-logs", Key=key, Body=gzip.compress(text.encode()))

    ran = report("--since", "1h")

    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[1].startswith("b is worse: error rate +20 points")
    assert "access logs, s3://own-logs/models" in ran.out


@pytest.mark.usefixtures("engine")
def test_a_bucket_that_is_not_there_is_named(report: Callable[..., Ran], s3: Any) -> None:
    del s3
    assert report("--logs", "s3://nowhere").err == "error: s3://nowhere: there is no such bucket\n"


# Mistakes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "error: Pulumi.test.yaml has no abtest:accessLogs, so its load balancer logs nothing; add it as {}"),
        (("--logs", "nowhere"), "error: nowhere: there is no such file or folder"),
        (("--logs", "."), "error: .: no file below this folder ends in .log or .gz"),
        (("--since", "yesterday"), '"yesterday" is not a valid time; write one such as 90m, 24h or 7d'),
        (("--since", "0m"), '"0m" is not a valid time'),
        (("--from", "noon"), '"noon" is not a valid time; write one such as 2026-11-22'),
        (("--from", "2999-01-01"), "--from 2999-01-01T00:00Z is not before --to"),
        (("--since", "1h", "--from", "2026-11-22"), "give either --since or --from"),
        (
            ("--weights", "a:90"),
            '"a:90" is not a valid split; write two variants or more, each once, such as a=90,b=10',
        ),
        (("--weights", "a=90"), '"a=90" is not a valid split'),
        (("--weights", "a=90,b=0"), '"a=90,b=0" is not a valid split'),
        (("--weights", "a=90,b=10,a=5"), '"a=90,b=10,a=5" is not a valid split'),
        (("--weights", f"a={'9' * 400},b=1"), "is not a valid split"),
        (("--from", "0001-01-01T00:00+14:00"), '"0001-01-01T00:00+14:00" is not a valid time'),
        (("--cloudwatch", "--by", "path"), "CloudWatch knows no requests"),
        (("--slower-than", "inf"), "inf is not in the range"),
        (("--weights", "a=90,c=10"), "error: --weights: there is no variant c; there are a, b"),
        (("--cloudwatch", "--logs", "x"), "CloudWatch knows no requests"),
        (
            ("--cloudwatch",),
            "error: CloudWatch is asked for a load balancer, and none is known: the Pulumi CLI is not on PATH",
        ),
        (("--metric", "Ranker/Clicks"), "--metric goes with --cloudwatch"),
        (("--lower-is-better", "x"), "--higher-is-better and --lower-is-better go with --outcomes"),
        (("--slower-than", "0"), "0.0 is not in the range"),
        (("--watch", "5"), "--watch shows text on a terminal"),
    ],
)
def test_a_mistake_is_one_message(report: Callable[..., Ran], options: tuple[str, ...], says: str) -> None:
    ran = report(*options)
    assert ran.code == 1
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_why_the_bucket_is_not_known_is_told(
    report: Callable[..., Ran], stack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.write_text(f"{STACK}  abtest:accessLogs: {{}}\n")
    assert "the bucket of the access logs is not known: the Pulumi CLI is not on PATH" in report().err
    standing = Standing()
    monkeypatch.setattr(evidence, "PulumiEngine", lambda *_: standing)
    monkeypatch.setattr(Standing, "outputs", lambda _: {"listener_arn": LISTENER})
    assert "is not known: the stack is deployed without abtest:accessLogs; pulumi up" in report().err


def test_outcomes_that_cannot_be_used_are_one_message(report: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "outcomes.csv").write_text("id,clicked\n1,1\n")
    ran = report("--logs", log(tmp_path, lines()), "--outcomes", "outcomes.csv")
    assert ran.code == 1
    assert ran.err.startswith("error: outcomes.csv: ")


# Watching -------------------------------------------------------------------------------------------------------------


def test_a_watch_reads_anew(report: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = log(tmp_path, lines(b_fails=0))
    waits = iter((lambda: log(tmp_path, lines()), _interrupted))
    monkeypatch.setattr("time.sleep", lambda _: next(waits)())
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    ran = report("--logs", file, "--watch", "5")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.index("b: no evidence of harm") < ran.out.index("b is worse")


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_engine_that_cannot_be_asked_is_no_reason_to_stop(
    report: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object) -> PulumiEngine:
        raise EngineError("the backend does not answer")

    monkeypatch.setattr(evidence, "PulumiEngine", refusing)
    ran = report("--logs", log(tmp_path, lines()))
    assert ran.code == 0
    assert "there is no history of the stack (the backend does not answer)" in ran.out
