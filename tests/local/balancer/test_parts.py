"""Cookies, headers, targets, answers and log lines, each by itself."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from abtest.local.balancer.access_log import Entry
from abtest.local.balancer.answers import answer, fixed_response, redirect
from abtest.local.balancer.cookies import GroupCookies, InvalidCookieError
from abtest.local.balancer.headers import for_client, for_target, trace_id
from abtest.local.balancer.targets import Group, Target
from tests.local.balancer.harness import HEALTH, group

# Cookies --------------------------------------------------------------------------------------------------------------


def _value(made: tuple[str, str]) -> str:
    return made[0].partition("=")[2].partition(";")[0]


def test_a_cookie_gives_its_group_back() -> None:
    cookies = GroupCookies()
    value = _value(cookies.made("arn:aws:x y", 60))
    assert cookies.group([f"z=1; AWSALBTG={value}"]) == "arn:aws:x y"
    assert cookies.group(["z=1", f"AWSALBTGCORS={value}"]) == "arn:aws:x y"
    assert cookies.group(["z=1; NOTAWSALBTG=2"]) is None


def test_the_cookie_for_other_sites_is_read_first() -> None:
    cookies = GroupCookies()
    one, two = (_value(cookies.made(name, 60)) for name in "ab")
    assert cookies.group([f"AWSALBTG={one}; AWSALBTGCORS={two}"]) == "b"


def test_both_cookies_say_seven_days_whatever_the_duration() -> None:
    one, two = GroupCookies().made("a", 60)
    match = re.fullmatch(r"AWSALBTG=[A-Za-z0-9+/=]+; Expires=(.*); Path=/", one)
    assert match
    expires = datetime.strptime(match[1], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC).timestamp()
    assert abs(expires - time.time() - 7 * 24 * 3600) < 5
    assert two == one.replace("AWSALBTG=", "AWSALBTGCORS=") + "; SameSite=None; Secure"


def test_a_cookie_is_over_after_its_duration() -> None:
    cookies = GroupCookies()
    assert cookies.group([f"AWSALBTG={_value(cookies.made('a', 0))}"]) is None


def test_no_cookie_of_anothers_making_is_believed() -> None:
    cookies = GroupCookies()
    value = _value(cookies.made("a", 60))
    raw = bytearray(base64.b64decode(value))
    changed = []
    for n in (0, 31, 32, len(raw) - 1):
        raw[n] ^= 1
        changed.append(base64.b64encode(raw).decode())
        raw[n] ^= 1
    for bad in (*changed, _value(GroupCookies().made("a", 60)), value[:-4], "", "%", "\udce9"):
        with pytest.raises(InvalidCookieError):
            cookies.group([f"AWSALBTG={bad}"])


# Headers --------------------------------------------------------------------------------------------------------------


def test_a_target_gets_what_is_the_messages() -> None:
    sent = [(b"Host", b"x"), (b"connection", b"close"), (b"X-Forwarded-For", b"1"), (b"A", b"\xff"), (b"A", b"2")]
    made = for_target(sent, host="h", forwarded_for="1, 2", proto="http", port=80, trace="Root=1")
    assert made.split(b"\r\n") == [
        b"X-Forwarded-For: 1, 2",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Port: 80",
        b"Host: h",
        b"X-Amzn-Trace-Id: Root=1",
        b"A: \xff",
        b"A: 2",
        b"",
    ]


def test_a_client_gets_its_cookies_after_the_targets() -> None:
    made = for_client([(b"Set-Cookie", b"a"), (b"Transfer-Encoding", b"chunked"), (b"B", b"c")], ("d", "e"))
    assert made == b"Set-Cookie: a\r\nB: c\r\nSet-Cookie: d\r\nSet-Cookie: e\r\n"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "Root=OWN"),
        ("Root=1-2-3", "Self=OWN;Root=1-2-3"),
        ("Self=1-0-0;Root=1-2-3;A=b", "Self=OWN;Self=1-0-0;Root=1-2-3;A=b"),
        ("A=b", "Root=OWN;A=b"),
    ],
)
def test_a_trace_id_keeps_what_was_sent(given: str, found: str) -> None:
    assert re.sub("1-[0-9a-f]{8}-[0-9a-f]{24}", "OWN", trace_id(given)) == found


# Answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "length"), [(301, 134), (302, 110), (502, 122), (503, 162)])
def test_bodies_are_as_long_as_awss(status: int, length: int) -> None:
    assert len(answer(status).body) == length
    assert len(redirect(status, "https://x").body) == length


def test_the_body_of_503_is_awss() -> None:
    title = "503 Service Temporarily Unavailable"
    assert answer(503).body.decode().split("\r\n") == [
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "</body>",
        "</html>",
        "",
    ]


def test_an_answer_without_its_body_tells_the_length() -> None:
    sent = fixed_response(200, "four", "text/css").sent(keep_alive=False, has_body=False)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert body == b""
    lines = head.decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 200 OK"
    assert lines[1] == "Server: awselb/2.0"
    assert re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", lines[2])
    assert lines[3:] == ["Content-Type: text/css; charset=utf-8", "Content-Length: 4", "Connection: close"]


# Targets --------------------------------------------------------------------------------------------------------------


def _states(results: str, healthy: int, unhealthy: int) -> str:
    """The state after each result: of "+" and "-"."""
    check = replace(HEALTH, healthy_threshold=healthy, unhealthy_threshold=unhealthy)
    target = Target("i-1", "http://127.0.0.1:1")
    states = []
    for result in results:
        before = target.state
        assert target.checked(passed=result == "+", check=check) == (target.state != before)
        states.append(target.state[0])
    return "".join(states)


@pytest.mark.parametrize(
    ("results", "states"),
    [
        ("+", "h"),
        ("+--", "hhu"),
        ("+-+-+--", "hhhhhhu"),
        ("--", "iu"),
        ("-+", "ih"),
        ("--+++", "iuuuh"),
        ("--++-+++", "iuuuuuuh"),
    ],
)
def test_health_changes_after_so_many_results_in_a_row(results: str, states: str) -> None:
    assert _states(results, healthy=3, unhealthy=2) == states


def _group(algorithm: str, targets: int = 3) -> Group:
    return Group(group("a", targets, algorithm=algorithm), "http://127.0.0.1:1", {}, lambda _: None)


def _chosen(found: Group, number: int) -> list[Any]:
    return [found.choose() for _ in range(number)]


def test_round_robin_takes_turns() -> None:
    found = _group("round_robin")
    chosen = _chosen(found, 9)
    assert chosen[:3] == chosen[3:6] == chosen[6:]
    assert set(chosen) == set(found.targets)


def test_the_target_with_the_least_outstanding_requests_is_next() -> None:
    found = _group("least_outstanding_requests")
    found.targets[0].outstanding, found.targets[2].outstanding = 2, 1
    assert set(_chosen(found, 20)) == {found.targets[1]}
    found.targets[1].outstanding = 1
    assert set(_chosen(found, 60)) == set(found.targets[1:])


def test_a_random_choice_takes_all() -> None:
    found = _group("weighted_random")
    assert set(_chosen(found, 200)) == set(found.targets)


@pytest.mark.parametrize("algorithm", ["round_robin", "least_outstanding_requests", "weighted_random"])
def test_healthy_targets_are_chosen_or_else_all(algorithm: str) -> None:
    found = _group(algorithm)
    assert set(_chosen(found, 200)) == set(found.targets)  # fail open: none has been checked
    found.targets[1].state = "healthy"
    assert set(_chosen(found, 20)) == {found.targets[1]}
    found.targets[1].state = "unhealthy"
    assert set(_chosen(found, 200)) == set(found.targets)
    assert _group(algorithm, 0).choose() is None


@pytest.mark.parametrize(
    ("matcher", "passing"),
    [
        ("200", {200}),
        ("200,202", {200, 202}),
        ("200-299", set(range(200, 300))),
        ("200,300-301", {200, 300, 301}),
        ("200-202,400-404", {200, 201, 202, 400, 401, 402, 403, 404}),
    ],
)
def test_a_matcher_names_the_statuses_that_pass(matcher: str, passing: set[int]) -> None:
    check = replace(HEALTH, matcher=matcher)
    assert {status for status in range(100, 600) if check.passes(status)} == passing


# Log lines ------------------------------------------------------------------------------------------------------------

QUOTED = {13, 14, 18, 19, 20, 23, 24, 25, 26, 27, 28, 29, 31, 32, 33}


def fields(line: str) -> list[str]:
    """The fields of a line, counted from 1: single spaces between, quotes exactly where AWS has them."""
    assert line.endswith("\n")
    found, rest = [""], line[:-1] + " "
    for number in range(1, 35):
        match = re.match(r'"([^"]*)" ' if number in QUOTED else r'([^" ]+) ', rest)
        assert match, f"field {number}: {rest!r}"
        found.append(match[1])
        rest = rest[match.end() :]
    assert rest == ""
    return found


def test_every_field_of_a_line_stands_where_aws_has_it() -> None:
    entry = Entry(
        type="https",
        client="192.0.2.1:1000",
        connection="TID_1",
        received_at=1_700_000_000.0625,
        target="127.0.0.1:8080",
        request_seconds=0.0004,
        target_seconds=1.2345,
        response_seconds=0,
        status=200,
        target_status="201",
        received_bytes=10,
        sent_bytes=20,
        request_line="GET https://x:443/ HTTP/1.1",
        user_agent="curl/8",
        group="arn:tg",
        trace_id="Root=1-2-3",
        priority="10",
        action="forward",
        error_reason="AWSALBTGCookieInvalid",
    )
    found = fields(entry.line("app/n/1"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", found[2])
    assert abs(datetime.fromisoformat(found[2]).timestamp() - time.time()) < 5
    assert found[:2] + found[3:] == [
        "", "https", "app/n/1", "192.0.2.1:1000", "127.0.0.1:8080", "0.000", "1.234", "0.000", "200", "201", "10", "20",
        "GET https://x:443/ HTTP/1.1", "curl/8", "-", "-", "arn:tg", "Root=1-2-3", "-", "-", "10",
        "2023-11-14T22:13:20.062000Z", "forward", "-", "AWSALBTGCookieInvalid", "127.0.0.1:8080", "201", "-", "-",
        "TID_1", "-", "-", "-", "127.0.0.1",
    ]  # fmt: skip


def test_what_did_not_happen_is_a_dash_or_minus_one() -> None:
    found = fields(
        Entry(type="http", client="192.0.2.1:1", connection="TID_1", status=400, request_line="-").line("app/n/1")
    )
    assert found[5:9] == ["-", "-1", "-1", "-1"]
    assert (found[10], found[17], found[21], found[26], found[27]) == ("-", "-", "-", "-", "-")


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        ('a "b" c', r"a \x22b\x22 c"),
        ("a\\b", r"a\x5Cb"),
        ("a\nb\x7f", r"a\x0Ab\x7F"),
        ("é\udce9😀", r"\xC3\xA9\xE9\xF0\x9F\x98\x80"),
        ("x" * 9000, "x" * 8192),
    ],
)
def test_a_line_stays_a_line_whatever_is_sent(agent: str, found: str) -> None:
    line = Entry(type="http", client="192.0.2.1:1", connection="TID_1", user_agent=agent).line("app/n/1")
    assert line.isascii()
    assert fields(line)[14] == found
