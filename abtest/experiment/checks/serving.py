"""Model servers by name: where a preset gives no port, or another server would run."""

from __future__ import annotations

from abtest.experiment.problems import Path, Report
from abtest.experiment.serving import PRESETS
from abtest.experiment.types import Experiment, Variant

__all__ = ["check_idle_timeout", "check_serving"]

#: The load balancer's default (API LoadBalancerAttribute, idle_timeout.timeout_seconds).
USUAL_IDLE_SECONDS = 60


def check_idle_timeout(experiment: Experiment, report: Report) -> None:
    """An answer that streams may pause for longer than the default, above all before its first byte (ALB guide, "Edit
    attributes", connection idle timeout). That of an existing load balancer is set by its owner.
    """
    path = ("idleTimeoutSeconds",)
    streaming = {
        name: variant.serving
        for name, variant in experiment.variants.items()
        if variant.serving is not None and PRESETS[variant.serving].streams and not variant.targets.is_function
    }
    is_usual = experiment.idle_timeout_seconds == USUAL_IDLE_SECONDS and not report.is_broken(path)
    if streaming and is_usual and experiment.listener.arn is None:
        servers = " and ".join(f"{server} of variant {name}" for name, server in streaming.items())
        report.warning(
            path,
            f"after {USUAL_IDLE_SECONDS} s without a byte the load balancer ends an answer, also one that {servers} "
            "streams or has not begun; write abtest:idleTimeoutSeconds: 300, for example",
        )


def check_serving(variant: Variant, report: Report, path: Path) -> None:
    targets = variant.targets
    is_judged = not (report.is_broken((*path, "protocolVersion")) or report.has_unknown_key((*path, "targets")))
    if variant.target_port == 0 and not targets.is_function and is_judged:
        why = "give the port that the model server listens on, or serving"
        if variant.serving is not None:
            why = f"for {variant.serving} no port of gRPC is documented, so give the one that it listens on"
        report.missing((*path, "port"), why)
    if variant.serving is None:
        return
    if targets.launch is not None and targets.launch.user_data_file is None:
        report.warning(
            (*path, "serving"),
            f"the instances start the sample model server, not {variant.serving}; give "
            "targets.launch.userDataFile, a script that starts it",
        )
