"""The main split: who takes part, with which weight."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from abtest.experiment.limits import FORWARD_GROUPS
from abtest.experiment.problems import Path, Report, nearest
from abtest.experiment.types import SPLIT, Experiment, Secret

__all__ = ["check_forward", "check_split"]


def check_split(experiment: Experiment, report: Report) -> None:
    variants = experiment.variants
    if not variants:
        report.error(("variants",), "there is no variant; a stack needs at least one")
        return
    check_forward(experiment.weights, variants, report, ("weights",))
    control = experiment.control
    if report.places.is_encrypted(("control",)):
        report.error(
            ("control",),
            "is encrypted, so `abtest rollback` could not read it; write the variant's name in plain text",
        )
    if isinstance(control, Secret):
        return
    if control not in variants:
        report.error(("control",), f"there is no variant {control}; {nearest(control, variants)}")
    elif control not in experiment.weights and experiment.weights and not report.holds_broken(("weights",)):
        report.error(
            ("control",),
            f"{control} is not in abtest:weights, so a rollback could not send clients to it; add {control}: 0 to "
            "abtest:weights, or name a variant that is in it",
        )
    elif experiment.weights.get(control) == 0 and any(experiment.weights.values()):
        report.warning(
            ("control",),
            f"{control} has no new clients, but `abtest rollback` sends all of them back to it; if another variant has "
            "proved itself, make that one the control",
        )
    if SPLIT in variants:
        report.error(
            ("variants", SPLIT), f"{SPLIT} is the name of the main split in rules; call the variant something else"
        )


def check_forward(weights: Mapping[str, int], variants: Collection[str], report: Report, path: Path) -> None:
    """The weights of one forward action."""
    if not weights:
        report.error(path, f"there is no weight; a forward takes {FORWARD_GROUPS} ({FORWARD_GROUPS.source})")
        return
    for name in weights:
        if name not in variants:
            report.error((*path, name), f"there is no variant {name}; {nearest(name, variants)}")
    if len(weights) > FORWARD_GROUPS.high:
        report.also(
            path,
            f"{len(weights)} variants, but a forward takes {FORWARD_GROUPS} ({FORWARD_GROUPS.source}); take some out",
        )
    if not any(weights.values()) and not report.holds_broken(path):
        report.error(
            path,
            "all weights are 0, so no variant would answer; give one of them a weight (AWS documents no meaning)",
        )
