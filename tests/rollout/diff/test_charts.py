"""Flow charts are such that GitHub draws them."""

from __future__ import annotations

import pytest

from abtest.experiment import load_stack
from abtest.routing import RoutingTable
from abtest.routing.render import as_mermaid
from tests.configs import config, experiment, rule
from tests.rollout.diff.cases import CASES, effect, shown
from tests.rollout.diff.charts import charts_in, check, parse_with_mermaid

#: Texts that would end a label, or be read in it.
ODD = {
    "odd": rule(
        priority=40,
        when={"header": {"X-A": ['a"]b', "`c`", "#35;", "<b>*x*"], "X-B": ["\\n|%%"]}},
        forward=None,
        redirect={"path": '/#{path}"]/`*`', "query": "end<&amp;"},
    )
}


def charts() -> dict[str, str]:
    """Every chart that the golden cases and ``abtest explain`` draw."""
    tables = {name: RoutingTable.from_experiment(load_stack(name)[0]) for name in ("dev", "prod")}
    tables["odd"] = RoutingTable.from_experiment(experiment(config(rules=ODD)))
    drawn = {name: chart for name in CASES for chart in charts_in(shown(name))}
    return drawn | {f"explain {name}": as_mermaid(table) for name, table in tables.items()}


def test_every_chart_has_the_forms_that_mermaid_knows() -> None:
    found = charts()
    assert {"shift", "odd_texts", "new_stack", "explain dev"} <= found.keys()
    for chart in found.values():
        check(chart)


@pytest.mark.parametrize(
    "broken",
    [
        'flowchart LR\n  client([client]) --> r0\n  r0["say "x""]',
        "flowchart LR\n  client([client]) --> r0\n  r0[plain]",
        'flowchart LR\n  client([client]) --> r0\n  r0["x"]\n  r0 ==>|"1 %"| e0',
        'flowchart LR\n  client([client]) --> r0\n  r0["`x`"]',
    ],
)
def test_the_check_sees_a_broken_chart(broken: str) -> None:
    with pytest.raises(AssertionError):
        check(broken)


def test_mermaid_parses_every_chart() -> None:
    assert parse_with_mermaid(charts().values()) == ""


def test_a_chart_draws_before_and_after_where_they_differ() -> None:
    (chart,) = charts_in(shown("shift"))
    assert '  r1 ==>|"10 % → 25 %"| e1' in chart.splitlines()
    assert '  r0{{"2 rules, unchanged"}}' in chart.splitlines()


def test_many_changed_rules_are_drawn_as_a_few_and_a_number() -> None:
    from abtest.rollout.diff.chart import as_mermaid as chart_of

    sides = [
        {"rules": {f"r{n}": rule(priority=n, when={"path": [f"/{n}"]}, forward=to) for n in range(1, 101)}}
        for to in "ab"
    ]
    chart = chart_of(effect(*sides))
    check(chart)
    assert 'r20{{"80 rules, not drawn"}}' in chart
