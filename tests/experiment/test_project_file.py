"""What Pulumi refuses of a Pulumi.yaml is a problem of the stack file's check, with the line."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from abtest.experiment import ConfigError, find_project, load_stack, stack_file
from tests.configs import lines_of, write_stack

STACK = """\
config:
  abtest:weights: {a: 100}
  abtest:guardrails: {}
  abtest:variants: {a: {port: 8080, targets: {external: ip}}}
"""

#: A line below ``config:`` of Pulumi.yaml, and the problem that it is.
REFUSED = {
    "guardrails: {maxStep: 10}": (
        "abtest:guardrails.maxStep: in Pulumi.yaml a mapping declares a key, so Pulumi takes its keys for attributes and "
        "refuses the project; write abtest:guardrails: {value: {maxStep: 10}}"
    ),
    "tags: {value: {team: x}, valu: 1}": (
        "abtest:tags.valu: there is no such attribute, so Pulumi refuses the project; did you mean value?"
    ),
    "held:": "abtest:held: has no value, which Pulumi refuses; give one, or remove the key",
    "x: 0.5": "abtest:x: Pulumi refuses a fraction in this short form; write abtest:x: {value: 0.5}",
    "tags: {value: {a: b}, default: {a: b}}": "abtest:tags.default: has both default and value; remove one of them",
    "idleTimeoutSeconds: {value: 60, secret: 1}": "abtest:idleTimeoutSeconds.secret: secret has to be true or false, got 1",
    "idleTimeoutSeconds: {value: 60, description: [x]}": (
        'abtest:idleTimeoutSeconds.description: description has to be text, got ["x"]'
    ),
    "idleTimeoutSeconds: {type: number, value: 60}": (
        'abtest:idleTimeoutSeconds.type: "number" is not a type of Pulumi; write one of string, integer, boolean, array, '
        "object"
    ),
}
OWN = {
    "idleTimeoutSeconds: {type: integer, default: long}": (
        'abtest:idleTimeoutSeconds.default: "long" is not of the type integer'
    ),
    "held: {type: array, default: []}": (
        "abtest:held.type: an array declares the type of its items; add items: {type: string}, or another type"
    ),
    "held: {type: array, items: {type: string}, default: [1]}": "abtest:held.default: [1] is not of the type array<string>",
    "dns: {description: where}": (
        "abtest:dns: the stack file gives no value, and there is no default; add abtest:dns there"
    ),
}
FOREIGN = {
    "idleTimeoutSeconds: {default: 60}": (
        "abtest:idleTimeoutSeconds.default: only keys of the project's own namespace have a default; write value: 60"
    ),
    "idleTimeoutSeconds: {type: integer, value: 60}": (
        "abtest:idleTimeoutSeconds.type: only keys of the project's own namespace have a type; remove it"
    ),
    "dns: {description: where}": ("abtest:dns: has no value, which a key with a namespace needs; write {value: …}"),
}
CASES = [
    *(("abtest", line, problem) for line, problem in (REFUSED | OWN).items()),
    *(("ranker", line, problem) for line, problem in (REFUSED | FOREIGN).items() if "type: number" not in line),
]
ACCEPTED = [
    ("abtest", "idleTimeoutSeconds: 60"),
    ("abtest", "held: []"),
    ("abtest", "idleTimeoutSeconds: {type: integer, default: 60}"),
    ("abtest", "deletionProtection: {type: boolean, default: true, description: x, secret: false}"),
    ("abtest", "held: {type: array, items: {type: string}, default: []}"),
    ("abtest", "tags: {value: {team: x}}"),
    ("abtest", "weights: {type: object}"),
    ("ranker", "idleTimeoutSeconds: 60"),
    ("ranker", "tags: {value: {team: x}}"),
]


def project(name: str, line: str) -> str:
    return f"name: {name}\nruntime: python\nconfig:\n  abtest:{line}\n"


@pytest.mark.parametrize(("name", "line", "problem"), CASES)
def test_what_pulumi_refuses_of_a_project_is_refused(tmp_path: Path, name: str, line: str, problem: str) -> None:
    file = write_stack(tmp_path, STACK, project(name, line))
    assert [found for found in lines_of(file) if "no such key" not in found] == [
        f"{tmp_path}/Pulumi.yaml:4: error: {problem}"
    ]


@pytest.mark.parametrize(("name", "line"), ACCEPTED)
def test_what_pulumi_takes_of_a_project_is_taken(tmp_path: Path, name: str, line: str) -> None:
    assert lines_of(write_stack(tmp_path, STACK, project(name, line))) == []


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        ("idleTimeoutSeconds: {type: integer}", "long", 'Pulumi.yaml declares the type integer, got "long"'),
        ("tags: {type: object}", "[x]", 'Pulumi.yaml declares the type object, got ["x"]'),
        ("held: {type: array, items: {type: integer}}", "[x]", 'Pulumi.yaml declares the type array<integer>, got ["x"]'),
        (
            "experiment: {type: string, secret: true}",
            "x",
            "Pulumi.yaml declares it secret; encrypt it: pulumi config set --secret abtest:experiment VALUE",
        ),
    ],
)  # fmt: skip
def test_a_stack_file_is_held_to_what_pulumi_yaml_declares(
    tmp_path: Path, declared: str, value: str, problem: str
) -> None:
    key = declared.partition(":")[0]
    file = write_stack(tmp_path, f"{STACK}  abtest:{key}: {value}\n", project("abtest", declared))
    assert f"{file}:5: error: abtest:{key}: {problem}" in lines_of(file)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("idleTimeoutSeconds: {type: integer}", "60"),
        ("idleTimeoutSeconds: {type: integer}", '"60"'),
        ("deletionProtection: {type: boolean}", "true"),
        ("experiment: {type: string}", "x"),
        ("experiment: {type: string, secret: true}", "{secure: v1:abc}"),
        ("held: {type: array, items: {type: string}}", "[]"),
    ],
)
def test_a_stack_file_that_fits_the_declaration_is_taken(tmp_path: Path, declared: str, value: str) -> None:
    key = declared.partition(":")[0]
    assert lines_of(write_stack(tmp_path, f"{STACK}  abtest:{key}: {value}\n", project("abtest", declared))) == []


def test_an_environment_may_give_what_a_stack_file_lacks(tmp_path: Path) -> None:
    file = write_stack(tmp_path, f"environment: [x]\n{STACK}", project("abtest", "dns: {description: where}"))
    assert not any("gives no value" in line for line in lines_of(file))


def test_the_old_form_of_a_key_with_config_in_it_is_read(tmp_path: Path) -> None:
    file = write_stack(tmp_path, STACK.replace("abtest:weights", "abtest:config:weights"))
    assert load_stack(str(file))[0].weights == {"a": 100}


# stackConfigDir -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose stack files are in a folder below it."""
    (tmp_path / "Pulumi.yaml").write_text("name: abtest\nruntime: python\nstackConfigDir: stacks\n")
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "Pulumi.dev.yaml").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    "line", ["stackConfigDir: stacks", "stackConfigDir: ./stacks/", "stackConfigDir: /stacks", "config: stacks"]
)
def test_stack_files_are_found_in_the_folder_that_pulumi_yaml_names(stacks: Path, line: str) -> None:
    (stacks.parent / "Pulumi.yaml").write_text(f"name: abtest\nruntime: python\n{line}\n")
    file, found = stack_file("dev")
    assert file.resolve() == stacks / "Pulumi.dev.yaml"
    assert found.stacks() == ("dev",)
    with pytest.raises(ConfigError, match=r"^stacks/Pulumi\.dv\.yaml: error: .* did you mean dev\?"):
        stack_file("dv")


@pytest.mark.parametrize("folder", ["stacks", ".."])
def test_a_path_to_a_stack_file_finds_its_project(stacks: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = (stacks.parent / folder).resolve() if folder == "stacks" else stacks.parent.parent / "shared-stacks"
    if folder == "..":
        elsewhere.mkdir()
        shutil.copy(stacks / "Pulumi.dev.yaml", elsewhere)
        (stacks.parent / "Pulumi.yaml").write_text("name: ranker\nruntime: python\nstackConfigDir: ../shared-stacks\n")
    _, found = stack_file(os.path.relpath(elsewhere / "Pulumi.dev.yaml"))
    assert found.folder == stacks.parent
    if folder == "stacks":
        monkeypatch.chdir(stacks)
        assert stack_file("dev")[0] == stacks / "Pulumi.dev.yaml"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("stackConfigDir: [x]", "3: error: stackConfigDir: expected a folder, relative to this file"),
        ("config: a\nstackConfigDir: b", "3: error: config: stackConfigDir names the folder too; remove config"),
        ("config: [a]", "3: error: config: expected a mapping"),
        ("config: 3", "3: error: config: expected a mapping"),
    ],
)
def test_a_folder_that_pulumi_does_not_take_is_refused(tmp_path: Path, line: str, problem: str) -> None:
    file = write_stack(tmp_path, STACK, f"name: abtest\nruntime: python\n{line}\n")
    assert lines_of(file) == [f"{tmp_path}/Pulumi.yaml:{problem}"]


# No Pulumi.yaml -------------------------------------------------------------------------------------------------------


def test_a_folder_with_only_a_stack_file_is_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    assert load_stack("dev")[0].experiment == "abtest"
    assert (find_project(Path()).folder, find_project(Path()).stacks()) == (tmp_path, ("dev",))
    assert load_stack("./Pulumi.dev.yaml")[1].project.folder == tmp_path
    with pytest.raises(ConfigError, match="there is no stack file for prod; known here: dev"):
        stack_file("prod")
