"""Whether one set of conditions lets through all that another does."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abtest.experiment.types import SECRET
from abtest.routing.conditions import Condition, conditions_of, wildcard
from abtest.routing.inclusion import OverBudgetError, escape, includes
from tests.configs import config, experiment, rule

TEXTS = ["".join(letters) for n in range(5) for letters in product("abx", repeat=n)]


def asked(when: dict[str, Any]) -> tuple[Condition, ...]:
    return conditions_of(experiment(config(rules={"r": rule(when=when)})).rules["r"].when)


INCLUDED: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"path": ["/v2/*"]}, {"path": ["/v2/x"]}, True),
    ({"path": ["/v2/*"]}, {"path": ["/v2"]}, False),
    ({"path": ["/v2/*"]}, {"path": ["/v?/x"]}, False),
    ({"path": ["/a?*", "/a"]}, {"path": ["/a*"]}, True),
    ({"path": ["/a?*"]}, {"path": ["/a*"]}, False),
    ({"path": ["/V2"]}, {"path": ["/v2"]}, False),
    ({"path": ["/*"]}, {"method": ["GET"]}, True),
    ({"path": ["/*x"]}, {"path": ["*x"]}, True),
    ({"path": ["/x"]}, {"method": ["GET"]}, False),
    ({"path": ["/x"]}, {"path": ["/x"], "method": ["GET"]}, True),
    ({"path": ["/x"], "method": ["GET"]}, {"path": ["/x"]}, False),
    ({"host": ["*.example.com"]}, {"host": ["A.EXAMPLE.com"]}, True),
    ({"host": ["*.example.com"]}, {"host": ["example.com"]}, False),
    ({"method": ["GET", "POST"]}, {"method": ["POST"]}, True),
    ({"method": ["GET"]}, {"method": ["POST", "GET"]}, False),
    ({"header": {"X-A": ["*"]}}, {"header": {"x-a": ["B"]}}, True),
    ({"header": {"X-A": ["*"]}}, {"header": {"X-B": ["b"]}}, False),
    ({"header": {"X-A": ["*"]}}, {"path": ["/x"]}, False),
    ({"header": {"X-A": ["a*"]}}, {"header": {"X-A": ["ab"], "x-a": ["c"]}}, True),
    ({"query": {"*": ["a*"]}}, {"query": {"model": ["a"]}}, True),
    ({"query": {"model": ["a"]}}, {"query": {"*": ["a"]}}, False),
    ({"query": {"m*": ["A"]}}, {"query": {"Model": ["a"]}}, True),
    ({"query": {"*": ["*"]}}, {"path": ["/x"]}, False),
    ({"query": {"v": ["a\\*"]}}, {"query": {"v": ["a*"]}}, False),
    ({"query": {"v": ["a*"]}}, {"query": {"v": ["a\\*"]}}, True),
    ({"query": {"*": ["b"]}}, {"query": {"a": ["b"], "c": ["d"]}}, True),
    ({"sourceIp": ["10.0.0.0/9", "10.128.0.0/9"]}, {"sourceIp": ["10.0.0.0/8"]}, True),
    ({"sourceIp": ["10.0.0.0/9"]}, {"sourceIp": ["10.0.0.0/8"]}, False),
    ({"sourceIp": ["0.0.0.0/0"]}, {"path": ["/x"]}, False),
    ({"sourceIp": ["0.0.0.0/0", "::/0"]}, {"path": ["/x"]}, True),
    ({"pathRegex": ["^/a[0-9]$", "^/b$"]}, {"pathRegex": ["^/a[0-9]$"]}, True),
    ({"pathRegex": ["^/a[0-9]$"]}, {"path": ["/a1"]}, False),  # it does, but that is not seen
    ({"path": ["/v2/*"]}, {"pathRegex": ["^/v2/.+\\.json$"]}, True),
    ({"path": ["/v2/?"]}, {"pathRegex": ["^/v2/.*$"]}, False),
    ({"path": ["/v2/*"]}, {"pathRegex": ["^/v2/[0-9]$"]}, False),  # nor this
    ({"path": ["/v2/?*"]}, {"pathRegex": ["^/v2/.+$"]}, True),
    ({"headerRegex": {"X-A": ["^a$"]}}, {"header": {"X-A": ["^a$"]}}, False),
    ({"header": {"X-A": ["b"]}}, {"headerRegex": {"X-A": ["b"]}}, False),
    ({"hostRegex": ["^a\\.b$"]}, {"host": ["a.b"]}, False),  # the header may carry a port
]


@pytest.mark.parametrize(("outer", "inner", "expected"), INCLUDED)
def test_conditions_include_those_that_ask_for_less(
    outer: dict[str, Any], inner: dict[str, Any], expected: object
) -> None:
    assert includes(asked(outer), asked(inner)) is expected


@given(inner=st.text("ab*?", max_size=4), outers=st.lists(st.text("ab*?", max_size=4), max_size=3))
def test_a_text_escapes_exactly_where_one_can(inner: str, outers: list[str]) -> None:
    found = escape(Condition("header", (inner,), "h"), [Condition("header", tuple(outers), "h")] if outers else [])
    ways = [text for text in TEXTS if fits(inner, text) and not any(fits(outer, text) for outer in outers)]
    if found is None:
        assert not ways
    else:
        assert fits(inner, found)
        assert not any(fits(outer, found) for outer in outers)


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(wildcard(pattern), text, re.DOTALL | re.IGNORECASE) is not None


def test_a_question_that_takes_too_long_is_left_open() -> None:
    hard, same = Condition("header", (f"*a{'?' * 40}",), "h"), Condition("header", (f"**a{'?' * 40}",), "h")
    with pytest.raises(OverBudgetError):
        escape(hard, [same], budget=1000)
    assert not includes([hard], [same], budget=1000)
    assert includes([hard], [hard], budget=1000)


def test_an_encrypted_value_is_neither_included_nor_including() -> None:
    secret, anything = Condition("header", (SECRET,), "h"), Condition("header", ("[*", "b"), "h")
    assert not includes([secret], [secret])
    assert not includes([anything], [secret])
    assert not includes([secret], [Condition("header", (str(SECRET),), "h")])
