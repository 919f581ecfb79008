"""Known vulnerabilities in what the requirements bring: ``python -m tests.audit PIP_AUDIT``, run by `make audit`.

pip-audit counts a package that an index has no advisories of as fine, and so a mirror that has none at all; here that is
told. What cannot be asked is skipped, since it says nothing of the packages; but not in CI, where somebody counts on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

#: It holds all that the other two do.
FILE = "requirements-dev.txt"


def main(pip_audit: str) -> str | None:
    """Print what was asked. Returns the vulnerabilities, a line each, or why there is no answer; None if all is well."""
    command = [pip_audit, "-r", FILE, "--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        return _skip("the advisories are out of reach") if is_offline(done.stderr) else done.stderr
    said, problems = judge(json.loads(done.stdout))
    if not said:
        return _skip("the index has no advisories")
    print(f"audit {said}")  # noqa: T201 a command
    return "\n".join(problems) or None


def _skip(why: str) -> str | None:
    if os.environ.get("CI"):  # as GitHub sets it
        return f"audit asked nothing: {why}"
    print(f"audit skipped: {why}")  # noqa: T201 a command
    return None


def is_offline(error: str) -> bool:
    """Whether pip-audit gave up for want of a connection: it says so, or lets the client's exception through."""
    return "your network may be blocking" in error or "requests.exceptions." in error


def judge(report: dict[str, Any]) -> tuple[str, list[str]]:
    """A report of pip-audit in a line, and each vulnerability that it knows of. No line if it asked of no package."""
    asked = [found for found in report["dependencies"] if "vulns" in found]
    unknown = sorted(found["name"] for found in report["dependencies"] if "vulns" not in found)
    if not asked:
        return "", []
    problems = [
        f"{found['name']} {found['version']}: {vuln['id']}, mended in {', '.join(vuln['fix_versions']) or 'no version'}"
        for found in asked
        for vuln in found["vulns"]
    ]
    but = f"; without advisories: {', '.join(unknown)}" if unknown else ""
    return f"of {len(asked)} packages: {len(problems)} known vulnerabilities{but}", problems


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
