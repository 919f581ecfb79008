"""What a report and a ramp judge by: where the traffic's records are, and the split that they are held against."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from abtest.readout.files import LogsError, find
from abtest.readout.periods import Period, Set, periods
from abtest.readout.question import Question, Unit
from abtest.readout.readout import Readout, read_out
from abtest.readout.statistics import BYTES, ERROR_RATE, LATENCY, Design, Metric, outcome, slower_than
from abtest.readout.table import Table
from abtest.rollout.engine import Engine, EngineError, PulumiEngine
from abtest.rollout.session import client
from abtest.rollout.splits import History, routes_of, splits_of
from abtest.rollout.stack_file import StackFile

if TYPE_CHECKING:
    from abtest.experiment import Experiment

__all__ = ["Asked", "OnObject", "read_local", "reading"]

#: How far a report looks back where nobody says.
DEFAULT_SINCE = timedelta(hours=24)
#: Before AWS had access logs.
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
#: More updates than anybody makes in the time that logs are kept.
_UPDATES = 1000
#: What counts as slow where nobody says, in seconds.
_SLOW = 0.5

#: Is told how many of how many objects are there.
OnObject = Callable[[int, int], object]


def _unseen(_done: int, _of: int) -> None:
    """For where nobody waits."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a report is to be about. ``since`` counts from now, whenever that is; ``logs`` are files, folders, patterns
    and ``s3://`` places. ``only`` are the metrics to compare, if not all.
    """

    stack: str
    since: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None
    logs: tuple[str, ...] = ()
    cloudwatch: bool = False
    custom: tuple[str, ...] = ()
    outcomes: Path | None = None
    lower_is_better: tuple[str, ...] = ()
    weights: Mapping[str, int] | None = None
    unit: Unit = "address"
    slower_than: float | None = None
    only: frozenset[str] | None = None
    by_path: bool = False

    def window(self) -> tuple[datetime, datetime]:
        """From when to when. All that there is, of files on this machine, where nobody says since when."""
        end = self.end or datetime.now(UTC)
        if self.start is not None:
            return self.start, end
        is_local = bool(self.logs) and not any(place.startswith("s3://") for place in self.logs)
        if self.since is None and is_local:
            return _EVER, end
        return end - (self.since or DEFAULT_SINCE), end


@contextmanager
def reading(asked: Asked, on_object: OnObject = _unseen) -> Iterator[Callable[[], Readout]]:
    """What reads the traffic's records as of now, again and again, for the length of a ``with``; no object of a bucket
    is fetched twice. Each reading raises LogsError, CloudWatchError, ConfigError, EngineError and AwsError.
    """
    with tempfile.TemporaryDirectory(prefix="abtest-") as folder:
        yield lambda: _Evidence.now(asked, Path(folder), on_object).read()


def read_local(stack: str, outputs: Mapping[str, Any], log: Path, start: datetime) -> Readout:
    """Of the local balancer, while it serves one split."""
    file = StackFile.read(stack)
    evidence = _Evidence(
        asked=Asked(stack=stack, start=start, logs=(str(log),)),
        file=file,
        history=_always(file, file.experiment.weights),
        outputs=outputs,
        notes=(),
        folder=log.parent,
        on_object=_unseen,
    )
    return evidence.read()


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """The records of a stack's traffic, and what stands now. ``folder`` keeps what was fetched."""

    asked: Asked
    file: StackFile
    history: History
    outputs: Mapping[str, Any]
    notes: tuple[str, ...]
    folder: Path
    on_object: OnObject

    @classmethod
    def now(cls, asked: Asked, folder: Path, on_object: OnObject) -> Self:
        file = StackFile.read(asked.stack)
        history, outputs, notes = _stands(asked, file)
        return cls(
            asked=asked, file=file, history=history, outputs=outputs, notes=notes, folder=folder, on_object=on_object
        )

    def read(self) -> Readout:
        start, end = self.asked.window()
        question = self._question(start, end)
        table, source = self._table(question, start, end)
        if start == _EVER and table.window and _step(*table.window) < question.step_seconds:
            question = replace(question, step_seconds=_step(*table.window))
            table, source = self._table(question, start, end)
        experiment = self.file.experiment
        limits = experiment.guardrails.metrics if experiment.guardrails else None
        found = read_out(
            table,
            question,
            stack=self.file.stack,
            control=experiment.control,
            metrics=self._metrics(question, table),
            design=Design(min_units=limits.min_units) if limits else Design(),
            source=source,
            asked=(start, end) if start > _EVER else (table.window or (end, end)),
        )
        return replace(found, notes=(*self.notes, *found.notes))

    def _question(self, start: datetime, end: datetime) -> Question:
        routes = routes_of(self.file.experiment)
        return Question(
            periods=self._periods(start, end),
            variants=self._variants(),
            routes=routes.names,
            splits=routes.splits,
            load_balancer=self.load_balancer,
            unit=self.asked.unit,
            slower_than=(self.asked.slower_than or _slow(self.file.experiment),),
            step_seconds=_step(start, end),
            logs_from=start if start > _EVER else None,
            outcomes=self.asked.outcomes,
            by_path=self.asked.by_path,
        )

    @property
    def load_balancer(self) -> str | None:
        """``app/NAME/ID``; None for a stack that is not deployed."""
        arn = self.outputs.get("listener_arn")
        return "/".join(arn.split("/")[1:4]) if arn else None

    def _periods(self, start: datetime, end: datetime) -> tuple[Period, ...]:
        return periods(self.history.sets, start, end)

    def _variants(self) -> Mapping[str, str]:
        """Target groups that stand by their ARN, those that were replaced by what all of a variant are called."""
        known = {arn: name for name, arn in self.outputs.get("target_group_arns", {}).items()}
        return known | {f"abtest-{name}": name for name in self.file.experiment.variants}

    def _metrics(self, question: Question, table: Table) -> Sequence[Metric]:
        """What is compared."""
        told = table.outcomes.by_name if table.outcomes else {}
        lower = self.asked.lower_is_better
        found = (
            ERROR_RATE,
            *map(slower_than, question.slower_than),
            LATENCY,
            BYTES,
            *(
                outcome(name, is_share=each.is_share, better="lower" if name in lower else "higher")
                for name, each in told.items()
            ),
        )
        return [metric for metric in found if self.asked.only is None or metric.name in self.asked.only]

    # Sources ----------------------------------------------------------------------------------------------------------

    def _table(self, question: Question, start: datetime, end: datetime) -> tuple[Table, str]:
        """What was read, and in words where from."""
        if self.asked.cloudwatch:
            return self._cloudwatch(question), "CloudWatch"
        from abtest.readout.logs import read_logs

        places = self.asked.logs or (self._bucket(),)
        files = [
            file
            for place in places
            for file in (self._fetched(place, start, end) if place.startswith("s3://") else find([place], start, end))
        ]
        return read_logs(files, question), f"access logs, {', '.join(places)}"

    def _cloudwatch(self, question: Question) -> Table:
        from abtest.readout.cloudwatch import read_cloudwatch

        if self.load_balancer is None:
            raise EngineError(f"the stack {self.file.stack} is not deployed, so CloudWatch has nothing of it")
        groups = {name: [arn] for name, arn in self.outputs.get("target_group_arns", {}).items()}
        with client(self.file.source, "cloudwatch") as cloudwatch:
            return read_cloudwatch(
                cloudwatch, question, load_balancer=self.load_balancer, groups=groups, custom=self.asked.custom
            )

    def _bucket(self) -> str:
        """Where the stack's load balancer writes. Raises LogsError."""
        logs, label = self.file.experiment.access_logs, self.file.label
        if logs is None:
            raise LogsError(
                f"{label} has no abtest:accessLogs, so its load balancer logs nothing; add it as {{}}, "
                "or say where logs are (--logs), or take CloudWatch's metrics (--cloudwatch)"
            )
        bucket = logs.bucket or self.outputs.get("access_logs_bucket")
        if not bucket:
            raise LogsError(f"the stack {self.file.stack} is not deployed with abtest:accessLogs yet: pulumi up")
        return f"s3://{bucket}/{logs.prefix}" if logs.prefix else f"s3://{bucket}"

    def _fetched(self, place: str, start: datetime, end: datetime) -> list[Path]:
        from abtest.readout.s3 import fetch

        with client(self.file.source, "s3") as s3:
            return fetch(s3, place, start, end, self.folder, load_balancer=self.load_balancer, on_object=self.on_object)


def _slow(experiment: Experiment) -> float:
    limits = experiment.guardrails.metrics if experiment.guardrails else None
    return limits.slower_than.seconds if limits and limits.slower_than else _SLOW


#: How long a point in a picture may be, in seconds.
_STEPS = (1, 10, 60, 300, 900, 1800, 3600)


def _step(start: datetime, end: datetime) -> int:
    """As long that a picture has about fifty points, or as long as can be."""
    wanted = (end - start).total_seconds() / 50
    return next((step for step in _STEPS if step >= wanted), _STEPS[-1])


def _stands(asked: Asked, file: StackFile) -> tuple[History, Mapping[str, Any], tuple[str, ...]]:
    """What is deployed and was, and notes on what is not known."""
    try:
        engine: Engine | None = PulumiEngine(file.project.folder, file.stack)
        outputs = engine.outputs() if engine else {}
    except EngineError as error:
        engine, outputs, why = None, {}, str(error)
    else:
        why = f"the stack {file.stack} is not deployed"
    if asked.weights is not None:
        return _always(file, asked.weights), outputs, ()
    if engine is None or not outputs:
        words = f"the split is taken to be {file.label}'s all the time: there is no history ({why})"
        return _always(file, file.experiment.weights), outputs, (words,)
    history = splits_of(engine.history(_UPDATES), file.source, routes_of(file.experiment))
    if history.since is None:
        return history, outputs, ()
    words = f"before {history.since:%Y-%m-%d %H:%M} UTC the rules split otherwise: that time is left out"
    return history, outputs, (words,)


def _always(file: StackFile, weights: Mapping[str, int]) -> History:
    unknown = sorted(weights.keys() - file.experiment.variants.keys())
    if unknown:
        raise LogsError(f"--weights: there is no variant {unknown[0]}; there are {', '.join(file.experiment.variants)}")
    one = Set(started=_EVER, ended=_EVER, weights=dict(weights), stickiness_seconds=file.experiment.stickiness_seconds)
    return History((one,), None)
