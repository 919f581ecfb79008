"""Regular expressions of rules: what RE2 reads, and which take other engines very long."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from abtest.experiment.regex import compiled, repeats_itself
from abtest.routing.conditions import Condition
from abtest.routing.request import Request
from tests.configs import ROOT

# Each takes an engine that backtracks longer than the universe has lasted.
SLOW = [
    "^/(a+)+$",
    "^/(a*)*$",
    "^/(?:a+b?)+$",
    "^/([a-z]+)*$",
    "^/((a+))+$",
    "^/(a+|b)+$",
    r"^/(\w+)+$",
    "^/(a+){2,}$",
    "^/(a{1,3})+$",
]
QUICK = [
    "^/a+$",
    "^/(/[^/]+)*$",
    "^/v[0-9]+/(x-)+$",
    r"^/\(a+\)+$",
    "^/[(a+)+]$",
    "^/(a|b)+$",
    "^/(ab+)?$",
    "^/(a+){2}$",
]


@pytest.mark.parametrize("value", SLOW)
def test_a_hard_expression_takes_no_time(value: str) -> None:
    condition = Condition("path", (value,), is_regex=True)
    before = time.perf_counter()
    assert condition.matches(Request(path="/" + "a" * 10_000 + "!")) is False
    assert time.perf_counter() - before < 1


@pytest.mark.parametrize("value", [*SLOW, *QUICK])
def test_a_group_that_repeats_itself_is_noticed(value: str) -> None:
    assert repeats_itself(value) is (value in SLOW)


def test_re2_is_loaded_for_a_regular_expression_only() -> None:
    script = """
import sys
from abtest.experiment import load_stack
from abtest.routing import RoutingTable, Request
RoutingTable.from_experiment(load_stack("dev")[0]).decide(Request(path="/", host="x.example.com"))
print("re2" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("value", "reason"), [("(a", "missing ): (a"), ("\udcff", "surrogates not allowed"), ("a**", "bad repetition")]
)
def test_an_expression_that_re2_cannot_read_has_a_reason(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        compiled(value)
    assert reason in str(caught.value)


def test_a_text_that_is_not_unicode_is_compared() -> None:
    assert Condition("path", ("^/.$",), is_regex=True).matches(Request(path="/\udcff")) is True
