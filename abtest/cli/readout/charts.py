"""Pictures as inline SVG. Chart libraries bring megabytes of JavaScript, or pictures that cannot follow a page's style.

Colours are the page's: variants are the classes v0 (the control), v1 … which also differ in how they are dashed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from abtest.escape import html, line
from abtest.readout.route import Effect, RouteReadout
from abtest.readout.statistics.metrics import number

__all__ = ["difference", "latencies", "nice_ticks", "shares", "time_ticks"]

_WIDTH, _HEIGHT = 360, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 12, 22, 34
_FLOOR, _END = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
_INNER = f"{_LEFT} {_TOP} {_END - _LEFT} {_FLOOR - _TOP}"

#: Between two labels of time.
_HOURS = (1 / 60, 1 / 30, 1 / 12, 1 / 6, 1 / 4, 1 / 2, 1, 2, 3, 6, 12, 24, 48, 168, 336, 672)

#: A place in the picture's own unit: x and y.
_Place = tuple[float, float]


@dataclass(frozen=True)
class _Scale:
    """From values to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / ((self.high - self.low) or 1) * (self.end - self.start)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten that lie between the two."""
    rough = (high - low) / about
    if not (rough > 0 and math.isfinite(rough)):
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def time_ticks(start: datetime, end: datetime, about: int = 5) -> list[tuple[datetime, str]]:
    """Full minutes, hours or days of UTC; a day is called by its date."""
    hours = max((end - start) / timedelta(hours=1), 1 / 60)
    step = next((each for each in _HOURS if hours / each <= about), hours / about)
    first = math.ceil(start.timestamp() / 3600 / step - 1e-9)
    last = math.floor(end.timestamp() / 3600 / step + 1e-9)
    found = [datetime.fromtimestamp(round(n * step * 3600), UTC) for n in range(first, last + 1)]
    return [(each, f"{each.day} {each:%b}" if not (each.hour or each.minute) else f"{each:%H:%M}") for each in found]


# The three pictures ---------------------------------------------------------------------------------------------------


def difference(effect: Effect, name: str, place: int) -> str:
    """The difference so far, with the interval that holds at every look; ``place`` is the variant's among all."""
    points, (unit, factor) = effect.over_time, ("points", 100) if effect.unit == "share" else (effect.unit, 1)
    x = _time_scale(points[0].time, points[-1].time)
    # Early intervals are huge; what counts is the end.
    late = points[len(points) // 2 :]
    ends = [0.0, *(factor * each.low for each in late), *(factor * each.high for each in late)]
    y = _value_scale(min(ends), max(ends))
    upper = [(x(each.time.timestamp()), y(factor * each.high)) for each in points]
    lower = [(x(each.time.timestamp()), y(factor * each.low)) for each in points]
    middle = [(x(each.time.timestamp()), y(factor * each.difference)) for each in points]
    up = {"lower": ", up is worse", "higher": ", up is better"}.get(effect.better or "", "")
    drawn = [
        *_value_axis(y, f"{unit}{up}".removeprefix(", ")),
        *_time_axis(x, points[0].time, points[-1].time),
        # Clips what leaves the axes.
        f'<svg x="{_LEFT}" y="{_TOP}" width="{_END - _LEFT}" height="{_FLOOR - _TOP}" viewBox="{_INNER}">',
        f'<polygon class="band {_look(place)}" points="{_points([*upper, *reversed(lower)])}"/>',
        _curve("line", place, middle),
        "</svg>",
        _line("zero", _LEFT, _END, y(0), y(0)),
        _line(f"line {_look(place)}", upper[-1][0], upper[-1][0], upper[-1][1], lower[-1][1]),
        _dot(place, middle[-1], 3.5),
    ]
    told = f"Last: {effect.difference_text} {effect.always_valid_text}. Verdict: {effect.verdict}."
    return _svg(name, f"{effect.label}: {effect.variant} less the control, over time", told, drawn)


def shares(route: RouteReadout, name: str) -> str:
    """Of each step's requests, beside what was asked of new clients."""
    steps = route.shares
    x = _time_scale(steps[0].start, steps[-1].end)
    y = _Scale(0, 100, _FLOOR, _TOP)
    drawn = [*_value_axis(y, "%"), *_time_axis(x, steps[0].start, steps[-1].end)]

    def stairs(parts: Iterable[float]) -> list[_Place]:
        moments = ((step.start, step.end) for step in steps)
        return [
            (x(each.timestamp()), y(100 * part)) for pair, part in zip(moments, parts, strict=True) for each in pair
        ]

    for place, variant in enumerate(variant.name for variant in route.variants):
        if any(step.set for step in steps):
            drawn.append(_curve("asked", place, stairs(step.set.get(variant, 0) for step in steps)))
        drawn.append(_curve("line", place, stairs(step.seen.get(variant, 0) for step in steps)))
    told = ", ".join(f"{variant} {100 * share:.0f} %" for variant, share in steps[-1].seen.items())
    return _svg(name, "Share of requests by variant, over time", f"At the end: {told}.", drawn)


def latencies(route: RouteReadout, name: str) -> str:
    """Which part of the answers came within which time."""
    curves = [variant.latency_curve for variant in route.variants]
    times = [ms for curve in curves for _, ms in curve]
    low = _log(min(times))
    x, y = _Scale(low, max(_log(max(times)), low + 0.3), _LEFT, _END), _Scale(0, 100, _FLOOR, _TOP)
    drawn = list(_value_axis(y, "%"))
    for ms in _log_ticks(x.low, x.high):
        at = x(_log(ms))
        drawn += [_line("grid", at, at, _TOP, _FLOOR), _text(at, _FLOOR + 16, number(ms), "middle")]
    drawn.append(_text(_END, _HEIGHT - 4, "ms, logarithmic", "end"))
    for place, (variant, curve) in enumerate(zip(route.variants, curves, strict=True)):
        drawn.append(_curve("line", place, [(x(_log(ms)), y(100 * part)) for part, ms in curve]))
        drawn += [_dot(place, (x(_log(each.ms)), y(100 * each.position)), 3) for each in variant.quantiles if curve]
    told = "; ".join(
        f"{variant.name}: {', '.join(f'p{100 * each.position:g} {number(each.ms)} ms' for each in variant.quantiles)}"
        for variant in route.variants
        if variant.quantiles
    )
    return _svg(name, "Part of the answers that came within a time, by variant", f"{told}.", drawn)


# Their parts ----------------------------------------------------------------------------------------------------------


def _svg(name: str, title: str, description: str, drawn: Iterable[str]) -> str:
    name = html(line(name))
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{html(line(title))}</title><desc id="{name}-desc">{html(line(description))}</desc>'
        f"{''.join(drawn)}</svg>"
    )


def _time_scale(start: datetime, end: datetime) -> _Scale:
    return _Scale(start.timestamp(), max(end.timestamp(), start.timestamp() + 1), _LEFT, _END)


def _value_scale(low: float, high: float) -> _Scale:
    """With some room around."""
    room = (high - low) / 12 or 1.0
    return _Scale(low - room, high + room, _FLOOR, _TOP)


def _value_axis(y: _Scale, unit: str) -> Iterator[str]:
    for value in nice_ticks(y.low, y.high):
        yield _line("grid", _LEFT, _END, y(value), y(value))
        yield _text(_LEFT - 5, y(value) + 4, number(value), "end")
    yield _text(2, 12, unit, "start")


def _time_axis(x: _Scale, start: datetime, end: datetime) -> Iterator[str]:
    for moment, label in time_ticks(start, end):
        at = x(moment.timestamp())
        yield _line("grid", at, at, _FLOOR, _FLOOR + 4)
        yield _text(min(max(at, _LEFT), _END - 10), _FLOOR + 16, label, "middle")
    yield _text(_END, _HEIGHT - 4, f"UTC, from {start.astimezone(UTC):%Y-%m-%d %H:%M}", "end")


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten; of wide ranges the powers alone."""
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = [factor * 10.0**power for power in powers for factor in factors]
    return [each for each in found if low - 1e-9 <= math.log10(each) <= high + 1e-9]


def _look(place: int) -> str:
    """An action leads to at most five target groups; after replacements there may have been more."""
    return f"v{place % 5}"


def _log(ms: float) -> float:
    """Of a time that the load balancer logs: 0 is less than 1 ms."""
    return math.log10(max(ms, 1))


def _line(look: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{look}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _curve(look: str, place: int, places: Sequence[_Place]) -> str:
    return f'<polyline class="{look} {_look(place)}" points="{_points(places)}"/>'


def _dot(place: int, at: _Place, radius: float) -> str:
    return f'<circle class="dot {_look(place)}" cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{radius}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html(line(text))}</text>'


def _points(places: Sequence[_Place]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
