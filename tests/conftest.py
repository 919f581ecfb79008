"""The committed stacks, and how the tests run: in which order, on which examples, from which folder."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, nullcontext
from pathlib import Path

import hypothesis
import pulumi.runtime.resource
import pytest
from pulumi.runtime.proto.source_pb2 import StackTrace

from abtest.local import Deployment
from tests.configs import ROOT
from tests.deployed import deploy, unshared

# What decides whether a change lands is the same each time; on a developer's machine examples are drawn afresh.
# No example has a deadline: how long one takes says more of the machine than of the code. The weekly workflow tries more.
_examples = int(os.environ.get("EXAMPLES", "50"))
hypothesis.settings.register_profile("here", deadline=None, max_examples=_examples)
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, max_examples=_examples)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


# No test asks the AWS, or goes through the proxy, that the developer's shell and files name.
for _name in [name for name in os.environ if name.startswith(("AWS_", "BOTO", "MOTO_"))]:
    del os.environ[_name]
os.environ |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG"), os.devnull)
os.environ |= {"AWS_EC2_METADATA_DISABLED": "true"}
os.environ |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")

# As after `source .venv/bin/activate`: messages call the program abtest.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])

# Pulumi tells the engine where each resource is made, from all the calls above it. Here they are pytest's, and the
# mocks take no notice: it took twice as long as all the rest that a resource needs of Pulumi.
pulumi.runtime.resource._get_stack_trace = StackTrace


# Modules and collected tests stay: to look for garbage among them, and often, took a good part of the time.
gc.set_threshold(50_000)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") == "load":
        config.option.dist = "worksteal"  # tests of a module share its fixtures, so most of them stay together
    if os.environ.get("CI") and config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if seed := config.getoption("randomly_seed", None):
        terminalreporter.write_line(f"the same order again: --randomly-seed={seed}")


def pytest_collection_finish() -> None:
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or DuckDB's bindings would take what is left for leaks


@pytest.fixture(autouse=True)
def _in_the_project(request: pytest.FixtureRequest) -> Iterator[None]:
    """Commands and configs without a folder mean this project's. A test that patches anything shares no deployment."""
    with chdir(ROOT), unshared() if "monkeypatch" in request.fixturenames else nullcontext():
        yield


@pytest.fixture(scope="session")
def dev() -> Deployment:
    return deploy(str(ROOT / "Pulumi.dev.yaml"))


@pytest.fixture(scope="session")
def prod() -> Deployment:
    return deploy(str(ROOT / "Pulumi.prod.yaml"))


@pytest.fixture(scope="session")
def examples() -> Callable[[str], Deployment]:
    """Each example, by its file's name."""
    return lambda name: deploy(str(ROOT / "examples" / f"{name}.yaml"))


_FILES = pytest.StashKey[set[str]]()

#: Made by the tools themselves.
_TOOLS = {".git", ".hypothesis", ".import_linter_cache", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".venv"}


def pytest_sessionstart(session: pytest.Session) -> None:
    session.stash[_FILES] = _files_of_the_project()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tests write to temporary folders: what they leave in the project fails the run."""
    before: set[str] = session.stash[_FILES]
    left = sorted(_files_of_the_project() - before)
    if left and not hasattr(session.config, "workerinput"):  # a worker's files may be another worker's
        print(f"\nthe tests left files in the project: {', '.join(left)}")  # noqa: T201 pytest shows it
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _files_of_the_project() -> set[str]:
    found = set()
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in {*_TOOLS, "__pycache__"} and ".egg-info" not in name]
        found |= {os.path.relpath(Path(folder) / name, ROOT) for name in files}
    return found
