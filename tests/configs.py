"""Small configs for tests, and short ways to what the loader makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from abtest.experiment import ConfigError, Experiment, Problem, Project, Source, load, load_stack, try_load

ROOT = Path(__file__).parent.parent

#: The stack files that are committed: those at the top, and the examples.
STACKS = [str(file.relative_to(ROOT)) for file in sorted([*ROOT.glob("Pulumi.*.yaml"), *ROOT.glob("examples/*.yaml")])]

#: A variant that needs nothing around it.
VARIANT = {"port": 8080, "targets": {"external": "ip"}}

#: A variant that is a Fargate service, and nothing is wrong with.
SERVICE: dict[str, Any] = {
    "port": 8080,
    "targets": {"ecs": {"image": "example.com/model:1", "cpu": 256, "memory": 512, "publicIp": True}},
}


def config(**changes: Any) -> dict[str, Any]:
    """Two variants, half and half, with ``changes`` by key (without its namespace; None takes a key out).

    The control is the first variant of the split by name.
    """
    keys: dict[str, Any] = {
        "weights": {"a": 50, "b": 50},
        "variants": {"a": VARIANT, "b": VARIANT},
        "guardrails": {},
        **changes,
    }
    if isinstance(keys["weights"], dict) and len(keys["weights"]) > 1:
        keys = {"control": min(keys["weights"]), **keys}
    return {"aws:region": "us-east-1"} | {f"abtest:{key}": v for key, v in keys.items() if v is not None}


def rule(**changes: Any) -> dict[str, Any]:
    """A rule that forwards /x to a, with ``changes`` by key (None takes a key out)."""
    keys = {"priority": 10, "when": {"path": ["/x"]}, "forward": "a", **changes}
    return {key: value for key, value in keys.items() if value is not None}


def variant(**changes: Any) -> dict[str, Any]:
    return {**VARIANT, **changes}


def source(keys: dict[str, Any], folder: Path = ROOT) -> Source:
    return Source.from_values(keys, Project(folder))


def experiment(keys: dict[str, Any]) -> Experiment:
    """The Experiment of a config without errors."""
    return load(source(keys))[0]


def problems(keys: dict[str, Any], folder: Path = ROOT) -> list[str]:
    """Every problem as ``severity: path: message``."""
    return [_words(problem) for problem in try_load(source(keys, folder))[1]]


def _words(problem: Problem) -> str:
    return f"{problem.severity}: {problem.path}: {problem.message}"


def errors(keys: dict[str, Any], folder: Path = ROOT) -> list[str]:
    """The errors alone, as ``path: message``."""
    return [p.removeprefix("error: ") for p in problems(keys, folder) if p.startswith("error: ")]


def write_stack(folder: Path, text: str, project: str = "name: abtest\nruntime: python\n") -> Path:
    """A project folder with one stack file, whose path is returned."""
    (folder / "Pulumi.yaml").write_text(project)
    file = folder / "Pulumi.test.yaml"
    file.write_text(text)
    return file


def lines_of(file: Path) -> list[str]:
    """What loading a stack file reports, a line each; empty when all is well."""
    try:
        return [str(problem) for problem in load_stack(str(file))[2]]
    except ConfigError as error:
        return str(error).splitlines()
