"""The routing table: what each rule asks for and does, in words, with the exact shares of new clients."""

from __future__ import annotations

from fractions import Fraction

import pytest

from abtest.routing import Row, routing_table
from abtest.routing.table import shares
from tests.configs import VARIANT, config, experiment, rule


def when_of(**when: object) -> tuple[str, ...]:
    """The conditions of a rule, in words."""
    row, _ = routing_table(experiment(config(rules={"one": rule(when=when)})))
    return row.when


def rows_of(rules: dict[str, object], **changes: object) -> tuple[Row, ...]:
    return routing_table(experiment(config(rules=rules, **changes)))


# Order ----------------------------------------------------------------------------------------------------------------


def test_rules_stand_by_priority_and_the_default_action_last() -> None:
    rows = rows_of({"a-late": rule(priority=300), "z-early": rule(priority=9), "middle": rule(priority=40)})
    assert [(row.priority, row.name) for row in rows] == [(9, "z-early"), (40, "middle"), (300, "a-late"), (None, "")]


def test_without_rules_there_is_the_default_action_alone() -> None:
    assert routing_table(experiment(config())) == (
        Row(priority=None, name="", when=(), action="forward", shares={"a": Fraction(1, 2), "b": Fraction(1, 2)}),
    )


def test_override_rules_stand_before_all_others_in_the_order_of_variants() -> None:
    rows = routing_table(
        experiment(config(override={"header": "X-Force"}, weights={"b": 1, "a": 1}, rules={"one": rule(priority=3)}))
    )
    assert [(row.priority, row.name, row.when) for row in rows] == [
        (1, "override", ("header X-Force = <token>-a",)),
        (2, "override", ("header X-Force = <token>-b",)),
        (3, "one", ("path /x",)),
        (None, "", ()),
    ]
    assert [row.shares for row in rows[:2]] == [{"a": 1}, {"b": 1}]


def test_an_override_without_a_secret_asks_for_the_variant_by_name() -> None:
    rows = routing_table(experiment(config(override={"header": "X-Force", "secret": False})))
    assert [row.when for row in rows[:2]] == [("header X-Force = a",), ("header X-Force = b",)]


def test_an_override_forces_every_variant_also_those_in_no_weights() -> None:
    rows = routing_table(experiment(config(override={}, weights={"a": 1})))
    assert [row.shares for row in rows] == [{"a": 1}, {"b": 1}, {"a": 1}]


# Shares ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"a": 90, "b": 10}, {"a": Fraction(9, 10), "b": Fraction(1, 10)}),
        ({"a": 1, "b": 2}, {"a": Fraction(1, 3), "b": Fraction(2, 3)}),
        ({"a": 999, "b": 1}, {"a": Fraction(999, 1000), "b": Fraction(1, 1000)}),
        ({"a": 7, "b": 0}, {"a": Fraction(1), "b": Fraction(0)}),
    ],
)
def test_shares_are_exact_and_add_up_to_one(weights: dict[str, int], expected: dict[str, Fraction]) -> None:
    (row,) = routing_table(experiment(config(weights=weights)))
    assert row.shares == expected
    assert all(isinstance(share, Fraction) for share in row.shares.values())
    assert sum(row.shares.values()) == 1


def test_shares_stand_by_name_whatever_the_order_of_the_file() -> None:
    assert list(shares({"b": 1, "c": 1, "a": 1})) == ["a", "b", "c"]


def test_weights_of_nothing_but_0_have_no_shares() -> None:
    assert shares({"a": 0, "b": 0}) == {}


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        ("b", {"b": Fraction(1)}),
        ({"a": 1, "b": 3}, {"a": Fraction(1, 4), "b": Fraction(3, 4)}),
        ({"b": 5}, {"b": Fraction(1)}),
        ("split", {"a": Fraction(9, 10), "b": Fraction(1, 10)}),
    ],
    ids=["a variant", "weights", "one weight", "the main split"],
)
def test_a_rule_forwards_to_what_it_names(forward: object, expected: dict[str, Fraction]) -> None:
    row, _ = rows_of({"one": rule(forward=forward)}, weights={"a": 90, "b": 10})
    assert (row.action, row.shares) == ("forward", expected)


# Conditions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"path": ["/v2/*", "/v3/?"]}, "path /v2/* or /v3/?"),
        ({"pathRegex": ["^/v[23]/.*$"]}, "path matches ^/v[23]/.*$"),
        ({"host": ["b.example.com"]}, "host b.example.com"),
        ({"hostRegex": [r"^.*\.example\.com$"]}, r"host matches ^.*\.example\.com$"),
        ({"header": {"X-Model": ["b", "c*"]}}, "header X-Model = b or c*"),
        ({"headerRegex": {"User-Agent": ["^curl/.*$"]}}, "header User-Agent matches ^curl/.*$"),
        ({"query": {"model": ["b"]}}, "query model = b"),
        ({"query": {"*": ["b"]}}, "query * = b"),
        ({"method": ["GET", "POST"]}, "method GET or POST"),
        ({"sourceIp": ["198.51.100.0/24", "2001:db8::/32"]}, "source 198.51.100.0/24 or 2001:db8::/32"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_condition_is_put_into_words(when: dict[str, object], words: str) -> None:
    assert when_of(**when) == (words,)


def test_every_key_and_every_name_of_a_rule_is_a_condition_of_its_own() -> None:
    assert when_of(
        method=["POST"],
        path=["/rank"],
        header={"X-Tenant": ["t"], "X-Model": ["b"]},
        query={"dry": ["1"]},
    ) == ("path /rank", "method POST", "header X-Model = b", "header X-Tenant = t", "query dry = 1")


# Actions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("redirect", "words"),
    [
        ({"host": "new.example.com"}, "redirect 302 to #{protocol}://new.example.com/#{path}?#{query}"),
        ({"host": "new.example.com", "status": 301}, "redirect 301 to #{protocol}://new.example.com/#{path}?#{query}"),
        (
            {"protocol": "HTTPS", "host": "n.example.com", "port": 8443, "path": "/b", "query": "x=1"},
            "redirect 302 to https://n.example.com:8443/b?x=1",
        ),
        ({"port": 8080}, "redirect 302 to #{protocol}://#{host}:8080/#{path}?#{query}"),
        ({"path": "/new/#{path}"}, "redirect 302 to #{protocol}://#{host}/new/#{path}?#{query}"),
    ],
)
def test_a_redirect_names_its_status_and_its_target(redirect: dict[str, object], words: str) -> None:
    row, _ = rows_of({"one": rule(forward=None, redirect=redirect)})
    assert (row.action, row.shares) == (words, {})


def test_a_fixed_answer_names_its_status() -> None:
    row, _ = rows_of({"one": rule(forward=None, respond={"status": 403, "body": "forbidden"})})
    assert (row.action, row.shares) == ("respond 403", {})


# All together ---------------------------------------------------------------------------------------------------------


def test_a_whole_table_reads_from_top_to_bottom() -> None:
    table = routing_table(
        experiment(
            config(
                variants={"a": VARIANT, "b": VARIANT, "c": VARIANT},
                weights={"c": 1, "a": 4, "b": 0},
                override={},
                rules={
                    "admin": rule(priority=95, when={"path": ["/admin"]}, forward=None, respond={"status": 403}),
                    "beta": rule(priority=20, when={"header": {"X-Beta": ["1"]}}, forward={"b": 2, "c": 1}),
                    "old": rule(
                        priority=90,
                        when={"host": ["old.example.com"]},
                        forward=None,
                        redirect={"host": "example.com", "status": 301},
                    ),
                    "also": rule(priority=30, when={"method": ["PUT"]}, forward="split"),
                },
            )
        )
    )
    split = {"a": Fraction(4, 5), "b": Fraction(0), "c": Fraction(1, 5)}
    assert [(row.priority, row.name, row.when, row.action, row.shares) for row in table] == [
        (1, "override", ("header X-Abtest-Variant = <token>-a",), "forward", {"a": 1}),
        (2, "override", ("header X-Abtest-Variant = <token>-b",), "forward", {"b": 1}),
        (3, "override", ("header X-Abtest-Variant = <token>-c",), "forward", {"c": 1}),
        (20, "beta", ("header X-Beta = 1",), "forward", {"b": Fraction(2, 3), "c": Fraction(1, 3)}),
        (30, "also", ("method PUT",), "forward", split),
        (90, "old", ("host old.example.com",), "redirect 301 to #{protocol}://example.com/#{path}?#{query}", {}),
        (95, "admin", ("path /admin",), "respond 403", {}),
        (None, "", (), "forward", split),
    ]
