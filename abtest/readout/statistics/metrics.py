"""What is compared: metrics that are a sum over requests, divided by their number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from abtest.readout import table

__all__ = ["BYTES", "ERROR_RATE", "LATENCY", "Metric", "outcome", "slower_than"]

_MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """``name`` is what a table's cells call it, ``label`` what a reader does. A share's y counts some of the requests.

    ``better`` is None where neither more nor less is. ``factor`` is what its values are multiplied by to be shown
    in ``unit``.
    """

    name: str
    label: str
    is_share: bool
    better: Literal["lower", "higher"] | None
    unit: str
    factor: float = 1.0

    @property
    def json_unit(self) -> str:
        """The unit in JSON, where every share is from 0 to 1."""
        return "share" if self.is_share else self.unit

    def in_json(self, value: float) -> float:
        """A value in ``json_unit``."""
        return value if self.is_share else value * self.factor

    def harm(self, difference: float) -> float:
        """How much worse that is; below 0: better. Only for a metric with a better side."""
        return -difference if self.better == "higher" else difference

    def step(self, control: float) -> float:
        """A difference that one would want to see: 1 point of a share, else a tenth of the control's mean."""
        return 0.01 if self.is_share else abs(control) / 10

    def amount(self, value: float, decimals: int | None = None, *, signed: bool = False) -> str:
        """A value in the metric's unit: 1.2 points, +31 ms."""
        text = number(value * self.factor, decimals, signed=signed)
        is_one = text.lstrip(f"+{_MINUS}") == "1"
        return f"{text} {self.unit[:-1] if is_one else self.unit}" if self.unit else text


def number(value: float, decimals: int | None = None, *, signed: bool = False) -> str:
    """A number with thousands marked; without decimals given, with at most three digits that count."""
    sign = "+" if signed else ""
    if decimals is None:
        text = f"{float(f'{value:.3g}'):{sign},.6f}".rstrip("0").rstrip(".")
    else:
        text = f"{value:{sign},.{decimals}f}"
    return text.replace("-", _MINUS)


def slower_than(seconds: float) -> Metric:
    return _share(table.slower_than(seconds), f"share slower than {seconds:g} s")


def outcome(name: str, *, is_share: bool = False, better: Literal["lower", "higher"] | None = "higher") -> Metric:
    """What became of requests: clicks, corrections, labels."""
    if is_share:
        return _share(name, name, better)
    return Metric(name=name, label=name, is_share=False, better=better, unit="")


def _share(name: str, label: str, better: Literal["lower", "higher"] | None = "lower") -> Metric:
    return Metric(name=name, label=label, is_share=True, better=better, unit="points", factor=100)


ERROR_RATE = _share(table.ERRORS, "error rate")
LATENCY = Metric(name=table.LATENCY, label="mean latency", is_share=False, better="lower", unit="ms", factor=1000)
BYTES = Metric(name=table.BYTES, label="mean size", is_share=False, better=None, unit="bytes")
