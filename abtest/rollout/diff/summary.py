"""The sentence that says what a change does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from abtest.escape import code
from abtest.rollout.diff.effect import Effect, Pair
from abtest.rollout.diff.traffic import Move, asks_for
from abtest.rollout.diff.wording import (
    MAIN,
    action_words,
    called,
    listed,
    replacement_words,
    setting_words,
    shortened,
    update_words,
)
from abtest.routing import Action, percent
from abtest.routing.analysis import duration

__all__ = ["summary", "unguarded_words"]


def summary(effect: Effect) -> str:
    """What a reviewer must know first, in a sentence without its full stop."""
    if effect.before is None:
        return f"a new stack: {_whole(effect)}"
    if effect.after is None:
        return f"the stack file is gone: {_whole(effect)}; what is deployed stays until `pulumi destroy`"
    clauses = list(_clauses(effect)) or ["no change in effect"]
    if effect.updates:
        clauses.append(update_words(effect.updates))
    return "; ".join(clauses)


def _whole(effect: Effect) -> str:
    """A stack in numbers."""
    version = next(version for version in (effect.after, effect.before) if version is not None)
    *rules, split = (pair.shown for pair in effect.pairs)
    return f"{_number(len(version.experiment.variants), 'variant')}, {_number(len(rules), 'rule')}, {split.action}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _clauses(effect: Effect) -> Iterator[str]:
    if effect.unguarded_by:
        yield f"the guardrails are off {unguarded_words(effect)}"
    if effect.loosened:
        yield f"the guardrails are loosened ({listed([setting_words(limit, longest=60) for limit in effect.loosened])})"
    if effect.refused:
        yield "it would be refused"
    yield from _traffic(effect)
    if effect.shadowed:
        names = listed([called(shadow.route) for shadow in effect.shadowed])
        yield f"{names} take{'s' * (len(effect.shadowed) == 1)} no request any more"
    for doubt in ("", "perhaps "):
        replaced = [found for found in effect.replaced if found.certain == (not doubt)]
        if replaced:
            is_single = len(replaced) == 1 and replaced[0].is_one
            yield f"{listed(list(map(replacement_words, replaced)))} {'is' if is_single else 'are'} {doubt}replaced"
    said = "abtest:stickinessSeconds"
    others = [setting for setting in effect.settings if setting.path != said and not effect.is_told(setting)]
    if len(others) == 1:
        yield setting_words(others[0], longest=60)
    elif others:
        yield f"{len(others)} other settings change"


def unguarded_words(effect: Effect) -> str:
    """How long the guardrails are off, and why."""
    rails = effect.after and effect.after.experiment.guardrails
    if not rails or not rails.suspend:
        return f"for good: {code('abtest:guardrails')} is gone"
    return f"until {code(rails.suspend.until)}: {code(shortened(rails.suspend.reason, 80))}"


def _traffic(effect: Effect) -> Iterator[str]:
    rules = [pair for pair in effect.changed if not _keeps(pair)]
    split = next((pair for pair in rules if pair.shown.is_split), None)
    if split and split.before and split.after and split.before.action != split.after.action:
        rules.remove(split)
        yield _split(split.before.action, split.after.action, effect)
    yield from map(_rule, rules) if len(rules) < 3 else [f"{len(rules)} rules change"]
    if not effect.changed and effect.moves:
        yield from _crossed(effect.crossed)
    if effect.before is not None and effect.after is not None:
        seconds = (version.experiment.stickiness_seconds for version in (effect.before, effect.after))
        yield from _kept(*seconds)


def _keeps(pair: Pair) -> bool:
    """Whether a route differs in nothing but how long clients keep their variant."""
    was, now = pair.before, pair.after
    if was is None or now is None:
        return False
    return asks_for(was) == asks_for(now) and was.action == replace(
        now.action, stickiness_seconds=was.action.stickiness_seconds
    )


def _kept(before: int, after: int) -> Iterator[str]:
    if before and not after:
        yield "clients no longer keep their variant"
    elif before != after:
        yield f"clients keep their variant for {duration(after)}" + (f" instead of {duration(before)}" * bool(before))


def _split(was: Action, now: Action, effect: Effect) -> str:
    """The main split: who gets what of whom instead of what."""
    whom = "new clients" if now.stickiness_seconds else "requests"
    control = effect.after.experiment.control if effect.after else ""
    moved = [name for name in {**was.shares, **now.shares} if was.shares.get(name) != now.shares.get(name)]
    others = [name for name in moved if name != control]
    if len(others) != 1:
        return f"the {MAIN} gives {now} of {whom} instead of {was}"
    (name,) = others
    if name not in was.shares:
        return f"{name} enters the {MAIN} with {percent(now.shares[name])} of {whom}"
    if name not in now.shares:
        return f"{name} leaves the {MAIN}, where it had {percent(was.shares[name])} of {whom}"
    return f"{name} gets {percent(now.shares[name])} of {whom} instead of {percent(was.shares[name])} on the {MAIN}"


def _rule(pair: Pair) -> str:
    rule, does = called(pair.shown), action_words(pair.shown.action)
    if pair.before is None or pair.after is None:
        return f"{rule} is {'new' if pair.before is None else 'gone'} ({does})"
    if pair.before.action == pair.after.action:
        return f"{rule} asks for something else"
    return f"{rule} changes to {action_words(pair.after.action, pair.before.action)}"


def _crossed(found: Sequence[Move]) -> Iterator[str]:
    ways = list(dict.fromkeys(f"from {called(move.before)} to {called(move.after)}" for move in found))
    yield f"requests move {listed(ways, most=2)}"
