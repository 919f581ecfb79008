"""The command line itself: help, wrong usage, exit codes, start-up, the schema."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from abtest.cli import COMMANDS
from tests.cli.commands import run_here, run_python, run_shell
from tests.configs import ROOT, write_stack

Capsys = pytest.CaptureFixture[str]

#: What a command that does not need it must not wait for.
HEAVY = {"aiohttp", "boto3", "botocore", "moto", "msgspec", "pulumi", "pulumi_aws", "rich", "yaml"}


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []], ids=["--help", "-h", "no argument"])
def test_help_lists_every_command(capsys: Capsys, arguments: list[str]) -> None:
    ran = run_here(capsys, *arguments)
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.split("Commands:\n")[1].splitlines() if line[:3].strip()] == list(
        COMMANDS
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_starts_as_the_list_says(capsys: Capsys, command: str) -> None:
    ran = run_here(capsys, command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert " ".join(ran.out.split()).startswith(f"Usage: abtest {command} [OPTIONS]")
    assert COMMANDS[command] in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "No such command 'chekc'."),
        (["--nope"], "No such option '--nope'."),
        (["check", "--fromat", "json"], "No such option '--fromat'. Did you mean '--format'?"),
        (["check", "--format", "xml"], "Invalid value for '--format': 'xml' is not one of 'text', 'json'."),
        (["check", "--stack"], "Option '--stack' requires an argument."),
        (["local", "dev"], "Got unexpected extra argument (dev)"),
        (["schema", "stack", "y"], "Got unexpected extra argument (y)"),
    ],
    ids=lambda case: case if isinstance(case, str) else " ".join(case),
)
def test_wrong_usage_is_explained_and_ends_with_1(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == f"Error: {message}"


def test_a_process_ends_with_1_on_wrong_usage_too() -> None:
    ran = run_shell("check", "--nope")
    assert (ran.code, ran.out, "Traceback" in ran.err) == (1, "", False)


def test_an_interrupted_command_ends_with_5(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    write_stack(tmp_path, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("abtest.cli.check.stack_file", interrupt)
    ran = run_here(capsys, "check")
    assert (ran.code, ran.out, ran.err.strip()) == (5, "", "aborted")


def test_a_reader_that_leaves_early_causes_no_complaint() -> None:
    command = [sys.executable, "-m", "abtest", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


def test_the_schema_is_the_committed_one(capsys: Capsys) -> None:
    committed = (ROOT / "abtest.schema.json").read_text(encoding="utf-8")
    assert run_here(capsys, "schema") == (0, committed, ""), "run `make schema`"


# Start-up -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [("--help", set()), ("--version", set()), ("check", {"msgspec", "yaml"}), ("schema", {"msgspec", "yaml"})],
    ids=["--help", "--version", "check", "schema"],
)
def test_a_command_loads_nothing_that_it_does_not_need(arguments: str, needed: set[str]) -> None:
    ran = run_python(
        "-c",
        "import sys; from abtest.cli import run; code = run(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)",
        arguments,
    )
    assert ran.code == 0
    assert set(ran.err.split()) & HEAVY <= needed
    assert "click" in ran.err.split()
