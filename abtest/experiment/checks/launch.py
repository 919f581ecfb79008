"""Instances that the program starts: single ones, or an Auto Scaling group."""

from __future__ import annotations

from pathlib import Path as FilePath

from abtest.experiment import limits
from abtest.experiment.checks.values import given
from abtest.experiment.files import read_script
from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Launch, Secret, Variant

__all__ = ["check_launch"]

#: What belongs to an Auto Scaling group alone, besides `min` and `max`.
_OF_GROUPS = {"requests_per_target", "health_check_grace_seconds"}


def check_launch(variant: Variant, launch: Launch, report: Report, path: Path, folder: FilePath) -> None:
    size = launch.root_volume_gb
    if launch.ami is None and size is not None and size < limits.DEFAULT_IMAGE_SIZE:
        report.error(
            (*path, "rootVolumeGb"),
            f"{size} is below {limits.DEFAULT_IMAGE_SIZE} GiB, the size of the default image (Amazon Linux 2023)",
        )
    _check_scaling(launch, report, path)
    if launch.user_data_file is None:
        _check_sample_server(variant, report, path)
        return
    where = (*path, "userDataFile")
    if isinstance(launch.user_data_file, Secret) or report.is_broken(where):
        return
    try:
        data = read_script(folder, launch.user_data_file)
        data.decode()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        report.error(where, f"{launch.user_data_file} cannot be read from the project folder: {why}")
        return
    if len(data) > limits.USER_DATA.high:
        report.error(
            where,
            f"{launch.user_data_file} has {len(data)} bytes, at most {limits.USER_DATA.high} are allowed "
            f"({limits.USER_DATA.source}); let the script fetch the rest",
        )
    elif not data.strip():
        report.error(where, f"{launch.user_data_file} is empty, so no model server would start")
    elif not data.startswith(
        (b"#!", b"#cloud-config", b"#include", b"Content-Type:", b"MIME-Version:", b"## template:")
    ):
        report.warning(
            where,
            f"{launch.user_data_file} starts with neither #! nor #cloud-config, so cloud-init would not run it "
            "(EC2 guide, user data)",
        )


def _check_scaling(launch: Launch, report: Report, path: Path) -> None:
    """`min` and `max` make it an Auto Scaling group; what else belongs to one, or does not."""
    low, high, requests = launch.min, launch.max, launch.requests_per_target
    is_broken = any(report.is_broken((*path, key)) for key in ("min", "max", "requestsPerTarget"))
    if is_broken or report.has_unknown_key(path):
        return
    if low is None and high is None:
        for field, key in given(launch, Launch(instance_type=launch.instance_type)).items():
            if field in _OF_GROUPS:
                report.error(
                    (*path, key),
                    f"{getattr(launch, field)} is for an Auto Scaling group; give min and max too, or take {key} out",
                )
        return
    if launch.count != 1:
        report.error(
            (*path, "count"),
            f"{launch.count} is for a fixed number of instances; remove it, min and max are in its place",
        )
    if low is None or high is None:
        there, missing = ("min", "max") if high is None else ("max", "min")
        report.error(path, f"{there} is given without {missing}; an Auto Scaling group has both")
    elif low > high:
        report.error((*path, "min"), f"{low} is above the max of {high}; lower it, or raise max")
    elif low < high and requests is None:
        report.error(
            path,
            f"nothing would scale it between {low} and {high}; give requestsPerTarget, the requests per minute of an "
            "instance, or the same min and max",
        )


def _check_sample_server(variant: Variant, report: Report, path: Path) -> None:
    """Without ``userDataFile`` the sample model server runs, which knows one port and plain HTTP/1.1."""
    asked = (("port",), ("protocolVersion",), ("healthCheck", "port"))
    if any(report.is_broken((*path[:2], *key)) for key in asked):
        return
    wants = []
    if variant.protocol != "HTTP":
        wants.append(f"protocol {variant.protocol}")
    if variant.protocol_version != "HTTP1":
        wants.append(f"protocolVersion {variant.protocol_version}")
    if variant.health_check.port not in {"traffic-port", variant.target_port}:
        wants.append(f"a health check on port {variant.health_check.port}")
    if (variant.health_check.protocol or "HTTP") != "HTTP":
        wants.append(f"a health check by {variant.health_check.protocol}")
    if wants:
        report.error(
            path,
            f"the sample model server speaks HTTP/1.1 on port {variant.target_port} alone, this variant asks for "
            f"{' and '.join(wants)}; give userDataFile, a script that starts your model server",
        )
