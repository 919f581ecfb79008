"""``abtest local``: a whole deployment in words, and traffic through it, without an account."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import abtest.local
from abtest.cli import run
from abtest.local import Deployment, deploy
from tests.cli.commands import run_here, run_python
from tests.configs import ROOT, write_stack

Capsys = pytest.CaptureFixture[str]


class Shown(NamedTuple):
    """What a run printed, and what it deployed."""

    out: str
    deployment: Deployment
    log: str

    def section(self, title: str) -> list[str]:
        """The lines below a title, up to the next blank one."""
        lines = self.out.splitlines()
        start = next(n for n, line in enumerate(lines) if line.startswith(title)) + 1
        return [*lines[start:], ""][: [*lines[start:], ""].index("")]

    def rows(self, title: str) -> list[list[str]]:
        """The cells of a table, without its heading."""
        return [[cell.strip() for cell in line.split("│")] for line in self.section(title) if "│" in line]


def shown(stack: str) -> Shown:
    """Run ``abtest local`` once, as a pipe sees it, and keep the deployment that it made."""
    made: list[Deployment] = []

    def keep(*arguments: Any, **options: Any) -> Deployment:
        made.append(deploy(*arguments, **options))
        return made[-1]

    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        patch.chdir(ROOT)
        patch.setattr(abtest.local, "deploy", keep)
        patch.setenv("COLUMNS", "140")
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            patch.delenv(name, raising=False)
        with tempfile.NamedTemporaryFile(suffix=".log") as log:
            arguments = ("--requests", "400", "--fault", "none", "--access-log", log.name)
            assert run(["local", "--stack", stack, *arguments]) == 0
            return Shown(out.getvalue(), made[0], Path(log.name).read_text())


@pytest.fixture(scope="module")
def dev() -> Shown:
    return shown("dev")


@pytest.fixture(scope="module")
def prod() -> Shown:
    return shown("prod")


@pytest.fixture
def _deployed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed stacks are deployed already, for tests of what comes after that."""
    monkeypatch.setattr(abtest.local, "deploy", lambda stack, **_: request.getfixturevalue(stack).deployment)


def test_the_dev_stack_is_shown_whole(dev: Shown) -> None:
    count = sum(not resource.is_component for resource in dev.deployment.resources)
    assert re.match(
        rf"deployed Pulumi\.dev\.yaml on the embedded AWS \(moto, us-east-1\): {count} resources in \d+\.\d s\n",
        dev.out,
    )
    assert dev.section("Assumed to exist") == ["  the default VPC with its subnets"]
    assert dev.rows("Routing") == [
        ["10", "path-b", "path /v2/*", "b 100 %"],
        ["20", "header-b", "header X-Model = b", "b 100 %"],
        ["30", "query-b", "query model = b", "b 100 %"],
        ["default", "", "everything else", "a 90 %, b 10 %"],
    ]
    assert dev.rows("Variants") == [
        ["a (control)", "live", "90", "90 %", "1", "8080", "/healthz"],
        ["b", "live", "10", "10 %", "1", "8080", "/healthz"],
    ]
    assert_resources_and_outputs_are_shown(dev)


def test_services_are_shown_with_their_tasks_and_a_sample_server_answers_for_them() -> None:
    ecs = shown("examples/ecs.yaml")
    assert ecs.rows("Variants") == [
        ["a (control)", "live", "95", "95 %", "2 to 10 tasks", "8080", "/healthz"],
        ["b", "live", "5", "5 %", "2 tasks", "8080", "/healthz"],
    ]
    assert_resources_and_outputs_are_shown(ecs)
    a, b = ecs.rows("Traffic: 400 requests in ")
    assert (a[:3], b[:3]) == (["default", "a", "95 %"], ["", "b", "5 %"])


def test_the_traffic_is_shown_by_route_beside_what_was_asked_for(dev: Shown) -> None:
    *rules, a, b = dev.rows("Traffic: 400 requests in ")
    assert rules == [
        ["10 path-b", "b", "100 %", "100.0 %", "", "40", "200: 40"],
        ["20 header-b", "b", "100 %", "100.0 %", "", "40", "200: 40"],
        ["30 query-b", "b", "100 %", "100.0 %", "", "40", "200: 40"],
    ]
    assert (a[:3], b[:3]) == (["default", "a", "90 %"], ["", "b", "10 %"])
    chosen = [int(row[5]) for row in (a, b)]
    assert sum(chosen) == 168, "28 clients with cookies choose once, 28 without five times"
    assert a[3] == f"{chosen[0] / 168 * 100:.1f} %"
    assert sum(int(row[6].removeprefix("200: ")) for row in (a, b)) == 280
    assert len(dev.log.splitlines()) == 400


@pytest.mark.usefixtures("_deployed")
def test_a_fault_is_found_by_the_readout(capsys: Capsys, tmp_path: Path) -> None:
    faults = ("--fault", "b.delay=80ms", "--fault", "b.errors=0.25")
    ran = run_here(capsys, "local", "--requests", "2000", *faults, "--access-log", str(tmp_path / "log"))
    assert ran.code == 0, "what is to fail is no failure"
    assert "b failed" not in ran.out
    made, _, head, conclusion, *_ = ran.out.partition("\nReadout\n")[2].splitlines()
    assert made == "b is made worse on purpose (--fault): 25 % of its requests fail, and all take 80 ms longer"
    assert head.startswith("dev: b against a, ")
    assert conclusion.startswith("b is worse: error rate +")
    assert "mean latency +" in conclusion


@pytest.mark.usefixtures("_deployed")
def test_without_a_fault_nothing_is_claimed(capsys: Capsys, tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    ran = run_here(capsys, "local", "--requests", "2000", "--fault", "none", "--access-log", log)
    assert ran.code == 0
    assert ran.out.partition("\nReadout\n")[2].splitlines()[2].startswith("b: no evidence of harm")


@pytest.mark.usefixtures("_deployed")
def test_one_variant_is_worse_where_nobody_says(capsys: Capsys, tmp_path: Path) -> None:
    ran = run_here(capsys, "local", "--requests", "100", "--access-log", str(tmp_path / "log"))
    assert "b is made worse on purpose (--fault): 10 % of its requests fail, and all take 30 ms longer" in ran.out


def test_answers_of_the_load_balancer_itself_are_traffic_too(prod: Shown) -> None:
    rows = {row[0]: row[1:] for row in prod.rows("Traffic: ")}
    assert rows["10 admin"] == ["respond 403", "", "", "", "", "403: 24"]
    assert rows["90 old-name"] == ["redirect 301", "", "", "", "", "301: 24"]
    assert rows["2 override"][:3] == ["b", "100 %", "100.0 %"]
    assert "Not tried from here: rule 30 (partner)" in prod.out


def test_the_prod_stack_is_shown_whole(prod: Shown) -> None:
    vpc, *subnets, certificate, zone = (line.strip() for line in prod.section("Assumed to exist"))
    assert re.fullmatch(r"VPC vpc-\w+ \(Name=main\)", vpc)
    assert [re.sub(r".* in ", "", line) for line in subnets] == [
        f"us-east-1{zone} (Tier={tier})" for tier in ("public", "private") for zone in "abc"
    ]
    assert certificate == f"certificate {prod.deployment.experiment.listener.certificate_arn}"
    assert zone == "hosted zone example.com"
    assert prod.rows("Routing") == [
        ["1", "override", "header X-Abtest-Variant = <token>-a", "a 100 %"],
        ["2", "override", "header X-Abtest-Variant = <token>-b", "b 100 %"],
        ["10", "admin", "path /admin or /admin/*", "respond 403"],
        ["20", "batch", "path /batch/*", "a 100 %"],
        ["", "", "and method POST", ""],
        ["30", "partner", "source 198.51.100.0/24", "a 50 %, b 50 %"],
        [
            "90",
            "old-name",
            "host old.example.com",
            "redirect 301 to #{protocol}://models.example.com:#{port}/#{path}?#{query}",
        ],
        ["default", "", "everything else", "a 95 %, b 5 %"],
    ]
    assert prod.rows("Variants") == [
        ["a (control)", "live", "95", "95 %", "2", "8080", "/healthz"],
        ["b", "live", "5", "5 %", "2", "8080", "/healthz"],
    ]
    assert_resources_and_outputs_are_shown(prod)


def assert_resources_and_outputs_are_shown(ran: Shown) -> None:
    tree = [re.sub(r"^[│├└─ ]+", "", line).split()[:2] for line in ran.section("Resources")[1:]]
    assert sorted(tree) == sorted([r.type.split(":")[-1], r.name] for r in ran.deployment.resources)
    outputs = [line for line in ran.section("Outputs") if not line.startswith(" ")]
    assert [line.split()[0] for line in outputs] == sorted(ran.deployment.outputs)
    assert str(ran.deployment.outputs["url"]) in outputs[-2]


def test_the_override_token_is_never_shown(prod: Shown) -> None:
    token = prod.deployment.outputs["override_token"]
    assert len(token) == 32
    assert f"{token}-a" in json.dumps(prod.deployment.described["Rules"]), "it is the one that the rules ask for"
    assert token not in prod.out.replace("\n", "").replace(" ", "")
    assert "<token>-a" in prod.out
    assert f"{token}-a" not in prod.log
    assert ["override_token", "[secret]"] in [line.split() for line in prod.section("Outputs")]


def test_an_unknown_stack_is_one_message(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    ran = run_here(capsys, "local", "--stack", "nope")
    (line,) = ran.err.splitlines()
    assert (ran.code, ran.out.strip()) == (1, "")
    assert line.endswith("there is no stack file for nope; known here: dev, prod")


def test_a_broken_config_deploys_nothing_and_lists_every_problem(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stack(
        tmp_path, "config:\n  abtest:weights: {a: 1000, b: 1}\n  abtest:variants:\n    a: {targets: {external: ip}}\n"
    )
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "local", "--stack", "test")
    assert (ran.code, ran.out.strip()) == (1, "")
    assert ran.err.splitlines() == [
        "Pulumi.test.yaml:2: error: abtest:weights.a: 1000 is over 999; weight: 0 to 999 (API TargetGroupTuple)",
        "Pulumi.test.yaml:2: error: abtest:weights.b: there is no variant b; known here: a",
        "Pulumi.test.yaml:4: error: abtest:variants.a.port: missing; give the port that the model server listens on, "
        "or serving",
    ]


def test_without_moto_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['moto'] = None; from abtest.cli import run; sys.exit(run(['local']))"
    ran = run_python("-c", program)
    assert (ran.code, ran.err) == (
        1,
        "error: `abtest local` needs moto, which is not installed; run `make local` in a clone, or "
        "pip install 'abtest[local]'\n",
    )


def test_what_a_config_says_is_shown_as_it_is(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Square brackets are no styles, words between colons no pictures."""
    (tmp_path / "__main__.py").write_text((ROOT / "__main__.py").read_text())
    rule = '{priority: 10, when: {pathRegex: ["^/x[/a-z]+$"], query: {":bug:": ["[red]x"]}}, forward: a}'
    write_stack(
        tmp_path,
        f"config:\n  abtest:weights: {{a: 1}}\n  abtest:variants:\n    a: {{port: 80, targets: {{external: ip}}}}\n"
        f"  abtest:rules:\n    r: {rule}\n",
    )
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "local", "--stack", "test", "--requests", "0")
    assert ran.code == 0
    assert "path matches ^/x[/a-z]+$" in ran.out
    assert "and query :bug: = [red]x" in ran.out
    assert "Every request is split independently (no stickiness)." in ran.out
    assert not (tmp_path / ".abtest").exists(), "without requests there is no log"


@pytest.mark.usefixtures("_deployed")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backend", "c=http://127.0.0.1:1"], "error: --backend c=http://127.0.0.1:1: there is no variant c; there are a, b"),
        (["--backend", "b"], "error: --backend b: expected VARIANT=http://HOST:PORT, without a path"),
        (["--backend", "b=http://127.0.0.1:1/x"], "error: --backend b=http://127.0.0.1:1/x: expected VARIANT=http://HOST:PORT, without a path"),
        (["--backend", "b=http://127.0.0.1:99999"], "error: --backend b=http://127.0.0.1:99999: expected VARIANT=http://HOST:PORT, without a path"),
        (["--backend", "b=http://me:secret@127.0.0.1:1"], "error: --backend b=http://me:secret@127.0.0.1:1: expected VARIANT=http://HOST:PORT, without a path"),
        (["--backend", "b=http://a..b:80"], "error: --backend b=http://a..b:80: expected VARIANT=http://HOST:PORT, without a path"),
        (["--access-log", "/dev/null/x/y"], "/dev/null/x/y: error: cannot be written: Not a directory"),
        (["--port", "65535", "--stack", "prod"], "error: port 65536 is over 65535; choose a lower one with --port"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_message(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, "local", *arguments)
    assert (ran.code, ran.err.splitlines()) == (1, [message])


@pytest.mark.usefixtures("_deployed")
def test_an_access_log_into_a_pipe_is_refused(capsys: Capsys, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # so that nothing hangs if it is opened
    try:
        ran = run_here(capsys, "local", "--requests", "1", "--access-log", str(pipe))
    finally:
        os.close(reader)
    assert (ran.code, ran.err) == (1, f"{pipe}: error: cannot be written: it is a pipe; name a file\n")


def test_a_port_in_use_is_named(capsys: Capsys) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run_here(capsys, "local", "--port", str(port))
    message = f"error: port {port} cannot be had (Address already in use); choose another with --port\n"
    assert (ran.code, ran.out, ran.err) == (1, "", message), "nothing is deployed for nothing"


@pytest.mark.usefixtures("_deployed")
def test_a_model_server_that_does_not_answer_is_named_and_answered_for(capsys: Capsys, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ran = run_here(capsys, "local", "--backend", "b=http://127.0.0.1:9", "--requests", "100", "--access-log", str(log))
    assert ran.code == 1
    assert (
        "warning: b: http://127.0.0.1:9 does not pass its health check: cannot connect (Connect call failed ('127.0.0.1', 9))"
        in ran.out
    )
    assert "502: 10" in ran.out
    failed = log.read_text().count(" 502 - ")
    assert f"b failed: {failed} of {failed} requests were answered with 5xx." in ran.out
    assert " 502 - " in log.read_text()


class Serving:
    """``abtest local --serve`` as a process of its own, in a copy of the project."""

    def __init__(self, folder: Path) -> None:
        for name in ("__main__.py", "Pulumi.yaml", "Pulumi.dev.yaml"):
            shutil.copy(ROOT / name, folder)
        self.stack = folder / "Pulumi.dev.yaml"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._out = (folder / "out").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "abtest", "local", "--serve", "--requests", "0", "--port", str(self.port)],
            cwd=folder,
            stdout=self._out,
            stderr=subprocess.STDOUT,
        )

    def waits_for(self, words: str) -> str:
        """The output once it has these words."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            self._out.seek(0)
            if words in (text := self._out.read()):
                return text
            time.sleep(0.1)
        self._out.seek(0)
        raise AssertionError(f"no {words!r} in\n{self._out.read()}")

    def save(self, old: str, new: str) -> None:
        self.stack.write_text(self.stack.read_text().replace(old, new))

    def answer(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return str(answer.headers["X-Model-Version"])

    def ends(self) -> int:
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20)
        self._out.close()
        return code


def test_serving_follows_the_stack_file_and_survives_a_bad_save(tmp_path: Path) -> None:
    serving = Serving(tmp_path)
    shown = serving.waits_for("Ctrl-C ends it")
    assert f"curl -i http://localhost:{serving.port}/v2/x  # rule 10 (path-b)" in shown
    assert serving.answer("/v2/x") == "b"
    serving.save('path: ["/v2/*"]}, forward: b', 'path: ["/v2/*"]}, forward: a')
    shown = serving.waits_for("redeployed")
    assert "Pulumi.dev.yaml changed, redeploying" in shown
    assert "  - 10 path-b: path /v2/* -> b 100 %\n  + 10 path-b: path /v2/* -> a 100 %\n" in shown
    assert serving.answer("/v2/x") == "a"
    serving.save("b: 10}", "b: 1000}")
    shown = serving.waits_for("the last good routing stays")
    assert "Pulumi.dev.yaml:8: error: abtest:weights.b: 1000 is over 999" in serving.waits_for("weights.b: 1000")
    assert serving.answer("/v2/x") == "a"
    (tmp_path / "__main__.py").write_text("this is no program")
    serving.save("b: 1000}", "b: 20}")
    serving.waits_for("SyntaxError")
    assert serving.answer("/v2/x") == "a"
    (log,) = (tmp_path / ".abtest" / "access-logs").iterdir()
    until(lambda: bool(log.read_text()))
    server = ("127.0.0.1", int(log.read_text().split()[4].rpartition(":")[2]))
    socket.create_connection(server).close()
    assert serving.ends() == 0
    until(lambda: refuses(server))  # no model server outlives the process that started it


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "abtest", "schema"], stdout=write_end, stderr=subprocess.PIPE, check=False, cwd=ROOT
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False
