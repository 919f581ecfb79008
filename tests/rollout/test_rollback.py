"""Taking models back: what is edited, what is left, and that the load balancer follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from abtest.rollout.live import Live
from abtest.rollout.rollback import Rollback, roll_back
from abtest.routing import Action, RoutingTable
from tests.configs import config, experiment, rule, variant
from tests.rollout.fake_engine import Stand

WEIGHTS, HELD = ("abtest:weights",), ("abtest:held",)


def plan(deployed: dict[str, int] | None = None, *, everywhere: bool = False, **keys: Any) -> Rollback:
    """The rollback of a stack with three variants; it is deployed as the file says, but for the main split."""
    variants = {name: variant() for name in "abc"}
    said = experiment(config(variants=variants, **keys))
    as_deployed = experiment(config(variants=variants, weights=deployed or dict(said.weights)))
    live = Live(
        listener_arn="", table=RoutingTable.from_experiment(as_deployed), overrides=frozenset(), groups={}, held=frozenset()
    )  # fmt: skip
    return Rollback.of(said, live, everywhere=everywhere)


def test_the_others_leave_the_split_and_are_held() -> None:
    found = plan(weights={"a": 50, "b": 30, "c": 20})
    assert found.changes == {WEIGHTS: {"a": 100}, HELD: ["b", "c"]}
    assert found.taken == ("b", "c")


def test_a_variant_that_only_the_load_balancer_sends_clients_to_is_taken_too() -> None:
    found = plan(weights={"a": 100}, deployed={"a": 90, "b": 10})
    assert found.changes == {HELD: ["b"]}
    assert found.taken == ("b",)


def test_the_control_takes_all_also_if_its_weight_was_0() -> None:
    assert plan(weights={"a": 0, "b": 1}).changes == {WEIGHTS: {"a": 100}, HELD: ["b"]}


def test_who_is_held_already_stays_held() -> None:
    assert plan(weights={"a": 1, "b": 1}, held=["c"]).changes[HELD] == ["b", "c"]


RULES = {
    "all-b": rule(forward="b"),
    "halves": rule(priority=20, when={"path": ["/h"]}, forward={"a": 1, "c": 1}),
    "warm": rule(priority=30, when={"path": ["/w"]}, forward={"a": 1, "b": 0}),
    "whole": rule(priority=40, when={"path": ["/s"]}, forward="split"),
    "to-a": rule(priority=50, when={"path": ["/a"]}, forward="a"),
}


def test_rules_with_weights_of_their_own_are_named_and_left() -> None:
    found = plan(weights={"a": 1, "b": 1}, rules=RULES)
    assert found.left == {"all-b": ("b",), "halves": ("c",)}
    assert found.changes == {WEIGHTS: {"a": 100}, HELD: ["b"]}


def test_everywhere_takes_them_out_of_these_rules_too() -> None:
    found = plan(weights={"a": 1, "b": 1}, rules=RULES, everywhere=True)
    assert found.left == {}
    assert found.taken == ("b", "c")
    assert found.changes == {
        WEIGHTS: {"a": 100},
        ("abtest:rules", "all-b", "forward"): "a",
        ("abtest:rules", "halves", "forward"): {"a": 100},
        HELD: ["b", "c"],
    }


def test_it_is_one_update_and_the_listener_remembers(stand: Stand) -> None:
    file, live = roll_back(
        stand.deployed,
        stand.file,
        stand.live,
        Rollback.of(stand.file.experiment, stand.live, everywhere=False),
        lambda _: None,
    )
    assert str(live.table.routes[-1].action) == "a 100 %"
    assert live.held == {"b"}
    assert [update.message for update in stand.engine.updates] == ["abtest rollback of b"]
    assert file.text == stand.path.read_text()
    assert "abtest:weights: {a: 100}\n" in file.text
    assert "abtest:held: [b]\n" in file.text


def test_a_second_rollback_changes_nothing(stand: Stand) -> None:
    for _ in range(2):
        found = Rollback.of(stand.file.experiment, stand.live, everywhere=True)
        file, _live = roll_back(stand.deployed, stand.file, stand.live, found, lambda _: None)
    assert (found.changes, found.taken) == ({HELD: ["b"]}, ())
    assert stand.path.read_text() == file.text


@pytest.mark.parametrize("everywhere", [False, True])
def test_it_works_where_somebody_made_the_default_action_something_else(stand: Stand, everywhere: bool) -> None:  # noqa: FBT001
    routes = (
        *stand.live.table.routes[:-1],
        replace(stand.live.table.routes[-1], action=Action(kind="respond", status=503)),
    )
    live = replace(stand.live, table=replace(stand.live.table, routes=routes))
    found = Rollback.of(stand.file.experiment, live, everywhere=everywhere)
    assert found.changes[WEIGHTS] == {"a": 100}
    roll_back(stand.deployed, stand.file, live, found, lambda _: None)
    assert stand.split == "a 100 %"


def test_nothing_but_what_forwards_to_them_is_touched(stand: Stand) -> None:
    stand.file.edited({("abtest:rules", "path-b", "forward"): "split"}).write(over=stand.file)
    for everywhere, only in [
        (False, ("Listener::listener-80", "ListenerRule::rule-10")),
        (True, ("Listener::listener-80", "ListenerRule::rule-10", "ListenerRule::rule-20", "ListenerRule::rule-30")),
    ]:
        found = Rollback.of(stand.file.experiment, stand.live, everywhere=everywhere)
        roll_back(stand.deployed, stand.file, stand.live, found, lambda _: None)
        assert sorted(stand.engine.only) == sorted(only)


def test_comments_in_the_list_of_who_is_held_do_not_stand_in_its_way(stand: Stand) -> None:
    text = stand.path.read_text() + "  abtest:held:\n    # since May\n    - b\n    - b-old # gone\n"
    stand.path.write_text(
        text.replace(
            "    b:\n      port: 8080", "    b-old: {port: 8080, targets: {external: ip}}\n    b:\n      port: 8080"
        )
    )
    found = Rollback.of(stand.file.experiment, stand.live, everywhere=False)
    assert found.edited(stand.file).experiment.held == ("b", "b-old")
    more = replace(found, changes={**found.changes, HELD: ["b"]})
    assert more.edited(stand.file).experiment.held == ("b",)
