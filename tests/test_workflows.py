"""The workflows: least permissions, nothing from a pull request in a script, and steps that do what they say."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from abtest.cli import COMMANDS
from tests.configs import ROOT

FILES = {file.name: file.read_text(encoding="utf-8") for file in sorted((ROOT / ".github/workflows").glob("*.yml"))}
WORKFLOWS: dict[str, Any] = {name: yaml.load(text, yaml.BaseLoader) for name, text in FILES.items()}  # noqa: S506 texts alone
STACKS = sorted(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in ROOT.glob("Pulumi.*.yaml"))
NODE = shutil.which("node")
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"


class Job(NamedTuple):
    file: str
    name: str
    body: dict[str, Any]

    @property
    def steps(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.body.get("steps", [])
        return found


JOBS = [Job(file, name, body) for file, workflow in WORKFLOWS.items() for name, body in workflow["jobs"].items()]


def job_of(file: str, name: str) -> Job:
    return Job(file, name, WORKFLOWS[file]["jobs"][name])


def step_of(job: Job, word: str) -> dict[str, Any]:
    """The one step that is named, or uses an action, with this word in it."""
    (step,) = (step for step in job.steps if word in step.get("name", "") + step.get("uses", ""))
    return step


def scripts() -> Iterator[str]:
    for job in JOBS:
        for step in job.steps:
            yield step.get("run", "")
            yield step.get("with", {}).get("script", "")


# What they may do -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(file: str) -> None:
    used = [line.strip().removeprefix("- ") for line in FILES[file].splitlines() if "uses:" in line]
    others = [line for line in used if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]
    assert others in ([], ["uses: ./.github/workflows/test.yml # zizmor: ignore[self-repository]"])


def test_an_action_is_the_same_commit_everywhere() -> None:
    used = {step["uses"] for job in JOBS for step in job.steps if "uses" in step}
    assert len(used) == len({action.partition("@")[0] for action in used})


def test_permissions_are_given_to_jobs_alone_and_only_those_they_need() -> None:
    assert {file: workflow["permissions"] for file, workflow in WORKFLOWS.items()} == {file: {} for file in FILES}
    given = {f"{job.file} {job.name}": job.body["permissions"] for job in JOBS}
    more = {name: own for name, own in given.items() if own != {"contents": "read"}}
    takes_a_role = {"contents": "read", "id-token": "write"}
    assert more == {
        "aws.yml acceptance": takes_a_role,
        "deploy.yml dev": takes_a_role,
        "deploy.yml prod": takes_a_role,
        "preview.yml preview": takes_a_role,
        "preview.yml comment": {"pull-requests": "write"},
    }


def test_no_checkout_keeps_its_token() -> None:
    checkouts = [step for job in JOBS for step in job.steps if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == 10
    assert {step["with"]["persist-credentials"] for step in checkouts} == {"false"}


def test_values_reach_scripts_through_the_environment_alone() -> None:
    assert not [script for script in scripts() if "${{" in script]


def test_a_fork_gets_neither_credentials_nor_a_token_that_writes() -> None:
    assert set(WORKFLOWS["preview.yml"]["on"]) == {"pull_request"}
    for name in ("preview", "comment"):
        assert SAME_REPOSITORY in job_of("preview.yml", name).body["if"]
    assert "if" not in job_of("preview.yml", "traffic").body


def test_secrets_and_roles_belong_to_environments() -> None:
    for job in JOBS:
        if "secrets." in json.dumps(job.body) or "id-token" in job.body["permissions"]:
            assert "environment" in job.body


def test_no_key_of_aws_is_kept() -> None:
    assert not re.search(r"aws-access-key-id|aws-secret-access-key|AWS_SECRET", "".join(FILES.values()))


# When they run --------------------------------------------------------------------------------------------------------


def test_what_deploys_is_never_cut_off_and_one_environment_follows_the_other() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    assert {name: job["environment"]["name"] for name, job in jobs.items()} == {stack: stack for stack in STACKS}
    assert {name: job["concurrency"] for name, job in jobs.items()} == {
        stack: {"group": f"deploy-{stack}", "cancel-in-progress": "false"} for stack in STACKS
    }
    assert jobs["prod"]["needs"] == "dev"
    assert WORKFLOWS["deploy.yml"]["on"]["push"]["branches"] == ["main"]


def test_both_environments_are_deployed_in_the_same_way() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    assert jobs["prod"]["steps"] == json.loads(json.dumps(jobs["dev"]["steps"]).replace("dev", "prod"))
    assert step_of(job_of("deploy.yml", "dev"), "pulumi/")["with"]["upsert"] == "false"


def test_a_newer_push_ends_the_preview_of_the_one_before() -> None:
    assert WORKFLOWS["preview.yml"]["concurrency"] == {
        "group": "preview-${{ github.event.pull_request.number }}",
        "cancel-in-progress": "true",
    }


def test_the_preview_of_each_stack_has_an_output_of_its_own() -> None:
    outputs = job_of("preview.yml", "preview").body["outputs"]
    assert outputs == {
        stack: f"${{{{ matrix.stack == '{stack}' && steps.preview.outputs.output || '' }}}}" for stack in STACKS
    }


# What they run --------------------------------------------------------------------------------------------------------


def test_each_command_and_each_of_its_options_exists() -> None:
    called = re.findall(r"python -m abtest (\w+)([^|>\n]*)", "\n".join(scripts()))
    assert {command for command, _ in called} == {"check", "diff", "explain"}
    for name, words in called:
        assert name in COMMANDS
        command = getattr(importlib.import_module(f"abtest.cli.{name}"), name)
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", words)) <= known


def test_each_target_of_make_exists() -> None:
    called = re.findall(r"\bmake (\w+)", "\n".join(scripts()))
    assert sorted(called) == ["audit", "aws", "check", "engine", "lock", "test", "test"]
    assert set(called) <= set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


class Merge:
    """A merge commit as GitHub checks it out, and its steps as GitHub runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temporary = folder / "clone", folder
        self._env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.folder.mkdir()
        self._git("init", "--quiet")
        self.commit("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "README.md", "requirements.txt")

    def _git(self, *words: str) -> None:
        names = ["-c", "user.name=n", "-c", "user.email=e", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *names, *words], cwd=self.folder, env=self._env, check=True)  # noqa: S607 as PATH has it

    def commit(self, *files: str) -> None:
        """Change these files, so that they differ from the first parent; one that is named ``-file`` is taken away."""
        for name in files:
            file = self.folder / name.removeprefix("-")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{files}")
            if name.startswith("-"):
                file.unlink()
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", "m")

    def run(self, word: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The step of the job ``traffic`` with this word in its name."""
        step = step_of(job_of("preview.yml", "traffic"), word)
        places = {
            "GITHUB_OUTPUT": str(self.temporary / "output"),
            "GITHUB_STEP_SUMMARY": str(self.temporary / "summary"),
            "RUNNER_TEMP": str(self.temporary),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        return subprocess.run(
            command, cwd=self.folder, env=self._env | places | env, capture_output=True, text=True, check=False
        )

    def read(self, name: str) -> str:
        return (self.temporary / name).read_text()


@pytest.fixture
def merge(tmp_path: Path) -> Merge:
    return Merge(tmp_path)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["Pulumi.dev.yaml"], ["dev"]),
        (["Pulumi.dev.yaml", "Pulumi.prod.yaml"], ["dev", "prod"]),
        (["Pulumi.new-one.yaml"], ["new-one"]),
        (["Pulumi.new one.yaml", "Pulumi.`@team`.yaml", "Pulumi.<img>.yaml"], []),
        (["-Pulumi.dev.yaml"], []),
        (["README.md", "docs/comment.png", "tests/test_x.py", ".github/workflows/test.yml"], []),
        (["README.md", "Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.yaml"], ["dev", "prod"]),
        (["abtest/stack/variant.py"], ["dev", "prod"]),
        (["requirements.txt"], ["dev", "prod"]),
        (["start.sh"], ["dev", "prod"]),
    ],
    ids=" ".join,
)
def test_the_stacks_to_preview_are_those_that_may_change(changed: list[str], expected: list[str], merge: Merge) -> None:
    merge.commit(*changed)
    ran = merge.run("Find the stacks")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert merge.read("output") == f"stacks={json.dumps(expected)}\n"


def report(merge: Merge, answer: str, **codes: int) -> subprocess.CompletedProcess[str]:
    """Run the step that compares, where `abtest diff` prints its arguments and ends with the code of its stack."""
    cases = " ".join(f"{stack}) exit {code};;" for stack, code in codes.items())
    stand_in = merge.temporary / "bin/python"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "{answer}: $*"\ncase $5 in {cases} esac\n')
    stand_in.chmod(0o755)
    return merge.run("effective traffic", PATH=f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}")


def test_a_file_that_no_stack_can_have_is_not_reported(merge: Merge) -> None:
    merge.commit("Pulumi.`@team`.yaml", "Pulumi.[x](http:).yaml", "Pulumi.::error::.yaml")
    ran = report(merge, "traffic", dev=0, prod=0)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "team" not in merge.read("summary") + merge.read("output")


def test_nothing_unescaped_of_pulumi_comes_into_a_summary() -> None:
    """pulumi/actions writes its output there as it is."""
    assert not any("comment-on-summary" in text for text in FILES.values())


def test_the_documented_roles_reach_the_state_of_their_stack_only() -> None:
    text = (ROOT / "docs/ci.md").read_text(encoding="utf-8")
    policies = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    (preview,) = (policy for policy in policies if "s3:GetObject" in json.dumps(policy))
    actions, resources = (
        [item for statement in preview["Statement"] for item in strings(statement[key])]
        for key in ("Action", "Resource")
    )
    assert sorted(actions) == ["kms:Decrypt", "s3:GetObject", "s3:ListBucket"]
    assert not [resource for resource in resources if "prod" in resource or resource == "*"]
    assert [statement["Condition"] for statement in preview["Statement"] if "s3:ListBucket" in statement["Action"]] == [
        {"StringLike": {"s3:prefix": ["dev/*"]}}
    ]


def strings(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize(("failing", "code"), [(0, 0), (1, 1)], ids=["compared", "an error"])
def test_the_traffic_of_every_stack_is_reported_and_an_error_fails_the_job(
    failing: int, code: int, merge: Merge
) -> None:
    merge.commit("Pulumi.eu.yaml", "-Pulumi.dev.yaml")
    ran = report(merge, "traffic", dev=failing, eu=2, prod=0)
    assert (ran.returncode, ran.stderr) == (code, "")
    summary = merge.read("summary")
    assert [line for line in summary.splitlines() if line.startswith("traffic")] == [
        f"traffic: -m abtest diff --stack {stack} --base HEAD^1" for stack in ("dev", "eu", "prod")
    ]
    assert ("`Pulumi.dev.yaml` could not be compared; see the log." in summary) == (code == 1)
    first, *lines, last = merge.read("output").splitlines()
    assert first == f"report<<{last}"
    assert lines == summary.splitlines()


def test_a_report_that_no_comment_can_hold_is_in_the_summary_alone(merge: Merge) -> None:
    merge.commit("Pulumi.dev.yaml")
    assert report(merge, "x" * 30000, dev=2, prod=2).returncode == 0
    assert len(merge.read("summary")) > 60000
    assert merge.read("output").splitlines()[1:-1] == [
        "The traffic report is too long for a comment: it is in the job summary."
    ]


@pytest.mark.skipif(NODE is None, reason="node is not on PATH")
@pytest.mark.parametrize("exists", [False, True])
def test_there_is_one_comment_with_both_and_it_is_edited(exists: bool, tmp_path: Path) -> None:  # noqa: FBT001 a case
    script = step_of(job_of("preview.yml", "comment"), "github-script")["with"]["script"]
    comments = [
        {"id": 1, "body": "<!-- abtest -->", "user": {"login": "somebody"}},
        {"id": 2, "body": None if exists else "hello", "user": None},
        *([{"id": 3, "body": "<!-- abtest --> old", "user": {"login": "github-actions[bot]"}}] if exists else []),
    ]
    (tmp_path / "run.mjs").write_text(
        f"""
        const call = name => given => console.log(JSON.stringify({{ name, ...given }}))
        const github = {{
          paginate: async (list, given) => list === github.rest.issues.listComments && given.issue_number === 7
            ? {json.dumps(comments)} : [],
          rest: {{ issues: {{
            listComments: {{}}, createComment: call('create'), updateComment: call('update') }} }} }}
        const context = {{
          serverUrl: 'https://github.com', repo: {{ owner: 'o', repo: 'r' }}, runId: 5, issue: {{ number: 7 }} }}
        {script}
        """
    )
    previews = {"dev": "a <b> & c\n" * 9000}
    env = {"TRAFFIC": "### Traffic", "STACKS": '["dev", "prod"]', "PREVIEWS": json.dumps(previews), "RESULT": "failure"}
    ran = subprocess.run(
        [str(NODE), "run.mjs"],
        cwd=tmp_path,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    (sent,) = map(json.loads, ran.stdout.splitlines())
    assert (sent["name"], sent.get("comment_id"), sent.get("issue_number")) == (
        ("update", 3, None) if exists else ("create", None, 7)
    )
    assert sent["body"].startswith(
        "<!-- abtest -->\n\n### Traffic\n\n<details><summary>pulumi preview of dev</summary>\n\n<pre>\na &lt;b> &amp; c\n"
    )
    assert sent["body"].endswith(
        "\n</pre>\n</details>\n\npulumi preview of prod: failure, see the [run](https://github.com/o/r/actions/runs/5)."
    )
    assert len(sent["body"]) < 65536
