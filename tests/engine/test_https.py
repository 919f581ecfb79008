"""From HTTP to HTTPS and back, under traffic."""

from __future__ import annotations

import pytest

from tests.engine.configs import BASE, changed
from tests.engine.harness import Engine, Run

pytestmark = pytest.mark.engine

PRIORITIES = {"10", "20", "default"}


def assert_always_answered(run: Run) -> None:
    """Port 80 is there at every moment, and never redirects to what is not complete."""
    assert run.refusals == []
    assert run.gaps == []
    for call in run.calls:
        if call.routes is None:
            continue
        routes = {(route.port, route.priority): route.action for route in call.routes}
        assert (80, "default") in routes, call.action
        if routes[80, "default"] == "redirect":
            assert {priority for port, priority in routes if port == 443} == PRIORITIES, call.action


def test_http_becomes_https_and_http_again_with_no_moment_without_an_answer(standing: Engine) -> None:
    with standing.cloud.client("acm") as acm:
        certificate = acm.request_certificate(DomainName="models.example.com")["CertificateArn"]

    with standing.cloud.proxy.slowing("CreateRule"):
        there = standing.up(changed(BASE, listener={"certificateArn": certificate})).succeeded()

    assert_always_answered(there)
    layout = standing.cloud.layout
    assert {port: listener["Protocol"] for port, listener in layout["listeners"].items()} == {
        "80": "HTTP",
        "443": "HTTPS",
    }
    assert set(layout["rules"]) == {"80 default", *(f"443 {priority}" for priority in PRIORITIES)}
    assert layout["rules"]["80 default"]["then"][0]["RedirectConfig"]["Port"] == "443"

    back = standing.up(BASE).succeeded()

    assert_always_answered(back)
    assert set(standing.cloud.layout["rules"]) == {f"80 {priority}" for priority in PRIORITIES}
