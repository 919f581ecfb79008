"""Nothing in a file, a log or an argument acts on the terminal, on GitHub's runner or on GitHub's pages."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abtest.cli import COMMANDS, run
from abtest.escape import code, line, lines, markdown, table_row
from tests.cli.commands import Ran
from tests.configs import ROOT, config, rule, variant
from tests.readout.log_lines import line as log_line

HOSTILE = [
    "\x1b[31m", "\x1b]0;title\x07", "\x00", "\x08", "\r", "\x7f", "\x85", "\x9b2J", "\u202e", "\u2066", "\u200f", "\u2028",
    "\n::add-mask::x", "\n  ::set-output name=a::b", "::error::x", "##[group]x", "\n##[add-mask]x", "@octocat", "#123",
    "https://evil.example", "www.evil.example", "<img src=x onerror=alert(1)>", "|", "`", "**b**", "[a](http://b)", "\\",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
texts = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.characters(exclude_categories=["Cs"]).map(str)), max_size=6
).map("".join)


def check(text: str) -> None:
    """What may stand on a terminal, and in a log of GitHub's runner."""
    assert not CONTROL.search(text), text
    for each in text.splitlines():
        assert not each.lstrip().startswith("::"), each
        assert "##[" not in each


@given(st.text(st.characters()))
def test_lines_keep_everything_but_what_acts(text: str) -> None:
    shown = lines(text)
    check(shown)
    assert lines(shown) == shown
    assert "\n" not in line(text)
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda match: chr(int(match[1], 16)), shown)
    assert plain == text or "\\u" in text, "nothing is lost"


@given(st.recursive(texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=5))
def test_json_stays_json(value: Any) -> None:
    shown = lines(json.dumps(value, ensure_ascii=False, indent=2))
    check(shown)
    assert json.loads(shown) == value


@given(texts)
def test_markdown_shows_a_text_and_makes_nothing_of_it(text: str) -> None:
    for shown in (markdown(text), table_row(markdown(text))[2:-2]):
        check(shown)
        assert not re.search(r"<|(?<!\\)[`*\[\]_~]|@(?!&#8203;)|(?<!&)#(?=\d)|:(?=//)|(?i:\bwww\.)", shown), shown
    assert (
        len(re.split(r"(?<!\\)(?:\\\\)*\|", table_row(markdown(text.replace("\\", "")), code(text.replace("\\", "")))))
        == 4
    )


# Commands ---------------------------------------------------------------------------------------------------------------


class Project:
    """A project whose texts are all hostile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Pulumi.yaml").write_text("name: abtest\nruntime: python\n")
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@e", "-C", str(folder)]
        self.write(hostile(""))
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "m"]):
            subprocess.run([*git, *words], check=True)

    def write(self, keys: dict[str, Any]) -> None:
        text = yaml.safe_dump({"config": keys}, allow_unicode=True)
        (self.folder / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")


def hostile(text: str) -> dict[str, Any]:
    """A config with the text wherever a text may be; some of it is refused."""
    return config(
        control="a",
        experiment=f"x{text}",
        rules={
            f"r{text}": rule(priority=1, when={"path": [f"/{text}"]}, forward="b"),
            "redirect": rule(priority=2, when={"header": {"X-A": [f"v{text}"]}}, forward=None, redirect={"path": f"/n{text}"}),
            "respond": rule(priority=3, when={"query": {f"k{text}": ["v"]}}, forward=None, respond={"status": 403, "body": text}),
        },
        tags={f"t{text}": f"v{text}"},
        variants={"a": variant(), "b": variant()},
        **({f"nokey{text}": 1} if text else {}),
    )  # fmt: skip


def only_names(text: str) -> dict[str, Any]:
    """A config that is valid whatever the text is: rule names, tags and bodies take most characters."""
    keys = hostile("")
    rules = {f"{name}{text}": dict(each) for name, each in keys["abtest:rules"].items()}
    rules[f"respond{text}"]["respond"] = {"status": 403, "body": text[:100]}
    return keys | {"abtest:rules": rules}


REPORT = ["--logs", "log", "--weights", "a=90,b=10"]
#: Arguments of each command, with TEXT for a hostile text.
ARGUMENTS = {
    "check": [[], ["--format", "json"], ["noTEXT"]],
    "explain": [
        *(["--format", form] for form in ("text", "json", "markdown", "mermaid")),
        ["--path", "/TEXT", "--header", "X-A: vTEXT"],
        ["--header", "noTEXT"],
        ["--stack", "noTEXT"],
    ],
    "diff": [["--base", "main"], ["--base", "main", "--format", "json"], ["--base", "noTEXT"]],
    "report": [
        *([*REPORT, "--outcomes", "o.csv", "--format", form] for form in ("text", "json", "markdown", "html")),
        ["--logs", "noTEXT", "--weights", "a=90,b=10"],
        ["--logs", "log", "--weights", "aTEXT=90"],
    ],
    "status": [["--stack", "noTEXT"], []],
    "shift": [["b=20", "--file-only"], ["bTEXT=20", "--file-only"], ["--TEXT"]],
    "ramp": [["bTEXT", "--yes"], ["b", "--schedule", "TEXT", "--yes"]],
    "promote": [["bTEXT", "--yes"]],
    "rollback": [["--stack", "noTEXT", "--yes"], ["--yes"]],
    "local": [["--stack", "noTEXT"], ["--backend", "bTEXT=x", "--requests", "0"]],
    "schema": [[], ["TEXT"]],
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.delenv("GITHUB_BASE_REF", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # without pulumi
    return Project(tmp_path)


def test_every_command_is_tried() -> None:
    assert set(ARGUMENTS) == set(COMMANDS)


@pytest.mark.parametrize("command", ARGUMENTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_command_prints_what_acts(command: str, data: st.DataObject, project: Project, capsys: Any) -> None:
    text, make = data.draw(texts), data.draw(st.sampled_from([hostile, only_names]))
    project.write(make(text))
    (project.folder / "log").write_text(
        "".join(f"{log_line(client=f'192.0.2.{n}:1', trace=f'Root=1-{n}', variant='ab'[n % 2])}\n" for n in range(9))
    )
    header = '"' + f"score{text}".replace('"', "") + '"'
    (project.folder / "o.csv").write_text(f"trace_id,{header}\n1-1,1\n1-2,0\n", encoding="utf-8")
    words = data.draw(st.sampled_from(ARGUMENTS[command]))
    arguments = [word.replace("TEXT", text.replace("\0", "")) for word in words]  # no argument can hold a NUL
    ran = Ran(run([command, *arguments]), *capsys.readouterr())
    assert ran.out or ran.err or command == "local"
    check(ran.out)
    check(ran.err)
    assert "Traceback" not in ran.err
    if "json" in arguments and ran.code in {0, 2} and ran.out:
        json.loads(ran.out)


def test_every_text_goes_out_through_the_one_function() -> None:
    others = {
        file.name
        for file in (ROOT / "abtest/cli").rglob("*.py")
        if re.search(r"click\.echo|(?<![\w.])print\(|sys\.std(out|err)\.write", file.read_text(encoding="utf-8"))
    }
    assert others == {"output.py", "failure.py"}, "failure.py writes into a buffer"
