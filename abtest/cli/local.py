"""``abtest local``."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from abtest.cli.failure import Failure
from abtest.command import command, near

if TYPE_CHECKING:
    from rich.console import Console

    from abtest.local import Deployment
    from abtest.local.balancer import AccessLog, Balancer
    from abtest.local.model_servers import Fault, ModelServers
    from abtest.local.serve import Snapshot, Stamps
    from abtest.local.traffic import Tally

__all__ = ["local"]

_DEFAULT_PORT = 8080

#: The share of requests that fail, and seconds.
_DEFAULT_FAULT = (0.1, 0.03)

#: Seconds.
_LONGEST_DELAY = 60

_FAULT = re.compile(r"(?P<variant>[^.=]+)\.(errors=(?P<share>\d+(\.\d+)?)|delay=(?P<time>\d+(\.\d+)?)(?P<unit>ms|s))")


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
@click.option(
    "--requests", type=click.IntRange(0, 10_000_000), default=6000, show_default=True, help="Requests to send; 0: none."
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
    "--fault",
    "faults",
    multiple=True,
    metavar="VARIANT.errors=SHARE",
    help="What is wrong with a sample model server, as b.errors=0.02 or b.delay=30ms; may be repeated, or none.  "
    "[default: one variant is slower and fails more, so that there is something to see; with --serve none]",
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
    faults: tuple[str, ...],
    log_file: Path | None,
    show_secrets: bool,
) -> int:
    """Deploy a stack on an embedded AWS, and send real requests through it.

    No account and no Pulumi CLI are needed. The program is the one that `pulumi up` runs; moto answers in this process
    instead of AWS, a load balancer on localhost serves what is deployed, and sample model servers answer for variants.
    """
    from abtest.cli.deployed import show_deployment
    from abtest.cli.tables import plain_console

    for number in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: with everything put away
        signal.signal(number, signal.default_int_handler)
    console = plain_console()
    port = port or (_DEFAULT_PORT if serve else 0)
    _refuse_taken(port)
    files = _followed(stack)
    deployment, seconds = _deploy(stack, console)
    own = _own_servers(backends, deployment)
    wrong = _faults(faults, deployment, own) if faults or serve else _default_faults(deployment, own)
    show_deployment(console, deployment, seconds)
    if not (requests or serve):
        return 0
    return asyncio.run(
        _Run(
            deployment=deployment,
            console=console,
            stack=stack,
            files=files,
            own=own,
            faults=wrong,
            log_file=log_file or _new_log(deployment),
            show_secrets=show_secrets,
        ).run(requests=requests, port=port, serve=serve)
    )


def _refuse_taken(port: int) -> None:
    """Say at once that a port is in use, rather than after the deployment."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise Failure(f"error: port {port} cannot be had ({why}); choose another with --port") from None


def _followed(stack: str) -> Stamps:
    """The files that say what is deployed, as they are before that."""
    from abtest.experiment import ConfigError, stack_file

    try:
        from abtest.local.serve import stamps
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise Failure(
            f"error: `abtest local` needs {package}, which is not installed; run `make local` in a clone, or "
            "pip install 'abtest[local]'"
        ) from None
    try:
        file, project = stack_file(stack)
    except ConfigError as error:
        raise Failure(str(error)) from None
    return stamps(filter(None, (file, project.file)))


def _deploy(stack: str, console: Console) -> tuple[Deployment, float]:
    from rich.status import Status

    from abtest.experiment import ConfigError
    from abtest.local import DeployError, deploy

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


def _faults(given: tuple[str, ...], deployment: Deployment, own: Mapping[str, str]) -> Mapping[str, Fault]:
    """``b.errors=0.02`` and ``b.delay=30ms`` by variant."""
    from abtest.local.model_servers import Fault

    found: dict[str, Fault] = {}
    for text in given:
        match = _FAULT.fullmatch(text)
        if text == "none" and len(given) == 1:
            return {}
        if match is None or float(match["share"] or 0) > 1 or _seconds(match) > _LONGEST_DELAY:
            raise Failure(
                f"error: --fault {text}: expected VARIANT.errors=0.02, a share, or VARIANT.delay=30ms, at most "
                f"{_LONGEST_DELAY}s"
            )
        variant = match["variant"]
        if variant not in deployment.experiment.variants:
            known = ", ".join(deployment.experiment.variants)
            raise Failure(f"error: --fault {text}: there is no variant {variant}; there are {known}")
        if variant in own:
            raise Failure(f"error: --fault {text}: {variant} is your own model server (--backend)")
        before = found.get(variant, Fault())
        if match["share"]:
            found[variant] = before._replace(errors=float(match["share"]))
        else:
            found[variant] = before._replace(delay=_seconds(match))
    return found


def _seconds(fault: re.Match[str]) -> float:
    return float(fault["time"] or 0) / (1000 if fault["unit"] == "ms" else 1)


def _default_faults(deployment: Deployment, own: Mapping[str, str]) -> Mapping[str, Fault]:
    """Of the first variant that is compared with the control."""
    from abtest.local.model_servers import Fault

    experiment = deployment.experiment
    compared = (name for name, weight in experiment.weights.items() if weight and name != experiment.control)
    variant = next((name for name in compared if name not in own), None)
    return {variant: Fault(*_DEFAULT_FAULT)} if variant else {}


def _is_server(url: str) -> bool:
    try:
        split = urlsplit(url)
        port = split.port
        (split.hostname or "").encode("idna")
    except ValueError:
        return False
    has_more = split.path.strip("/") or split.query or split.fragment or "@" in split.netloc
    return bool(split.scheme in {"http", "https"} and split.hostname and port != 0 and not has_more)


def _new_log(deployment: Deployment) -> Path:
    name = f"{deployment.source.stack}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.log"
    return deployment.source.project.folder / ".abtest" / "access-logs" / name


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Traffic through a deployment. ``own`` maps variants to the user's model servers, ``files`` are the deployed ones
    with their stamps.
    """

    deployment: Deployment
    console: Console
    stack: str
    files: Stamps
    own: Mapping[str, str]
    faults: Mapping[str, Fault]
    log_file: Path
    show_secrets: bool

    async def run(self, *, requests: int, port: int, serve: bool) -> int:
        """Returns the exit code: 1 if some request got no answer, or a 5xx from behind the load balancer."""
        from abtest.local.balancer import AccessLog, Balancer, PortError
        from abtest.local.model_servers import ModelServers
        from abtest.local.serve import Snapshot, take
        from abtest.local.traffic import Tally

        tally, snapshot = Tally(), Snapshot.of(self.deployment)
        try:
            log = AccessLog(self.log_file, tally.add)
        except OSError as error:
            raise Failure(f"{self.log_file}: error: cannot be written: {error.strerror}") from None
        code = 0
        try:
            async with (
                ModelServers(self.own, self.faults) as servers,
                Balancer(log, port=port, on_change=self.console.print) as balancer,
            ):
                await take(snapshot, balancer, servers)
                self._warn_of_silent_servers(balancer)
                if requests:
                    code = await self._send(balancer, tally, requests, log)
                if serve:
                    self._invite(balancer)
                    await self._follow(snapshot, balancer, servers)
        except PortError as error:
            raise Failure(f"error: {error}") from None
        finally:
            log.close()
        if log.failure:
            raise Failure(f"{self.log_file}: error: lines are missing: {log.failure.strerror}")
        return code

    def _warn_of_silent_servers(self, balancer: Balancer) -> None:
        for group in balancer.serving.groups.values():
            for url, failure in {target.url: target.failure for target in group.targets if target.failure}.items():
                self.console.print(
                    f"warning: {group.deployed.variant}: {url} does not pass its health check: {failure}",
                    style="yellow",
                    soft_wrap=True,
                )

    async def _send(self, balancer: Balancer, tally: Tally, requests: int, log: AccessLog) -> int:
        """Send requests with a progress bar, and print what became of them, and what that says of the variants."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        from abtest.cli.traffic import failures, show_traffic
        from abtest.local.traffic import plan, send

        began = datetime.now(UTC)
        planned, left_out = plan(balancer.serving.deployed.listeners[0].table)
        columns = (TextColumn("sending requests"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        started = time.perf_counter()
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task("", total=requests)
            lost = await send(balancer.serving.ports[0], planned, requests, lambda: progress.advance(task))
        seconds, file = time.perf_counter() - started, str(near(self.log_file))
        show_traffic(self.console, self.deployment, balancer, tally, left_out, seconds, file, self._expected)
        if lost:
            self.console.print(f"{lost:,} requests got no answer, or one that broke off.", style="red")
        log.flush()
        self._compare(began)
        return 1 if lost or any(failures(balancer, tally, self._expected)) else 0

    @property
    def _expected(self) -> frozenset[str]:
        """The variants that answer 500 because they were told to."""
        return frozenset(name for name, fault in self.faults.items() if fault.errors)

    def _compare(self, began: datetime) -> None:
        """What a report says of the traffic so far."""
        from abtest.cli.evidence import read_local
        from abtest.cli.readout import terminal

        self.console.print("\nReadout", style="bold")
        for variant, fault in self.faults.items():
            parts = [f"{fault.errors * 100:g} % of its requests fail"] if fault.errors else []
            parts += [f"all take {fault.delay * 1000:g} ms longer"] if fault.delay else []
            words = ", and ".join(parts)
            self.console.print(f"{variant} is made worse on purpose (--fault): {words}", style="dim", soft_wrap=True)
        words = "half of the clients drop their cookies, on purpose too, and so meet several variants"
        self.console.print(words, style="dim")
        terminal.show(read_local(self.stack, self.deployment.outputs, near(self.log_file), began), self.console)
        weights = ",".join(f"{name}={weight}" for name, weight in self.deployment.experiment.weights.items())
        words = f"report --logs {shlex.quote(str(near(self.log_file)))} --weights {weights} --format html"
        again = f"{command(words, self.stack)} > report.html"
        self.console.print(f"The same as a page: {again}", style="dim", soft_wrap=True)

    def _invite(self, balancer: Balancer) -> None:
        """Where it serves, and lines to try."""
        from abtest.cli.traffic import curl_lines

        self._show_listeners(balancer)
        self.console.print("\nTry", style="bold")
        for line in curl_lines(self.deployment, balancer, show_secrets=self.show_secrets):
            self.console.print(f"  {line}", soft_wrap=True)
        file = self.deployment.source.label
        self.console.print(
            f"\nSave {file} to change the routing; a save that is wrong changes nothing. Ctrl-C ends it."
        )

    def _show_listeners(self, balancer: Balancer) -> None:
        self.console.print("\nServing", style="bold")
        for listener, port in zip(balancer.serving.deployed.listeners, balancer.serving.ports, strict=True):
            plain = ", in plain HTTP with X-Forwarded-Proto: https" if listener.protocol == "HTTPS" else ""
            self.console.print(f"  {listener.protocol}:{listener.port} at http://localhost:{port}{plain}")

    async def _follow(self, snapshot: Snapshot, balancer: Balancer, servers: ModelServers) -> None:
        """Serve what the stack file says whenever it is saved, until Ctrl-C."""
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        tasks = [
            asyncio.create_task(self._redeploy(snapshot, balancer, servers)),
            asyncio.create_task(stopped.wait()),
        ]
        done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for task in done:
            task.result()

    async def _redeploy(self, before: Snapshot, balancer: Balancer, servers: ModelServers) -> None:
        from abtest.local.balancer import PortError
        from abtest.local.serve import redeployments, take

        def say(file: Path) -> None:
            self._say(f"{file.name} changed, redeploying")

        async for found in redeployments(self.stack, self.files, say):
            listeners = [(listener.protocol, listener.port) for listener in balancer.serving.deployed.listeners]
            try:
                if not isinstance(found, str):
                    await take(found, balancer, servers)
            except PortError as error:
                self._refuse(str(error))
                continue
            if isinstance(found, str):
                self._refuse(found)
                continue
            self._say("redeployed", style="green")
            _show_change(before, found, self.console)
            if listeners != [(listener.protocol, listener.port) for listener in balancer.serving.deployed.listeners]:
                self._show_listeners(balancer)
            before = found

    def _refuse(self, problems: str) -> None:
        self._say("not taken, the last good routing stays:", style="yellow")
        self.console.print(problems, soft_wrap=True)

    def _say(self, words: str, style: str = "") -> None:
        self.console.print(f"{datetime.now():%H:%M:%S} {words}", style=style)  # noqa: DTZ005 the user's own clock


def _show_change(before: Snapshot, now: Snapshot, console: Console) -> None:
    """The rules that are new or gone after a save."""
    if before.routing == now.routing:
        console.print("  the routing is as it was")
    for sign, rows, others in (("-", before.routing, now.routing), ("+", now.routing, before.routing)):
        for label, name, when, then in rows:
            if (label, name, when, then) not in others:
                asked = " and ".join(when) or "everything else"
                console.print(f"  {sign} {f'{label} {name}'.strip()}: {asked} -> {then}", soft_wrap=True)
