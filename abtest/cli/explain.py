"""``abtest explain``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import click

from abtest.cli.failure import Failure
from abtest.experiment import ConfigError, load_stack
from abtest.routing import Decision, Request, RequestError, RoutingTable
from abtest.routing.render import as_json, as_markdown, as_mermaid

__all__ = ["explain"]


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
@click.option(
    "--from-json",
    "saved",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read a saved `aws elbv2 describe-rules` instead of a stack.",
)
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
    stack: str, saved: Path | None, lines: IO[str] | None, form: str, headers: tuple[str, ...], **request: str | None
) -> int:
    """Show the rules of a stack, or what happens to a request and why.

    With a request (--url, or --path, --host, ...) it prints the decision rule by rule; what is not given is unknown,
    and the trace says where that matters. With --requests it answers JSON lines such as
    {"url": "https://example.com/v2/x", "method": "GET", "headers": {"X-Model": "b"}, "sourceIp": "192.0.2.1"}.
    """
    table, overrides = _table(stack, saved)
    if lines is not None:
        return _answer(table, lines)
    given = {"sourceIp" if key == "source_ip" else key: value for key, value in request.items() if value is not None}
    if headers:
        given["headers"] = _headers(headers)  # type: ignore[assignment]
    if not given:
        _show(table, overrides, form)
        return 0
    try:
        decision = table.decide(Request.parse(given))
    except RequestError as error:
        raise Failure(f"error: {error}") from None
    if form == "json":
        click.echo(json.dumps(decision.as_json(), indent=2))
        return 0
    for line in decision.trace:
        click.echo(line)
    click.echo(f"=> {_outcome(decision)}")
    return 0


def _outcome(decision: Decision) -> str:
    action = decision.route.action
    return f"redirect {action.status} to {decision.location}" if decision.location else str(action)


def _table(stack: str, saved: Path | None) -> tuple[RoutingTable, frozenset[int]]:
    if saved is None:
        try:
            experiment = load_stack(stack)[0]
        except ConfigError as error:
            raise Failure(str(error)) from None
        return RoutingTable.from_experiment(experiment), frozenset(experiment.override_priorities.values())
    try:
        rules = json.loads(saved.read_text(encoding="utf-8"))["Rules"]
        return RoutingTable.from_described({}, rules), frozenset()
    except OSError as error:
        raise Failure(f"{saved}: error: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failure(f"{saved}: error: this is not what `aws elbv2 describe-rules --output json` prints") from None


def _headers(given: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon:
            raise Failure(f"error: --header {header!r}: expected 'NAME: VALUE'")
        found.setdefault(name.strip(), []).append(value.strip())
    return found


def _show(table: RoutingTable, overrides: frozenset[int], form: str) -> None:
    if form == "text":
        from abtest.cli.tables import plain_console, routing

        plain_console().print(routing(table, overrides))
        return
    made = {"markdown": as_markdown, "mermaid": as_mermaid}
    click.echo(made[form](table) if form in made else json.dumps(as_json(table), indent=2))


def _answer(table: RoutingTable, lines: IO[str]) -> int:
    """One answer a line. A line that is no request is answered with an error, and the others all the same."""
    code = 0
    for line in lines:
        if line.strip():
            answer, is_error = _one(table, line)
            code = code or int(is_error)
            click.echo(json.dumps(answer))
    return code


def _one(table: RoutingTable, line: str) -> tuple[dict[str, Any], bool]:
    try:
        return table.decide(Request.parse(json.loads(line))).as_json(), False
    except RequestError as error:
        return {"error": str(error)}, True
    except ValueError as error:
        return {"error": f"no JSON: {error}"}, True
