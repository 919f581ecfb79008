"""What a reviewer reads, file by file: the golden files are written by ``python -m tests.rollout.diff.write_golden``."""

from __future__ import annotations

import pytest

from tests.rollout.diff.cases import CASES, GOLDEN, shown


@pytest.mark.parametrize("name", CASES)
def test_a_change_reads_as_its_golden_file(name: str) -> None:
    assert shown(name) + "\n" == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


def test_there_is_a_case_for_each_golden_file() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.md")) == sorted(CASES)
