"""Whether the split of clients is the one that was asked for (sample ratio mismatch, SRM).

If it is not, something chose which clients a variant got: a fail-open group, a redirect, lost log files. Then their
metrics differ for that reason, and no comparison means what it says.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Split", "check_split", "chi_square_tail"]

#: How sure the null split is beforehand, in clients: with as many more, a mismatch is found soonest at about 5,000
#: clients, for which the intervals are tuned as well. Any value leaves false alarms as rare.
_PRIOR_CLIENTS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Clients by variant, seen and expected. ``stray`` were seen with variants that had weight 0; they do not count.

    ``p_value`` is that of the chi-square, for a single look. ``log_evidence`` is for any number of looks: the logarithm
    of how many times likelier the counts are under some other split than under the one asked for.
    """

    seen: Mapping[str, int]
    expected: Mapping[str, float]
    stray: Mapping[str, int]
    chi_square: float
    degrees: int
    p_value: float
    log_evidence: float

    def is_off(self, alpha: float = 0.01) -> bool:
        """Whether the split is not as asked. The chance that a correct split is ever called off is at most alpha,
        however often one looks (Ville's inequality): the evidence of a correct split ever reaches 1 / alpha so rarely.
        """
        return self.log_evidence >= -math.log(alpha)


def check_split(periods: Iterable[tuple[Mapping[str, float], Mapping[str, int]]]) -> Split | None:
    """The check over periods of weights, each with the clients that chose in it, by variant; what a source counts as
    one choice, if there was no stickiness. None where no client had a choice between two variants.

    Periods are independent: chi-squares and their degrees of freedom add up, evidence multiplies. A variant with
    weight 0 is no degree of freedom; a client that it got is stray.
    """
    seen: Counter[str] = Counter()
    stray: Counter[str] = Counter()
    expected: dict[str, float] = {}
    chi_square, degrees, log_evidence = 0.0, 0, 0.0
    for weights, counts in periods:
        total = sum(weights.values())
        shares = {name: weight / total for name, weight in sorted(weights.items()) if weight > 0}
        stray.update({name: count for name, count in counts.items() if name not in shares and count})
        asked = {name: counts.get(name, 0) for name in shares}
        clients = sum(asked.values())
        if len(shares) < 2 or not clients:
            continue
        seen.update(asked)
        for name, share in shares.items():
            expected[name] = expected.get(name, 0.0) + share * clients
            chi_square += (asked[name] - share * clients) ** 2 / (share * clients)
        degrees += len(shares) - 1
        log_evidence += _log_bayes_factor(asked, shares)
    if not degrees:
        return None
    return Split(
        seen=dict(seen),
        expected=expected,
        stray=dict(stray),
        chi_square=chi_square,
        degrees=degrees,
        p_value=chi_square_tail(chi_square, degrees),
        log_evidence=log_evidence,
    )


def chi_square_tail(value: float, degrees: int) -> float:
    """P(χ² ≥ value). With h = value / 2 it is a finite sum, exact: Σ e⁻ʰ·hʲ / Γ(j+1) over j = 0, 1 … below degrees / 2,
    and for odd degrees erfc(√h) and the same over j = ½, 1½ … Source: Abramowitz and Stegun, 26.4.4 and 26.4.5.
    """
    half = value / 2
    if half <= 0:
        return 1.0
    odd = degrees % 2
    steps = (j + odd / 2 for j in range((degrees + 1) // 2 if not odd else degrees // 2))
    tail = sum(math.exp(j * math.log(half) - half - math.lgamma(j + 1)) for j in steps)
    return min(tail + (math.erfc(math.sqrt(half)) if odd else 0.0), 1.0)


def _log_bayes_factor(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """Γ(A) / Γ(A+n) · Π Γ(aᵢ+nᵢ) / Γ(aᵢ) / pᵢ^nᵢ, as a logarithm: a Dirichlet mixture of splits around the one asked
    for (aᵢ = A·pᵢ), against that itself. Source: Lindon and Malek, "Anytime-valid inference for multinomial count
    data" (NeurIPS 2022), arXiv 2011.03567.
    """
    clients = sum(counts.values())
    factor = math.lgamma(_PRIOR_CLIENTS) - math.lgamma(_PRIOR_CLIENTS + clients)
    for name, share in shares.items():
        prior = _PRIOR_CLIENTS * share
        factor += math.lgamma(prior + counts[name]) - math.lgamma(prior) - counts[name] * math.log(share)
    return factor
