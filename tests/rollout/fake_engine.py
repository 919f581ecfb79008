"""An engine in place of Pulumi's: `up` brings a listener on the embedded AWS to what the stack file says."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from abtest.experiment import Experiment
from abtest.experiment.types import Rule
from abtest.rollout.engine import EngineError, Say, Update
from abtest.rollout.live import Live
from abtest.rollout.move import Deployed
from abtest.rollout.stack_file import StackFile
from tests.configs import ROOT
from tests.rollout.standing import standing

__all__ = ["FakeEngine", "Stand", "standing_copy"]


class FakeEngine:
    """It knows the weights of the main split, those of the rules, and the tag that holds variants.

    ``fails`` are the failures of the next updates: (whether it is made all the same, the error), None for none. With
    ``is_behind``, it takes what it has on record for what is there, and so changes nothing before a refresh.
    """

    def __init__(self, file: Path, elbv2: Any, listener_arn: str) -> None:
        self.fails: list[tuple[bool, EngineError] | None] = []
        self.updates: list[Update] = []
        self.refreshed, self.is_behind = 0, False
        self.only: tuple[str, ...] = ()
        self._file, self._elbv2, self._listener = file, elbv2, listener_arn

    def outputs(self) -> Mapping[str, Any]:
        return {"listener_arn": self._listener} if self._listener else {}

    def history(self, count: int = 20) -> tuple[Update, ...]:
        return tuple(self.updates[::-1][:count])

    def up(self, message: str, say: Say, *, refresh: bool = False, only: Sequence[str] = ()) -> None:
        self.only = tuple(only)
        self.refreshed += refresh
        self.is_behind &= not refresh
        failure = self.fails.pop(0) if self.fails else None
        is_made, error = failure or (True, None)
        file = StackFile.read(str(self._file))
        if is_made and not self.is_behind:
            say("listener-80: update …")
            self._apply(file.experiment)
        now = datetime.now(UTC)
        self.updates.append(
            Update(
                kind="update",
                result="failed" if error else "succeeded",
                started=now,
                ended=now,
                message=message,
                config={key: str(value) for key, value in file.source.values.items()},
            )
        )
        if error:
            raise error

    @cached_property
    def _groups(self) -> dict[str, str]:
        """ARNs by variant. Like those of rules they are read once, since the engine makes and replaces nothing."""
        arns = [group["TargetGroupArn"] for group in self._elbv2.describe_target_groups()["TargetGroups"]]
        return {tags["abtest:variant"]: arn for arn, tags in self._tagged(arns).items()}

    @cached_property
    def _rules(self) -> dict[str, str]:
        rules = self._elbv2.describe_rules(ListenerArn=self._listener)["Rules"]
        tagged = self._tagged([rule["RuleArn"] for rule in rules if not rule["IsDefault"]])
        return {tags["abtest:rule"]: arn for arn, tags in tagged.items()}

    def _apply(self, experiment: Experiment) -> None:
        arns = self._groups
        self._elbv2.modify_listener(
            ListenerArn=self._listener,
            DefaultActions=[_forward(experiment.weights, arns, experiment.stickiness_seconds)],
        )
        for name, arn in self._rules.items():
            rule: Rule = experiment.rules[name]
            if weights := experiment.forward_weights(rule):
                self._elbv2.modify_rule(RuleArn=arn, Actions=[_forward(weights, arns, experiment.stickiness_of(rule))])
        if experiment.held:
            self._elbv2.add_tags(
                ResourceArns=[self._listener], Tags=[{"Key": "abtest:held", "Value": " ".join(experiment.held)}]
            )
        else:
            self._elbv2.remove_tags(ResourceArns=[self._listener], TagKeys=["abtest:held"])

    def _tagged(self, arns: list[str]) -> dict[str, dict[str, str]]:
        described = [self._elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"][0] for arn in arns]
        return {found["ResourceArn"]: {tag["Key"]: tag["Value"] for tag in found["Tags"]} for found in described}


def _forward(weights: Mapping[str, int], arns: Mapping[str, str], sticky: int) -> dict[str, Any]:
    return {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": arns[name], "Weight": weight} for name, weight in weights.items()],
            "TargetGroupStickinessConfig": {"Enabled": sticky > 0, "DurationSeconds": sticky or 1},
        },
    }


class Stand:
    """A copy of the dev stack that stands on the embedded AWS."""

    def __init__(self, folder: Path, elbv2: Any) -> None:
        self.path = folder / "Pulumi.dev.yaml"
        self.elbv2 = elbv2
        balancer = elbv2.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
        listener = elbv2.describe_listeners(LoadBalancerArn=balancer)["Listeners"][0]["ListenerArn"]
        self.engine = FakeEngine(self.path, elbv2, listener)
        self.deployed = Deployed(self.engine, listener)
        self._text = self.path.read_text()

    def reset(self) -> Stand:
        """As the dev stack is, without a past."""
        self.path.write_text(self._text)
        self.engine.fails.clear()
        self.engine.up("", lambda _: None)
        self.engine.updates.clear()
        self.engine.refreshed = 0
        return self

    @property
    def file(self) -> StackFile:
        return StackFile.read(str(self.path))

    @property
    def live(self) -> Live:
        return self.deployed.live(self.file)

    @property
    def split(self) -> str:
        """What the load balancer does with new clients."""
        return str(self.live.table.routes[-1].action)

    def set_weights(self, **weights: int) -> None:
        """Deploy another split."""
        self.file.edited({("abtest:weights",): weights}).write(over=self.file)
        self.engine.up("", lambda _: None)
        self.engine.updates.clear()


@contextmanager
def standing_copy(folder: Path) -> Iterator[Stand]:
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder)
    with standing(str(folder / "Pulumi.dev.yaml")) as elbv2:
        yield Stand(folder, elbv2)
