"""The base of a comparison: files of a project as a commit has them, put into a temporary folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from abtest.cli.failure import Failure

__all__ = ["Base"]

#: What a checkout in CI lacks when it is shallow. Source: actions/checkout, input fetch-depth.
_DEEPEN = "the clone is shallow; give actions/checkout `fetch-depth: 0`, or run `git fetch --unshallow`"


@dataclass(frozen=True)
class Base:
    """The merge base of ``ref`` and the current commit: what a pull request starts from.

    ``folder`` is the project's in the working tree, ``prefix`` its path below the repository's.
    """

    ref: str
    commit: str
    folder: Path
    prefix: Path

    @classmethod
    def find(cls, folder: Path, ref: str | None) -> Base:
        """The base for a project; ``ref`` is the default branch where it is None. Raises Failure."""
        asked = _run(folder, "rev-parse", "--show-prefix")
        if asked.returncode:
            raise Failure(f"{folder}: error: {_message(asked)}; without git: --from FILE")
        ref = ref or _default_branch(folder)
        for name in (ref, "HEAD"):
            if _commit(folder, name) is None:
                remedy = _deepen(folder) or "; fetch it, or name another: --base REF"
                raise Failure(f"error: there is no commit {name} here{remedy}")
        commit = _git(folder, "merge-base", ref, "HEAD")
        if commit is None:
            raise Failure(f"error: {ref} and HEAD have no commit in common{_deepen(folder)}")
        short = _git(folder, "rev-parse", "--short", commit) or commit
        return cls(ref=ref, commit=short, folder=folder, prefix=Path(os.fsdecode(asked.stdout).removesuffix("\n")))

    def __str__(self) -> str:
        return f"{self.commit} (merge base with {self.ref})"

    def write(self, names: Iterable[str], root: Path) -> None:
        """Write the project's files of these names, those that the commit has, below ``root`` as in the repository."""
        for name in names:
            if Path(name).is_absolute() or not _git(self.folder, "ls-tree", self.commit, "--", name):
                continue
            # With the filters of a checkout, so that line ends and large files are as in the working tree.
            found = _run(self.folder, "cat-file", "--filters", f"{self.commit}:./{name}")
            if found.returncode:
                raise Failure(f"{self.commit}:{self.prefix / name}: error: cannot be read: {_message(found)}")
            file = Path(os.path.normpath(root / self.prefix / name))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(found.stdout)


def _default_branch(folder: Path) -> str:
    """What work is merged into: the base of a pull request on GitHub, else the remote's default, else a usual name."""
    if base := os.environ.get("GITHUB_BASE_REF"):
        return f"origin/{base}"
    usual = _git(folder, "config", "init.defaultBranch") or "main"
    names = ["origin/HEAD", *(f"{remote}{name}" for name in (usual, "main", "master") for remote in ("origin/", ""))]
    found = next((name for name in names if _commit(folder, name)), None)
    if found is None:
        raise Failure(f"error: no default branch is known here; name it: --base BRANCH{_deepen(folder)}")
    return found


def _commit(folder: Path, ref: str) -> str | None:
    return _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")


def _deepen(folder: Path) -> str:
    return f": {_DEEPEN}" if _git(folder, "rev-parse", "--is-shallow-repository") == "true" else ""


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails."""
    done = _run(folder, *arguments)
    return done.stdout.decode(errors="surrogateescape").removesuffix("\n") if done.returncode == 0 else None


def _message(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, check=False)  # noqa: S603 no shell, and git as PATH has it
    except FileNotFoundError:
        raise Failure("error: git is not installed; without it: --from FILE") from None
