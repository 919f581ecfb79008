"""Write what is generated (make schema): ``abtest.schema.json``, the reference in docs/config.md, the
model servers in docs/serving.md, the deviations in docs/security.md, and what was
observed on AWS in docs/aws.md.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from abtest.experiment.schema import reference, schema
from abtest.experiment.serving import PRESETS
from tests.aws.probes import observed_table
from tests.security.deviations import table

ROOT = Path(__file__).parent.parent


def main() -> None:
    _write(ROOT / "abtest.schema.json", schema())
    _insert(ROOT / "docs" / "config.md", "reference", reference())
    _insert(ROOT / "docs" / "security.md", "deviations", table())
    _insert(ROOT / "docs" / "aws.md", "observed", observed_table())
    _insert(ROOT / "docs" / "serving.md", "presets", presets())


def presets() -> str:
    """The model servers that are known by name, as a Markdown table."""
    rows = [
        f"| `{name}` | {found.port} | `{found.health_path}` | {found.grpc_port or ''} | {found.source} |"
        for name, found in PRESETS.items()
    ]
    return "\n".join(["| `serving` | port | health path | port of gRPC | source |", "|-|-|-|-|-|", *rows]) + "\n"


def _write(file: Path, made: dict[str, Any]) -> None:
    file.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")


def _insert(guide: Path, name: str, made: str) -> None:
    """Between two comments of a guide."""
    between = re.compile(rf"(<!-- {name}: .*?-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    guide.write_text(between.sub(lambda match: f"{match[1]}\n{made}\n{match[2]}", guide.read_text()))


if __name__ == "__main__":
    main()
