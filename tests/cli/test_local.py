"""``abtest local``: a whole deployment in words, without an account."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
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
        assert run(["local", "--stack", stack]) == 0
    return Shown(out.getvalue(), made[0])


@pytest.fixture(scope="module")
def dev() -> Shown:
    return shown("dev")


@pytest.fixture(scope="module")
def prod() -> Shown:
    return shown("prod")


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
        ["a (control)", "live", "90", "90 %", "1", "8080"],
        ["b", "live", "10", "10 %", "1", "8080"],
    ]
    assert_resources_and_outputs_are_shown(dev)


def test_the_prod_stack_is_shown_whole(prod: Shown) -> None:
    vpc, *subnets, certificate, zone = (line.strip() for line in prod.section("Assumed to exist"))
    assert re.fullmatch(r"VPC vpc-\w+ \(Name=main\)", vpc)
    assert [line[-24:] for line in subnets] == [f"us-east-1{zone} (Tier=public)" for zone in "abc"]
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
        ["a (control)", "live", "95", "95 %", "2", "8080"],
        ["b", "live", "5", "5 %", "2", "8080"],
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
        "Pulumi.test.yaml:4: error: abtest:variants.a.port: missing; it has no default",
    ]


def test_without_moto_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['moto'] = None; from abtest.cli import run; sys.exit(run(['local']))"
    ran = run_python("-c", program)
    assert (ran.code, ran.err) == (1, "error: moto is missing: pip install -r requirements-dev.txt\n")


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
    ran = run_here(capsys, "local", "--stack", "test")
    assert ran.code == 0
    assert "path matches ^/x[/a-z]+$" in ran.out
    assert "and query :bug: = [red]x" in ran.out
    assert "Every request is split anew (no stickiness)." in ran.out
    assert ran.out.splitlines()[-1].startswith("Nothing answers at these names")


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "abtest", "schema"], stdout=write_end, stderr=subprocess.PIPE, check=False, cwd=ROOT
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")
