"""``abtest diff``: the working tree against what it started from."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from tests.cli.commands import run_here, run_python
from tests.configs import ROOT

Capsys = pytest.CaptureFixture[str]

STACK = """config:
  aws:region: us-east-1
  abtest:control: a
  abtest:weights: {a: 90, b: 10}
  abtest:variants:
    a: {port: 8080, targets: {launch: {instanceType: t3.small, userDataFile: start.sh}}}
    b: {port: 8080, targets: {external: ip}}
"""
SHIFTED = STACK.replace("{a: 90, b: 10}", "{a: 75, b: 25}")


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(autouse=True)
def _no_pull_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository, on a branch off main."""
    root = tmp_path / "repo"
    folder = root / "infra"
    folder.mkdir(parents=True)
    (folder / "start.sh").write_text("#!/bin/sh\n")
    (folder / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (folder / "Pulumi.dev.yaml").write_text(STACK)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "one")
    git(root, "switch", "--quiet", "--create", "work")
    monkeypatch.chdir(folder)
    return folder


def commit(folder: Path) -> str:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "more")
    return git(folder, "rev-parse", "--short", "HEAD")


# What is compared -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_nothing_changed_is_0(capsys: Capsys) -> None:
    ran = run_here(capsys, "diff", "--stack", "dev")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("### abtest: dev\n\n**dev: no change in effect.**\n")


def test_an_uncommitted_shift_is_2_and_says_it_all(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text(SHIFTED)
    ran = run_here(capsys, "diff")
    assert (ran.code, ran.err) == (2, "")
    assert "**dev: b gets 25 % of requests instead of 10 % on the main split; 1 update (listener-80).**" in ran.out
    assert ran.out.endswith("(merge base with main)`. After: `the working tree`.</sub>\n")


def test_what_happened_on_the_default_branch_meanwhile_is_no_part_of_it(project: Path, capsys: Capsys) -> None:
    git(project, "switch", "--quiet", "main")
    (project / "Pulumi.dev.yaml").write_text(SHIFTED)
    commit(project)
    git(project, "switch", "--quiet", "work")
    assert run_here(capsys, "diff").code == 0
    assert run_here(capsys, "diff", "--base", "main").code == 0


def test_a_commit_can_be_the_base(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text(SHIFTED)
    commit(project)
    assert run_here(capsys, "diff").code == 2
    assert run_here(capsys, "diff", "--base", "HEAD").code == 0
    assert run_here(capsys, "diff", "--base", "HEAD~1").code == 2


def test_pulumi_yaml_and_scripts_are_the_bases_own(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.yaml").write_text("name: abtest\nruntime: python\nconfig: {'abtest:idleTimeoutSeconds': 7}\n")
    (project / "start.sh").write_text("#!/bin/bash\n")
    found = json.loads(run_here(capsys, "diff", "--format", "json").out)
    assert [(setting["path"], setting["before"], setting["after"]) for setting in found["settings"]] == [
        ("abtest:idleTimeoutSeconds", 60, 7),
        ("abtest:variants.a.targets.launch.userDataFile", "start.sh", "start.sh, with other contents"),
    ]
    assert found["replaced"] == [
        {
            "what": "instance", "variant": "a", "count": 1, "exact": True, "certain": True,
            "why": ["abtest:variants.a.targets.launch.userDataFile"],
        }
    ]  # fmt: skip


def test_a_new_stack_appears(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.new.yaml").write_text(STACK)
    ran = run_here(capsys, "diff", "--stack", "new")
    assert (ran.code, ran.err) == (2, "")
    assert "**new: a new stack: 2 variants, 0 rules, a 90 %, b 10 %.**" in ran.out


@pytest.mark.parametrize("stack", ["dev", "Pulumi.dev.yaml"])
def test_a_deleted_stack_vanishes(project: Path, capsys: Capsys, stack: str) -> None:
    (project / "Pulumi.dev.yaml").unlink()
    ran = run_here(capsys, "diff", "--stack", stack)
    assert (ran.code, ran.err) == (2, "")
    assert "**dev: the stack file is gone" in ran.out


def test_a_file_is_compared_without_git(tmp_path: Path, capsys: Capsys) -> None:
    saved = tmp_path / "before.yaml"
    saved.write_text((ROOT / "Pulumi.dev.yaml").read_text().replace("{a: 90, b: 10}", "{a: 9, b: 1}"))
    ran = run_here(capsys, "diff", "--from", str(saved))
    assert (ran.code, ran.err) == (0, "")
    assert run_here(capsys, "diff", "--from", "Pulumi.prod.yaml").code == 2


def test_the_json_has_its_keys_whatever_changed(project: Path, capsys: Capsys) -> None:
    same = json.loads(run_here(capsys, "diff", "--format", "json").out)
    (project / "Pulumi.dev.yaml").write_text(
        SHIFTED + "  abtest:rules: {r: {priority: 1, when: {path: [/r]}, respond: {status: 404}}}\n"
    )
    found = json.loads(run_here(capsys, "diff", "--format", "json").out)
    assert list(found) == list(same)
    assert (same["changed"], found["changed"]) == (False, True)
    assert [route["route"] for route in found["routes"]] == ["r", "main split"]
    assert found["routes"][1]["after"]["shares"] == {"a": 0.75, "b": 0.25}
    assert [(move["from"], move["to"], move["example"]["path"]) for move in found["moved"]] == [
        ("main split", "r", "/r")
    ]
    assert found["updates"] == {"created": ["rule-1"], "updated": ["listener-80"], "replaced": [], "deleted": []}


# The default branch ---------------------------------------------------------------------------------------------------


@pytest.fixture
def clone(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with the branch "release" besides main, standing on work."""
    git(project, "branch", "release")
    git(project.parent, "clone", "--quiet", ".", "../clone")
    folder = project.parent.parent / "clone" / "infra"
    monkeypatch.chdir(folder)
    return folder


def base_of(capsys: Capsys, *arguments: str) -> str:
    ran = run_here(capsys, "diff", "--format", "json", *arguments)
    assert ran.err == ""
    return str(json.loads(ran.out)["before"]).partition(" ")[2]


def test_the_default_branch_is_the_remotes(clone: Path, capsys: Capsys) -> None:
    git(clone, "remote", "set-head", "origin", "release")
    assert base_of(capsys) == "(merge base with origin/HEAD)"


@pytest.mark.usefixtures("clone")
def test_on_a_pull_request_it_is_the_requests_base(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_BASE_REF", "release")
    assert base_of(capsys) == "(merge base with origin/release)"
    assert base_of(capsys, "--base", "HEAD") == "(merge base with HEAD)"


def test_without_a_remote_it_is_the_usual_name(project: Path, capsys: Capsys) -> None:
    assert base_of(capsys) == "(merge base with main)"
    git(project, "branch", "--quiet", "--move", "main", "trunk")
    git(project, "config", "init.defaultBranch", "trunk")
    assert base_of(capsys) == "(merge base with trunk)"


def test_without_any_the_remedy_is_base(project: Path, capsys: Capsys) -> None:
    git(project, "branch", "--quiet", "--delete", "--force", "main")
    ran = run_here(capsys, "diff")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: no default branch is known here; name it: --base BRANCH\n"


def test_a_shallow_clone_is_told_how_to_be_deeper(
    clone: Path, tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "more").touch()
    commit(clone)
    git(clone.parent, "clone", "--quiet", "--depth", "1", f"file://{clone.parent}", str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow" / "infra")
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    ran = run_here(capsys, "diff")
    remedy = "the clone is shallow; give actions/checkout `fetch-depth: 0`, or run `git fetch --unshallow`"
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: there is no commit origin/main here: {remedy}\n"


# Mistakes -------------------------------------------------------------------------------------------------------------


def test_problems_of_both_sides_come_at_once_each_with_its_commit(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text(STACK.replace("b: 10", "b: 1000").replace("start.sh", "none.sh"))
    base = commit(project)
    (project / "Pulumi.dev.yaml").write_text(STACK + "  abtest:wieghts: {a: 1}\n")
    ran = run_here(capsys, "diff", "--base", "HEAD")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        f"{base}:infra/Pulumi.dev.yaml:4: error: abtest:weights.b: 1000 is over 999; weight: 0 to 999 (API TargetGroupTuple)",
        f"{base}:infra/Pulumi.dev.yaml:6: error: abtest:variants.a.targets.launch.userDataFile: "
        "none.sh cannot be read from the project folder: No such file or directory",
        "Pulumi.dev.yaml:8: error: abtest:wieghts: there is no such key; did you mean weights?",
    ]


def test_a_base_that_is_no_yaml_is_told_with_its_commit(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text("config: {\n")
    base = commit(project)
    (project / "Pulumi.dev.yaml").write_text(STACK)
    ran = run_here(capsys, "diff", "--base", "HEAD")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{base}:infra/Pulumi.dev.yaml:1: error: not valid YAML: the {{ that opens here")


def test_outside_of_git_the_remedy_is_from(tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text((ROOT / "Pulumi.dev.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "diff")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{tmp_path}: error: not a git repository")
    assert ran.err.endswith("; without git: --from FILE\n")


def test_without_git_the_remedy_is_from(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    ran = run_here(capsys, "diff")
    assert (ran.code, ran.out, ran.err) == (1, "", "error: git is not installed; without it: --from FILE\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--base", "nope"], "error: there is no commit nope here; fetch it, or name another: --base REF\n"),
        (["--base", "-x"], "error: there is no commit -x here; fetch it, or name another: --base REF\n"),
        (
            ["--stack", "nope"],
            "Pulumi.nope.yaml: error: there is no stack file for nope; known here: dev\n",
        ),
        (["--from", "gone.yaml"], "gone.yaml: error: there is no such file\n"),
        (["--from", "x", "--base", "y"], "error: --base and --from both say what to compare with; give one of them\n"),
    ],
)
@pytest.mark.usefixtures("project")
def test_a_mistake_is_one_clear_line(capsys: Capsys, arguments: list[str], message: str) -> None:
    ran = run_here(capsys, "diff", *arguments)
    assert (ran.code, ran.out, ran.err) == (1, "", message)


def test_a_repository_without_a_commit_is_told_so(
    tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text((ROOT / "Pulumi.dev.yaml").read_text())
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "diff", "--base", "HEAD")
    assert (ran.code, ran.err) == (1, "error: there is no commit HEAD here; fetch it, or name another: --base REF\n")


def test_no_cloud_library_is_loaded() -> None:
    """What makes it start at once; how fast it is, a test on a shared machine cannot tell."""
    ran = run_python("-X", "importtime", "-m", "abtest", "diff", "--from", "Pulumi.dev.yaml")
    assert ran.code == 0
    assert not any(f" {name}\n" in ran.err for name in ("pulumi", "boto3", "moto", "rich"))


def test_credentials_that_were_left_in_the_clear_are_not_shown(project: Path, capsys: Capsys) -> None:
    file = project / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("config:\n", "config:\n  aws:secretKey: hunter2-hunter2\n", 1))
    ran = run_here(capsys, "diff")
    assert "aws:secretKey" in ran.out
    assert "hunter2" not in ran.out
    assert "hunter2" not in run_here(capsys, "diff", "--format", "json").out


def test_a_stack_file_may_come_through_a_pipe(project: Path, tmp_path: Path, capsys: Capsys) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=((project / "Pulumi.dev.yaml").read_text(),))
    writer.start()
    ran = run_here(capsys, "diff", "--from", str(pipe))
    writer.join()
    assert (ran.code, ran.err) == (0, "")


# The control ----------------------------------------------------------------------------------------------------------


def without_control(text: str) -> str:
    return text.replace("  abtest:control: a\n", "")


def test_a_base_from_before_the_control_was_required_can_be_compared(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text(without_control(STACK))
    commit(project)
    (project / "Pulumi.dev.yaml").write_text(SHIFTED.replace("control: a", "control: b"))
    ran = run_here(capsys, "diff", "--base", "HEAD", "--format", "json")
    assert (ran.code, ran.err) == (2, "")
    assert json.loads(ran.out)["settings"] == []
    (project / "Pulumi.dev.yaml").unlink()  # no control to take from here
    assert run_here(capsys, "diff", "--base", "HEAD").code == 2


def test_a_saved_file_without_a_control_can_be_compared(project: Path, capsys: Capsys) -> None:
    (project / "old.yaml").write_text(without_control(STACK))
    ran = run_here(capsys, "diff", "--from", "old.yaml")
    assert (ran.code, ran.err) == (0, "")


def test_other_mistakes_of_the_base_are_still_told(project: Path, capsys: Capsys) -> None:
    (project / "old.yaml").write_text(without_control(STACK).replace("b: 10", "b: 1000"))
    ran = run_here(capsys, "diff", "--from", "old.yaml")
    assert ran.code == 1
    assert "abtest:weights.b: 1000 is over 999" in ran.err


def test_the_working_tree_needs_its_control(project: Path, capsys: Capsys) -> None:
    (project / "Pulumi.dev.yaml").write_text(without_control(STACK))
    ran = run_here(capsys, "diff")
    assert ran.code == 1
    assert ran.err.startswith("Pulumi.dev.yaml:1: error: abtest:control: missing; ")
    assert ran.err.count("error:") == 1
