"""``abtest report``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import click
import msgspec

from abtest.cli.evidence import EVER, Asked, OnObject, reading
from abtest.cli.failure import Failure
from abtest.cli.moves import failing, stack_option
from abtest.cli.output import echo, write_utf8
from abtest.cli.readout import html, markdown, terminal
from abtest.cli.tables import plain_console
from abtest.cli.watching import check_terminal, watch, watch_option
from abtest.readout.breakdown import By
from abtest.readout.cloudwatch import CloudWatchError
from abtest.readout.files import LogsError
from abtest.rollout.schedule import seconds

__all__ = ["report"]


def _duration(text: str) -> timedelta:
    """Such as 90m, 24h or 7d."""
    days = re.fullmatch(r"(\d{1,3})d", text)
    try:
        found = timedelta(days=int(days[1])) if days else timedelta(seconds=seconds(text))
    except ValueError:
        found = timedelta()
    if not found:
        raise click.BadParameter(f'"{text}" is not a valid time; write one such as 90m, 24h or 7d')
    return found


def _moment(text: str) -> datetime:
    """A point in time; without a zone in UTC, as logs are."""
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        found = EVER
    if found <= EVER:
        raise click.BadParameter(f'"{text}" is not a valid time; write one such as 2026-11-22 or 2026-11-22T14:00Z')
    return found


def _weights(text: str) -> Mapping[str, int]:
    """As a=90,b=10."""
    found = re.findall(r"(?:^|,) *([^=,]+)=(\d{1,3}) *(?=,|$)", text)
    weights = {name: int(weight) for name, weight in found}
    if len(weights) != len(text.split(",")) or sum(weight > 0 for weight in weights.values()) < 2:
        raise click.BadParameter(
            f'"{text}" is not a valid split; write two variants or more, each once, such as a=90,b=10'
        )
    return weights


@click.command()
@stack_option
@click.option(
    "--since", type=_duration, metavar="TIME", help="How far back to look, for example 24h or 7d.  [default: 24h]"
)
@click.option("--from", "start", type=_moment, metavar="TIME", help="From when, in UTC, such as 2026-11-22T14:00.")
@click.option("--to", "end", type=_moment, metavar="TIME", help="Until when.  [default: now]")
@click.option(
    "--logs",
    multiple=True,
    metavar="PATH|s3://BUCKET[/PREFIX]",
    help="Access logs: a file, folder, pattern or bucket; may be repeated.  [default: the stack's abtest:accessLogs]",
)
@click.option("--cloudwatch", is_flag=True, help="Read CloudWatch's metrics instead: rates, but no intervals.")
@click.option(
    "--metric", "custom", multiple=True, metavar="NAMESPACE/NAME", help="With --cloudwatch: yours, by Variant."
)
@click.option(
    "--outcomes",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="What became of requests, by trace_id: CSV, JSON lines or Parquet.",
)
@click.option("--higher-is-better", multiple=True, metavar="NAME", help="An outcome of which more is better.")
@click.option("--lower-is-better", multiple=True, metavar="NAME", help="An outcome of which less is better.")
@click.option(
    "--weights",
    type=_weights,
    metavar="a=90,b=10",
    help="The split, instead of the stack's history. With files, the stack is not asked.",
)
@click.option(
    "--unit",
    type=click.Choice(["address", "address+agent"]),
    default="address",
    show_default=True,
    help="What is taken for a client.",
)
@click.option("--slower-than", type=click.FloatRange(0.001, 4000), metavar="SECONDS", help="What slow means.")
@click.option("--by", type=click.Choice(get_args(By)), multiple=True, help="Break it down too; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json", "html"]),
    default="text",
    show_default=True,
    help="html is one file that needs nothing else: --format html > report.html",
)
@watch_option
def report(
    stack: str,
    *,
    since: timedelta | None,
    start: datetime | None,
    end: datetime | None,
    form: Literal["text", "markdown", "json", "html"],
    by: tuple[By, ...],
    watch_seconds: float | None,
    **options: Any,
) -> int:
    """Say which variant is better, by how much, and how sure that is.

    It reads what the load balancer logged, knows the split that was asked for, and compares each variant with the
    control: share of failed requests, of slow answers, mean latency, size, and outcomes. Its intervals hold however
    often you look. Health comes first: where the split is not as asked, nothing is compared.

    Exit codes: 0 a report, whatever it says, 1 an error.
    """
    _check(since, start, end, by, options)
    asked = Asked(stack=stack, since=since, start=start, end=end, by_path="path" in by, **options)
    if watch_seconds is not None:
        check_terminal(form)
        with reading(asked) as read:
            watch(_failing()(read), terminal.brief, watch_seconds)
        return 0
    with _failing(), _progress() as on_object, reading(asked, on_object) as read:
        found = read()
    match form:
        case "text":
            terminal.show(found, plain_console(), by)
        case "markdown":
            echo(markdown.write(found, by), end="")
        case "html":
            write_utf8(html.write(found, by))
        case "json":
            write_utf8(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    return 0


def _check(
    since: timedelta | None,
    start: datetime | None,
    end: datetime | None,
    by: Collection[By],
    options: Mapping[str, Any],
) -> None:
    """Options that do not go together. Raises UsageError."""
    if since is not None and start is not None:
        raise click.UsageError("give either --since or --from")
    if start is not None and start >= (end or datetime.now(UTC)):
        raise click.UsageError(f"--from {start:%Y-%m-%dT%H:%M}Z is not before --to (now, where it is not given)")
    if options["cloudwatch"] and (options["logs"] or options["outcomes"] or {"status", "path"} & {*by}):
        words = "--logs, --outcomes, --by status and --by path do not go with --cloudwatch"
        raise click.UsageError(f"CloudWatch knows no requests: {words}")
    if options["custom"] and not options["cloudwatch"]:
        raise click.UsageError("--metric goes with --cloudwatch")
    if (options["higher_is_better"] or options["lower_is_better"]) and not (options["outcomes"] or options["custom"]):
        raise click.UsageError("--higher-is-better and --lower-is-better go with --outcomes")


@contextmanager
def _failing() -> Iterator[None]:
    """As ``failing``, also for what cannot be read."""
    with failing():
        try:
            yield
        except (LogsError, CloudWatchError, OSError) as error:  # the last of a disk that is full, say
            raise Failure(f"error: {error}") from None


@contextmanager
def _progress() -> Iterator[OnObject]:
    """Shows how many objects of a bucket are there."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("reading logs"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = progress.add_task("", total=None)

    def show(done: int, of: int) -> None:
        progress.start()
        progress.update(task, completed=done, total=of)
        if done == of:
            progress.stop()

    try:
        yield show
    finally:
        progress.stop()
