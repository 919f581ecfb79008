"""What a report and a ramp judge by: where the traffic's records are, and the split that they are held against."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from abtest.readout.files import LogsError, find
from abtest.readout.health import Finding
from abtest.readout.periods import DeployedSplit, Period, periods
from abtest.readout.question import Question, Unit
from abtest.readout.readout import Readout, read_out
from abtest.readout.statistics import BYTES, ERROR_RATE, LATENCY, Design, Metric, outcome, slower_than
from abtest.readout.table import Table
from abtest.rollout.engine import Engine, EngineError, PulumiEngine
from abtest.rollout.live import load_balancer_of
from abtest.rollout.session import client
from abtest.rollout.splits import History, routes_of, splits_of
from abtest.rollout.stack_file import StackFile

if TYPE_CHECKING:
    from abtest.experiment import Experiment

__all__ = ["EVER", "Asked", "OnObject", "read_local", "reading"]

#: Before AWS had access logs: nobody's are older.
EVER = datetime(2000, 1, 1, tzinfo=UTC)
#: How far a report looks back where nobody says.
DEFAULT_SINCE = timedelta(hours=24)
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
    and ``s3://`` places. ``only`` are the metrics to compare, if not all. With
    ``needs_history`` the split is not guessed where the engine cannot be asked.
    """

    stack: str
    since: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None
    logs: tuple[str, ...] = ()
    cloudwatch: bool = False
    custom: tuple[str, ...] = ()
    outcomes: Path | None = None
    higher_is_better: tuple[str, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    weights: Mapping[str, int] | None = None
    unit: Unit = "address"
    slower_than: float | None = None
    only: frozenset[str] | None = None
    needs_history: bool = False
    by_path: bool = False

    @property
    def is_of_files(self) -> bool:
        """Whether it is about files on this machine alone."""
        return bool(self.logs) and not any(place.startswith("s3://") for place in self.logs)

    def window(self) -> tuple[datetime, datetime]:
        """From when to when. All that there is, of files on this machine, where nobody says since when."""
        end = self.end or datetime.now(UTC)
        if self.start is not None:
            return self.start, end
        if self.since is None and self.is_of_files:
            return EVER, end
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
    stands = _Standing(history=_always(file, file.experiment.weights), outputs=outputs)
    asked = Asked(stack=stack, start=start, logs=(str(log),))
    return _Evidence(asked=asked, file=file, stands=stands, folder=log.parent, on_object=_unseen).read()


@dataclass(frozen=True, kw_only=True)
class _Standing:
    """What the engine knows of a stack. ``findings`` are what a reader has to know of the splits in ``history``,
    ``why`` the reason where there are no ``outputs``.
    """

    history: History
    outputs: Mapping[str, Any]
    findings: tuple[Finding, ...] = ()
    why: str = ""

    @classmethod
    def of(cls, asked: Asked, file: StackFile) -> Self:
        """Raises EngineError where there is no history, and there has to be one."""
        if asked.weights is not None and asked.is_of_files:
            return cls(history=_always(file, asked.weights), outputs={})
        engine: Engine | None = None
        try:
            engine = PulumiEngine(file.project.folder, file.stack)
            outputs = engine.outputs()
            why = "" if outputs else f"the stack {file.stack} is not deployed"
        except EngineError as error:
            if asked.needs_history:
                raise
            outputs, why = {}, str(error)
        if asked.weights is not None:
            return cls(history=_always(file, asked.weights), outputs=outputs, why=why)
        if engine is None or not outputs:
            text = f"there is no history of the stack ({why}): the split is taken to be {file.label}'s all the time"
            guessed = (Finding(level="look", text=text),)
            return cls(history=_always(file, file.experiment.weights), outputs={}, findings=guessed, why=why)
        history = splits_of(engine.history(_UPDATES), file.source, routes_of(file.experiment))
        if history.since is None:
            return cls(history=history, outputs=outputs)
        text = f"before {history.since:%Y-%m-%d %H:%M} UTC the rules split otherwise: that time is left out"
        return cls(history=history, outputs=outputs, findings=(Finding(level="look", text=text),))

    @property
    def load_balancer(self) -> str | None:
        """``app/NAME/ID``; None for a stack that is not deployed."""
        arn = self.outputs.get("listener_arn")
        return load_balancer_of(arn) if arn else None

    @property
    def groups(self) -> Mapping[str, str]:
        """Target groups that stand, by variant."""
        found: Mapping[str, str] = self.outputs.get("target_group_arns", {})
        return found


@dataclass(frozen=True, kw_only=True)
class _Evidence:
    """The records of a stack's traffic. ``folder`` keeps what was fetched."""

    asked: Asked
    file: StackFile
    stands: _Standing
    folder: Path
    on_object: OnObject

    @classmethod
    def now(cls, asked: Asked, folder: Path, on_object: OnObject) -> Self:
        file = StackFile.read(asked.stack)
        return cls(asked=asked, file=file, stands=_Standing.of(asked, file), folder=folder, on_object=on_object)

    def read(self) -> Readout:
        start, end = self.asked.window()
        found = periods(self.stands.history.sets, start, end)
        # Whether a client is new is known from what was before.
        before = timedelta(seconds=max((period.earlier_stickiness for period in found), default=0))
        since = start - before if start > EVER else EVER
        question = self._question(found, None if self.asked.is_of_files else since)
        table, source = self._table(question, since, end)
        experiment = self.file.experiment
        limits = experiment.metric_limits
        return read_out(
            table,
            question,
            stack=self.file.stack,
            control=experiment.control,
            metrics=self._metrics(question, table),
            design=Design(min_units=limits.min_units) if limits else Design(),
            source=source,
            asked=(start, end) if start > EVER else (table.window or (start, end)),
            known=self.stands.findings,
        )

    def _question(self, asked: Sequence[Period], logs_from: datetime | None) -> Question:
        routes = routes_of(self.file.experiment)
        return Question(
            periods=asked,
            variants=self._variants(),
            routes=routes.names,
            is_shared=self.file.experiment.listener.arn is not None,
            splits=routes.splits,
            load_balancer=self.stands.load_balancer,
            unit=self.asked.unit,
            slower_than=(self.asked.slower_than or _slow(self.file.experiment),),
            logs_from=logs_from,
            outcomes=self.asked.outcomes,
            by_path=self.asked.by_path,
        )

    def _variants(self) -> Mapping[str, str]:
        """Target groups that stand by their ARN, those that are gone by what all of a variant are called."""
        earlier = (name for each in self.stands.history.sets for name in each.weights)
        names = {*self.file.experiment.variants, *earlier}
        return {arn: name for name, arn in self.stands.groups.items()} | {f"abtest-{name}": name for name in names}

    def _metrics(self, question: Question, table: Table) -> Sequence[Metric]:
        """What is compared. Raises LogsError for an outcome that is not there."""
        told = table.outcomes.by_name if table.outcomes else {}
        joined = {name: each.is_share for name, each in told.items() if each.matched}
        joined |= dict.fromkeys(self.asked.custom, False)
        better: dict[str, Literal["higher", "lower"]] = dict.fromkeys(self.asked.higher_is_better, "higher")
        better |= dict.fromkeys(self.asked.lower_is_better, "lower")
        for name, side in better.items():
            if name not in {*told, *self.asked.custom}:
                there = ", ".join([*told, *self.asked.custom]) or "none"
                raise LogsError(f"--{side}-is-better {name}: there is no such outcome; there are {there}")
        found = (
            ERROR_RATE,
            *map(slower_than, question.slower_than),
            LATENCY,
            BYTES,
            *(outcome(name, is_share=is_share, better=better.get(name)) for name, is_share in joined.items()),
        )
        return [metric for metric in found if self.asked.only is None or metric.name in self.asked.only]

    # Sources ----------------------------------------------------------------------------------------------------------

    def _table(self, question: Question, start: datetime, end: datetime) -> tuple[Table, str]:
        """What was read, and in words where from."""
        if self.asked.cloudwatch:
            return self._cloudwatch(question), "CloudWatch"
        from abtest.readout.logs import read_logs

        places = self.asked.logs or (self._bucket(),)
        found = (
            file
            for place in places
            for file in (self._fetched(place, start, end) if place.startswith("s3://") else find([place], start, end))
        )
        files = {file.resolve(): file for file in found}  # places may overlap
        return read_logs(list(files.values()), question), f"access logs, {', '.join(places)}"

    def _cloudwatch(self, question: Question) -> Table:
        from abtest.readout.cloudwatch import read_cloudwatch

        balancer = self.stands.load_balancer
        if balancer is None:
            raise EngineError(f"CloudWatch is asked for a load balancer, and none is known: {self.stands.why}")
        groups = {name: [arn] for name, arn in self.stands.groups.items()}
        with client(self.file.source, "cloudwatch") as cloudwatch:
            return read_cloudwatch(
                cloudwatch, question, load_balancer=balancer, groups=groups, custom=self.asked.custom
            )

    def _bucket(self) -> str:
        """Where the stack's load balancer writes. Raises LogsError."""
        logs, label = self.file.experiment.access_logs, self.file.label
        if logs is None:
            raise LogsError(
                f"{label} has no abtest:accessLogs, so its load balancer logs nothing; add it as {{}}, "
                "or say where logs are (--logs), or take CloudWatch's metrics (--cloudwatch)"
            )
        bucket = logs.bucket or self.stands.outputs.get("access_logs_bucket")
        if not bucket:
            why = self.stands.why or "the stack is deployed without abtest:accessLogs; pulumi up"
            raise LogsError(f"the bucket of the access logs is not known: {why}")
        return f"s3://{bucket}/{logs.prefix}" if logs.prefix else f"s3://{bucket}"

    def _fetched(self, place: str, start: datetime, end: datetime) -> list[Path]:
        from abtest.readout.s3 import fetch

        balancer = self.stands.load_balancer
        with client(self.file.source, "s3") as s3:
            return fetch(s3, place, start, end, self.folder, load_balancer=balancer, on_object=self.on_object)


def _slow(experiment: Experiment) -> float:
    limits = experiment.metric_limits
    return limits.slower_than.seconds if limits and limits.slower_than else _SLOW


def _always(file: StackFile, weights: Mapping[str, int]) -> History:
    unknown = sorted(weights.keys() - file.experiment.variants.keys())
    if unknown:
        raise LogsError(f"--weights: there is no variant {unknown[0]}; there are {', '.join(file.experiment.variants)}")
    one = DeployedSplit(
        started=EVER, ended=EVER, weights=dict(weights), stickiness_seconds=file.experiment.stickiness_seconds
    )
    return History((one,), None)
