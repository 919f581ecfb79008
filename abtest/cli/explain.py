"""``abtest explain``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from abtest.cli.failure import Failure
from abtest.cli.output import echo
from abtest.escape import line, markdown
from abtest.experiment import ConfigError, Experiment, Source, load_stack
from abtest.experiment.files import read_file
from abtest.rollout.redaction import without_tokens
from abtest.routing import Request, RequestError, RoutingTable
from abtest.routing.conditions import UnsupportedError
from abtest.routing.render import as_json, as_markdown, as_mermaid

__all__ = ["explain"]

_SAVE = "save the output of `aws elbv2 describe-rules --listener-arn ARN --output json`"

#: In characters. The load balancer takes far fewer in a request's line and headers.
_LONGEST_LINE = 1_000_000


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
@click.option(
    "--from-json",
    "saved",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read a saved `aws elbv2 describe-rules` instead of a stack.",
)
@click.option(
    "--live", "is_live", is_flag=True, help="Read the deployed load balancer, and compare it with the stack file."
)
@click.option("--listener", metavar="ARN", help="With --live: the listener, where its tags do not find one.")
@click.option("--url", help="A request: its address.")
@click.option("--path", help="A request: its path.")
@click.option("--host", help="A request: its Host header.")
@click.option("--query", help="A request: its query.")
@click.option("--method", help="A request: its method.")
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A request: a header; may be repeated."
)
@click.option("--source-ip", help="A request: the peer's address.")
@click.option(
    "--requests",
    "lines",
    type=click.File(encoding="utf-8"),
    metavar="FILE|-",
    help="Requests as JSON lines; one answer a line.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json", "markdown", "mermaid"]), default="text", show_default=True
)
def explain(
    *,
    stack: str,
    saved: Path | None,
    is_live: bool,
    listener: str | None,
    lines: IO[str] | None,
    form: str,
    headers: tuple[str, ...],
    **request: str | None,
) -> int:
    """Show the rules of a stack, or what happens to a request and why.

    With a request (--url, or --path, --host, ...) it prints the decision rule by rule; what is not given is unknown,
    and the trace says where that matters. With --requests it answers JSON lines such as
    {"url": "https://example.com/v2/x", "method": "GET", "headers": {"X-Model": "b"}, "sourceIp": "192.0.2.1"}.

    With --live, the rules are those of the deployed load balancer. Without a request it also prints where they differ
    from the stack file (drift), and ends with 2 if they do; --format json is then {"listener", "rules", "drift"}.
    """
    if saved and (is_live or listener):
        raise click.UsageError("--from-json and --live exclude each other")
    found = _saved(saved) if saved else _live(stack, listener) if is_live or listener else _declared(stack)
    table = found.table
    given = {"sourceIp" if key == "source_ip" else key: value for key, value in request.items() if value is not None}
    if headers:
        given["headers"] = _headers(headers)  # type: ignore[assignment]
    if lines is not None:
        if given or form not in {"text", "json"}:
            raise click.UsageError("--requests answers in JSON lines, and no request besides")
        return _answer(table, lines)
    if not given:
        return _show(found, form)
    if form not in {"text", "json"}:
        raise click.UsageError(f"--format {form} shows the rules; for a request it is text or json")
    try:
        decision = table.decide(Request.parse(given))
    except RequestError as error:
        raise Failure(f"error: {error}") from None
    if form == "json":
        echo(json.dumps(decision.as_json(), indent=2))
        return 0
    for step in decision.trace:
        echo(line(step))
    echo(f"=> {line(decision.outcome)}")
    return 0


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is explained. ``overrides`` are the priorities of the override's rules; ``drift`` is there for live ones."""

    table: RoutingTable
    overrides: frozenset[int] = frozenset()
    listener_arn: str = ""
    drift: tuple[str, ...] = ()
    stack_file: str = ""


def _declared(stack: str) -> _Found:
    experiment, _ = _load(stack)
    overrides = frozenset(experiment.override_priorities.values())
    return _Found(table=RoutingTable.from_experiment(experiment), overrides=overrides)


def _load(stack: str) -> tuple[Experiment, Source]:
    try:
        return load_stack(stack)[:2]
    except ConfigError as error:
        raise Failure(str(error)) from None


def _live(stack: str, listener: str | None) -> _Found:
    from abtest.rollout.drift import drift
    from abtest.rollout.live import read_live
    from abtest.rollout.session import AwsError, client

    experiment, source = _load(stack)
    try:
        with client(source, "elbv2") as elbv2:
            live = read_live(elbv2, experiment, listener, source.full_name)
    except AwsError as error:
        raise Failure(f"error: {error}") from None
    return _Found(
        table=live.whole,
        overrides=live.overrides,
        listener_arn=live.listener_arn,
        drift=drift(RoutingTable.from_experiment(experiment), live.table),
        stack_file=source.label,
    )


def _saved(file: Path) -> _Found:
    try:
        saved = json.loads(read_file(file, allow_pipe=True))  # in any of JSON's encodings: PowerShell's, too
    except OSError as error:
        raise Failure(f"{file}: error: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise Failure(f"{file}: error: this is not JSON; {_SAVE}") from None
    try:
        table = without_tokens(RoutingTable.from_described({}, saved["Rules"]))
        is_whole = bool(table.routes) and table.routes[-1].priority is None
        if is_whole:
            table.decide(Request())  # reads every condition
    except UnsupportedError as error:
        raise Failure(f"{file}: error: {error}") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Failure(f"{file}: error: this is {_other_output(saved)}; {_SAVE}") from None
    if not is_whole:
        raise Failure(f"{file}: error: the default rule is missing, so this is a part of the rules; {_SAVE}")
    return _Found(table=table)


def _other_output(saved: object) -> str:
    for key, command in (("Listeners", "describe-listeners"), ("LoadBalancers", "describe-load-balancers")):
        if isinstance(saved, dict) and key in saved:
            return f"what {command} prints, without the rules"
    return "not what describe-rules prints"


def _headers(given: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon:
            raise Failure(f"error: --header {header!r}: expected 'NAME: VALUE'")
        found.setdefault(name.strip(), []).append(value.strip())
    return found


def _show(found: _Found, form: str) -> int:
    is_live = bool(found.listener_arn)
    if form == "json":
        rules = as_json(found.table)
        live = {"listener": found.listener_arn, "rules": rules, "drift": list(found.drift)}
        echo(json.dumps(live if is_live else rules, indent=2))
    elif form == "text":
        from abtest.cli.tables import plain_console, routing

        plain_console().print(routing(found.table, found.overrides))
    else:
        echo((as_markdown if form == "markdown" else as_mermaid)(found.table))
    if is_live and form != "json":
        _show_drift(found, form)
    return 2 if found.drift else 0


def _show_drift(found: _Found, form: str) -> None:
    """Below the rules; in a chart as a comment."""
    start = {"text": "", "markdown": "- ", "mermaid": "%% "}[form]
    agreed = f"no drift: the load balancer does what {found.stack_file} says"
    echo()
    shown = markdown if form == "markdown" else line
    for words in [f"drift: {words}" for words in found.drift] or [agreed]:
        echo(f"{start}{shown(words)}")


def _answer(table: RoutingTable, lines: IO[str]) -> int:
    """One answer a line. A line that is no request is answered with an error, and the others all the same."""
    code = 0
    try:
        for number, text in enumerate(iter(lambda: lines.readline(_LONGEST_LINE + 1), ""), 1):
            if len(text) > _LONGEST_LINE:
                raise Failure(f"{lines.name}:{number}: error: a request has at most {_LONGEST_LINE:,} characters")
            if text.strip():
                answer, is_error = _one(table, text)
                code = code or int(is_error)
                echo(json.dumps(answer))
    except UnicodeDecodeError:
        raise Failure(f"{lines.name}: error: is not UTF-8 text; save it as UTF-8") from None
    return code


def _one(table: RoutingTable, text: str) -> tuple[dict[str, Any], bool]:
    try:
        return table.decide(Request.parse(json.loads(text))).as_json(), False
    except RequestError as error:
        return {"error": str(error)}, True
    except (ValueError, RecursionError) as error:
        return {"error": f"no JSON: {error}"}, True
