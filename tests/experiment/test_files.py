"""Files that a config names: regular, of a bounded size, and within the project."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abtest.experiment import ConfigError, Source, try_load
from abtest.experiment.files import read_file, read_script
from abtest.experiment.source import Project, read_text
from tests.configs import config, variant

SCRIPT = "#!/bin/sh\nexec model\n"


def huge(file: Path) -> None:
    with file.open("wb") as opened:
        opened.truncate(1_000_000_000)


#: What may stand where a start-up script is expected, and the words that refuse it.
STRANGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a device": (lambda file: file.symlink_to("/dev/zero"), "it is outside; copy the script into the project folder"),
    "a pipe": (os.mkfifo, "it is not a regular file"),
    "1 GB": (huge, "it has more than 1,000,000 bytes"),
    "a folder": (Path.mkdir, "Is a directory"),
    "a link out of the project": (lambda file: file.symlink_to("/etc/hostname"), "it is outside"),
    "a link in a circle": (lambda file: file.symlink_to(file.name), "Too many levels of symbolic links"),
}


def problems(folder: Path, script: str) -> list[str]:
    targets = {"launch": {"instanceType": "t3.small", "userDataFile": script}}
    keys = config(variants={"a": variant(targets=targets)}, weights={"a": 100})
    _, found = try_load(Source.from_values(keys, Project(folder)))
    return [problem.message for problem in found if problem.severity == "error"]


@pytest.mark.parametrize(("make", "words"), STRANGE.values(), ids=STRANGE)
def test_a_script_is_a_regular_file_of_the_project(make: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    make(tmp_path / "start.sh")
    (message,) = problems(tmp_path, "start.sh")
    assert message.startswith("start.sh cannot be read from the project folder: ")
    assert words in message


@pytest.mark.parametrize("script", ["../start.sh", "/etc/hostname", "a/../../start.sh", "link/start.sh", "a\0b"])
def test_no_path_leads_out_of_the_project(script: str, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "a").mkdir(parents=True)
    (tmp_path / "start.sh").write_text(SCRIPT)
    (project / "link").symlink_to(tmp_path)
    (message,) = problems(project, script)
    assert "it is outside; copy the script into the project folder" in message or "NUL" in message
    with pytest.raises(OSError):  # noqa: PT011 as any reader of the script has it
        read_script(project, script)


def test_a_link_within_the_project_is_followed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "alias").symlink_to(project)
    (project / "real.sh").write_text(SCRIPT)
    (project / "start.sh").symlink_to("real.sh")
    assert problems(tmp_path / "alias", "start.sh") == []


def test_a_stack_file_of_1_gb_is_refused(tmp_path: Path) -> None:
    huge(tmp_path / "Pulumi.dev.yaml")
    with pytest.raises(ConfigError, match=r"Pulumi.dev.yaml: error: cannot be read: it has more than 1,000,000 bytes"):
        read_text(tmp_path / "Pulumi.dev.yaml")


def test_a_device_is_refused_as_a_stack_file() -> None:
    with pytest.raises(ConfigError, match="cannot be read: it is not a regular file"):
        read_text(Path("/dev/zero"))


def test_a_pipe_of_the_shell_is_read_with_the_same_bound() -> None:
    read, write = os.pipe()
    os.write(write, b"x" * 100)
    os.close(write)
    try:
        with pytest.raises(OSError, match="it has more than 99 bytes"):
            read_file(Path(f"/dev/fd/{read}"), 99, allow_pipe=True)
    finally:
        os.close(read)
