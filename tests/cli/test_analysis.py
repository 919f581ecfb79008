"""What a ramp makes of a readout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from abtest.cli import analysis, evidence
from abtest.cli.analysis import analysing, verdict
from abtest.readout.files import LogsError
from abtest.readout.statistics import ERROR_RATE
from abtest.rollout.engine import EngineError
from abtest.rollout.ramp import Verdict
from abtest.rollout.schedule import Plan
from abtest.rollout.stack_file import StackFile
from tests.configs import config, experiment, write_stack
from tests.readout.tables import metrics, question, read, table
from tests.rollout.test_status import NOW, update

STACK = """\
config:
  aws:region: us-east-1
  abtest:control: a
  abtest:weights: {a: 50, b: 50}
  abtest:guardrails: {metrics: {errorRate: {worseBy: 0.005}}}
  abtest:variants:
    a: {port: 8080, targets: {external: ip}}
    b: {port: 8080, targets: {external: ip}}
"""
PLAN = Plan(variant="b", shares=(Fraction(1, 10), Fraction(1, 4)), bake_seconds=600, start={"a": 1, "b": 0})


def judged(clients: int = 1000, b_fails: float = 0.0, limit: float = 0.005, **changes: Any) -> Verdict:
    found = table({"a": metrics(1000), "b": metrics(clients, failing=b_fails)}, **changes)
    return verdict(read(found, judged=(ERROR_RATE,)), "b", {"main split"}, {ERROR_RATE.name: limit})


def test_what_is_certainly_past_the_limit_fails() -> None:
    found = judged(b_fails=0.2)
    assert found.says == "fail"
    assert found.why.startswith("main split: error rate +4.0 points [")
    assert found.why.endswith("]; the limit is 0.5 points")


def test_what_is_worse_but_perhaps_not_by_as_much_passes() -> None:
    found = judged(b_fails=0.2, limit=0.039)
    assert (found.says, found.why) == ("pass", "error rate +4.0 points [3.0, 5.0]")


def test_no_harm_passes() -> None:
    assert judged().says == "pass"


def test_few_clients_are_no_data_however_bad_they_look() -> None:
    seen = {(0, "main split", "a"): 20, (0, "main split", "b"): 20}
    found = judged(clients=20, b_fails=1.0, first_seen=seen)
    assert found == Verdict("no data", "b has 20 clients, 50 are needed")


def test_a_split_that_is_off_proves_nothing() -> None:
    seen = {(0, "main split", "a"): 1800, (0, "main split", "b"): 200}
    found = judged(b_fails=0.2, first_seen=seen)
    assert found.says == "no data"
    assert "the split is not as asked" in found.why


def guarded(**changes: Any) -> Any:
    rails = {"metrics": {"errorRate": {"worseBy": 0.005}, "slowerThan": {"seconds": 0.25, "worseBy": 0.01}}}
    return experiment(config(**{"guardrails": rails, **changes}))


def file(found: Any) -> Any:
    return StackFile(path=None, project=None, text="", source=None, experiment=found)  # type: ignore[arg-type]


def test_limits_are_by_metric() -> None:
    assert analysis._limits(guarded()) == {"errors": 0.005, "slower than 0.25 s": 0.01}
    assert analysis._limits(guarded(guardrails={})) == analysis._limits(guarded(guardrails=None)) == {}


def test_without_limits_or_logs_there_is_no_analysis() -> None:
    for found, logs in ((guarded(), ()), (guarded(guardrails={}), ("logs",))):
        with analysing(file(found), PLAN, (), logs) as made:
            assert made is None
    for found, logs in ((guarded(accessLogs={}), ()), (guarded(), ("logs",))):
        with analysing(file(found), PLAN, (), logs) as made:
            assert made is not None


def test_a_ramp_is_judged_from_its_first_step_on() -> None:
    history = (update(PLAN.message(2), ago=60), update(kind="refresh", ago=90), update(PLAN.message(1), ago=600))
    assert analysis._began(PLAN, (*history, update(ago=900))) == NOW - timedelta(seconds=610)
    other = Plan(variant="b", shares=(Fraction(1, 2),), bake_seconds=600, start={"a": 1, "b": 0})
    assert analysis._began(other, history) > NOW


def test_logs_are_read_now_and_then_and_what_cannot_be_read_is_no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.0, 30.0, 61.0, 61.0])
    answers: Iterator[Verdict | LogsError] = iter([Verdict("pass", ""), LogsError("no such bucket")])

    def ask() -> Verdict:
        answer = next(answers)
        if isinstance(answer, LogsError):
            raise answer
        return answer

    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    seldom = analysis._Seldom(ask, 60)
    assert [seldom().says, seldom().says] == ["pass", "pass"]
    assert seldom() == Verdict("no data", "no such bucket")


def test_without_its_history_a_ramp_has_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The split would have to be guessed."""

    def refusing(*_: object) -> None:
        raise EngineError("the backend does not answer")

    monkeypatch.setattr(evidence, "PulumiEngine", refusing)
    stack = write_stack(tmp_path, STACK)
    with analysing(StackFile.read(str(stack)), PLAN, (), (str(tmp_path),)) as analyse:
        assert analyse is not None
        assert analyse() == Verdict("no data", "the backend does not answer")


def test_a_comparison_with_another_than_the_control_says_nothing_of_a_ramp() -> None:
    weights = {"c": 60, "b": 40}
    found = table({"c": metrics(1200), "b": metrics(800, failing=0.2)}, route="own")
    readout = read(found, question(splits={"own": weights}), judged=(ERROR_RATE,))
    assert readout.routes[0].effects[0].verdict == "worse"
    assert verdict(readout, "b", {"own"}, {ERROR_RATE.name: 0.005}).says == "no data"


def test_a_rule_with_weights_of_its_own_is_not_the_ramps() -> None:
    found = table({"a": metrics(1000), "b": metrics(1000, failing=0.2)}, route="own")
    readout = read(found, question(splits={"own": {"a": 50, "b": 50}}), judged=(ERROR_RATE,))
    assert verdict(readout, "b", {"main split"}, {ERROR_RATE.name: 0.005}).says == "no data"
