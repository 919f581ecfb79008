"""The real engine on the tests' AWS: a project folder, a stack, and what a run of `pulumi` did."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

import yaml

from tests.engine.cloud import REGION, arns_of, client_of, layout_of, moto_server, routes_of
from tests.engine.proxy import Call, Proxy
from tests.engine.terminal import Terminal, terminal

__all__ = [
    "ROOT",
    "Account",
    "Cloud",
    "Engine",
    "Run",
    "Stack",
    "Step",
    "cloud",
    "environment",
    "meanwhile",
    "pulumi",
    "settings_at",
    "with_virtualenv_of_the_tests",
]

ROOT = Path(__file__).parents[2]

_ABTEST = str(Path(sys.executable).parent / "abtest")

#: The services that the program, or the provider on its behalf, asks.
_SERVICES = ("acm", "autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "lambda", "route53", "ssm", "sts", "wafv2")


# AWS --------------------------------------------------------------------------------------------------------------


class Account(Protocol):
    """An AWS that a stack can stand on: the tests' own, or a real account."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The provider's settings in the stack file, without their namespace."""

    @property
    def calls(self) -> Sequence[Call]:
        """Every call so far; none where nobody records them."""

    def environment(self, state: Path) -> Mapping[str, str]:
        """Of a run that keeps Pulumi's state in this folder."""


@dataclass(frozen=True)
class Cloud:
    """An AWS of the tests' own. ``url`` is the proxy's, ``direct`` goes around it."""

    url: str
    direct: str
    proxy: Proxy
    elb: Any

    @property
    def settings(self) -> Mapping[str, Any]:
        return settings_at(self.url)

    @property
    def calls(self) -> Sequence[Call]:
        return self.proxy.calls

    def environment(self, state: Path) -> Mapping[str, str]:
        return environment(state, self.url)

    @property
    def layout(self) -> Mapping[str, Any]:
        return layout_of(self.elb)

    @property
    def arns(self) -> set[str]:
        """Every load balancer, listener, rule and target group that there is."""
        return arns_of(self.elb)

    def weights(self, place: str) -> Mapping[str, int]:
        """The weights of a rule, by groups' logical names; ``place`` is ``<port> <priority>``."""
        forward = self.layout["rules"][place]["then"][-1]["ForwardConfig"]
        return {group["TargetGroupArn"]: group["Weight"] for group in forward["TargetGroups"]}

    @contextmanager
    def client(self, service: str) -> Iterator[Any]:
        """A client that goes around the proxy, for what exists before the program runs."""
        client = client_of(service, self.direct)
        try:
            yield client
        finally:
            client.close()

    def create_function(self, name: str, *aliases: str) -> None:
        """Aliases stand in for versions too, which moto numbers by itself."""
        with self.client("iam") as iam, self.client("lambda") as functions:
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
            functions.create_function(FunctionName=name, Role=role, Handler="a.b", Code={"ZipFile": b""}, Publish=True)
            for alias in aliases:
                functions.create_alias(FunctionName=name, Name=alias, FunctionVersion="1")


@contextmanager
def cloud(stack: Path | None = None) -> Iterator[Cloud]:
    """A fresh AWS with a proxy before it, and with what a stack file names as existing."""
    with moto_server(stack) as direct:
        elb = client_of("elbv2", direct)

        def ports_in_use(arn: str) -> set[str]:
            if ":listener/" not in arn:
                return {str(ls["Port"]) for ls in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]}
            balancer = elb.describe_listeners(ListenerArns=[arn])["Listeners"][0]["LoadBalancerArn"]
            listeners = elb.describe_listeners(LoadBalancerArn=balancer)["Listeners"]
            return {str(ls["Port"]) for ls in listeners if ls["ListenerArn"] != arn}

        proxy = Proxy(direct, lambda: routes_of(elb), ports_in_use)
        try:
            with proxy.serve() as url:
                yield Cloud(url, direct, proxy, elb)
        finally:
            elb.close()


# The engine -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Step:
    """What the engine did with a resource, by its logical name: create, update, delete, replace …"""

    op: str
    type: str
    name: str


@dataclass(frozen=True)
class Run:
    """A run of `pulumi`: what it printed and did. ``steps`` leaves out what stayed the same, and the engine's own
    resources (the stack, the providers).
    """

    code: int
    output: str
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]

    @property
    def writes(self) -> list[str]:
        """The operations that change something, on any API of AWS."""
        return [call.action for call in self.calls if call.is_write]

    @property
    def routing(self) -> list[str]:
        """The operations that change something on the load balancing API."""
        return [call.action for call in self.calls if call.is_routing]

    @property
    def refusals(self) -> list[str]:
        """Writes that AWS refused, with the code of the refusal."""
        return [f"{call.action}: {call.error}" for call in self.calls if call.is_write and call.error]

    @property
    def gaps(self) -> list[str]:
        """The moments at which some requests were sent where nothing could answer."""
        return [
            f"after {call.action}, {route.priority} on port {route.port} sends {share.weight} to {share.group}: "
            + ("gone" if share.targets is None else "no target")
            for call in self.calls
            for route in call.routes or ()
            for share in route.shares
            if share.is_unanswered
        ]

    def did(self, op: str) -> list[str]:
        """The logical names of the resources that a step was done with."""
        return sorted({step.name for step in self.steps if step.op == op})

    @property
    def replaced(self) -> list[str]:
        return self.did("replace")

    def succeeded(self) -> Run:
        assert self.code == 0, self.output
        return self


def environment(folder: Path, aws: str = "http://127.0.0.1:9") -> dict[str, str]:
    """The environment of a run: nothing of the user's AWS or Pulumi accounts, state in ``folder``, AWS at ``aws``."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PULUMI_")) or k == "PULUMI_HOME"}
    return plain | {
        "PULUMI_BACKEND_URL": folder.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": "of the tests",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # --event-log, as Pulumi's Automation API has it
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws,
        "AWS_MAX_ATTEMPTS": "1",  # a throttled call fails at once
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def settings_at(aws: str) -> Mapping[str, Any]:
    """The provider's settings for the tests' AWS at this URL."""
    return {
        "region": REGION,
        "endpoints": [dict.fromkeys(_SERVICES, aws)],
        "accessKey": "testing",
        "secretKey": "testing",
        **dict.fromkeys(("skipCredentialsValidation", "skipRequestingAccountId", "skipMetadataApiCheck"), "true"),
    }


def pulumi(folder: Path, env: Mapping[str, str], *words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command in a project folder."""
    command = ["pulumi", *words, "--non-interactive", "--color", "never"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=seconds)


def with_virtualenv_of_the_tests(project_file: str) -> str:
    """A Pulumi.yaml whose program runs in the virtual environment of these tests; nothing else in it changes."""
    text, count = re.subn(r"virtualenv: .*", lambda _: f"virtualenv: {json.dumps(sys.prefix)}", project_file)
    assert count == 1
    return text


@contextmanager
def meanwhile(work: Callable[[Event], None]) -> Iterator[None]:
    """Do something in a thread until the block ends, which the event tells it."""
    is_over = Event()
    thread = Thread(target=work, args=(is_over,))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


class Stack:
    """A stack of the unchanged program, in a folder of its own. ``seconds`` is how long a command may take."""

    def __init__(self, folder: Path, account: Account, seconds: float = 300) -> None:
        self.account, self.seconds, self.folder = account, seconds, folder / "project"
        self.file = self.folder / "Pulumi.dev.yaml"
        self._events = folder / "events"
        self._stands: Mapping[str, Any] | None = None
        self.folder.mkdir()
        shutil.copy(ROOT / "__main__.py", self.folder)
        # A copy: what is edited in the meantime would show up as a change of the stack.
        shutil.copytree(ROOT / "abtest", self.folder / "abtest", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "examples", self.folder / "examples")
        project = (ROOT / "Pulumi.yaml").read_text(encoding="utf-8")
        (self.folder / "Pulumi.yaml").write_text(with_virtualenv_of_the_tests(project), encoding="utf-8")
        state = folder / "state"
        state.mkdir()
        self.backend = state.as_uri()
        self._env = dict(account.environment(state))
        self._pulumi("stack", "init", "dev", "--no-select").check_returncode()
        self._salt = yaml.safe_load(self.file.read_text(encoding="utf-8"))

    def _pulumi(self, *words: str) -> subprocess.CompletedProcess[str]:
        return pulumi(self.folder, self._env, *words, seconds=self.seconds)

    # Config

    def write(self, config: Mapping[str, Any]) -> None:
        """Write the stack file: ``config`` by keys without their namespace, and how to reach AWS."""
        values = {f"aws:{key}": value for key, value in self.account.settings.items()}
        values |= {f"abtest:{key}": value for key, value in config.items()}
        text = yaml.safe_dump({"config": values, **self._salt}, sort_keys=False, width=1000)
        self.file.write_text(text, encoding="utf-8")

    def line_of(self, text: str) -> int:
        """The number of the one line of the stack file that holds ``text``."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        (number,) = (n for n, line in enumerate(lines, 1) if text in line)
        return number

    # Runs

    def up(self, config: Mapping[str, Any] | None = None, *options: str) -> Run:
        """`pulumi up`, with ``config`` written first if it is given."""
        return self._change(config, "up", "--yes", "--skip-preview", *options)

    def preview(self, config: Mapping[str, Any] | None = None, *options: str) -> Run:
        if config is not None:
            self.write(config)
        return self._run("preview", *options)

    def destroy(self, *options: str) -> Run:
        """`pulumi destroy`; as users call it, it previews what it would do first. The hook on launched instances wants the
        program to run.
        """
        return self._change(None, "destroy", "--yes", "--run-program", *options)

    def destroy_without_program(self, *options: str) -> Run:
        return self._change(None, "destroy", "--yes", *options)

    def abtest(self, *words: str, env: Mapping[str, str] | None = None) -> Run:
        """`abtest`, as somebody calls it in the project's folder with nobody at the keyboard."""
        before = len(self.account.calls)
        with self.starting(*words, env=env) as process:
            output, _ = process.communicate(timeout=self.seconds)
        return Run(process.returncode, output, (), tuple(self.account.calls[before:]))

    @contextmanager
    def starting(
        self, *words: str, env: Mapping[str, str] | None = None, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """`abtest`, while it runs; in a process group of its own, of which nothing is left in the end."""
        self._stands = None
        process = subprocess.Popen(
            [_ABTEST, *words],
            cwd=self.folder,
            env={**self._env, **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    @contextmanager
    def at_a_terminal(self, *words: str) -> Iterator[Terminal]:
        """`abtest`, with somebody at the keyboard."""
        self._stands = None
        with terminal([_ABTEST, *words], self.folder, self._env) as shown:
            yield shown

    def _change(self, config: Mapping[str, Any] | None, *words: str) -> Run:
        if config is not None:
            self.write(config)
        before, self._stands = self._stands, None
        run = self._run(*words)
        if run.code and not run.writes:
            self._stands = before
        elif words[0] == "up" and not run.code:
            self._stands = config
        return run

    def _run(self, command: str, *words: str) -> Run:
        self._events.unlink(missing_ok=True)
        before = len(self.account.calls)
        done = self._pulumi(command, "--stack", "dev", "--event-log", str(self._events), *words)
        events = self._events.read_text(encoding="utf-8").splitlines() if self._events.exists() else []
        return Run(
            done.returncode,
            done.stdout + done.stderr,
            tuple(_steps(events)),
            tuple(self.account.calls[before:]),
        )

    # State

    def outputs(self, *options: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self._read("stack", "output", "--json", *options))
        return found

    def state(self) -> dict[str, Any]:
        """What the engine recorded, with secrets encrypted."""
        state: dict[str, Any] = json.loads(self._read("stack", "export"))
        return state

    def clear_up(self) -> None:
        """Take away what an update that was killed has left: its lock, and plugins that wait for an engine."""
        self._pulumi("cancel", "--yes", "--stack", "dev").check_returncode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (process / "cwd").readlink() == self.folder:
                    os.kill(int(process.name), signal.SIGKILL)

    def resources(self) -> list[str]:
        """The names by which the engine knows the stack's resources; none may be marked as unfinished."""
        deployment = self.state()["deployment"]
        assert not deployment.get("pending_operations")
        assert not any(resource.get("delete") for resource in deployment["resources"])
        return sorted(resource["urn"] for resource in deployment["resources"])

    def _read(self, *words: str) -> str:
        done = self._pulumi(*words, "--stack", "dev")
        assert done.returncode == 0, done.stderr
        return done.stdout


class Engine(Stack):
    """A stack on the tests' own AWS."""

    def __init__(self, folder: Path, cloud: Cloud) -> None:
        super().__init__(folder, cloud)
        self.cloud = cloud

    def stand(self, config: Mapping[str, Any]) -> Engine:
        """Bring the stack to ``config``, from whatever a test left; this takes no time if it is so already. Guardrails
        come last, since those of ``config`` hold for the update too.
        """
        if self._stands != config:
            unguarded = {key: value for key, value in config.items() if key != "guardrails"}
            if self._stands != unguarded:
                for arn in self.cloud.arns:
                    if ":listener/" in arn:  # the deployed guardrails, which hold for the update that removes them
                        self.cloud.elb.remove_tags(ResourceArns=[arn], TagKeys=["abtest:guardrails"])
                self.up(unguarded).succeeded()
            if unguarded != config:
                self.up(config).succeeded()
        self.write(config)  # the file of an update that was refused is still there
        return self


def _steps(events: Sequence[str]) -> Iterator[Step]:
    """Source: pulumi/pulumi sdk/go/common/apitype/events.go."""
    for line in events:
        found = json.loads(line).get("resourcePreEvent", {}).get("metadata")
        if found and found["op"] != "same" and not found["type"].startswith("pulumi:"):
            yield Step(found["op"], found["type"], re.sub(r".*::", "", found["urn"]))
