"""What a ramp judges a variant by between its steps: the limits of abtest:guardrails.metrics, held against logs."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from abtest.cli.evidence import Asked, reading
from abtest.experiment import ConfigError, Experiment
from abtest.readout.cloudwatch import CloudWatchError
from abtest.readout.files import LogsError
from abtest.readout.readout import Readout
from abtest.readout.route import Effect
from abtest.readout.statistics import ERROR_RATE, slower_than
from abtest.rollout.engine import EngineError, Update, updates
from abtest.rollout.ramp import Analysis, Verdict
from abtest.rollout.schedule import Plan
from abtest.rollout.session import AwsError
from abtest.rollout.splits import routes_of
from abtest.rollout.stack_file import StackFile

__all__ = ["analysing", "verdict"]

#: Seconds until the logs are read again: the load balancer delivers them every five minutes.
EVERY = 60


@contextmanager
def analysing(
    file: StackFile, plan: Plan, history: Sequence[Update], logs: tuple[str, ...]
) -> Iterator[Analysis | None]:
    """The analysis of a ramp, for the length of a ``with``; None where there are no limits, or no logs."""
    limits = _limits(file.experiment)
    if not limits or not (logs or file.experiment.access_logs):
        yield None
        return
    asked = Asked(
        stack=str(file.path), start=_began(plan, history), logs=logs, only=frozenset(limits), needs_history=True
    )
    # What a ramp changes is the main split, which some rules forward to.
    routes = {name for name, own in routes_of(file.experiment).splits.items() if own is None}
    with reading(asked) as read:
        yield _Seldom(lambda: verdict(read(), plan.variant, routes, limits), min(EVERY, plan.bake_seconds / 10))


def _limits(experiment: Experiment) -> dict[str, float]:
    """By how much a share may be worse than the control's, 0 to 1, by metric."""
    limits = experiment.metric_limits
    found = {}
    if limits and limits.error_rate:
        found[ERROR_RATE.name] = limits.error_rate.worse_by
    if limits and limits.slower_than:
        found[slower_than(limits.slower_than.seconds).name] = limits.slower_than.worse_by
    return found


def _began(plan: Plan, history: Sequence[Update]) -> datetime:
    """When the plan's first step was made; now for a new ramp."""
    began = datetime.now(UTC)
    for update in updates(history):
        found = Plan.read(update.message)
        if found is None or (found[0].variant, found[0].shares) != (plan.variant, plan.shares):
            break
        began = update.started
    return began


class _Seldom:
    """Asks at most every so many seconds, and takes what cannot be read for no data: it proves nothing."""

    def __init__(self, ask: Callable[[], Verdict], every: float) -> None:
        self._ask, self._every = ask, every
        self._asked = -float("inf")
        self._verdict = Verdict("no data", "")

    def __call__(self) -> Verdict:
        if time.monotonic() - self._asked >= self._every:
            try:
                self._verdict = self._ask()
            except (LogsError, CloudWatchError, AwsError, EngineError, ConfigError, OSError) as error:
                self._verdict = Verdict("no data", str(error))
            self._asked = time.monotonic()
        return self._verdict


def verdict(readout: Readout, variant: str, routes: Collection[str], limits: Mapping[str, float]) -> Verdict:
    """Fail only where a metric is worse than the control's by more than its limit, on one of these routes, with its
    whole always-valid interval; no data where no metric could be compared.
    """
    judged = [route for route in readout.routes if route.name in routes and route.control == readout.control]
    effects = [(route, each) for route in judged for each in route.effects if each.variant == variant]
    for route, each in effects:
        limit = limits[each.metric]
        if each.at_least is not None and each.at_least > limit:
            return Verdict("fail", f"{route.name}: {_words(each)}; the limit is {100 * limit:g} points")
    compared = [each for _, each in effects if each.difference is not None and each.verdict != "no verdict"]
    if not compared:
        names = [route.name for route in judged]
        why = [each.text for each in readout.conclusions if each.variant == variant and each.route in names]
        return Verdict("no data", "; ".join(why).replace(f"{variant}: no data: ", ""))
    return Verdict("pass", "; ".join(map(_words, compared)))


def _words(effect: Effect) -> str:
    return f"{effect.label} {effect.difference_text} {effect.always_valid_text}"
