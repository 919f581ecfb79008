"""``abtest promote``."""

from __future__ import annotations

import click

from abtest.cli.moves import tell
from abtest.cli.ramp import Asked, ramp_options, run_ramp

__all__ = ["promote"]


@click.command()
@click.argument("variant")
@ramp_options
def promote(variant: str, **options: str | bool | None) -> int:
    """Ramp a variant to 100 % of new clients, and say how to retire the others.

    It is `abtest ramp VARIANT --to 100`, with the same options and exit codes.
    """
    code = run_ramp(Asked(variant=variant, to="100", **options))  # type: ignore[arg-type]
    if code == 0 and not options["as_json"]:
        tell(
            "to retire the others: wait until their sticky clients are gone (abtest:stickinessSeconds), make "
            f"{variant} the control (abtest:control), take the others out of abtest:weights, abtest:rules and "
            "abtest:variants, and pulumi up"
        )
    return code
