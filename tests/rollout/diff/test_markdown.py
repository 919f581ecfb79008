"""The Markdown as a whole: it fits into a comment, and shows texts of a stack file as they are."""

from __future__ import annotations

import re
from typing import Any

from abtest.rollout.diff.effect import compare
from abtest.rollout.diff.markdown import as_markdown
from tests.configs import VARIANT, rule, variant
from tests.rollout.diff.cases import effect, shown, version
from tests.rollout.diff.charts import charts_in, check

SIDES = ("1a2b3c4", "the working tree")


def test_a_hundred_rules_with_the_longest_texts_fit_into_a_comment() -> None:
    variants = {f"{'v' * 16}{n}": variant() for n in range(5)}
    names = sorted(variants)
    weights = dict.fromkeys(names, 7)

    def rules(text: str) -> dict[str, object]:
        return {
            f"{n:03}{'n' * 125}": rule(
                priority=n + 1,
                when={"headerRegex": {"X-" + "h" * 38: [f"^{n:03}{'`|' * 60}$"]}},
                forward=None if n % 2 else {**weights, names[0]: n + (text == "b")},
                redirect={"path": f"/{n}" + text * 120, "query": "q" * 128} if n % 2 else None,
            )
            for n in range(100)
        }

    common: dict[str, Any] = {"variants": variants, "weights": weights}
    tags = {f"tag-{n}": "v" * 256 for n in range(45)}
    text = as_markdown(
        compare(version(**common, rules=rules("a")), version(**common, rules=rules("b"), tags=tags)), "s" * 100, SIDES
    )
    assert 15_000 < len(text) < 65_536
    check(*charts_in(text))
    assert "| … 75 more |" in text


def test_the_first_line_is_the_stack_and_the_next_says_it_all() -> None:
    lines = shown("shift").splitlines()
    assert lines[:3] == [
        "### abtest: test",
        "",
        "**test: b gets 25 % of new clients instead of 10 % on the main split; 1 update (listener-80).**",
    ]


def test_a_pipe_ends_no_cell_and_a_backtick_no_code() -> None:
    (row,) = re.findall(r"^\| `a_b_c @x` .*$", shown("odd_texts"), re.MULTILINE)
    assert len(re.split(r"(?<!\\)\|", row)) == 5
    assert "``` header X-More = `` and" in row


def test_points_say_what_a_share_gains_or_loses() -> None:
    text = as_markdown(effect({}, {"weights": {"a": 2, "b": 1}}), "x", SIDES)
    assert "| a 66.67 % (\N{MINUS SIGN}23.33), b 33.33 % (+23.33) |" in text


def test_without_stickiness_shares_are_of_requests() -> None:
    found = effect({"stickinessSeconds": 0}, {"stickinessSeconds": 0, "weights": {"a": 1, "b": 1}})
    assert "b gets 50 % of requests instead of 10 %" in as_markdown(found, "x", SIDES)


def test_a_header_that_is_taken_out_is_said_to_stay_with_the_command_that_takes_it_away() -> None:
    headers = {"xFrameOptions": "DENY", "strictTransportSecurity": "max-age=300", "server": False}
    kept = {"strictTransportSecurity": "max-age=300", "server": True}
    text = as_markdown(
        effect({"listener": {"responseHeaders": headers}}, {"listener": {"responseHeaders": kept}}), "dev", SIDES
    )
    (line,) = (line for line in text.splitlines() if "Stays on the listener" in line)
    assert "`routing.http.response.x_frame_options.header_value`" in line
    assert "--attributes Key=routing.http.response.x_frame_options.header_value,Value=`" in line


def test_the_server_header_comes_back_by_itself() -> None:
    text = as_markdown(effect({"listener": {"responseHeaders": {"server": False}}}, {"listener": {}}), "dev", SIDES)
    assert "Stays on the listener" not in text


def test_a_function_that_is_no_longer_to_be_checked_is_said_to_be_checked_still() -> None:
    function = {"targets": {"lambdaArn": "arn:aws:lambda:us-east-1:123456789012:function:ranker"}}
    checked = {**function, "healthCheck": {"path": "/healthz"}}

    def shown_of(before: dict[str, Any], after: dict[str, Any]) -> str:
        found = effect(*({"variants": {"a": VARIANT, "b": side}} for side in (before, after)))
        return as_markdown(found, "dev", SIDES)

    said = "**Health checks of b stay on;** this switches them off: `aws elbv2 modify-target-group "
    assert said in shown_of(checked, function)
    assert said not in shown_of(function, checked)
    assert said not in shown_of(checked, {"targets": {"lambdaArn": f"{function['targets']['lambdaArn']}-2"}})


def test_a_log_bucket_that_stays_is_said_to_stay() -> None:
    said = "**The log bucket stays,**"
    assert said in as_markdown(effect({"accessLogs": {}}, {}), "dev", SIDES)
    assert said in as_markdown(effect({"accessLogs": {}}, {"accessLogs": {"bucket": "ours"}}), "dev", SIDES)
    assert said not in as_markdown(effect({"accessLogs": {}}, {"accessLogs": {"retainDays": 9}}), "dev", SIDES)
    assert said not in as_markdown(effect({"accessLogs": {"deleteWithStack": True}}, {}), "dev", SIDES)


def test_a_listener_on_another_port_keeps_no_header() -> None:
    text = as_markdown(
        effect({"listener": {"responseHeaders": {"xFrameOptions": "DENY"}}}, {"listener": {"port": 81}}), "dev", SIDES
    )
    assert "Stays on the listener" not in text
