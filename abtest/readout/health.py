"""Whether what was read can be trusted: before any difference is looked at."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from abtest.command import command
from abtest.readout.question import Question
from abtest.readout.statistics import Split, check_split, split_sentence
from abtest.readout.table import ERRORS, Lines, Table

__all__ = ["Finding", "SplitCheck", "findings", "has_clients", "split_of"]

#: Parts above which something is worth a look: lines that are none, answers 502, 503 and 504, clients that met
#: several variants, outcomes that are of no use.
_MANY_SKIPPED, _MANY_FAILED, _MANY_MIXED, _MANY_LOST = 0.001, 0.01, 0.05, 0.05


@dataclass(frozen=True, kw_only=True)
class Finding:
    """``level`` is fine, look (it may bend what the report says) or broken (do not use it before that is mended)."""

    level: Literal["fine", "look", "broken"]
    text: str


@dataclass(frozen=True, kw_only=True)
class SplitCheck:
    """Whether a route's split is as asked. ``counted`` says of what ``seen`` and ``expected`` are numbers: clients that
    chose, or requests where there is no stickiness; ``stray`` are those with a variant of weight 0.

    ``p_value`` is for a single look; ``log_evidence`` for any number of them, ``is_off`` from it. They are None where
    requests of clients that keep their variant are all that the source counts, or too few chose to tell.
    """

    counted: Literal["clients", "requests", "choices"]
    seen: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)
    stray: Mapping[str, int] = field(default_factory=dict)
    p_value: float | None = None
    log_evidence: float | None = None
    is_off: bool = False
    text: str

    def set_share(self, variant: str) -> float | None:
        return _share(self.expected, variant)

    def seen_share(self, variant: str) -> float | None:
        return _share(self.seen, variant)


def _share(counts: Mapping[str, float], variant: str) -> float | None:
    total = sum(counts.values())
    return counts.get(variant, 0) / total if total else None


def has_clients(table: Table) -> bool:
    """Whether the source tells clients apart; without them nothing is known of how exact a figure is."""
    return any(sums.units for metrics in table.cells.values() for sums in metrics.values())


def split_of(table: Table, question: Question, route: str, enough: int) -> tuple[Split | None, SplitCheck]:
    """What a verdict needs of the split, and what a reader does. Below ``enough`` clients no split is called good."""
    chosen = [
        (question.weights(period, route), _of_period(table.first_seen, number, route))
        for number, period in enumerate(question.periods)
    ]
    sticky = {bool(p.stickiness_seconds) for p in question.periods if question.is_randomised(p, route)}
    counted: Literal["clients", "requests", "choices"] = "choices"
    if len(sticky) < 2:
        counted = "requests" if sticky == {False} else "clients"
    split = check_split(chosen)
    if split is None:
        return None, _unchecked(table, question, route, counted)
    check = SplitCheck(
        counted=counted,
        seen=split.seen,
        expected=split.expected,
        stray=split.stray,
        text=f"too few to tell whether the {split_sentence(split, counted)}",
    )
    if not split.is_off() and sum(split.seen.values()) < enough:
        return split, check
    sure = f"p {_p(split.p_value)}, fixed-time"
    if split.is_off():
        sure = f"{_times(split.log_evidence)} times likelier under another split; {sure}"
    told = replace(
        check,
        p_value=split.p_value,
        log_evidence=split.log_evidence,
        is_off=split.is_off(),
        text=f"{split_sentence(split, counted)} ({sure})",
    )
    return split, told


def _of_period(counts: Mapping[tuple[int, str, str], int], number: int, route: str) -> dict[str, int]:
    return {variant: n for (period, where, variant), n in counts.items() if (period, where) == (number, route)}


def _unchecked(
    table: Table, question: Question, route: str, counted: Literal["clients", "requests", "choices"]
) -> SplitCheck:
    """Without a choice that can be counted: requests, which are of clients that keep their variant."""
    requests = {cell: round(metrics[ERRORS].n) for cell, metrics in table.cells.items()}
    seen: Counter[str] = Counter()
    expected: dict[str, float] = {}
    for number, period in enumerate(question.periods):
        found = _of_period(requests, number, route)
        weights = question.weights(period, route)
        seen.update(found)
        for variant, weight in weights.items():
            share = weight / sum(weights.values()) if weight else 0.0
            expected[variant] = expected.get(variant, 0.0) + share * sum(found.values())
    if route in table.stuck or route in table.untold:
        why = "no client is known to have chosen since the split changed"
        return SplitCheck(counted=counted, text=f"split is not checked: {why}")
    if not seen.total():
        return SplitCheck(counted=counted, text=split_sentence(None))
    why = "no client chose in this window" if has_clients(table) else "the source knows no clients"
    return SplitCheck(
        counted="requests", seen=seen, expected=expected, text=f"split is not checked: {why}; shares are of requests"
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"


def _times(log_evidence: float) -> str:
    return "over a million" if log_evidence > math.log(1e6) else f"{math.exp(log_evidence):,.0f}"


def findings(
    table: Table, question: Question, splits: Mapping[str, SplitCheck], stack: str, known: Sequence[Finding] = ()
) -> list[Finding]:
    """What is worst first, and of that the split; ``known`` is what others found."""
    found = [
        *_traffic(table, question),
        *_splits(splits),
        *_lines(table, question),
        *_stuck(table, question),
        *_failures(table, splits.keys(), stack),
        *_targets(table),
        *_mixed(table, question),
        *_outcomes(table),
        *known,
    ]
    return sorted(found, key=lambda each: ("broken", "look", "fine").index(each.level))


def _splits(splits: Mapping[str, SplitCheck]) -> Iterator[Finding]:
    if not splits:
        yield Finding(level="broken", text="nothing to compare: no route chose between variants in this window")
    for route, split in splits.items():
        where = f"{route}: " if len(splits) > 1 else ""
        level: Literal["fine", "look", "broken"] = "look" if split.p_value is None else "fine"
        yield Finding(level="broken" if split.is_off else level, text=f"{where}{split.text}")
        for variant, count in split.stray.items():
            yield Finding(
                level="look",
                text=f"{where}{count:,} {split.counted} got {variant}, which had weight 0: stuck to it from before?",
            )


def _unread(lines: Lines) -> str:
    """Why there is no line of this load balancer; nothing where nobody can tell."""
    if lines.foreign:
        return "no request of this load balancer: every line is another one's"
    if lines.skipped:
        return f"none of the {lines.skipped:,} lines is of an Application Load Balancer's access log: the right file?"
    return ""


def _traffic(table: Table, question: Question) -> Iterator[Finding]:
    if table.window is None:
        text = "no request in the window: look at the times (UTC), and at what was read; logs come every five minutes"
        if not table.lines.parsed:
            of_files = (
                "" if question.logs_from else "the logs hold no requests; send some, or name other files (--logs)"
            )
            text = _unread(table.lines) or of_files or text
        yield Finding(level="broken", text=text)


def _lines(table: Table, question: Question) -> Iterator[Finding]:
    lines = table.lines
    if lines.parsed or lines.skipped or lines.foreign:
        yield Finding(
            level="look" if lines.skipped > _MANY_SKIPPED * lines.parsed else "fine",
            text=f"{lines.parsed:,} lines parsed, {lines.skipped:,} skipped (no access log line), "
            f"{lines.foreign:,} foreign (of another {'application' if question.is_shared else 'load balancer'})",
        )
    if len(lines.load_balancers) > 1:
        yield Finding(
            level="broken",
            text=f"lines of several load balancers, whose variants are mixed here: {', '.join(lines.load_balancers)}; "
            "give the logs of one, or a stack that is deployed",
        )
    for file in lines.unreadable:
        yield Finding(level="broken", text=f"left out, cannot be read to its end: {file}")
    for arn, count in lines.unknown.items():
        yield Finding(level="look", text=f"{_requests(count)} to a target group of no known variant: {arn}")
    if lines.outside:
        yield Finding(
            level="fine", text=f"{_requests(lines.outside)} left out: outside of the window, or while an update ran"
        )


def _stuck(table: Table, question: Question) -> Iterator[Finding]:
    stuck, untold = (sum(each.values()) for each in (table.stuck, table.untold))
    if stuck:
        yield Finding(
            level="fine", text=f"{_requests(stuck)} left out: of clients that had chosen before the split changed"
        )
    if untold:
        seconds = max(period.earlier_stickiness for period in question.periods)
        yield Finding(
            level="look",
            text=f"{_requests(untold)} left out: their clients may have chosen before the split changed, and the logs "
            f"begin less than the stickiness, {seconds:,} s, before that; add earlier ones, or ask for a longer window",
        )


def _requests(count: int) -> str:
    return f"{count:,} request{'s' * (count != 1)}"


def _failures(table: Table, routes: Collection[str], stack: str) -> Iterator[Finding]:
    """Answers that speak of targets that are not there, or not well."""
    lost: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for (route, variant, status), count in table.statuses.items():
        if route not in routes or route is None:
            continue
        if variant is not None:
            requests[variant] += count
            failed[variant] += count * (status in {502, 503, 504})
        elif status == 503:
            lost[route] += count
    for route, count in lost.items():
        yield Finding(
            level="look",
            text=f"503, with no target group in the log, was the answer to {_requests(count)} on {route}: so answers a "
            "variant without targets; they count for none",
        )
    if failed.total():
        counted = ", ".join(f"{name} {failed[name]:,} of {requests[name]:,}" for name in sorted(requests))
        many = any(failed[name] > _MANY_FAILED * requests[name] for name in requests)
        yield Finding(
            level="look" if many else "fine",
            text=f"answered 502, 503 or 504, as when a target breaks off, is missing or hangs: {counted}; "
            f"how targets are now: {command('status', stack)}",
        )

    for status, count in table.unattributed.items():
        yield Finding(
            level="look",
            text=f"the load balancer itself answered {status} {count:,} times; of which variant, only logs say",
        )


def _targets(table: Table) -> Iterator[Finding]:
    """How they were at their worst, where the source knows."""
    for variant, worst in table.targets.items():
        if worst.fewest_healthy:
            ill = f", and at times {worst.most_unhealthy} ill" * (worst.most_unhealthy > 0)
            text = f"{variant} always had healthy targets, {worst.fewest_healthy} or more{ill}"
        else:
            text = f"{variant} had no healthy target at times: all of its targets get its requests then, ill ones too"
        is_fine = worst.fewest_healthy and not worst.most_unhealthy
        yield Finding(level="fine" if is_fine else "look", text=text)


def _mixed(table: Table, question: Question) -> Iterator[Finding]:
    """Under stickiness a client keeps its variant; without it every client may meet all."""
    mixed: Counter[str] = Counter()
    met: Counter[str] = Counter()
    for (number, route), count in table.mixed.items():
        if question.periods[number].stickiness_seconds:
            mixed[route] += count
            met[route] -= count
    for (number, route, _), metrics in table.cells.items():
        if question.periods[number].stickiness_seconds:
            met[route] += metrics[ERRORS].units
    for route, count in mixed.items():
        yield Finding(
            level="look" if count > _MANY_MIXED * met[route] else "fine",
            text=f"{count:,} of {met[route]:,} clients on {route} met several variants (several behind one address, "
            "without cookies, or back after their stickiness was over): that hides differences",
        )


def _not_a_number(example: str) -> str:
    text = example if len(example) <= 20 else f"{example[:17]}..."
    shown = f'not a number, such as "{text}"' if text.strip() else "empty"
    return f"{shown} (write a number, true or false)"


def _outcomes(table: Table) -> Iterator[Finding]:
    if table.outcomes is None:
        return
    if table.outcomes.unreadable:
        yield Finding(level="look", text=f"{table.outcomes.unreadable:,} rows of outcomes are broken or have no trace")
    for name, each in table.outcomes.by_name.items():
        lost = {
            "of no request in the logs": each.unmatched,
            "of several requests, answered by different variants": each.ambiguous,
            "of a trace that had one": each.duplicates,
            _not_a_number(each.example): each.unreadable,
        }
        total = each.matched + each.not_compared + sum(lost.values())
        words = [f"{count:,} {why}" for why, count in {"not compared": each.not_compared, **lost}.items() if count]
        yield Finding(
            level="look" if not each.matched or sum(lost.values()) > _MANY_LOST * total else "fine",
            text=": ".join(
                [name, f"{each.matched:,} of {total:,} outcomes joined to a variant", *filter(None, [", ".join(words)])]
            ),
        )
