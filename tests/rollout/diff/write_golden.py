"""Write the golden files: ``python -m tests.rollout.diff.write_golden``. Read what changed before it is committed."""

from __future__ import annotations

from tests.rollout.diff.cases import CASES, GOLDEN, shown


def main() -> None:
    for name in CASES:
        (GOLDEN / f"{name}.md").write_text(shown(name) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
