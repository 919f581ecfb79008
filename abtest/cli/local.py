"""``abtest local``."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from abtest.cli.failure import Failure

if TYPE_CHECKING:
    from rich.console import Console

    from abtest.local import Deployment
    from abtest.local.balancer import Balancer
    from abtest.local.model_servers import ModelServers
    from abtest.local.serve import Snapshot
    from abtest.local.traffic import Tally

__all__ = ["local"]

_DEFAULT_PORT = 8080


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
@click.option(
    "--requests", type=click.IntRange(0, 10_000_000), default=2000, show_default=True, help="Requests to send; 0: none."
)
@click.option("--serve", is_flag=True, help="Keep serving, and follow the stack file when it is saved.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Local port; further listeners take those after it.  [default: any; with --serve {_DEFAULT_PORT}]",
)
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="VARIANT=URL",
    help="Your model server instead of the sample one, as b=http://127.0.0.1:8001; may be repeated.",
)
@click.option(
    "--access-log",
    "log_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it.  [default: a new file in .abtest/access-logs]",
)
@click.option("--show-secrets", is_flag=True, help="Print the override's token among the lines to try.")
def local(
    stack: str,
    *,
    requests: int,
    serve: bool,
    port: int | None,
    backends: tuple[str, ...],
    log_file: Path | None,
    show_secrets: bool,
) -> int:
    """Deploy a stack on an embedded AWS, and send real requests through it.

    No account and no Pulumi CLI are needed. The program is the one that `pulumi up` runs; moto answers in this process
    instead of AWS, a load balancer on localhost serves what is deployed, and sample model servers answer for variants.
    """
    from abtest.cli.deployed import show_deployment
    from abtest.cli.tables import plain_console

    console = plain_console()
    deployment, seconds = _deploy(stack, console)
    own = _own_servers(backends, deployment)
    show_deployment(console, deployment, seconds)
    if not (requests or serve):
        return 0
    options = _Options(
        stack=stack,
        requests=requests,
        serve=serve,
        port=port or (_DEFAULT_PORT if serve else 0),
        own=own,
        log_file=log_file or _new_log(deployment),
        show_secrets=show_secrets,
    )
    return asyncio.run(_run(deployment, console, options))


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What the command line asks for. ``own`` maps variants to the user's model servers; ``port`` 0 is any."""

    stack: str
    requests: int
    serve: bool
    port: int
    own: Mapping[str, str]
    log_file: Path
    show_secrets: bool


def _deploy(stack: str, console: Console) -> tuple[Deployment, float]:
    from rich.status import Status

    try:
        from abtest.local import DeployError, deploy
    except ModuleNotFoundError as error:
        raise Failure(f"error: {error.name} is missing: pip install -r requirements-dev.txt") from None
    from abtest.experiment import ConfigError

    started, made = time.perf_counter(), 0

    def on_resource(_: str, name: str) -> None:
        nonlocal made
        made += 1
        status.update(f"deploying {stack}: {made} resources, now {name}")

    try:
        with Status(f"deploying {stack}", console=console) as status:
            deployment = deploy(stack, on_resource=on_resource)
    except ConfigError as error:
        raise Failure(str(error)) from None
    except DeployError as error:
        raise Failure(f"{stack}: error: {error}") from None
    return deployment, time.perf_counter() - started


def _own_servers(given: tuple[str, ...], deployment: Deployment) -> Mapping[str, str]:
    """``b=http://127.0.0.1:8001`` by variant, without a path."""
    own = {}
    for text in given:
        variant, _, url = text.partition("=")
        if variant not in deployment.experiment.variants:
            known = ", ".join(deployment.experiment.variants)
            raise Failure(f"error: --backend {text}: there is no variant {variant}; there are {known}")
        if not _is_server(url):
            raise Failure(f"error: --backend {text}: expected VARIANT=http://HOST:PORT, without a path")
        own[variant] = url.removesuffix("/")
    return own


def _is_server(url: str) -> bool:
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        return False
    has_path = split.path.strip("/") or split.query or split.fragment
    return bool(split.scheme in {"http", "https"} and split.hostname and port != 0 and not has_path)


def _new_log(deployment: Deployment) -> Path:
    name = f"{deployment.source.stack}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"
    return deployment.source.project.folder / ".abtest" / "access-logs" / name


async def _run(deployment: Deployment, console: Console, options: _Options) -> int:
    from abtest.local.balancer import AccessLog, Balancer, PortError
    from abtest.local.model_servers import ModelServers
    from abtest.local.serve import Snapshot, serve
    from abtest.local.traffic import Tally

    tally, snapshot = Tally(), Snapshot.of(deployment)
    try:
        log = AccessLog(options.log_file, tally.add)
    except OSError as error:
        raise Failure(f"{options.log_file}: error: cannot be written: {error.strerror}") from None
    with contextlib.closing(log):
        try:
            async with (
                ModelServers(options.own) as servers,
                Balancer(log, port=options.port, on_change=console.print) as balancer,
            ):
                await serve(snapshot, balancer, servers)
                _warn_of_silent_servers(balancer, console)
                failed = await _send(deployment, balancer, tally, console, options.requests) if options.requests else 0
                console.print(f"Access log: {_near(options.log_file)}", soft_wrap=True)
                if options.serve:
                    _invite(deployment, balancer, console, show_secrets=options.show_secrets)
                    await _follow(deployment, snapshot, balancer, servers, console, options.stack)
                return 1 if failed else 0
        except PortError as error:
            raise Failure(f"error: {error}") from None


def _near(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _warn_of_silent_servers(balancer: Balancer, console: Console) -> None:
    for group in balancer.serving.groups.values():
        for url, failure in {target.url: target.failure for target in group.targets if target.failure}.items():
            console.print(
                f"warning: {group.deployed.variant}: {url} does not pass its health check: {failure}",
                style="yellow",
                soft_wrap=True,
            )


async def _send(deployment: Deployment, balancer: Balancer, tally: Tally, console: Console, requests: int) -> int:
    """Send requests with a progress bar, and print what became of them. Returns how many got no answer."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from abtest.cli.traffic import show_traffic
    from abtest.local.traffic import plan, send

    planned, left_out = plan(balancer.serving.deployed.listeners[0].table)
    columns = (TextColumn("sending requests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=requests)
        failed = await send(balancer.serving.ports[0], planned, requests, lambda: progress.advance(task))
    show_traffic(console, deployment, balancer, tally, left_out, failed, time.perf_counter() - started)
    return failed


def _invite(deployment: Deployment, balancer: Balancer, console: Console, *, show_secrets: bool) -> None:
    """Where it serves, and lines to try."""
    from abtest.cli.traffic import curl_lines

    serving = balancer.serving
    console.print("\nServing", style="bold")
    for listener, port in zip(serving.deployed.listeners, serving.ports, strict=True):
        plain = ", in plain HTTP with X-Forwarded-Proto: https" if listener.protocol == "HTTPS" else ""
        console.print(f"  {listener.protocol}:{listener.port} at http://localhost:{port}{plain}")
    console.print("\nTry", style="bold")
    for line in curl_lines(deployment, balancer, show_secrets=show_secrets):
        console.print(f"  {line}", soft_wrap=True)
    file = deployment.source.label
    console.print(f"\nSave {file} to change the routing; a save that is wrong changes nothing. Ctrl-C ends it.")


async def _follow(
    deployment: Deployment,
    snapshot: Snapshot,
    balancer: Balancer,
    servers: ModelServers,
    console: Console,
    stack: str,
) -> None:
    """Serve what the stack file says whenever it is saved, until Ctrl-C."""
    from abtest.experiment import stack_file
    from abtest.local.balancer import PortError
    from abtest.local.serve import redeployments, serve

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    def refuse(problems: str) -> None:
        console.print(f"{deployment.source.label} is saved, but the last good routing stays:", style="yellow")
        console.print(problems, soft_wrap=True)

    async def follow() -> None:
        before = snapshot
        file, project = stack_file(stack)
        async for found in redeployments(stack, [file, project.file or file]):
            if isinstance(found, str):
                refuse(found)
                continue
            try:
                await serve(found, balancer, servers)
            except PortError as error:
                refuse(str(error))
            else:
                _show_change(before, found, console)
                before = found

    tasks = [asyncio.create_task(follow()), asyncio.create_task(stopped.wait())]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()


def _show_change(before: Snapshot, now: Snapshot, console: Console) -> None:
    """The rules that are new or gone after a save."""
    console.print(f"{datetime.now():%H:%M:%S} redeployed", style="green")  # noqa: DTZ005 the user's own clock
    for sign, rows, others in (("-", before.routing, now.routing), ("+", now.routing, before.routing)):
        for label, name, when, then in rows:
            if (label, name, when, then) not in others:
                asked = " and ".join(when) or "everything else"
                console.print(f"  {sign} {f'{label} {name}'.strip()}: {asked} -> {then}", soft_wrap=True)
