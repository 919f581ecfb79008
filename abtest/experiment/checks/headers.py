"""Response headers: what the load balancer would send, but a browser would not heed."""

from __future__ import annotations

from abtest.experiment.problems import Path, Report
from abtest.experiment.types import Experiment, ResponseHeaders

__all__ = ["check_headers"]


def check_headers(experiment: Experiment, report: Report) -> None:
    headers, path = experiment.listener.response_headers, ("listener", "responseHeaders")
    if headers is None:
        return
    if headers.strict_transport_security is not None and not experiment.listener.is_https:
        report.warning(
            (*path, "strictTransportSecurity"),
            "browsers only honor it over HTTPS (RFC 6797, section 8.1); give abtest:listener.certificateArn",
        )
    if headers.access_control_allow_credentials:
        _check_wildcards(headers, report, path)


def _check_wildcards(headers: ResponseHeaders, report: Report, path: Path) -> None:
    """Where credentials are allowed, * is no wildcard (Fetch standard, "CORS protocol and credentials")."""
    for key, value in (
        ("accessControlAllowOrigin", headers.access_control_allow_origin),
        ("accessControlAllowMethods", headers.access_control_allow_methods),
        ("accessControlAllowHeaders", headers.access_control_allow_headers),
        ("accessControlExposeHeaders", headers.access_control_expose_headers),
    ):
        if value == "*":
            report.warning(
                (*path, key),
                "is not a wildcard with accessControlAllowCredentials: browsers would refuse the answer; name what is "
                "allowed (Fetch standard)",
            )
