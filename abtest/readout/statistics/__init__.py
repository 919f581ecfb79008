"""What the sums of a readout say: pure functions, of the standard library alone."""

from abtest.readout.statistics.comparison import Comparison, Design, Verdict, compare, compare_all
from abtest.readout.statistics.difference import Difference, Pair, difference
from abtest.readout.statistics.intervals import Interval
from abtest.readout.statistics.metrics import BYTES, ERROR_RATE, LATENCY, Metric, outcome, slower_than
from abtest.readout.statistics.power import units_to_see
from abtest.readout.statistics.quantiles import design_effect, quantile_positions
from abtest.readout.statistics.ratio import Ratio, ratio
from abtest.readout.statistics.split import Split, check_split
from abtest.readout.statistics.words import (
    Standing,
    conclusion,
    effect,
    every_look,
    sentence,
    single_look,
    size,
    split_sentence,
    standing,
    would_show,
)

__all__ = [
    "BYTES",
    "ERROR_RATE",
    "LATENCY",
    "Comparison",
    "Design",
    "Difference",
    "Interval",
    "Metric",
    "Pair",
    "Ratio",
    "Split",
    "Standing",
    "Verdict",
    "check_split",
    "compare",
    "compare_all",
    "conclusion",
    "design_effect",
    "difference",
    "effect",
    "every_look",
    "outcome",
    "quantile_positions",
    "ratio",
    "sentence",
    "single_look",
    "size",
    "slower_than",
    "split_sentence",
    "standing",
    "units_to_see",
    "would_show",
]
