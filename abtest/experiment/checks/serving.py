"""Model servers by name: where a preset gives no port, or another server would run."""

from __future__ import annotations

from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Variant

__all__ = ["check_serving"]


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
