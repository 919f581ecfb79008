"""``abtest diff``."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
from msgspec.structs import replace

from abtest.cli.failure import Failure
from abtest.cli.git import Base
from abtest.cli.output import echo, write_utf8
from abtest.experiment import ConfigError, Problem, Project, Source, find_project, stack_file, try_load
from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.version import Version, scripts_of

__all__ = ["diff", "of_base"]


@click.command()
@click.option("--stack", default="dev", show_default=True, metavar="NAME|PATH", help="The stack, by name or path.")
@click.option("--base", metavar="REF", help="What the work is merged into. Default: the default branch.")
@click.option(
    "--from", "saved", type=click.Path(path_type=Path), metavar="FILE", help="Compare with a file, without git."
)
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
def diff(stack: str, base: str | None, saved: Path | None, form: str) -> int:
    """Compare two versions of a stack file by what happens to traffic.

    After is the working tree as it is. Before is the merge base of HEAD and the default branch: on a pull request on
    GitHub its base (GITHUB_BASE_REF), else origin/HEAD, else the first there is of the branch that git's
    init.defaultBranch names, main and master. --base names another branch, tag or commit.

    Exit codes: 0 no change in effect, 1 an error or a problem in a file, 2 the effect changed.
    """
    if base is not None and saved is not None:
        raise Failure("error: --base and --from both say what to compare with; give one of them")
    try:
        name, sides, versions = _against_file(saved, stack) if saved is not None else _against_base(base, stack)
    except ConfigError as error:
        raise Failure(str(error)) from None
    effect = compare(*versions)
    if form == "json":
        from abtest.rollout.diff.report import as_json

        write_utf8(json.dumps(as_json(effect, name, sides), indent=2, ensure_ascii=False))
    else:
        from abtest.rollout.diff.markdown import as_markdown

        echo(as_markdown(effect, name, sides))
    return 2 if effect.is_change else 0


#: The stack's name, what the two versions are, and the versions.
Compared = tuple[str, tuple[str, str], tuple[Version | None, Version | None]]


def _against_file(saved: Path, stack: str) -> Compared:
    """A stack against a file, which is read as one of the same project."""
    file, project = stack_file(stack)
    versions = _both(lambda control: Version.read(saved, project, control=control), lambda: Version.read(file, project))
    return _name(file), (str(saved), os.path.relpath(file)), versions


def _against_base(ref: str | None, stack: str) -> Compared:
    """The working tree against the commit that the work started from. A stack may be missing on one side."""
    missing = None
    try:
        file, project = stack_file(stack)
    except ConfigError as error:
        missing = error
        file, project = _where_it_was(stack)
    base = Base.find(project.folder, ref)
    versions = _both(
        lambda control: of_base(base, file, control), lambda: None if missing else Version.read(file, project)
    )
    if missing and versions[0] is None:
        raise missing
    return _name(file), (str(base), "the working tree"), versions


def _name(file: Path) -> str:
    return file.stem.removeprefix("Pulumi.")


def _where_it_was(stack: str) -> tuple[Path, Project]:
    """Where a stack file that is missing would be."""
    path = Path(stack)
    if path.suffix in {".yaml", ".yml"}:
        return path, find_project(path.parent)
    project = find_project(Path())
    return project.stack_path(stack), project


def of_base(base: Base, file: Path, control: str = "") -> Version | None:
    """The stack as the base has it: its file, Pulumi.yaml and the scripts that it names. None where it has none.

    ``control`` is that of a file without one, which was no mistake in the past.
    """
    own = Path(os.path.relpath(file.parent.resolve(), base.folder)) / file.name
    with tempfile.TemporaryDirectory() as made:
        root = Path(made).resolve()
        folder = root / base.prefix
        base.write(["Pulumi.yaml", "Pulumi.yml"], root)
        try:
            project = Project.at(folder)
            # The base may have had its stack files in another folder.
            usual = Path(os.path.relpath(project.stack_folder, folder)) / file.name
            names = [str(name.with_suffix(suffix)) for name in (own, usual) for suffix in (".yaml", ".yml")]
            base.write(names, root)
            found = next((folder / name for name in names if (folder / name).is_file()), None)
            if found is None:
                return None
            experiment, _ = try_load(Source.from_file(found, project))
            base.write(list(scripts_of(experiment).values()), root)
            return Version.read(found, project, control=control)
        except ConfigError as error:
            raise ConfigError([_named(problem, root, base.commit) for problem in error.problems]) from None


def _named(problem: Problem, root: Path, commit: str) -> Problem:
    """A problem whose file is called as git calls it: COMMIT:PATH."""
    file = (Path.cwd() / problem.place.file).relative_to(root)
    return replace(problem, place=replace(problem.place, file=f"{commit}:{file}"))


def _both(
    before: Callable[[str], Version | None], after: Callable[[], Version | None]
) -> tuple[Version | None, Version | None]:
    """Both versions, with the problems of both at once. The first is read with the control of the second."""
    problems: list[Problem] = []
    found: list[Version | None] = [None, None]
    try:
        found[1] = after()
    except ConfigError as error:
        problems += error.problems
    try:
        found[0] = before(found[1].experiment.control if found[1] else "")
    except ConfigError as error:
        problems = [*error.problems, *problems]
    if problems:
        raise ConfigError(problems)
    return found[0], found[1]
