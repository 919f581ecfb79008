"""The locked requirement files agree with pyproject.toml, and the wheel holds all that a user needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.configs import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RANGES = {"": PROJECT["project"]["dependencies"], **PROJECT["project"]["optional-dependencies"]}

#: Locked file -> the extras that it installs, all of them with the program's own dependencies.
FILES = {
    "requirements.txt": ("",),
    "requirements-local.txt": ("", "local"),
    "requirements-dev.txt": ("", "local", "dev"),
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def pins(file: str) -> Iterator[tuple[Requirement, int]]:
    """Each pinned package of a locked file, with the number of its hashes."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.lstrip().startswith("#"):
            requirement, *hashes = line.split(" --hash=sha256:")
            yield Requirement(requirement.strip()), len(hashes)


def locked(file: str, python: str) -> dict[str, str]:
    """Package -> version, on Linux with one version of Python."""
    there = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found = [pin for pin, _ in pins(file) if pin.marker is None or pin.marker.evaluate(there)]
    versions: dict[str, str] = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in found}
    assert len(versions) == len(found), "one version of each package"
    return versions


@pytest.mark.parametrize("file", FILES)
def test_every_locked_package_has_one_version_and_its_hashes(file: str) -> None:
    for pin, hashes in pins(file):
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes, pin


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("file", FILES)
def test_the_locked_versions_are_in_the_ranges(file: str, python: str) -> None:
    """If this fails: make lock."""
    versions = locked(file, python)
    for text in (text for extra in FILES[file] for text in RANGES[extra]):
        requirement = Requirement(text)
        if requirement.name != "abtest":
            version = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version), (text, version)


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locked_files_agree_with_each_other(python: str) -> None:
    """All three are installed into one .venv."""
    program, local, dev = (locked(file, python) for file in FILES)
    assert program.items() < local.items() < dev.items()


def test_an_editable_install_builds_with_the_locked_backend() -> None:
    (backend,) = map(Requirement, PROJECT["build-system"]["requires"])
    assert str(backend.specifier) == f"=={locked('requirements-dev.txt', '3.11')[backend.name]}"


def test_what_runs_here_is_what_is_locked() -> None:
    """As long as nothing else was installed by hand. The weekly workflow compiles other files, and installs those."""
    from importlib.metadata import version

    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    versions = locked("requirements-dev.txt", here)
    assert {name: version(name) for name in versions} == versions


def test_the_wheel_runs_in_a_folder_with_a_stack_file_and_nothing_else(tmp_path: Path) -> None:
    """As after pip install 'abtest[local]': the wheel's own files are found, not those of this folder."""
    packed, unpacked, folder = tmp_path / "wheel", tmp_path / "unpacked", tmp_path / "empty"
    source = tmp_path / "source"
    shutil.copytree(ROOT / "abtest", source / "abtest", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", f"-w{packed}", "."]
    subprocess.run([sys.executable, *command], cwd=source, check=True, capture_output=True)
    (wheel,) = packed.glob("abtest-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
        (entry_points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert b"abtest = abtest.cli:main" in archive.read(entry_points)
    folder.mkdir()
    stack = (ROOT / "Pulumi.dev.yaml").read_text()
    (folder / "Pulumi.dev.yaml").write_text(stack)
    log, page = folder / "log", folder / "page.html"
    run = [sys.executable, "-c", "from abtest.cli import main; main()"]
    environment = {**os.environ, "PYTHONPATH": str(unpacked), "PYTHONSAFEPATH": "1"}
    ran = subprocess.run(
        [*run, "local", "--requests", "200", "--access-log", str(log)],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Traffic: 200 requests" in ran.stdout
    with page.open("w") as out:
        report = [*run, "report", "--logs", str(log), "--weights", "a=90,b=10", "--format", "html"]
        subprocess.run(report, cwd=folder, env=environment, stdout=out, check=True)
    assert page.read_text().startswith("<!DOCTYPE html>")
