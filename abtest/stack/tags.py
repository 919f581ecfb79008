"""Tags of the resources."""

from __future__ import annotations

from abtest.experiment import Experiment

__all__ = ["tags_of"]


def tags_of(
    experiment: Experiment,
    *,
    variant: str | None = None,
    rule: str | None = None,
    is_split: bool = False,
    stack: str | None = None,
    name: str | None = None,
) -> dict[str, str]:
    """The user's tags, and what the resource is to the experiment. ``name`` is for consoles that show the tag Name.

    The main split (``is_split``) has what holds for the next update too, so that no other stack file can say otherwise:
    the control, what is held, and the guardrails. The number of rules makes an update that only deletes some an update
    of the split, whose hook judges it. A shift changes none of these.
    """
    rails = experiment.guardrails
    split = {
        "abtest:control": experiment.control,
        "abtest:held": " ".join(sorted(experiment.held)) or None,
        "abtest:guardrails": rails.tag if rails is not None else None,
        "abtest:rules": str(len(experiment.rules)),
    }
    own = {
        "abtest:experiment": experiment.experiment,
        "abtest:variant": variant,
        "abtest:rule": rule,
        **(split if is_split else {}),
        "abtest:stack": stack,
    }
    shown = {"Name": name} if name else {}
    return {**shown, **experiment.tags, **{key: value for key, value in own.items() if value is not None}}
