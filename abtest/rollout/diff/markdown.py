"""What a change does, as Markdown for a pull request: a sentence, a table, a list and a chart.

GitHub takes 65,536 characters in a comment. Whatever the stack, this stays below; what is left out is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from abtest.escape import code, markdown, table_row
from abtest.rollout.diff.chart import as_mermaid
from abtest.rollout.diff.effect import Effect, Pair
from abtest.rollout.diff.kept import keeps_log_bucket, kept_checks, kept_headers
from abtest.rollout.diff.replacement import Replacement
from abtest.rollout.diff.settings import is_below
from abtest.rollout.diff.summary import summary, unguarded_words
from abtest.rollout.diff.traffic import asks_for
from abtest.rollout.diff.wording import (
    action_words,
    called,
    client_words,
    listed,
    replacement_words,
    request_words,
    setting_words,
    shortened,
    title,
    with_points,
)
from abtest.routing import Route, percent
from abtest.routing.analysis import duration

__all__ = ["as_markdown"]

#: Most rows of the table, most lines of each kind, longest text of a stack file within one.
_ROWS, _LINES, _LONGEST = 25, 12, 120
_LIMIT = 65_000


def as_markdown(effect: Effect, stack: str, sides: tuple[str, str]) -> str:
    """The whole comment; ``sides`` says what the versions before and after are."""
    found = [f"### abtest: {markdown(stack)}", f"**{markdown(stack)}: {summary(effect)}.**"]
    end = f"<sub>Before: {code(sides[0])}. After: {code(sides[1])}.</sub>"
    for part in _parts(effect):
        if sum(map(len, found)) + len(part) + len(end) < _LIMIT:
            found.append(part)
    return "\n\n".join([*found, end])


def _parts(effect: Effect) -> Iterator[str]:
    if effect.changed:
        rows = [_row(effect, pair) for pair in effect.changed]
        more = table_row("… {} more", "", "")
        yield "\n".join([table_row("route", "before", "after"), "|-|-|-|", *_first(rows, _ROWS, more)])
    if unchanged := len(effect.pairs) - len(effect.changed):
        yield f"{unchanged} {'other ' * bool(effect.changed)}route{'s' * (unchanged != 1)} unchanged."
    if lines := [line for kind in _KINDS for line in _first([f"- {line}" for line in kind(effect)], _LINES, _MORE)]:
        yield "\n".join(lines)
    if effect.changed and effect.after is not None:
        yield f"```mermaid\n{as_mermaid(effect)}\n```"
    if moved := [f"- {line}" for line in _moved(effect)]:
        shown = "\n".join(_first(moved, _ROWS, _MORE))
        tag = "<details>" if effect.changed else "<details open>"
        yield f"{tag}<summary>Requests that take another route, by example</summary>\n\n{shown}\n\n</details>"


_MORE = "- … {} more"


def _first(lines: Sequence[str], most: int, rest: str) -> list[str]:
    return [*lines[:most], *([rest.format(len(lines) - most)] if len(lines) > most else [])]


# The table ------------------------------------------------------------------------------------------------------------


def _row(effect: Effect, pair: Pair) -> str:
    was, now = pair.before, pair.after
    if was is not None and now is not None:
        asked = [was, now] if asks_for(was) != asks_for(now) else [now]
        shares = action_words(was.action, now.action), with_points(now.action, was.action)
        return table_row(_titled(now, " → ".join(map(_asked, asked))), *shares)
    if now is not None:
        others = [_did(move.before) for move in effect.moves if move.after is now]
        return table_row(_titled(now, f"(new) {_asked(now)}"), _elsewhere(others), action_words(now.action))
    others = [_did(move.after) for move in effect.moves if move.before is was]
    return table_row(
        _titled(pair.shown, f"(gone) {_asked(pair.shown)}"), action_words(pair.shown.action), _elsewhere(others)
    )


def _titled(route: Route, more: str) -> str:
    return f"{code(route.name) if route.name else f'**{title(route)}**'} {more}".rstrip()


def _elsewhere(others: Sequence[str]) -> str:
    """What becomes of a route's requests where there is no such route."""
    return "; ".join(_first(list(dict.fromkeys(others)), 3, "{} more")) or "none"


def _asked(route: Route) -> str:
    return code(shortened(" and ".join(map(str, route.conditions)), _LONGEST)) if route.conditions else ""


def _did(route: Route) -> str:
    return f"{action_words(route.action)} ({called(route)})"


# The list: what else there is to know ---------------------------------------------------------------------------------


def _unguarded(effect: Effect) -> Iterator[str]:
    if effect.unguarded_by:
        yield f"**The guardrails are off** {unguarded_words(effect)}."
    for limit in effect.loosened:
        yield f"**Guardrail loosened:** {setting_words(limit, _LONGEST)}"


def _refused(effect: Effect) -> Iterator[str]:
    for words in effect.refused:
        yield f"**Refused:** {code(words)}"


def _clients(effect: Effect) -> Iterator[str]:
    """What becomes of clients that have a variant."""
    if words := client_words(effect.lag_seconds, effect.freed):
        yield f"**Sticky clients:** {words}."


def _undrained(effect: Effect) -> Iterator[str]:
    for found in effect.undrained:
        kept = duration(found.route.action.stickiness_seconds)
        yield (
            f"**Not drained:** {found.variant} leaves {called(found.route)}, where it has {percent(found.share)} of "
            f"new clients; give it weight 0 first, and take it out {kept} later"
        )


def _never(effect: Effect) -> Iterator[str]:
    for shadow in effect.shadowed:
        by = listed([called(route) for route in shadow.by])
        yield f"**Never reached:** {called(shadow.route)}, since {by} come{'s' * (len(shadow.by) == 1)} first"


def _replaced(effect: Effect) -> Iterator[str]:
    for found in effect.replaced:
        why = [setting for setting in effect.settings if any(is_below(setting, path) for path in found.why)]
        doubt = "Replaced" if found.certain else "Perhaps replaced"
        reasons = "; ".join(setting_words(setting, _LONGEST) for setting in why)
        wait = _drain(effect, found)
        drain = f"; the update waits {duration(wait)} for requests in flight to them" if wait else ""
        yield f"**{doubt}:** {replacement_words(found)}, since {reasons}{drain}"


def _drain(effect: Effect, found: Replacement) -> int:
    """How long the update waits before it ends single instances (``abtest.rollout.guard``), in seconds."""
    if found.what != "instance" or found.variant is None or effect.before is None or effect.after is None:
        return 0
    launch = effect.before.experiment.variants[found.variant].targets.launch
    is_single = launch is not None and not launch.scales
    return effect.after.experiment.variants[found.variant].deregistration_delay_seconds if is_single else 0


def _kept(effect: Effect) -> Iterator[str]:
    if effect.before is None or effect.after is None:
        return
    if keeps_log_bucket(effect.before.experiment, effect.after.experiment):
        yield "**The log bucket stays,** with its logs: it no longer belongs to the stack, so delete it by hand"
    if any(found.what == "load balancer" for found in effect.replaced):
        return
    before, after = effect.before.experiment, effect.after.experiment
    for key in kept_headers(before.listener, after.listener):
        command = f"aws elbv2 modify-listener-attributes --listener-arn ARN --attributes Key={key},Value="
        yield f"**Stays on the listener:** {code(key)}; this takes it away: {code(command)}"
    for name in kept_checks(before, after):
        command = "aws elbv2 modify-target-group --target-group-arn ARN --no-health-check-enabled"
        yield f"**Health checks of {name} stay on;** this switches them off: {code(command)}"


def _others(effect: Effect) -> Iterator[str]:
    for setting in effect.settings:
        if not effect.is_told(setting):
            yield setting_words(setting, _LONGEST)


_KINDS: tuple[Callable[[Effect], Iterator[str]], ...] = (
    _unguarded,
    _refused,
    _clients,
    _undrained,
    _never,
    _replaced,
    _kept,
    _others,
)


# Behind a click -------------------------------------------------------------------------------------------------------


def _moved(effect: Effect) -> Iterator[str]:
    for move in effect.crossed:
        way = f"{_did(move.before)} → {_did(move.after)}"
        if move.example is None:
            yield f"perhaps what both ask for: {way}"
        else:
            words = request_words(move.example, (move.before, move.after))
            yield f"{code(shortened(words, _LONGEST))}: {way}"
