"""Weights that give a variant a share of new clients."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import lcm

from msgspec import Struct

from abtest.experiment.limits import WEIGHT
from abtest.experiment.problems import nearest
from abtest.routing import shares_of

__all__ = ["Share", "asked", "check_variant", "share_of", "weights_for"]

_PERCENT = re.compile(r"(?P<number>-?\d+(\.\d{1,4})?) ?%?")


class Share(Struct, frozen=True, kw_only=True):
    """A variant's share of new clients, 0 to 1: ``set`` in the stack file, ``actual`` at the load balancer; null where
    it has no part of the main split.
    """

    set: float | None = None
    actual: float | None = None


def asked(text: str) -> tuple[str, Fraction]:
    """A variant and its share of new clients, from ``b=25`` or ``b=12.5%``. Raises ValueError."""
    name, is_there, percent = text.partition("=")
    if not (name and is_there):
        raise ValueError(f'"{text}" is not a valid share; write VARIANT=PERCENT, such as b=25')
    return name, share_of(percent)


def check_variant(name: str, variants: Iterable[str]) -> None:
    """Raises ValueError for a variant that the stack does not have."""
    names = tuple(variants)
    if name not in names:
        raise ValueError(f"there is no variant {name}; {nearest(name, names)}")


def share_of(text: str) -> Fraction:
    """A share, from a percentage such as ``25``, ``12.5`` or ``25 %``. Raises ValueError."""
    match = _PERCENT.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a valid percentage; write a number from 0 to 100, such as 25 or 12.5')
    percent = Fraction(match["number"])
    if not 0 <= percent <= 100:
        side = "below 0" if percent < 0 else "over 100"
        raise ValueError(f"{text} is {side}; a percentage is from 0 to 100")
    return percent / 100


def weights_for(weights: Mapping[str, int], control: str, name: str, share: Fraction) -> Mapping[str, int]:
    """Weights that give ``name`` that share, and the others what is left, in the proportions that they have.

    They sum to 100 where that is exact, else to 1000; else they are any that are exact, or as near as can be: first for
    ``name``, then for the others. Where no other has a weight, the control takes what is left. Raises ValueError where
    the control is ``name`` itself.
    """
    others = {other: weight for other, weight in weights.items() if other != name}
    if share < 1 and not any(others.values()):
        if name == control:
            raise ValueError(f"no other variant has a weight to take what {name} leaves; shift that variant instead")
        others[control] = 1
    whole = sum(others.values()) or 1
    wanted = {other: (1 - share) * Fraction(weight, whole) for other, weight in others.items()} | {name: share}
    found = _exact(wanted) or _exact(shares_of(_nearest(wanted, name)))
    return {each: found[each] for each in {**weights, **wanted}}


def _exact(wanted: Mapping[str, Fraction]) -> Mapping[str, int]:
    """Whole weights with just these shares; empty where one of them would be too large."""
    for total in (100, 1000, lcm(*(share.denominator for share in wanted.values()))):
        scaled = {name: share * total for name, share in wanted.items()}
        if all(weight.denominator == 1 and weight <= WEIGHT.high for weight in scaled.values()):
            return {name: int(weight) for name, weight in scaled.items()}
    return {}


def _nearest(wanted: Mapping[str, Fraction], name: str) -> Mapping[str, int]:
    """Of all sums, the weights that are nearest: first for ``name``, then for the one that is farthest off."""
    shares = {each: float(share) for each, share in wanted.items()}  # they tell fractions of such weights apart

    def distance(weights: Mapping[str, int]) -> tuple[float, float]:
        total = sum(weights.values())
        off = {each: abs(weight / total - shares[each]) for each, weight in weights.items()}
        return off[name], max(off.values())

    sums = range(1, int(WEIGHT.high / max(shares.values())) + 2)
    made = (_divided(shares, name, total) for total in sums)
    return min((weights for weights in made if max(weights.values()) <= WEIGHT.high), key=distance)


def _divided(shares: Mapping[str, float], name: str, total: int) -> dict[str, int]:
    """A sum, divided by these shares: rounded for ``name``, by largest remainder for the others. No share that is not 0
    gets a weight of 0, so it may come out higher.
    """
    found = {name: max(round(shares[name] * total), 1)}
    rest = total - found[name]
    exact = {other: rest * share / (1 - shares[name]) for other, share in shares.items() if other != name}
    found |= {other: max(int(part), bool(shares[other])) for other, part in exact.items()}
    left = max(total - sum(found.values()), 0)
    for other in sorted(exact, key=lambda other: found[other] - exact[other])[:left]:
        found[other] += 1
    return found
