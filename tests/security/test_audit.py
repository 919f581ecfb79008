"""What `make audit` makes of a report of pip-audit."""

from __future__ import annotations

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


def test_an_index_without_advisories_is_not_taken_for_a_clean_one() -> None:
    assert judged(UNKNOWN) == ("skipped: the index has no advisories", [])


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
