"""Access logs: what becomes of lines, good and bad, and the table against a plain reader's."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abtest.local.balancer import Entry
from abtest.readout.logs import read_logs
from abtest.readout.question import Question
from abtest.readout.statistics import ERROR_RATE
from abtest.readout.sums import Sums
from abtest.readout.table import BYTES, ERRORS, LATENCY, Lines, Table, slower_than
from tests.readout import naive, tables
from tests.readout.log_lines import GROUPS, NOON, OURS, group, line, period, question


def read(*lines: str | bytes, asked: Question | None = None) -> Table:
    """The table of a file with these lines."""
    text = b"".join((each.encode() if isinstance(each, str) else each) + b"\n" for each in lines)
    return read_text(text, asked or question())


def read_text(text: bytes, asked: Question) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "access.log"
        file.write_bytes(text)
        return read_logs([file], asked)


def same(found: Any, expected: Any) -> None:
    """Equal throughout, but for the last bits of sums."""
    if is_dataclass(expected):
        for field in fields(expected):
            same(getattr(found, field.name), getattr(expected, field.name))
    elif isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)
    else:
        assert found == expected


# What a line says -----------------------------------------------------------------------------------------------------


def test_an_entry_counts_for_its_route_and_variant() -> None:
    table = read(
        line(client="192.0.2.1:1", status=502, seconds=("0.000", "-1", "-1"), sent=272, variant="b"),
        line(client="192.0.2.1:2", seconds=("0.001", "0.600", "0.002"), sent=100, variant="b", at=2),
    )
    assert table.lines == Lines(parsed=2)
    assert table.window == (NOON, NOON + timedelta(seconds=2))
    assert table.cells.keys() == {(0, "main split", "b")}
    sums = table.cells[0, "main split", "b"]
    assert {name: (each.units, each.n, each.y) for name, each in sums.items()} == {
        ERRORS: (1, 2, 1), LATENCY: (1, 1, 0.603), BYTES: (1, 2, 372), slower_than(0.5): (1, 1, 1),
    }  # fmt: skip
    assert table.statuses == {("main split", "b", 502): 1, ("main split", "b", 200): 1}
    assert table.latencies["main split", "b"].counts == {603: 1}


GOOD = {
    "the old format": line(rest=""),
    "more fields": line(rest=' "-" "-" "-" 203.0.113.7 "-" "-" "new" {"a": 1} "x'),
    "a new protocol": line(kind="h3"),
    "IPv6": line(client="2001:db8::1:443"),
    "no request line": line(request="- http://abtest-1.us-east-1.elb.amazonaws.com:80- -", agent="-"),
    "escaped quotes": line(agent=r"a \x22quoted\x22 name", request="GET https://a:443/with a blank?q=\\x22 HTTP/1.1"),
    "long": line(request="GET https://a:443/" + "x" * 100_000 + " HTTP/1.1"),
    "no client": line().replace("192.0.2.1:50000", "-"),
    "the load balancer's own status": line().replace(" 200 200 ", " 000 - "),
    "a separator": line() + "\x01\x02\x03\x04 more",
}
BAD: dict[str, str | bytes] = {
    "cut in the beginning": line()[:60],
    "cut later": line()[:400],
    "a quote inside the agent": line(agent='a " quote'),
    "a quote inside the request": line(request='GET /" HTTP/1.1'),
    "no status": line().replace(" 200 200 ", " - 200 "),
    "no such status": line(status=1000),
    "no time": line(seconds=("0.001", "-", "0.000")),
    "no priority": line(priority="high"),
    "no such month": line().replace("2026-11-22T12:00:00.000000Z", "2026-13-22T12:00:00.000000Z"),
    "an empty field": line().replace(" 251 ", " 251  "),
    "no blank": line().replace('"curl/8.5.0" ', '"curl/8.5.0"'),
    "text after the agent": line().replace('"curl/8.5.0" TLS', '"curl/8.5.0"x TLS'),
    "text between": line().replace('" "models.example.com"', '"x"models.example.com"'),
    "of a Classic Load Balancer": (
        "2026-11-22T12:00:00.000000Z my-classic-lb 192.0.2.1:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "
        '"GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -'
    ),
    "of a Network Load Balancer": "tls 2.0 2026-11-22T12:00:00 net/my-network-lb/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 - - - -",
    "the probe's": "Enable AccessLog for ELB: abtest at 2026-11-22T12:00:00Z",
    "quotes": '" " " " " " " " " " " " " " "',
    "zeros": b"\x00" * 100,
    "no UTF-8": line().encode().replace(b"curl", b"\xff\xfe"),
    "huge": line().encode() + b"x" * 3_000_000,
}


def test_lines_of_all_ages_are_entries() -> None:
    table = read(*GOOD.values())
    assert table.lines == Lines(parsed=len(GOOD))
    assert table.latencies["main split", "a"].counts == {49: len(GOOD)}


def test_what_is_no_entry_is_skipped_as_a_whole_and_hides_no_other_line() -> None:
    table = read(*(each for bad in BAD.values() for each in (line(), bad, line(variant="b"))))
    assert table.lines == Lines(parsed=2 * len(BAD), skipped=len(BAD))
    assert {cell[2]: sums[ERRORS].n for cell, sums in table.cells.items()} == {"a": len(BAD), "b": len(BAD)}


def documented(text: str) -> str:
    """An entry of one of AWS's pages, where it takes several lines."""
    return " ".join(text.split())


# The examples of the ALB guide, "Access log entries", of 2018, and the first as of 2025.
GUIDE = [
    documented(text)
    for text in (
        """http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366
        "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -
        arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-"
        0 2018-07-02T22:22:48.364000Z "forward" "-" "-" """,
        """http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366
        "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -
        arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-"
        0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-" TID_1234abcd5678ef90 "-" "-" "-" """,
        """https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57
        "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2
        arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012"
        1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" """,
        """h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        10.0.1.252:48160 10.0.0.66:9000 0.000 0.002 0.000 200 200 5 257
        "GET https://10.0.2.105:773/ HTTP/2.0" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2
        arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337327-72bd00b0343d75b906739c42" "-" "-"
        1 2018-07-02T22:22:48.364000Z "redirect" "https://example.com:80/" "-" """,
        """wss 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        10.0.0.140:44244 10.0.0.171:8010 0.000 0.001 0.000 101 101 218 786
        "GET https://10.0.0.30:443/ HTTP/1.1" "-" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2
        arn:aws:elasticloadbalancing:us-west-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-"
        1 2018-07-02T22:22:48.364000Z "forward" "-" "-" """,
        """http 2018-11-30T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188
        192.168.131.39:2817 - 0.000 0.001 0.000 502 - 34 366
        "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -
        arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067
        "Root=1-58337364-23a8c76965a2ef7629b185e3" "-" "-"
        0 2018-11-30T22:22:48.364000Z "forward" "-" "LambdaInvalidResponse" """,
    )
]


def test_the_examples_in_the_documentation_are_entries() -> None:
    year = period(-9 * 365 * 86400)
    asked = question(
        year, variants={"my-targets": "a"}, load_balancer="app/my-loadbalancer/50dc6c495c0c9188",
        splits={"main split": {"a": 1, "b": 1}, "rule 1": {"a": 1, "b": 1}},
    )  # fmt: skip
    table = read(*GUIDE, asked=asked)
    assert table.lines == Lines(parsed=6)
    assert table.statuses == {
        ("main split", "a", 200): 2, ("main split", "a", 502): 1, ("rule 1", "a", 200): 2, ("rule 1", "a", 101): 1,
    }  # fmt: skip
    assert table.latencies["main split", "a"].counts == {1: 3}
    assert table.latencies["rule 1", "a"].counts == {171: 1, 2: 1}
    same(table, naive.read("\n".join(GUIDE).encode(), asked))


def test_the_local_balancers_lines_are_entries() -> None:
    entry = Entry(
        type="http", client="127.0.1.7:40000", connection="TID_0", target="127.0.0.1:8080", status=200, target_status="200",
        request_seconds=0.001, target_seconds=0.048, response_seconds=0.0, received_bytes=100, sent_bytes=366,
        request_line="GET http://localhost:8080/ HTTP/1.1", user_agent='a "quoted" name', group=group("b"), priority="0",
        trace_id="Root=1-692198c0-0123456789abcdef01234567", action="forward", received_at=NOON.timestamp(),
    )  # fmt: skip
    given = entry.line(OURS).rstrip("\n")
    table = read(given)
    assert table.lines == Lines(parsed=1)
    assert table.latencies["main split", "b"].counts == {49: 1}
    same(table, naive.read(given.encode(), question()))


def test_empty_lines_and_windows_line_ends_are_nothing() -> None:
    assert read_text(f"\r\n{line()}\r\n\r\n{line()}".encode(), question()).lines == Lines(parsed=2)
    assert read_text(b"", question()) == Table(lines=Lines())


def test_a_window_without_traffic_or_without_files_is_an_empty_table() -> None:
    assert read_logs([], question()) == Table(lines=Lines())
    assert read(line(at=-1)) == Table(lines=Lines(parsed=1, outside=1))


def test_other_load_balancers_lines_are_foreign() -> None:
    lines = [line(), line(elb="app/other/0123456789abcdef")]
    assert read(*lines).lines == Lines(parsed=1, foreign=1)
    either = read(*lines, asked=question(load_balancer=None)).lines
    assert either == Lines(parsed=2, load_balancers=(OURS, "app/other/0123456789abcdef"))


def test_target_groups_without_a_variant_are_named() -> None:
    old = group("b", "0000000")
    lines = [line(), line(arn=old), line(arn=old, status=500)]
    table = read(*lines)
    assert table.lines == Lines(parsed=3, unknown={old: 2})
    assert table.statuses == {("main split", "a", 200): 1}
    for name in (old, "abtest-b-0000000", "abtest-b"):
        mapped = read(*lines, asked=question(variants={**GROUPS, name: "b"}))
        assert mapped.lines == Lines(parsed=3)
        assert mapped.cells[0, "main split", "b"][ERRORS].y == 1


def test_answers_without_a_target_group_count_for_no_variant() -> None:
    table = read(
        line(variant=None, status=503, seconds=("-1", "-1", "-1")),
        line(variant=None, status=400, seconds=("-1", "-1", "-1"), priority="-"),
        line(variant=None, status=500, seconds=("-1", "-1", "-1"), priority="-1"),
    )
    assert table.lines == Lines(parsed=3)
    assert table.cells == {}
    assert table.statuses == {("main split", None, 503): 1, (None, None, 400): 1, (None, None, 500): 1}


def test_a_websocket_has_no_latency() -> None:
    table = read(line(kind="wss", status=101, seconds=("0.001", "3600.000", "0.000")))
    assert table.cells[0, "main split", "a"][ERRORS].n == 1
    assert table.cells[0, "main split", "a"][LATENCY].n == 0
    assert table.latencies == {}


# What a request belongs to --------------------------------------------------------------------------------------------


def test_requests_outside_of_all_periods_are_counted_and_no_more() -> None:
    asked = question(period(0, 60), period(120, 180))
    table = read(*(line(at=at) for at in (-1, 0, 59.999, 60, 119, 120, 180)), asked=asked)
    assert table.lines == Lines(parsed=7, outside=4)
    assert {cell: sums[ERRORS].n for cell, sums in table.cells.items()} == {
        (0, "main split", "a"): 2,
        (1, "main split", "a"): 1,
    }


def test_only_routes_that_choose_are_compared() -> None:
    asked = question(
        period(0, 60), period(60, 120, weights={"a": 100, "b": 0}),
        routes={10: "path-b", 20: "half"}, splits={"main split": None, "half": {"a": 1, "b": 1}},
    )  # fmt: skip
    table = read(*(line(at=at, priority=p) for at in (1, 61) for p in ("0", "10", "20", "30")), asked=asked)
    assert table.cells.keys() == {(0, "main split", "a"), (0, "half", "a"), (1, "half", "a")}
    assert table.not_randomised == {"path-b": 2, "rule 30": 2, "main split": 1}


def test_a_rule_called_by_a_number_is_not_that_of_this_priority() -> None:
    asked = question(routes={10: "20"}, splits={"20": {"a": 1, "b": 1}})
    table = read(line(priority="10"), line(priority="20"), asked=asked)
    assert table.cells[0, "20", "a"][ERRORS].n == 1
    assert table.not_randomised == {"rule 20": 1}


def test_of_a_time_of_which_nobody_knows_the_split_no_route_is_compared() -> None:
    asked = question(period(weights={}), splits={"main split": None, "half": {"a": 1, "b": 1}}, routes={10: "half"})
    assert read(line(), line(priority="10"), asked=asked).not_randomised == {"half": 1, "main split": 1}


def test_units_are_addresses_or_addresses_and_agents() -> None:
    lines = [line(client=f"192.0.2.{n % 2}:{n}", agent=f"agent {n}") for n in range(6)]
    assert read(*lines).cells[0, "main split", "a"][ERRORS].units == 2
    assert read(*lines, asked=question(unit="address+agent")).cells[0, "main split", "a"][ERRORS].units == 6


def test_without_stickiness_each_request_is_a_choice() -> None:
    table = read(line(), line(), line(variant="b"))
    assert table.first_seen == {(0, "main split", "a"): 2, (0, "main split", "b"): 1}
    assert table.mixed == {(0, "main split"): 1}


def test_sticky_units_choose_where_they_are_first_seen() -> None:
    asked = question(
        period(stickiness_seconds=60), routes={10: "half"}, splits={"main split": None, "half": {"a": 1, "b": 1}}
    )
    table = read(
        line(client="192.0.2.1:1", variant="b", at=1), line(client="192.0.2.1:1", at=2), line(client="192.0.2.2:1"),
        line(client="192.0.2.1:1", priority="10"), asked=asked,
    )  # fmt: skip
    assert table.first_seen == {(0, "half", "a"): 1, (0, "main split", "a"): 1}


def test_requests_of_a_units_first_millisecond_are_choices_each() -> None:
    """None of them has a cookie yet."""
    asked = question(period(stickiness_seconds=60))
    together = [line(client=f"192.0.2.1:{n}", variant=variant, at=1) for n, variant in enumerate("baab")]
    table = read(*together, line(client="192.0.2.1:9", at=2), asked=asked)
    assert table.first_seen == {(0, "main split", "a"): 2, (0, "main split", "b"): 2}


def test_units_that_may_be_stuck_to_an_earlier_split_chose_nothing() -> None:
    asked = question(period(0, 600, stickiness_seconds=60, earlier_stickiness=60))
    seen = {"192.0.2.1:1": [-59, 1], "192.0.2.2:1": [-61, 1], "192.0.2.3:1": [1]}
    table = read(*(line(client=client, at=at) for client, times in seen.items() for at in times), asked=asked)
    assert table.first_seen == {(0, "main split", "a"): 2}
    assert table.stuck == {"main split": 1}


def test_units_that_were_not_free_to_choose_are_compared_in_nothing() -> None:
    stuck = period(0, 600, stickiness_seconds=60, earlier_stickiness=60)
    asked = question(stuck, by_path=True, logs_from=NOON - timedelta(hours=1))
    returning = [line(client="192.0.2.1:1", at=at, status=500, seconds=("0", "9", "0")) for at in (-30, 1, 2)]
    new = line(client="192.0.2.2:1", at=3, variant="b")
    table, alone = read(*returning, new, asked=asked), read(new, asked=asked)
    for name in ("cells", "steps", "so_far", "first_seen", "mixed", "latencies", "paths"):
        same(getattr(table, name), getattr(alone, name))
    assert (table.stuck, table.untold) == ({"main split": 2}, {})
    assert table.statuses == {("main split", "a", 500): 2, ("main split", "b", 200): 1}


def test_without_stickiness_nobody_is_stuck() -> None:
    asked = question(period(0, 600, stickiness_seconds=0, earlier_stickiness=60))
    table = read(line(at=-30), line(at=1), asked=asked)
    assert (table.stuck, table.cells[0, "main split", "a"][ERRORS].n) == ({}, 1)


def test_clients_that_come_back_after_a_change_of_the_split_make_no_variant_worse() -> None:
    """First visits fail more often than later ones; the control's clients of before are all back."""
    before = [("a" if n % 10 else "b", n, at) for n in range(900) for at in (n, 1800 + n)]
    after = [("ab"[n % 2], n, 1800 + n) for n in range(900, 1800)]
    lines = [
        line(
            client=f"10.0.{n >> 8}.{n & 255}:1",
            variant=variant,
            at=at,
            status=500 if at == n % 1800 + (n >= 900) * 1800 and n % 4 < 2 else 200,
        )
        for variant, n, at in before + after
    ]
    asked = question(
        period(0, 900, weights={"a": 90, "b": 10}, stickiness_seconds=3600),
        period(1800, 3600, stickiness_seconds=3600, earlier_stickiness=3600),
    )
    readout = tables.read(read(*lines, asked=asked), asked, [ERROR_RATE])
    assert [each.standing for each in readout.conclusions] == ["no evidence"]


@pytest.mark.parametrize(("logs_from", "choices"), [(None, 1), (-60, 2), (-30, 2), (-29, 1)])
def test_where_the_logs_begin_too_late_units_are_taken_after_the_stickiness(
    logs_from: float | None, choices: int
) -> None:
    since = None if logs_from is None else NOON + timedelta(seconds=logs_from)
    asked = question(period(0, 600, stickiness_seconds=60, earlier_stickiness=60), logs_from=since)
    table = read(line(client="192.0.2.1:1", at=30), line(client="192.0.2.2:1", at=61), asked=asked)
    assert table.first_seen == {(0, "main split", "a"): choices}
    assert table.cells[0, "main split", "a"][ERRORS].n == choices
    assert (table.stuck, table.untold) == ({}, {"main split": 1} if choices == 1 else {})


def test_steps_stand_alone_and_so_far_has_a_unit_once() -> None:
    lines = [
        line(client="192.0.2.1:1", at=1, sent=10),
        line(client="192.0.2.1:2", at=61, sent=20),
        line(client="192.0.2.2:1", at=62, sent=40),
    ]
    table = read(*lines, asked=question(step_seconds=60))
    first, second = ((0, "main split", "a", NOON + timedelta(seconds=at)) for at in (0, 60))
    assert table.steps[first][BYTES] == table.so_far[first][BYTES] == Sums(units=1, n=1, y=10, nn=1, ny=10, yy=100)
    assert table.steps[second][BYTES] == Sums(units=2, n=2, y=60, nn=2, ny=60, yy=2000)
    assert table.so_far[second][BYTES] == Sums(units=2, n=3, y=70, nn=5, ny=100, yy=2500)
    assert table.cells[0, "main split", "a"] == table.so_far[second]


@pytest.mark.parametrize(("last", "step"), [(10, 1), (50, 1), (51, 10), (7200, 300), (10**6, 3600)])
def test_steps_are_as_long_as_the_window_that_was_seen_asks_for(last: float, step: int) -> None:
    table = read(line(), line(at=last), asked=question(period(0, 10**7)))
    assert table.step_seconds == step
    assert len(table.steps) == 2


@pytest.mark.parametrize("limit", [1.001, 0.57, 2.3])
def test_an_answer_as_slow_as_the_limit_is_not_slower(limit: float) -> None:
    lines = [line(seconds=("0.000", f"{limit + more:.3f}", "0.000")) for more in (-0.001, 0, 0.001)]
    table = read(*lines, asked=question(slower_than=(limit,)))
    assert table.cells[0, "main split", "a"][slower_than(limit)].y == 1


def test_paths_are_told_apart_if_asked_for_without_their_queries() -> None:
    uris = ["https://a:443/predict?user=1", "https://b:443/predict?user=/2", "https://a:443/a path?x", "https://a:443"]
    lines = [line(request=f"GET {uri} HTTP/2.0", client=f"192.0.2.{n}:1") for n, uri in enumerate(uris)]
    assert read(*lines).paths == {}
    paths = read(*lines, asked=question(by_path=True)).paths
    assert {key: sums[ERRORS].units for key, sums in paths.items()} == {
        ("/predict", "a"): 2, ("/a path", "a"): 1, ("(other)", "a"): 1,
    }  # fmt: skip


def test_paths_with_few_requests_are_put_together() -> None:
    often = [f"/{n}" for n in range(20)]
    lines = [
        line(request=f"GET https://a:443{path} HTTP/2.0", client="192.0.2.1:1") for path in often for _ in range(2)
    ]
    lines += [line(request=f"GET https://a:443/rare/{n} HTTP/2.0", client="192.0.2.1:1") for n in range(3)]
    paths = read(*lines, asked=question(by_path=True)).paths
    assert list(paths) == [*((path, "a") for path in sorted(often)), ("(other)", "a")]
    assert paths["(other)", "a"][ERRORS] == Sums(units=1, n=3, nn=9)


# Against the plain reader ---------------------------------------------------------------------------------------------

_ENTRIES = st.fixed_dictionaries(
    {
        "client": st.sampled_from([f"192.0.2.{n}:{n}" for n in range(3)]),
        "variant": st.sampled_from(["a", "a", "b", None]),
        "status": st.sampled_from([200, 200, 404, 500, 502, 503]),
        "seconds": st.sampled_from(
            [
                ("0.000", "0.048", "0.000"),
                ("0.000", "0.500", "0.000"),
                ("0.000", "-1", "-1"),
                ("0.000", "1.250", "0.007"),
            ]
        ),
        "sent": st.integers(0, 10**9),
        "priority": st.sampled_from(["0", "0", "10", "20", "-"]),
        "agent": st.sampled_from(["one", "two"]),
        "kind": st.sampled_from(["h2", "wss"]),
        "elb": st.sampled_from([OURS, OURS, "app/other/0123456789abcdef"]),
        "arn": st.sampled_from([None, None, group("c"), group("d"), group("d", "0000000")]),
        "request": st.sampled_from(
            [
                "GET https://a:443/x?y=/z HTTP/2.0",
                "GET https://a:443/x y?y HTTP/1.1",
                "GET wss://a:443/ HTTP/1.1",
                "- http://a:80- -",
            ]
        ),
    }
)
_PIECES = st.text(st.sampled_from('" \\xyz\t\r\n\0é-'), max_size=4)


@st.composite
def _logs(draw: st.DrawFn) -> bytes:
    """Entries in any order, some of them at once; some garbled, some cut."""
    lines = []
    entries: list[dict[str, Any]] = draw(st.lists(_ENTRIES, min_size=8, max_size=25))
    for entry in entries:
        text = line(at=draw(st.integers(-10, 35)) * 10, **entry)
        if draw(st.integers(0, 4)) == 0:
            begin = draw(st.integers(0, len(text)))
            text = text[:begin] + draw(_PIECES) + text[begin + draw(st.integers(0, 30)) :]
        lines.append(text)
    return "\n".join(lines).encode()


_ASKED = st.builds(
    question,
    st.builds(
        period,
        st.just(-60),
        st.just(100),
        stickiness_seconds=st.sampled_from([0, 60]),
        earlier_stickiness=st.sampled_from([0, 30]),
    ),
    st.builds(
        period, st.just(110), st.just(350), stickiness_seconds=st.just(60), earlier_stickiness=st.sampled_from([0, 60])
    ),
    routes=st.just({10: "half"}),
    splits=st.just({"main split": None, "half": {"a": 1, "b": 1}}),
    unit=st.sampled_from(["address", "address+agent"]),
    step_seconds=st.sampled_from([30, None]),
    by_path=st.booleans(),
    variants=st.just({**GROUPS, "abtest-d": "b"}),
    slower_than=st.just((0.5, 1)),
    logs_from=st.sampled_from([None, NOON - timedelta(hours=1), NOON + timedelta(seconds=70)]),
)


@given(_logs(), _ASKED)
@settings(max_examples=10)
def test_the_table_is_what_a_plain_reader_finds(text: bytes, asked: Question) -> None:
    same(read_text(text, asked), naive.read(text, asked))


@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.text('" -/:.0123456789TZ', max_size=200).map(str.encode)), max_size=20
    )
)
@settings(max_examples=5)
def test_no_line_whatever_it_holds_breaks_the_reading_or_is_lost(lines: list[bytes]) -> None:
    bad = [re.sub(b"[\r\n]", b"", each) for each in lines]
    found = read(line(), *bad, line()).lines
    assert found.parsed == 2
    assert found.skipped == sum(each != b"" for each in bad)
