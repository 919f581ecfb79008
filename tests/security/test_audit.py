"""What `make audit` makes of a report of pip-audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import audit

FINE = {"name": "click", "version": "8.2.1", "vulns": []}
UNKNOWN = {"name": "mine", "skip_reason": "Dependency not found on PyPI and could not be audited: mine (1.0)"}
BROKEN = {
    "name": "jinja2",
    "version": "3.1.2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.3"]}, {"id": "PYSEC-2", "fix_versions": []}],
}


def judged(*dependencies: dict[str, Any]) -> tuple[str, list[str]]:
    return audit.judge({"dependencies": list(dependencies), "fixes": []})


def test_each_vulnerability_is_told_with_the_version_that_mends_it() -> None:
    assert judged(FINE, BROKEN) == (
        "of 2 packages: 2 known vulnerabilities",
        ["jinja2 3.1.2: PYSEC-1, mended in 3.1.3", "jinja2 3.1.2: PYSEC-2, mended in no version"],
    )


def test_what_could_not_be_asked_is_named() -> None:
    assert judged(FINE, UNKNOWN) == ("of 1 packages: 0 known vulnerabilities; without advisories: mine", [])


@pytest.mark.parametrize(
    ("out", "err", "why"),
    [
        (json.dumps({"dependencies": [UNKNOWN]}), "", "the index has no advisories"),
        ("", "requests.exceptions.ProxyError: …", "the advisories are out of reach"),
    ],
    ids=["an index without advisories", "no connection"],
)
def test_having_asked_nothing_is_told_here_and_an_error_in_ci(
    out: str, err: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip_audit = tmp_path / "pip-audit"
    pip_audit.write_text(f"#!/bin/sh\necho -n '{out}'\necho '{err}' >&2\n")
    pip_audit.chmod(0o755)
    monkeypatch.delenv("CI", raising=False)
    assert audit.main(str(pip_audit)) is None
    assert capsys.readouterr().out == f"audit skipped: {why}\n"
    monkeypatch.setenv("CI", "true")
    assert audit.main(str(pip_audit)) == f"audit asked nothing: {why}"


@pytest.mark.parametrize(
    ("error", "is_offline"),
    [
        ("Tip: your network may be blocking this service. Try another service with `-s SERVICE`", True),
        ("requests.exceptions.ProxyError: HTTPSConnectionPool(host='example.com', port=443): …", True),
        ("pip-audit: error: unrecognized arguments: --formt", False),
    ],
)
def test_a_failure_of_another_kind_is_no_skip(error: str, is_offline: bool) -> None:  # noqa: FBT001 of the table
    assert audit.is_offline(error) is is_offline
