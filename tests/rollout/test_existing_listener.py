"""Moving traffic on somebody else's listener: whose rules are read, what the guard holds, what a log means there."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abtest.experiment import Experiment, Source, load_stack, stack_file, try_load
from abtest.readout.logs import read_logs
from abtest.readout.table import Table
from abtest.rollout.diff.effect import Effect, compare
from abtest.rollout.diff.summary import summary
from abtest.rollout.diff.updates import Updates
from abtest.rollout.diff.version import Version
from abtest.rollout.drift import drift
from abtest.rollout.guard import Guard, GuardError
from abtest.rollout.judgement import unannounced
from abtest.rollout.live import Live, read_live
from abtest.rollout.move import besides, deployed_weights
from abtest.rollout.rollback import Rollback
from abtest.rollout.rollback import _forwards as forwards
from abtest.rollout.session import AwsError
from abtest.rollout.splits import routes_of
from abtest.rollout.status import Cloud, status_of
from abtest.routing import Request, RoutingTable
from tests.configs import ROOT, write_stack
from tests.readout.log_lines import line, question
from tests.rollout.standing import standing

LISTENER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/shared/50dc6c495c0c9188/f2f7dc8efc522ab2"
STACK = f"""\
config:
  aws:region: us-east-1
  abtest:control: a
  abtest:weights: {{a: 90, b: 10}}
  abtest:stickinessSeconds: "600"
  abtest:guardrails: {{requireHealthy: false, alarms: false}}
  abtest:variants:
    a: {{port: 8080, targets: {{external: ip}}}}
    b: {{port: 8080, targets: {{external: ip}}}}
  abtest:listener:
    arn: {LISTENER}
    split: {{priority: 200, when: {{host: [ranker.example.com]}}}}
  abtest:rules:
    to-b: {{priority: 100, when: {{host: [ranker.example.com], path: [/b]}}, forward: b}}
"""


#: The same at priorities that are free.
ELSEWHERE = STACK.replace("priority: 200", "priority: 210").replace("priority: 100", "priority: 110")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_stack(tmp_path_factory.mktemp("stack"), STACK).parent
    shutil.copy(ROOT / "__main__.py", folder)
    return folder


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the stack has exported so far."""
    found: dict[str, str] = {}
    monkeypatch.setattr(Guard, "_engine", lambda _: SimpleNamespace(outputs=lambda: found))
    return found


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that fails prepares the end of its process."""
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.fixture(scope="module")
def elbv2(folder: Path) -> Iterator[Any]:
    """The stack as it stands, on a listener where somebody else has two rules, and another stack its split."""
    with standing(str(folder / "Pulumi.test.yaml")) as elbv2:
        for priority, tags in (
            ("50", {"owner": "x"}),
            ("300", {"abtest:stack": "abtest/other", "abtest:control": "x"}),
        ):
            elbv2.create_rule(
                ListenerArn=LISTENER,
                Priority=int(priority),
                Conditions=[{"Field": "path-pattern", "Values": [f"/{priority}"]}],
                Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        yield elbv2


def of(text: str, folder: Path) -> tuple[Experiment, Source]:
    file = folder / "Pulumi.test.yaml"
    source = Source.from_text(text, file, stack_file(str(file))[1])
    experiment, problems = try_load(source)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    return experiment, source


def live_of(text: str, folder: Path, elbv2: Any) -> tuple[Experiment, Live]:
    experiment, source = of(text, folder)
    return experiment, read_live(elbv2, experiment, None, source.full_name)


# What is deployed -----------------------------------------------------------------------------------------------------


def test_the_stacks_own_rules_are_told_from_other_peoples(folder: Path, elbv2: Any) -> None:
    declared, live = live_of(STACK, folder, elbv2)
    assert [route.label for route in live.table.routes] == ["100", "200", "default"]
    assert [route.label for route in live.whole.routes] == ["50", "100", "200", "300", "default"]
    assert live.table.split.label == "200"
    assert drift(RoutingTable.from_experiment(declared), live.table) == ()
    assert besides(declared, live) == ()


def test_weights_control_and_holds_are_those_of_the_splits_rule(folder: Path, elbv2: Any) -> None:
    _, live = live_of(STACK, folder, elbv2)
    assert (live.weights, deployed_weights(live), live.control, live.held) == (
        {"a": 90, "b": 10}, {"a": 9, "b": 1}, "a", frozenset(),
    )  # fmt: skip
    assert live.load_balancer is None


def test_a_change_of_ones_own_rules_is_drift(folder: Path, elbv2: Any) -> None:
    declared, live = live_of(STACK.replace("a: 90, b: 10", "a: 80, b: 20"), folder, elbv2)
    (line,) = drift(RoutingTable.from_experiment(declared), live.table)
    assert line == "rule 200 (main split): the load balancer sends a 90 %, b 10 %, the stack file says a 80 %, b 20 %"


# The guard ------------------------------------------------------------------------------------------------------------


BALANCER = LISTENER.rpartition("/")[0].replace(":listener/", ":loadbalancer/")


def change(folder: Path, before: str, after: str, stack: str = "test") -> None:
    """Run the hook of the split's rule, as an update from STACK would; of another stack it is its first."""
    experiment, source = of(STACK.replace(before, after), folder)
    given: Any = SimpleNamespace(
        type="aws:lb/listenerRule:ListenerRule", new_inputs={"listenerArn": experiment.listener.arn}, old_outputs=None
    )
    asyncio.run(Guard(experiment, replace(source, stack=stack)).before_forward(given))


@pytest.mark.usefixtures("elbv2", "quiet")
def test_the_guard_holds_for_the_split_from_the_first_update(folder: Path) -> None:
    change(folder, "a: 90, b: 10", "a: 65, b: 35")
    with pytest.raises(GuardError, match=r"b would go from 10 % to 60 % on the main split: 50 points of b at once"):
        change(folder, "a: 90, b: 10", "a: 40, b: 60")


@pytest.mark.usefixtures("elbv2", "quiet")
def test_a_split_that_moves_is_held_against_its_own_past(folder: Path) -> None:
    """The engine makes another rule of another priority; the guard knows it by its tag."""
    moved = STACK.replace("priority: 200", "priority: 210")
    change(folder, STACK, moved)
    with pytest.raises(GuardError, match=r"b would go from 10 % to 100 % on the main split"):
        change(folder, STACK, moved.replace("a: 90, b: 10", "a: 0, b: 1"))


@pytest.mark.usefixtures("elbv2", "quiet")
def test_another_name_of_the_experiment_frees_nothing(folder: Path) -> None:
    renamed = "experiment: next\n  abtest:weights: {a: 10, b: 90}"
    with pytest.raises(GuardError, match=r"b would go from 10 % to 90 % on the main split"):
        change(folder, "weights: {a: 90, b: 10}", renamed)


CANARY = ELSEWHERE.replace(
    "when: {host: [ranker.example.com]", "when: {header: {X-Canary: [yes]}, host: [ranker.example.com]"
)


@pytest.mark.usefixtures("elbv2", "quiet", "exports")
def test_the_first_update_gives_no_share_of_live_requests(folder: Path) -> None:
    with pytest.raises(GuardError) as caught:
        change(folder, STACK, ELSEWHERE, stack="new")
    rule, split = str(caught.value).splitlines()[1:]
    assert rule.startswith("- rule to-b would send live requests of that listener to b at once")
    assert split == (
        "- the main split would send live requests of that listener to a and b at once, and targets are health-checked "
        "only once a rule forwards to them. Take two steps: first let abtest:listener.split.when require a header or a "
        "query that no client sends yet, such as header: {X-Canary: [yes]}; when the targets are healthy (abtest status), "
        "remove that in a second update"
    )
    change(folder, STACK, CANARY, stack="new")


@pytest.mark.usefixtures("elbv2", "quiet")
def test_a_split_that_asks_for_less_is_a_gain_from_the_requests_of_others(folder: Path) -> None:
    """What the listener's own default action answers is 0 of each variant."""
    wider = STACK.replace("priority: 200, when: {host: [ranker.example.com]}", 'priority: 200, when: {path: ["/*"]}')
    change(folder, STACK, wider)
    with pytest.raises(
        GuardError, match=r"would go from respond 404 \(rule 300\) to a 60 %, b 40 % \(the main split\)"
    ) as caught:
        change(folder, STACK, wider.replace("a: 90, b: 10", "a: 60, b: 40"))
    assert "40 points of b at once" in str(caught.value)


@pytest.mark.usefixtures("elbv2", "quiet")
def test_a_priority_of_another_owner_is_refused_before_aws_does(folder: Path) -> None:
    with pytest.raises(GuardError, match="priority 50 is taken on that listener by a rule of another owner"):
        change(folder, "priority: 200", "priority: 50")


@pytest.mark.usefixtures("quiet")
def test_a_split_that_goes_to_another_listener_starts_from_nothing_there(
    folder: Path, elbv2: Any, exports: dict[str, str]
) -> None:
    other = elbv2.create_listener(
        LoadBalancerArn=BALANCER, Protocol="HTTP", Port=8080,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    exports |= {"load_balancer_arn": BALANCER, "listener_arn": LISTENER}
    *_, pin = STACK.splitlines(keepends=True)
    moved = STACK.replace(LISTENER, other).replace(f"  abtest:rules:\n{pin}", "")
    change(folder, STACK, moved)
    with pytest.raises(
        GuardError, match=r"requests with host ranker.example.com would go from respond 404 \(no rule\) to"
    ):
        change(folder, STACK, moved.replace("a: 90, b: 10", "a: 0, b: 1"))
    elbv2.delete_listener(ListenerArn=other)


@pytest.mark.usefixtures("elbv2", "quiet")
def test_another_load_balancer_is_refused(folder: Path, exports: dict[str, str]) -> None:
    exports |= {
        "load_balancer_arn": BALANCER.replace("shared", "own"),
        "listener_arn": LISTENER.replace("shared", "own"),
    }
    with pytest.raises(GuardError, match="the target groups would have to serve two load balancers at once"):
        change(folder, STACK, ELSEWHERE, stack="new")


def test_without_guardrails_the_first_update_starts_only_services_without_clients(folder: Path) -> None:
    ecs = "ecs: {image: model:1, cpu: 256, memory: 512, publicIp: true}"
    bare = STACK.replace("  abtest:guardrails: {requireHealthy: false, alarms: false}\n", "")
    served = bare.replace("b: {port: 8080, targets: {external: ip}}", f"b: {{port: 8080, targets: {{{ecs}}}}}")
    assert [words.partition(" at once")[0] for words in unannounced(of(served, folder)[0])] == [
        "rule to-b would send live requests of that listener to b",
        "the main split would send live requests of that listener to b",
    ]
    assert list(unannounced(of(bare, folder)[0])) == []


def test_a_rollback_touches_the_splits_rule_alone(folder: Path, elbv2: Any) -> None:
    declared, live = live_of(STACK, folder, elbv2)
    plan = Rollback.of(declared, live, everywhere=False)
    assert plan.taken == ("b",)
    assert list(forwards(declared, plan)) == ["ListenerRule::rule-200"]


def test_a_rollback_leaves_the_split_where_it_stands(folder: Path, elbv2: Any) -> None:
    """What the file says of another place waits: a rule there would take nothing from the one that is deployed."""
    _, live = live_of(STACK, folder, elbv2)
    other = LISTENER.replace("f2f7dc8efc522ab2", "aaaaaaaaaaaaaaaa")
    pending, _ = of(STACK.replace("priority: 200", "priority: 300").replace(LISTENER, other), folder)
    changes = Rollback.of(pending, live, everywhere=False).changes
    assert changes["abtest:listener", "split", "priority"] == 200
    assert changes["abtest:listener", "arn"] == LISTENER


def test_without_the_splits_rule_nothing_is_moved_and_the_status_says_so(folder: Path, elbv2: Any) -> None:
    declared, source = of(STACK, folder)
    gone = read_live(elbv2, declared, None, "abtest/gone")
    with pytest.raises(AwsError, match="no rule there is the main split of this stack"):
        gone.standing()
    cloud = Cloud(live=gone, weights={}, health={}, alarms=())
    found = status_of(source, declared, cloud, (), "", (), datetime.now(UTC))
    assert (found.status, found.next) == ("OutOfSync", "pulumi up --refresh --stack test")
    assert "rule 200 (main split): the load balancer has no such rule" in found.drift[1]


# What a change does ---------------------------------------------------------------------------------------------------


def effect(before: str, after: str, folder: Path) -> Effect:
    was, now = (Version(stack="test", experiment=of(text, folder)[0]) for text in (STACK, STACK.replace(before, after)))
    return compare(was, now)


def test_a_shift_is_one_update_of_the_splits_rule(folder: Path) -> None:
    found = effect("a: 90, b: 10", "a: 75, b: 25", folder)
    assert found.updates == Updates(updated=("rule-200",))
    assert summary(found).startswith("b gets 25 % of new clients instead of 10 % on the main split; 1 update")


def test_a_split_that_asks_for_more_is_told(folder: Path) -> None:
    found = effect("200, when: {host: [ranker.example.com]}", '200, when: {host: ["*.example.com"]}', folder)
    assert summary(found).startswith("the main split asks for something else")


# Requests and logs ----------------------------------------------------------------------------------------------------


def test_other_hosts_are_not_this_stacks_affair(folder: Path) -> None:
    table = RoutingTable.from_experiment(of(STACK, folder)[0])
    ours, theirs = (
        table.decide(Request.parse({"host": host, "path": "/"})) for host in ("ranker.example.com", "x.org")
    )
    assert (ours.route.label, ours.as_json()["shares"]) == ("200", {"a": 0.9, "b": 0.1})
    assert (theirs.as_json()["priority"], theirs.as_json()["action"]) == ("default", "other")


def test_in_a_log_the_main_split_is_the_priority_of_its_rule(folder: Path, tmp_path: Path) -> None:
    routes = routes_of(of(STACK, folder)[0])
    assert routes.names == {0: "default action", 100: "to-b", 200: "main split"}
    file = tmp_path / "access.log"
    file.write_text("".join(f"{line(priority=number)}\n" for number in ("200", "200", "100", "50", "0", "-")))
    other = line(
        priority="200", arn="arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/theirs/6d0ecf831eec9f09"
    )
    with file.open("a") as log:
        log.write(f"{other}\n")  # of another listener, whose rule has the same number
    table: Table = read_logs([file], question(routes=routes.names, splits=routes.splits, is_shared=True))
    assert (table.lines.parsed, table.lines.foreign) == (3, 4)
    assert table.statuses == {("main split", "a", 200): 2, ("to-b", "a", 200): 1}


def test_the_example_is_fine() -> None:
    assert load_stack(str(ROOT / "examples" / "existing-listener.yaml"))[2] == ()


def test_another_load_balancer_needs_another_stack(folder: Path) -> None:
    moved = LISTENER.replace("app/shared/50dc6c495c0c9188", "app/other/60dc6c495c0c9188")
    (words,) = effect(LISTENER, moved, folder).refused
    assert words.startswith("the target groups would have to serve two load balancers at once, which AWS refuses")
    other_port = f"{LISTENER.rpartition('/')[0]}/aaaaaaaaaaaaaaaa"
    assert effect(LISTENER, other_port, folder).refused == ()
