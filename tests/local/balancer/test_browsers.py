"""What people hold against it: a browser keeps both cookies and follows redirects, and so does curl."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from abtest.routing import Action
from abtest.routing.conditions import Condition
from tests.local.balancer.harness import ModelServer, Site, deployed, forward, listener, route

CHROMIUM, CURL = shutil.which("chromium"), shutil.which("curl")
MOVED = Action(kind="redirect", status=301, location="http://#{host}:80/new?#{query}")
SITE = deployed(
    listener(
        route(MOVED, Condition("path", ("/old",)), priority=10),
        route(forward({"a": 1, "b": 1}, sticky=600)),
    )
)


@pytest.fixture(autouse=True)
def _serve(site: Site, a: ModelServer, b: ModelServer) -> None:
    site.serve(SITE, a, b)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on PATH")
def test_a_browser_keeps_its_variant_from_load_to_load(site: Site, tmp_path: Path) -> None:
    def load(path: str) -> dict[str, Any]:
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}", "--dump-dom")
        url = f"http://localhost:{site.port}{path}"
        done = subprocess.run([str(CHROMIUM), *options, url], capture_output=True, text=True, timeout=60, check=True)
        found = re.search(r"\{.*\}", done.stdout)
        assert found, done.stderr
        seen: dict[str, Any] = json.loads(found[0])
        return seen

    first = load("/old?x=1")
    assert first["line"] == "GET /new?x=1 HTTP/1.1"
    again = [load("/") for _ in range(2)]
    assert {page["server"] for page in again} == {first["server"]}
    cookies = {name: value for page in again for name, value in page["headers"]}["Cookie"]
    assert re.findall("AWSALBTG(?:CORS)?(?==)", cookies) == ["AWSALBTG", "AWSALBTGCORS"]


@pytest.mark.skipif(CURL is None, reason="curl is not on PATH")
def test_curl_follows_a_redirect_and_keeps_its_variant(site: Site, tmp_path: Path) -> None:
    def load(path: str) -> dict[str, Any]:
        jar = str(tmp_path / "cookies")
        command = [str(CURL), "-sSL", "-b", jar, "-c", jar, f"http://localhost:{site.port}{path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen

    first = load("/old?x=1")
    assert first["line"] == "GET /new?x=1 HTTP/1.1"
    assert {load("/")["server"] for _ in range(8)} == {first["server"]}
    assert [entry.status for entry in site.entries] == [301, *[200] * 9]
