"""A ramp on the embedded AWS, with a clock of its own: steps, looks, breaches, ends, and going on after any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import pytest

from abtest.rollout import ramp as ramp_module
from abtest.rollout.alarms import Alarm
from abtest.rollout.engine import EngineError, RefusedError
from abtest.rollout.live import Health
from abtest.rollout.move import MoveError
from abtest.rollout.ramp import Event, Outcome, Ramp, Verdict, resumed
from abtest.rollout.schedule import Plan, steps
from abtest.rollout.session import AwsError
from abtest.rollout.watch import Look, look
from abtest.rollout.weights import Share
from tests.rollout.fake_engine import Stand

TO_40 = (Fraction(2, 10), Fraction(3, 10), Fraction(4, 10))


class Time:
    """Time that passes by waiting alone; ``at`` lets things happen when a moment has come."""

    def __init__(self) -> None:
        self.now = 0.0
        self.is_interrupted = False
        self.at: list[tuple[float, Callable[[], None]]] = []

    def wait(self, seconds: float) -> None:
        self.now += seconds
        for moment, what in list(self.at):
            if self.now >= moment:
                self.at.remove((moment, what))
                what()

    def interrupt(self) -> None:
        self.is_interrupted = True


class Running:
    """A ramp of b from 10 % to 40 % in steps of 10, each watched for 100 s."""

    def __init__(self, stand: Stand, *, first: int = 1, **more: Any) -> None:
        self.stand, self.time, self.events = stand, Time(), list[Event]()
        self.plan = Plan(variant="b", shares=TO_40, bake_seconds=100, start={"a": 9, "b": 1})
        self.ramp = Ramp(
            stand.deployed,
            stand.file,
            self.plan,
            first,
            stand.live,
            self.events.append,
            self.time,
            clock=lambda: self.time.now,
            **more,
        )

    def run(self) -> Outcome:
        return self.ramp.run()

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events if event.kind not in {"note", "look"}]

    def looks(self, step: int) -> list[Event]:
        return [event for event in self.events if event.kind == "look" and event.step == step]


@pytest.fixture(autouse=True)
def _looks(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Look]:
    """While the listener stays as it is, every look finds the same: AWS is asked once for all of them."""
    found: list[tuple[Any, Look]] = []

    def once(*given: Any) -> Look:
        listener = stand.elbv2.describe_listeners(ListenerArns=[stand.deployed.listener_arn])["Listeners"][0]
        if not found or found[-1][0] != listener:
            found.append((listener, look(*given)))
        return found[-1][1]

    monkeypatch.setattr(ramp_module, "look", once)
    return once


@pytest.fixture
def running(stand: Stand) -> Running:
    return Running(stand)


@pytest.fixture
def seen(_looks: Callable[..., Look], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every look finds beside the weights; tests change it while a ramp runs."""
    found: dict[str, Any] = {"health": Health(2, 2), "alarms": (), "error": None}

    def as_told(*given: Any) -> Look:
        if found["error"]:
            raise found["error"]
        real = _looks(*given)
        return Look(shares=real.shares, health=found["health"], alarms=found["alarms"])

    monkeypatch.setattr(ramp_module, "look", as_told)
    return found


def firing(state: Any = "ALARM", variant: str | None = "b") -> tuple[Alarm, ...]:
    return (Alarm(name="b-errors", variant=variant, state=state, reason="3 % > 1 %"),)


# To the end -----------------------------------------------------------------------------------------------------------


def test_each_step_is_one_update_and_is_watched_for_the_bake_time(running: Running) -> None:
    outcome = running.run()
    assert (outcome.ended, outcome.why) == ("done", "b has 40 % of new clients")
    assert running.kinds == ["shifting", "shifted"] * 3
    assert running.stand.split == "a 60 %, b 40 %"
    assert outcome.file.text == running.stand.path.read_text()
    assert [update.message for update in running.stand.engine.updates] == [running.plan.message(n) for n in (1, 2, 3)]
    assert [event.left_seconds for event in running.looks(1)] == [100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0]
    assert running.time.now == 300


def test_a_look_says_what_was_found(running: Running, seen: dict[str, Any]) -> None:
    seen["alarms"] = firing("OK")
    running.run()
    event = running.looks(2)[0]
    assert (event.share, event.healthy, event.targets) == (Share(set=0.3, actual=0.3), 2, 2)
    assert event.alarms == {"b-errors": "OK"}


# Breaches -------------------------------------------------------------------------------------------------------------


def test_an_alarm_is_a_breach_at_once(running: Running, seen: dict[str, Any]) -> None:
    running.time.at.append((150, lambda: seen.update(alarms=firing())))
    outcome = running.run()
    assert (outcome.ended, outcome.why) == ("breach", "alarm b-errors is in ALARM: 3 % > 1 %")
    assert running.time.now == 150
    assert running.stand.split == "a 70 %, b 30 %"


def test_too_few_healthy_targets_are_a_breach_at_the_second_look(running: Running, seen: dict[str, Any]) -> None:
    running.time.at.append((50, lambda: seen.update(health=Health(0, 2))))
    outcome = running.run()
    assert (outcome.ended, outcome.why) == ("breach", "b has 0/2 healthy targets, 1 needed")
    assert running.time.now == 60


def test_health_that_flaps_is_no_breach_and_no_step_ends_on_a_bad_look(running: Running, seen: dict[str, Any]) -> None:
    bad = {n for n in range(200) if n % 2 == 0}  # the looks at the end of a bake among them

    def flap() -> None:
        looks = sum(event.kind == "look" for event in running.events)
        seen["health"] = Health(0 if looks in bad else 2, 2)
        running.time.at.append((running.time.now, flap))

    running.time.at.append((0, flap))
    assert running.run().ended == "done"
    assert [running.looks(step)[-1].healthy for step in (1, 2, 3)] == [2, 2, 2]
    assert any(event.healthy == 0 and event.left_seconds == 0 for event in running.events)


def test_missing_data_is_no_breach(running: Running, seen: dict[str, Any]) -> None:
    seen["alarms"] = firing("INSUFFICIENT_DATA")
    assert running.run().ended == "done"


@pytest.mark.parametrize(("says", "ended"), [("fail", "breach"), ("pass", "done"), ("no data", "done")])
def test_an_analysis_that_fails_is_a_breach_and_thin_traffic_is_none(stand: Stand, says: Any, ended: str) -> None:
    running = Running(stand, analysis=lambda: Verdict(says, "error rate +2 points"))
    outcome = running.run()
    assert outcome.ended == ended
    assert running.looks(1)[0].analysis == says
    assert ("error rate" in outcome.why) == (ended == "breach")


# What the guard refuses -----------------------------------------------------------------------------------------------


def test_an_alarm_that_fires_before_the_guard_looks_is_a_breach(running: Running, seen: dict[str, Any]) -> None:
    running.stand.engine.fails = [None, (False, RefusedError("the guard refuses this update: alarm"))]
    running.time.at.append((100, lambda: seen.update(alarms=firing())))
    # The look at 100 s sees it too: make it blind to see what the refusal alone does.
    real = running.ramp._judge
    running.ramp._judge = lambda found, left: None if left <= 0 else real(found, left)  # type: ignore[method-assign]
    outcome = running.run()
    assert outcome.ended == "breach"
    assert running.stand.split == "a 80 %, b 20 %"


def test_another_refusal_is_no_breach(running: Running) -> None:
    running.stand.engine.fails = [(False, RefusedError("the guard refuses this update: maxStep"))]
    outcome = running.run()
    assert outcome.ended == "refused"
    assert outcome.why.startswith("the guard refuses this update: maxStep")
    assert running.stand.split == "a 90 %, b 10 %"


def test_an_error_of_the_engine_is_told(running: Running) -> None:
    running.stand.engine.fails = [None, (False, EngineError("throttled"))]
    with pytest.raises(MoveError, match="throttled"):
        running.run()
    assert running.stand.split == "a 80 %, b 20 %"


# Other ends -----------------------------------------------------------------------------------------------------------


def test_an_interruption_ends_it_between_two_looks(running: Running) -> None:
    running.time.at.append((120, running.time.interrupt))
    assert running.run().ended == "interrupted"
    assert running.time.now == 120
    assert running.stand.split == "a 70 %, b 30 %"


def test_an_interruption_during_an_update_ends_it_after_the_update(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = running.stand.engine.up

    def interrupted(*given: Any, **more: Any) -> None:
        running.time.interrupt()
        up(*given, **more)

    monkeypatch.setattr(running.stand.engine, "up", interrupted)
    assert running.run().ended == "interrupted"
    assert running.stand.split == "a 80 %, b 20 %"
    assert running.looks(1) == []


def test_an_interruption_at_the_last_look_of_a_step_makes_no_other_step(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = running.ramp._judge

    def interrupted(found: Look, left: float) -> Outcome | None:
        if left <= 0:
            running.time.interrupt()
        return judge(found, left)

    monkeypatch.setattr(running.ramp, "_judge", interrupted)
    assert running.run().ended == "interrupted"
    assert running.kinds == ["shifting", "shifted"]


def test_a_variant_that_somebody_took_out_of_every_rule_stops_it(running: Running, seen: dict[str, Any]) -> None:
    running.time.at.append((30, lambda: seen.update(error=MoveError("warm it first"))))
    outcome = running.run()
    assert (outcome.ended, outcome.why) == (
        "stopped", "traffic was changed by another update: no rule forwards to b any more",
    )  # fmt: skip


def test_a_refusal_that_cannot_be_looked_into_at_once_is_looked_into_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [AwsError("throttled")]

    def flaky(*_: Any) -> Look:
        if failures:
            raise failures.pop()
        return Look(shares={}, health=Health(0, 2), alarms=())

    monkeypatch.setattr(ramp_module, "look", flaky)
    running.stand.engine.fails = [(False, RefusedError("the guard refuses this update"))]
    assert running.run().ended == "breach"


def test_time_in_which_the_process_was_stopped_was_not_watched(running: Running) -> None:
    wait = running.time.wait
    running.time.wait = lambda seconds: wait(7200 if running.time.now < 10 else seconds)  # type: ignore[method-assign]
    running.run()
    assert running.looks(1)[1].left_seconds == 80


def test_a_file_that_is_edited_under_it_stops_it(running: Running) -> None:
    path = running.stand.path

    def edit() -> None:
        path.write_text(path.read_text() + "# mine\n")

    running.time.at.append((30, edit))
    outcome = running.run()
    assert (outcome.ended, outcome.why) == ("stopped", f"{outcome.file.label} was edited under the ramp")
    assert path.read_text().endswith("# mine\n")


def test_traffic_that_somebody_else_moves_stops_it(running: Running) -> None:
    def by_hand() -> None:
        file = running.stand.file
        running.stand.engine._apply(file.edited({("abtest:weights",): {"a": 1, "b": 1}}).experiment)

    running.time.at.append((30, by_hand))
    outcome = running.run()
    assert outcome.ended == "stopped"
    assert outcome.why == "traffic was changed by another update: the load balancer sends a 50 %, b 50 %"


def test_time_that_nobody_could_watch_does_not_count(running: Running, seen: dict[str, Any]) -> None:
    running.time.at.append((50, lambda: seen.update(error=AwsError("throttled"))))
    running.time.at.append((150, lambda: seen.update(error=None)))
    assert running.run().ended == "done"
    assert running.time.now == pytest.approx(400, abs=20)
    assert next(event.message for event in running.events if event.kind == "blind") == "throttled"


def test_it_stops_where_nobody_can_watch_for_long(running: Running, seen: dict[str, Any]) -> None:
    running.time.at.append((50, lambda: seen.update(error=AwsError("AWS cannot be reached"))))
    outcome = running.run()
    assert (outcome.ended, outcome.why) == ("stopped", "it could not be watched for 5 minutes: AWS cannot be reached")


# Going on -------------------------------------------------------------------------------------------------------------


def wanted(start: Mapping[str, int]) -> Plan:
    """`ramp b --to 40 --step 10 --bake 100s`"""
    shares = steps(Fraction(start["b"], sum(start.values())), Fraction(4, 10), Fraction(1, 10))
    return Plan(variant="b", shares=shares, bake_seconds=100, start=start)


def resume(stand: Stand) -> tuple[Plan, int] | None:
    return resumed(stand.engine.history(), wanted, stand.file)


def test_the_same_command_goes_on_at_the_step_that_stands(running: Running) -> None:
    running.time.at.append((120, running.time.interrupt))
    running.run()
    found = resume(running.stand)
    assert found == (running.plan, 2)
    again = Running(running.stand, first=2)
    assert again.run().ended == "done"
    assert again.stand.split == "a 60 %, b 40 %"


def test_it_goes_on_where_the_file_was_edited_and_the_update_never_ran(running: Running) -> None:
    running.time.at.append((120, running.time.interrupt))
    running.run()
    running.stand.file.edited({("abtest:weights",): {"a": 60, "b": 40}}).write(over=running.stand.file)
    assert resume(running.stand) == (running.plan, 3)


def test_it_begins_anew_where_its_first_step_was_refused(running: Running) -> None:
    running.stand.engine.fails = [(False, RefusedError("no"))]
    running.run()
    assert resume(running.stand) == (running.plan, 1)


def test_other_weights_than_the_ramp_wrote_are_told(running: Running) -> None:
    running.time.at.append((120, running.time.interrupt))
    running.run()
    running.stand.file.edited({("abtest:weights",): {"a": 55, "b": 45}}).write(over=running.stand.file)
    with pytest.raises(MoveError, match="has other weights than it wrote"):
        resume(running.stand)


def test_another_command_is_another_ramp(running: Running) -> None:
    running.time.at.append((120, running.time.interrupt))
    running.run()

    def other(start: Mapping[str, int]) -> Plan:
        return Plan(variant="b", shares=(Fraction(1, 2),), bake_seconds=100, start=start)

    assert resumed(running.stand.engine.history(), other, running.stand.file) is None


def test_after_any_other_update_there_is_nothing_to_go_on_with(running: Running) -> None:
    running.run()
    running.stand.engine.up("by hand", lambda _: None)
    assert resume(running.stand) is None
