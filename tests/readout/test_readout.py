"""What a report says of a table: health first, then who is worse, by how much and how sure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from abtest.readout.health import Finding
from abtest.readout.over_time import units_per_hour
from abtest.readout.question import DEFAULT_ROUTE as MAIN
from abtest.readout.readout import Readout
from abtest.readout.statistics import ERROR_RATE, LATENCY, outcome
from abtest.readout.sums import Sums
from abtest.readout.table import Latencies, Lines, Outcome, Outcomes, Table, Targets
from tests.readout.statistics.units import sums_of
from tests.readout.tables import BEGIN, HOUR, METRICS, metrics, period, question, read, table

FINE = {"a": metrics(1000, 0.02), "b": metrics(1000, 0.02)}
FAULTY = {"a": metrics(1000, 0.02), "b": metrics(1000, 0.12)}


def told(readout: Readout) -> list[tuple[str, str]]:
    return [(each.level, each.text) for each in readout.health]


def found(readout: Readout, words: str) -> Finding:
    """The finding that has those words."""
    (one,) = [each for each in readout.health if re.search(re.escape(words) + r"(?!\w)", each.text)]
    return one


# Verdicts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variants", "standing", "words"),
    [
        (FAULTY, "worse", "b is worse: error rate +2.0 points [1.0, 3.0]"),
        ({"a": FAULTY["b"], "b": FAULTY["a"]}, "better", "b is better: error rate"),
        (FINE, "no evidence", "b: no evidence of harm: error rate +0.0 points ["),
        ({"a": metrics(1000), "b": metrics(12)}, "no data", "b: no data: b has 12 clients, 50 are needed"),
        ({"a": metrics(1000)}, "no data", "b: no data: b has 0 clients, 50 are needed"),
        ({}, "no data", "b: no data: b has 0 clients, 50 are needed"),
    ],
)
def test_a_variant_gets_the_verdict_of_its_traffic(
    variants: Mapping[str, Mapping[str, Sums]], standing: str, words: str
) -> None:
    made = table(variants, first_seen={})
    (conclusion,) = read(made).conclusions
    assert conclusion.standing == standing
    assert conclusion.text.startswith(words)


def test_a_split_that_is_off_leaves_no_verdict() -> None:
    readout = read(table(FAULTY, first_seen={(0, MAIN, "a"): 1000, (0, MAIN, "b"): 500}))
    assert readout.conclusions[0].standing == "no verdict"
    assert readout.health[0].level == "broken"
    assert "split is not as asked" in readout.health[0].text
    assert {each.verdict for each in readout.routes[0].effects} == {"no verdict"}
    assert {each.at_least for each in readout.routes[0].effects} == {None}


def test_an_effect_has_both_intervals_in_the_metrics_unit_and_what_is_certain() -> None:
    effect = read(table(FAULTY)).routes[0].effects[0]
    assert (effect.label, effect.unit, effect.difference_text) == ("error rate", "share", "+2.0 points")
    assert effect.difference == pytest.approx(0.02)
    assert effect.always_valid is not None
    assert effect.single_look is not None
    assert effect.at_least is not None
    assert 0 < effect.always_valid.low < effect.at_least < effect.single_look.low < 0.02
    assert effect.control_value == pytest.approx(0.004)
    assert effect.variant_value == pytest.approx(0.024)


def test_what_has_not_shown_is_said_to_show_by_some_time() -> None:
    effects = {each.metric: each for each in read(table(FAULTY)).routes[0].effects}
    assert not effects[ERROR_RATE.name].would_show
    assert effects[LATENCY.name].would_show == "11 ms of mean latency would show by now"
    few = read(table({"a": metrics(60, 0.02), "b": metrics(60, 0.02)})).routes[0].effects[0]
    # 120 clients came in 4 hours, 60 of them in the last 2.
    assert few.would_show.startswith("1 point of error rate would show in about ")
    assert few.would_show.endswith(" days")


def test_comparisons_are_counted_over_all_routes_and_said() -> None:
    splits = {MAIN: None, "beta": {"a": 1, "c": 1}}
    readout = read(table(FAULTY), question(splits=splits))
    assert "for all 8 comparisons together" in readout.sure
    alone = read(table(FAULTY)).routes[0].effects[0].always_valid
    among = readout.routes[0].effects[0].always_valid
    assert alone is not None
    assert among is not None
    assert among.low < alone.low


def test_routes_are_compared_by_themselves_the_main_split_first() -> None:
    both = table(FAULTY)
    cells = {**both.cells, (0, "beta", "a"): metrics(500, 0.2), (0, "beta", "c"): metrics(500, 0.02)}
    readout = read(replace(both, cells=cells), question(splits={"beta": {"c": 1, "a": 1}, MAIN: None}))
    assert [(each.route, each.variant, each.standing) for each in readout.conclusions] == [
        (MAIN, "b", "worse"),
        ("beta", "c", "better"),
    ]
    assert readout.conclusions[1].text.startswith("beta: c is better")


def test_a_route_without_the_control_compares_with_its_largest_variant() -> None:
    made = table({"c": metrics(300), "b": metrics(100)}, route="beta")
    readout = read(made, question(splits={"beta": {"b": 1, "c": 3}}))
    assert readout.routes[0].control == "c"
    assert [each.name for each in readout.routes[0].variants] == ["c", "b"]


def test_the_control_comes_first_whatever_its_weight() -> None:
    readout = read(table(FAULTY, first_seen={}), question(period(0, 4, a=10, b=90)))
    assert [each.name for each in readout.routes[0].variants] == ["a", "b"]
    assert readout.routes[0].effects[0].verdict == "worse"


def test_a_period_in_which_a_variant_had_weight_0_says_nothing_of_it() -> None:
    """Its clients there have kept it from before."""
    made = table({**FINE, "c": metrics(1000, 0.5)})
    readout = read(made, question(period(0, 4, a=50, b=50, c=0), period(4, 5, a=50, b=25, c=25)))
    effects = {(each.variant, each.metric): each for each in readout.routes[0].effects}
    stuck, chosen = effects["c", ERROR_RATE.name], effects["b", ERROR_RATE.name]
    assert (stuck.verdict, stuck.over_time, stuck.would_show) == ("no data", (), "")
    assert chosen.over_time[-1].difference == chosen.difference


def test_the_rate_of_new_clients_is_that_of_late() -> None:
    """At first every client is new."""
    seen = {
        (0, MAIN, "a", BEGIN + n * HOUR): {ERROR_RATE.name: Sums(units=units)}
        for n, units in enumerate([100, 150, 160, 180])
    }
    made = Table(lines=Lines(), window=(BEGIN, BEGIN + 4 * HOUR), so_far=seen)
    assert units_per_hour(made, 0, MAIN, ERROR_RATE, ("a", "b")) == 15
    assert units_per_hour(made, 0, MAIN, ERROR_RATE, ("b",)) == 0
    assert units_per_hour(replace(made, window=None), 0, MAIN, ERROR_RATE, ("a",)) == 0


# Figures --------------------------------------------------------------------------------------------------------------


def test_a_variant_has_its_shares_means_and_latencies() -> None:
    a, b = read(table(FAULTY)).routes[0].variants
    assert (a.is_control, b.is_control) == (True, False)
    assert (b.share.set, b.share.seen, b.requests, b.clients) == (0.5, 0.5, 5000, 1000)
    assert {each.label: each.text for each in b.means}["error rate"] == "2.4 %"
    assert {each.label: each.text for each in b.means}["mean latency"] == "110 ms"
    assert [(each.position, each.ms) for each in b.quantiles] == [(0.5, 100), (0.9, 300), (0.99, 300)]
    assert b.latency_curve[0] == (0.01, 100)
    assert b.latency_curve[-1] == (0.999, 300)


def test_a_quantile_beyond_what_was_seen_has_no_upper_end() -> None:
    uneven = [(5, 5)] * 30 + [(5, 0)] * 5
    counts = Latencies(counts=dict.fromkeys(range(1, 176), 1), within={0.5: sums_of(uneven), 0.99: sums_of(uneven)})
    made = replace(table(FINE), latencies={(MAIN, "a"): counts})
    p50, p90, p99 = read(made).routes[0].variants[0].quantiles
    assert p50.low is not None
    assert p50.low < p50.ms < (p50.high or 0)
    assert (p90.low, p90.high) == (None, None)
    assert p99.low is not None
    assert p99.high is None


def test_a_difference_over_time_ends_with_what_the_report_says() -> None:
    effect = read(table(FAULTY)).routes[0].effects[0]
    assert [each.time for each in effect.over_time] == [BEGIN + n * HOUR for n in (1, 2, 3, 4)]
    last = effect.over_time[-1]
    assert (last.difference, last.low, last.high) == (effect.difference, *(effect.always_valid or ()))
    widths = [each.high - each.low for each in effect.over_time]
    assert widths == sorted(widths, reverse=True)


def test_later_periods_add_to_earlier_ones() -> None:
    first = table(FINE)
    later = {(1, MAIN, name, BEGIN + 4 * HOUR): sums for name, sums in FAULTY.items()}
    cells = {**first.cells, **{(1, MAIN, name): sums for name, sums in FAULTY.items()}}
    made = replace(
        first,
        cells=cells,
        steps={**first.steps, **later},
        so_far={**first.so_far, **later},
        window=(BEGIN, BEGIN + 5 * HOUR),
    )
    readout = read(made, question(period(0, 4, a=50, b=50), period(4, 5, a=75, b=25)))
    effect = readout.routes[0].effects[0]
    assert effect.difference == pytest.approx(0.01)
    assert effect.over_time[3].difference == pytest.approx(0)
    assert effect.over_time[4].difference == effect.difference
    shares = readout.routes[0].shares
    assert [each.set["b"] for each in shares] == [0.5, 0.5, 0.5, 0.5, 0.25]
    assert [each.seen["b"] for each in shares] == [0.5] * 5
    assert any("periods" in note for note in readout.notes)


def test_breakdowns_count_requests_by_route_hour_status_and_path() -> None:
    made = replace(
        table(FAULTY),
        statuses={(MAIN, "a", 200): 90, (MAIN, "a", 502): 10, ("path-b", "b", 200): 50, (None, None, 400): 1},
        paths={("/x", "a"): metrics(10, 0.5), ("/y", "b"): metrics(5), ("/x", "b"): metrics(5)},
    )
    rows = read(made).breakdowns
    assert [(row.key, row.variant, row.requests, row.error_rate) for row in rows["route"]] == [
        ("(no rule)", "(none)", 1, 0), (MAIN, "a", 100, 0.1), ("path-b", "b", 50, 0),
    ]  # fmt: skip
    assert [(row.key, row.variant, row.share) for row in rows["status"]] == [
        ("200", "a", 0.9), ("200", "b", 1), ("400", "(none)", 1), ("502", "a", 0.1),
    ]  # fmt: skip
    assert [(row.key, row.variant) for row in rows["hour"]][:3] == [
        ("2026-11-22 00:00", "a"), ("2026-11-22 00:00", "b"), ("2026-11-22 01:00", "a"),
    ]  # fmt: skip
    assert [(row.key, row.variant, row.error_rate) for row in rows["path"]] == [
        ("/x", "a", 0.1), ("/x", "b", 0), ("/y", "b", 0),
    ]  # fmt: skip
    assert rows["path"][0].mean_ms == pytest.approx(110)


# Health ---------------------------------------------------------------------------------------------------------------


def test_a_healthy_table_says_so_and_nothing_else() -> None:
    assert told(read(table(FINE))) == [
        (
            "fine",
            "split is as asked: a 50.0 % (asked 50.0 %), b 50.0 % (asked 50.0 %) of 2,000 clients (p = 1, fixed-time)",
        ),
        ("fine", "10,000 lines parsed, 0 skipped (no access log line), 0 foreign (of another load balancer)"),
    ]


def test_what_was_left_out_is_said() -> None:
    lines = Lines(
        parsed=1000,
        foreign=3,
        skipped=20,
        unreadable=("x.gz: broken off",),
        outside=7,
        unknown={"arn:old": 5, "arn:older": 1},
    )
    readout = read(table(FINE, lines=lines))
    assert found(readout, "1,000 lines parsed, 20 skipped").level == "look"
    assert found(readout, "x.gz: broken off").level == "broken"
    assert found(readout, "5 requests to a target group of no known variant: arn:old").level == "look"
    assert found(readout, "1 request to a target group of no known variant: arn:older").level == "look"
    assert found(readout, "7 requests left out").level == "fine"
    assert [each.level for each in readout.health] == sorted(
        (e.level for e in readout.health), key="broken look fine".index
    )


def test_without_stickiness_requests_are_what_was_split() -> None:
    asked = question(period(0, 4, stickiness=0, a=50, b=50))
    readout = read(table(FINE, mixed={(0, MAIN): 900}), asked)
    assert "of 2,000 requests" in readout.health[0].text
    assert not any("met several variants" in each.text for each in readout.health)


def test_a_choice_of_weight_0_is_stray() -> None:
    asked = question(period(0, 4, a=50, b=50, c=0))
    seen = {(0, MAIN, name): count for name, count in {"a": 500, "b": 500, "c": 4}.items()}
    readout = read(table(FINE, first_seen=seen), asked)
    assert found(readout, "4 clients got c, which had weight 0").level == "look"


def test_without_a_choice_shares_are_of_requests_and_not_checked() -> None:
    readout = read(table(FINE, first_seen={}))
    split = readout.routes[0].split
    assert (split.p_value, split.is_off, split.counted) == (None, False, "requests")
    assert found(readout, "split is not checked: no client chose in this window").level == "look"
    assert readout.routes[0].variants[1].share.seen == 0.5


def test_where_all_clients_may_be_stuck_the_split_is_not_checked() -> None:
    readout = read(table({}, stuck={MAIN: 1}, untold={MAIN: 4000}), question(period(1, 4, a=50, b=50)))
    split = found(readout, "split is not checked: no client is known to have chosen since the split changed")
    assert split.level == "look"
    assert found(readout, "1 request left out: of clients that had chosen before the split changed").level == "fine"
    assert (
        found(
            readout,
            "4,000 requests left out: their clients may have chosen before the split changed, and the logs begin less than the stickiness, 3,600 s, before that",
        ).level
        == "look"
    )


def test_a_few_clients_tell_nothing_of_the_split() -> None:
    split = read(table({"a": metrics(1)})).routes[0].split
    assert split.text == (
        "too few to tell whether the split is as asked: a 100.0 % (asked 50.0 %), b 0.0 % (asked 50.0 %) of 1 client"
    )
    assert (split.p_value, split.is_off) == (None, False)
    assert found(read(table({"a": metrics(1)})), "too few to tell").level == "look"
    assert read(table({"b": metrics(40)}), question(period(0, 4, a=99, b=1))).routes[0].split.is_off


def test_several_load_balancers_are_not_one() -> None:
    names = ("app/one/1", "app/two/2")
    readout = read(table(FINE, lines=Lines(parsed=2, load_balancers=names)))
    assert found(readout, "whose variants are mixed here: app/one/1, app/two/2").level == "broken"
    alone = read(table(FINE, lines=Lines(parsed=2, load_balancers=names[:1])))
    assert not any("load balancers" in each.text for each in alone.health)


def test_clients_of_several_variants_are_counted() -> None:
    assert found(read(table(FINE, mixed={(0, MAIN): 10})), "10 of 1,990 clients on main split").level == "fine"
    assert found(read(table(FINE, mixed={(0, MAIN): 500})), "500 of 1,500 clients").level == "look"


def test_answers_that_speak_of_ill_targets_are_told_by_variant() -> None:
    statuses = {
        (MAIN, "a", 200): 990,
        (MAIN, "a", 504): 5,
        (MAIN, "b", 200): 80,
        (MAIN, "b", 503): 20,
    }
    readout = read(table(FINE, statuses={**statuses, (MAIN, None, 503): 9, ("other", None, 503): 50}))
    assert found(readout, "a 5 of 995, b 20 of 100").level == "look"
    assert found(readout, "was the answer to 9 requests on main split").level == "look"


def test_no_traffic_is_said_first() -> None:
    readout = read(Table(lines=Lines()))
    assert readout.health[0].level == "broken"
    assert readout.health[0].text == "the logs hold no requests; send some, or name other files (--logs)"
    assert "no request in the window" in read(Table(lines=Lines(parsed=10, outside=10))).health[0].text
    foreign = read(Table(lines=Lines(foreign=10)))
    assert "every line is another one's" in foreign.health[0].text
    assert readout.seen is None


def test_without_a_split_there_is_nothing_to_compare() -> None:
    readout = read(table({}, not_randomised={MAIN: 900}), question(period(0, 4, a=100, b=0)))
    assert found(readout, "nothing to compare").level == "broken"
    assert (readout.routes, readout.conclusions, readout.not_randomised) == ((), (), {MAIN: 900})


def test_outcomes_that_were_not_joined_are_counted() -> None:
    joined = Outcomes(rows=110, unreadable=2, by_name={"clicks": Outcome(matched=80, unmatched=20, not_compared=5)})
    clicks = outcome("clicks")
    variants = {name: {**found, "clicks": found[ERROR_RATE.name]} for name, found in FAULTY.items()}
    readout = read(table(variants, outcomes=joined), judged=(*METRICS, clicks))
    assert found(readout, "2 rows of outcomes").level == "look"
    assert (
        found(readout, "clicks: 80 of 105 outcomes joined to a variant: 5 not compared, 20 of no request").level
        == "look"
    )
    assert {each.label: each.verdict for each in readout.routes[0].effects}["clicks"] == "better"


def test_without_clients_there_is_no_interval_and_the_report_says_what_is_needed() -> None:
    counted = {
        name: {metric: replace(sums, units=0, nn=0, ny=0, yy=0) for metric, sums in found.items()}
        for name, found in FAULTY.items()
    }
    made = table(
        counted, route="all routes", lines=Lines(), first_seen={}, latencies={},
        described={"a": {0.5: 0.1, 0.99: 0.4}}, unattributed={502: 3}, targets={"b": Targets(fewest_healthy=0, most_unhealthy=1)},
    )  # fmt: skip
    readout = read(made)
    assert readout.conclusions[0].text == "b: no data: intervals need access logs"
    assert readout.routes[0].effects == ()
    a, b = readout.routes[0].variants
    assert (a.clients, [each.ms for each in a.quantiles]) == (None, [100, 400])
    assert {each.label: each.text for each in b.means}["error rate"] == "2.4 %"
    assert "this source has no clients" in readout.unit
    assert found(readout, "answered 502 3 times").level == "look"
    assert found(readout, "no healthy target").level == "look"
    assert not any("lines parsed" in each.text for each in readout.health)


def test_a_file_of_another_kind_is_doubted() -> None:
    found = read(table({}, window=None, lines=Lines(skipped=12)))
    assert found.health[0].text == (
        "none of the 12 lines is of an Application Load Balancer's access log: the right file?"
    )
