"""One look at a variant while traffic moves: what it is given, its health, its alarms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from abtest.command import command
from abtest.rollout.alarms import Alarm, alarms_of
from abtest.rollout.live import Health, health_of, read_live
from abtest.rollout.move import Deployed, MoveError
from abtest.rollout.session import client
from abtest.rollout.stack_file import StackFile

__all__ = ["Look", "look"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """``shares`` are those of the main split as the load balancer has them, ``alarms`` the variant's own and those of
    the load balancer.
    """

    shares: Mapping[str, Fraction]
    health: Health
    alarms: tuple[Alarm, ...]

    @property
    def firing(self) -> tuple[Alarm, ...]:
        return tuple(alarm for alarm in self.alarms if alarm.state == "ALARM")


def look(deployed: Deployed, file: StackFile, variant: str) -> Look:
    """Raises AwsError, and MoveError where no rule forwards to the variant: then nobody checks its health."""
    with client(file.source, "elbv2") as elbv2:
        live = read_live(elbv2, file.experiment, deployed.listener_arn, file.source.full_name).standing()
        group = live.groups.get(variant)
        if group is None:
            raise MoveError(
                f"no rule forwards to {variant}, so the load balancer does not check its health; warm it first: "
                f"{command(f'shift {variant}=0', file.stack)}"
            )
        health = health_of(elbv2, group)
    with client(file.source, "cloudwatch") as cloudwatch:
        alarms = alarms_of(cloudwatch, {variant: group}, live.load_balancer)
    return Look(shares=live.table.split.action.shares, health=health, alarms=alarms)
