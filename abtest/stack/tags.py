"""Tags of the resources."""

from __future__ import annotations

from collections.abc import Sequence

from abtest.experiment import Experiment

__all__ = ["tags_of"]


def tags_of(
    experiment: Experiment,
    *,
    variant: str | None = None,
    rule: str | None = None,
    control: str | None = None,
    held: Sequence[str] = (),
    stack: str | None = None,
    name: str | None = None,
) -> dict[str, str]:
    """The user's tags, and what the resource is to the experiment. ``name`` is for consoles that show the tag Name."""
    own = {
        "abtest:experiment": experiment.experiment,
        "abtest:variant": variant,
        "abtest:rule": rule,
        "abtest:control": control,
        "abtest:held": " ".join(sorted(held)) or None,
        "abtest:stack": stack,
    }
    shown = {"Name": name} if name else {}
    return {**shown, **experiment.tags, **{key: value for key, value in own.items() if value is not None}}
