"""Write what is generated from the types: ``abtest.schema.json`` and the reference in docs/config.md (make schema)."""

from __future__ import annotations

import json
import re
from pathlib import Path

from abtest.experiment.schema import reference, schema

ROOT = Path(__file__).parent.parent


def main() -> None:
    (ROOT / "abtest.schema.json").write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
    guide = ROOT / "docs" / "config.md"
    between = re.compile(r"(<!-- reference: .*?-->\n).*?(<!-- end of reference -->)", re.DOTALL)
    made = between.sub(lambda match: f"{match[1]}\n{reference()}\n{match[2]}", guide.read_text())
    guide.write_text(made)


if __name__ == "__main__":
    main()
