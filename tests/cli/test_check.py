"""``abtest check``: every problem with its file, line and path, and an exit code to build on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import run_here, run_shell
from tests.configs import ROOT, STACKS, write_stack

GOOD = """\
config:
  abtest:guardrails: {}
  abtest:control: a
  abtest:weights: {a: 50, b: 50}
  abtest:variants:
    a: {port: 8080, targets: {external: ip}}
    b: {port: 8080, targets: {external: ip}}
"""
BROKEN = """\
config:
  abtest:wieghts: {a: 1}
  abtest:weights: {a: 1000, b: 1}
  abtest:variants:
    a: {port: "8080", targets: {external: ip}}
    b:
      port: 8080
      healthCheck:
        timeoutSeconds: 30
      targets: {external: ip}
  abtest:rules:
    one: {priority: 10, when: {path: [/x]}, forward: bb}
    two: {priority: 10, when: {pathRegex: [/y]}, forward: a}
  abtest:control: a
"""
BROKEN_LINES = """\
Pulumi.test.yaml:2: error: abtest:wieghts: there is no such key; did you mean weights?
Pulumi.test.yaml:3: error: abtest:weights.a: 1000 is over 999; weight: 0 to 999 (API TargetGroupTuple)
Pulumi.test.yaml:5: error: abtest:variants.a.port: expected a whole number (1 to 65535), got the text "8080"; \
without quotes
Pulumi.test.yaml:9: error: abtest:variants.b.healthCheck.timeoutSeconds: 30 s is not below the interval of 15 s \
(API CreateTargetGroup); lower it or raise intervalSeconds
Pulumi.test.yaml:12: error: abtest:rules.one.forward: there is no variant bb; did you mean b?
Pulumi.test.yaml:13: error: abtest:rules.two.priority: 10 is taken by the rule one; priorities are unique \
(API CreateRule)
Pulumi.test.yaml:13: warning: abtest:rules.two.when.pathRegex[0]: "/y" is not anchored: AWS does not say whether \
the whole text must match; write ^ and $ around it
1 stack file: 6 errors, 1 warning
"""
DOUBTFUL = f"{GOOD}  abtest:rules:\n    one: {{priority: 1, when: {{hostRegex: [models]}}, forward: b}}\n"
SHADOWED = f"""{GOOD}  abtest:rules:
    all-of-it: {{priority: 1, when: {{path: ["/v2/*"]}}, forward: b}}
    too-late:
      priority: 2
      when: {{path: [/v2/x], hostRegex: [models]}}
      forward: a
"""
Capsys = pytest.CaptureFixture[str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with one good stack, ``test``, as the current folder."""
    write_stack(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Which files ----------------------------------------------------------------------------------------------------------


def test_the_committed_stacks_have_no_problem(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stacks = len(list(ROOT.glob("Pulumi.*.yaml")))
    assert stacks >= 2
    assert run_here(capsys, "check") == (0, f"{stacks} stack files: 0 errors, 0 warnings\n", "")


@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack.startswith("examples/")])
def test_the_examples_have_no_problem(capsys: Capsys, monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    monkeypatch.chdir(ROOT)
    assert run_here(capsys, "check", "--stack", stack) == (0, "1 stack file: 0 errors, 0 warnings\n", "")


def test_without_arguments_every_stack_of_the_project_is_checked(capsys: Capsys, project: Path) -> None:
    (project / "Pulumi.other.yaml").write_text(BROKEN.replace("external: ip", "external: ipp", 1))
    ran = run_here(capsys, "check")
    assert ran.code == 1
    assert ran.out.splitlines()[-1] == "2 stack files: 7 errors, 1 warning"
    assert {line.partition(":")[0] for line in ran.out.splitlines()[:-1]} == {"Pulumi.other.yaml"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["test"],
        ["Pulumi.test.yaml"],
        ["./Pulumi.test.yaml"],
        ["--stack", "test"],
        ["--stack", "{folder}/Pulumi.test.yaml"],
    ],
    ids=" ".join,
)
def test_a_stack_is_named_or_given_as_a_path(capsys: Capsys, project: Path, arguments: list[str]) -> None:
    (project / "Pulumi.broken.yaml").write_text(BROKEN)
    arguments = [argument.format(folder=project) for argument in arguments]
    assert run_here(capsys, "check", *arguments) == (0, "1 stack file: 0 errors, 0 warnings\n", "")


def test_several_stacks_are_checked_together(capsys: Capsys, project: Path) -> None:
    (project / "Pulumi.second.yaml").write_text(DOUBTFUL)
    ran = run_here(capsys, "check", "test", "--stack", "second")
    assert ran.out.splitlines()[-1] == "2 stack files: 0 errors, 1 warning"


def test_a_path_brings_its_own_project_along(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there := tmp_path / "there").mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    file = write_stack(there, "config:\n  models:weights: {a: 1}\n", "name: models\nruntime: python\n")
    monkeypatch.chdir(elsewhere)
    ran = run_here(capsys, "check", str(file))
    assert ran.code == 1
    assert ran.out.startswith(f"{file}:1: error: abtest:variants: missing"), "models: is no key of this program"


def test_the_project_is_found_from_a_folder_below_it(
    capsys: Capsys, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "down")
    assert run_here(capsys, "check").code == 0
    assert run_here(capsys, "check", "test").code == 0


# What it says ---------------------------------------------------------------------------------------------------------


def test_every_problem_is_a_line_with_file_line_severity_path_and_remedy(capsys: Capsys, project: Path) -> None:
    write_stack(project, BROKEN)
    assert run_here(capsys, "check", "test") == (1, BROKEN_LINES, "")


def test_a_process_says_and_returns_the_same(tmp_path: Path) -> None:
    write_stack(tmp_path, BROKEN)
    assert run_shell("check", folder=tmp_path) == (1, BROKEN_LINES, "")


def test_json_holds_the_same_as_objects(capsys: Capsys, project: Path) -> None:
    write_stack(project, BROKEN)
    ran = run_here(capsys, "check", "--format", "json", "test")
    found = json.loads(ran.out)
    assert ran.code == 1
    assert found[1] == {
        "file": "Pulumi.test.yaml",
        "line": 3,
        "severity": "error",
        "path": "abtest:weights.a",
        "message": "1000 is over 999; weight: 0 to 999 (API TargetGroupTuple)",
    }
    lines = [f"{p['file']}:{p['line']}: {p['severity']}: {p['path']}: {p['message']}" for p in found]
    assert lines == BROKEN_LINES.splitlines()[:-1]


@pytest.mark.usefixtures("project")
def test_json_without_problems_is_an_empty_list(capsys: Capsys) -> None:
    ran = run_here(capsys, "check", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, [])


@pytest.mark.usefixtures("project")
def test_json_leaves_out_no_key_where_there_is_no_line_and_no_path(capsys: Capsys) -> None:
    ran = run_here(capsys, "check", "--format", "json", "tset")
    message = "there is no stack file for tset; did you mean test?"
    nowhere = {"file": "Pulumi.tset.yaml", "line": None, "severity": "error", "path": None, "message": message}
    assert (ran.code, json.loads(ran.out)) == (1, [nowhere])


def test_warnings_are_shown_and_do_not_change_the_code(capsys: Capsys, project: Path) -> None:
    write_stack(project, DOUBTFUL)
    ran = run_here(capsys, "check")
    first, last = ran.out.splitlines()
    assert ran.code == 0
    assert first.startswith('Pulumi.test.yaml:9: warning: abtest:rules.one.when.hostRegex[0]: "models" is not anchored')
    assert last == "1 stack file: 0 errors, 1 warning"


def test_what_the_rules_do_together_is_told_after_what_the_values_say(capsys: Capsys, project: Path) -> None:
    write_stack(project, SHADOWED)
    ran = run_here(capsys, "check")
    _, shadow, last = ran.out.splitlines()
    assert ran.code == 0
    assert shadow == (
        "Pulumi.test.yaml:10: warning: abtest:rules.too-late: is never reached: rule 1 (all-of-it) comes first and takes "
        "all its requests; give it a lower priority number, or take it out"
    )
    assert last == "1 stack file: 0 errors, 2 warnings"


def test_where_a_value_is_wrong_nothing_is_said_of_the_rules_together(capsys: Capsys, project: Path) -> None:
    write_stack(project, SHADOWED.replace("forward: a", "forward: c"))
    assert "never reached" not in run_here(capsys, "check").out


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "",
            "Pulumi.test.yaml:1: error: the file is empty; it needs a config: with abtest:variants and abtest:weights",
        ),
        ("- a\n", "Pulumi.test.yaml:1: error: expected a mapping with the key config:"),
        (
            "config:\n  abtest:weights: {a: 1\n",
            "Pulumi.test.yaml:2: error: not valid YAML: the { that opens here is not closed; add }",
        ),
        (f"{GOOD}{GOOD}", "Pulumi.test.yaml:8: error: the key config is a duplicate key; it is also on line 1 already"),
        ("config: {}\n", "Pulumi.test.yaml:1: error: abtest:variants: missing; "),
    ],
    ids=["empty", "a list", "not YAML", "a key twice", "no keys"],
)
def test_a_file_that_is_no_stack_file_is_one_more_problem(capsys: Capsys, project: Path, text: str, line: str) -> None:
    write_stack(project, text)
    ran = run_here(capsys, "check")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith(line)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("stack", "line"),
    [
        ("tset", "Pulumi.tset.yaml: error: there is no stack file for tset; did you mean test?"),
        ("production", "Pulumi.production.yaml: error: there is no stack file for production; known here: test"),
        ("sub/Pulumi.test.yaml", "sub/Pulumi.test.yaml: error: there is no such stack file"),
    ],
)
def test_a_stack_that_does_not_exist_is_told_with_those_that_do(capsys: Capsys, stack: str, line: str) -> None:
    assert run_here(capsys, "check", stack) == (1, f"{line}\n1 stack file: 1 error, 0 warnings\n", "")


def test_without_a_project_it_says_where_to_go(capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run_here(capsys, "check")
    assert (ran.code, ran.err) == (1, "")
    assert "error: no Pulumi.yaml here or in a folder above; go to the project's folder" in ran.out
    (problem,) = json.loads(run_here(capsys, "check", "--format", "json").out)
    assert problem["severity"] == "error"


def test_a_project_without_stack_files_is_an_error(capsys: Capsys, project: Path) -> None:
    (project / "Pulumi.test.yaml").unlink()
    ran = run_here(capsys, "check")
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "Pulumi.<stack>.yaml: error: the project has no stack file"


def test_encrypted_values_are_never_shown(capsys: Capsys, project: Path) -> None:
    write_stack(project, f"{GOOD}  abtest:idleTimeoutSeconds:\n    secure: AAABAKciphertext\n")
    ran = run_here(capsys, "check")
    assert (ran.code, "idleTimeoutSeconds" in ran.out) == (1, True)
    assert "ciphertext" not in ran.out + ran.err
