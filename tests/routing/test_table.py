"""The routing table: what each rule asks for and does, in words, with the exact shares of new clients."""

from __future__ import annotations

from fractions import Fraction

import pytest

from abtest.experiment import Experiment
from abtest.routing import Route, RoutingTable, shares_of
from tests.configs import VARIANT, config, experiment, rule


def routes_of(found: Experiment) -> tuple[Route, ...]:
    return RoutingTable.from_experiment(found).routes


def words(route: Route) -> tuple[str, ...]:
    return tuple(map(str, route.conditions))


def when_of(**when: object) -> tuple[str, ...]:
    """The conditions of a rule, in words."""
    row, _ = routes_of(experiment(config(rules={"one": rule(when=when)})))
    return words(row)


def rows_of(rules: dict[str, object], **changes: object) -> tuple[Route, ...]:
    return routes_of(experiment(config(rules=rules, **changes)))


# Order ----------------------------------------------------------------------------------------------------------------


def test_rules_stand_by_priority_and_the_default_action_last() -> None:
    rows = rows_of({"a-late": rule(priority=300), "z-early": rule(priority=9), "middle": rule(priority=40)})
    assert [(row.priority, row.name) for row in rows] == [(9, "z-early"), (40, "middle"), (300, "a-late"), (None, None)]


def test_without_rules_there_is_the_default_action_alone() -> None:
    (route,) = routes_of(experiment(config()))
    assert (route.label, route.conditions, route.action.kind) == ("default", (), "forward")
    assert route.action.shares == {"a": Fraction(1, 2), "b": Fraction(1, 2)}


def test_override_rules_stand_before_all_others_in_the_order_of_variants() -> None:
    rows = routes_of(
        experiment(config(override={"header": "X-Force"}, weights={"b": 1, "a": 1}, rules={"one": rule(priority=3)}))
    )
    assert [(row.priority, row.name, words(row)) for row in rows] == [
        (1, None, ("header X-Force = <token>-a",)),
        (2, None, ("header X-Force = <token>-b",)),
        (3, "one", ("path /x",)),
        (None, None, ()),
    ]
    assert [row.action.shares for row in rows[:2]] == [{"a": 1}, {"b": 1}]


def test_an_override_without_a_secret_asks_for_the_variant_by_name() -> None:
    rows = routes_of(experiment(config(override={"header": "X-Force", "secret": False})))
    assert [words(row) for row in rows[:2]] == [("header X-Force = a",), ("header X-Force = b",)]


def test_an_override_forces_every_variant_also_those_in_no_weights() -> None:
    rows = routes_of(experiment(config(override={}, weights={"a": 1})))
    assert [row.action.shares for row in rows] == [{"a": 1}, {"b": 1}, {"a": 1}]


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
    (row,) = routes_of(experiment(config(weights=weights)))
    assert row.action.shares == expected
    assert all(isinstance(share, Fraction) for share in row.action.shares.values())
    assert sum(row.action.shares.values()) == 1


def test_shares_stand_by_name_whatever_the_order_of_the_file() -> None:
    assert list(shares_of({"b": 1, "c": 1, "a": 1})) == ["a", "b", "c"]


def test_weights_of_nothing_but_0_have_no_shares() -> None:
    assert shares_of({"a": 0, "b": 0}) == {}


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
    assert (row.action.kind, row.action.shares) == ("forward", expected)


# Conditions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "expected"),
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
def test_a_condition_is_put_into_words(when: dict[str, object], expected: str) -> None:
    assert when_of(**when) == (expected,)


def test_every_key_and_every_name_of_a_rule_is_a_condition_of_its_own() -> None:
    assert when_of(
        method=["POST"],
        path=["/rank"],
        header={"X-Tenant": ["t"], "X-Model": ["b"]},
        query={"dry": ["1"]},
    ) == ("path /rank", "header X-Model = b", "header X-Tenant = t", "query dry = 1", "method POST")


# Actions --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("redirect", "expected"),
    [
        ({"host": "new.example.com"}, "redirect 302 to #{protocol}://new.example.com:#{port}/#{path}?#{query}"),
        (
            {"host": "new.example.com", "status": 301},
            "redirect 301 to #{protocol}://new.example.com:#{port}/#{path}?#{query}",
        ),
        (
            {"protocol": "HTTPS", "host": "n.example.com", "port": 8443, "path": "/b", "query": "x=1"},
            "redirect 302 to https://n.example.com:8443/b?x=1",
        ),
        ({"port": 8080}, "redirect 302 to #{protocol}://#{host}:8080/#{path}?#{query}"),
        ({"path": "/new/#{path}"}, "redirect 302 to #{protocol}://#{host}:#{port}/new/#{path}?#{query}"),
    ],
)
def test_a_redirect_names_its_status_and_its_target(redirect: dict[str, object], expected: str) -> None:
    row, _ = rows_of({"one": rule(forward=None, redirect=redirect)})
    assert (str(row.action), row.action.shares) == (expected, {})


def test_a_fixed_answer_names_its_status() -> None:
    row, _ = rows_of({"one": rule(forward=None, respond={"status": 403, "body": "forbidden"})})
    assert (str(row.action), row.action.body) == ("respond 403", "forbidden")


# All together ---------------------------------------------------------------------------------------------------------


def test_a_whole_table_reads_from_top_to_bottom() -> None:
    table = routes_of(
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
    assert [(route.label, route.name, words(route), str(route.action)) for route in table] == [
        ("1", None, ("header X-Abtest-Variant = <token>-a",), "a 100 %"),
        ("2", None, ("header X-Abtest-Variant = <token>-b",), "b 100 %"),
        ("3", None, ("header X-Abtest-Variant = <token>-c",), "c 100 %"),
        ("20", "beta", ("header X-Beta = 1",), "b 66.67 %, c 33.33 %"),
        ("30", "also", ("method PUT",), "a 80 %, b 0 %, c 20 %"),
        ("90", "old", ("host old.example.com",), "redirect 301 to #{protocol}://example.com:#{port}/#{path}?#{query}"),
        ("95", "admin", ("path /admin",), "respond 403"),
        ("default", None, (), "a 80 %, b 0 %, c 20 %"),
    ]
