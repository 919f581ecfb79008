"""The sample model server, started as the instances start it, and the start-up script that carries it there."""

from __future__ import annotations

import ast
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from abtest.experiment.limits import PORT, USER_DATA, VARIANT_NAME
from abtest.readout.logs import read_logs
from abtest.stack.look_up.instances import sample_user_data
from tests.configs import ROOT, config, experiment, variant
from tests.readout.log_lines import line, question

BASH = shutil.which("bash") or "/bin/bash"
SERVER = ROOT / "abtest" / "sample" / "server.py"
FEATURES = {"features": [0.1, -0.2, 3]}
DEADLINE = 10


@dataclass(frozen=True)
class Answer:
    """What the server sent back; ``body`` is the decoded JSON, None for an empty body."""

    status: int
    headers: Mapping[str, str]
    body: Any


@contextmanager
def serving(*arguments: str, python: str = sys.executable, server: Path = SERVER) -> Iterator[int]:
    """A server of its own on a free port of 127.0.0.1, which is yielded once it listens."""
    command = [python, str(server), *arguments, "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[-2:-1] == ["port"], f"it did not say its port: {words}"
            yield int(words[-1])
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server of version a."""
    with serving("--version", "a") as port:
        yield port


def connect(port: int) -> closing[HTTPConnection]:
    """A connection that does not come back by itself when the server has closed it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.connect()
    connection.auto_open = 0
    return closing(connection)


def ask(connection: HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request on an open connection; keyword arguments are headers, with _ for -."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
    return read(connection)


def read(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    text = response.read()
    return Answer(response.status, dict(response.headers), json.loads(text) if text else None)


def request(port: int, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """One request on a connection of its own."""
    with connect(port) as connection:
        return ask(connection, method, path, body, **headers)


def exchange(port: int, sent: bytes) -> bytes:
    """Raw bytes there, and everything that comes back until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def score(port: int, features: Mapping[str, Any] = FEATURES) -> float:
    return float(request(port, "POST", "/predict", features).body["score"])


# What it answers ------------------------------------------------------------------------------------------------------


def test_health_is_answered_with_the_version(port: int) -> None:
    answer = request(port, "GET", "/healthz")
    assert (answer.status, answer.body["status"], answer.body["version"]) == (200, "ok", "a")
    assert answer.headers["X-Model-Version"] == "a"
    assert answer.headers["Content-Type"] == "application/json"


def test_predict_scores_features_between_0_and_1(port: int) -> None:
    answer = request(port, "POST", "/predict", FEATURES)
    assert answer.status == 200
    assert 0 < answer.body["score"] < 1
    assert answer.body["version"] == "a"
    assert answer.body["milliseconds"] >= 0


def test_predict_by_get_scores_the_default_features(port: int) -> None:
    answer = request(port, "GET", "/predict?user=7")
    assert answer.status == 200
    assert answer.body["score"] == score(port, {"features": [1.0]})
    assert answer.body["score"] != score(port)


def test_missing_features_count_as_0_and_more_than_16_are_left_out(port: int) -> None:
    assert score(port, {"features": [1, 2]}) == score(port, {"features": [1, 2, 0, 0]})
    assert score(port, {"features": [1] * 16}) == score(port, {"features": [1] * 20})


def test_one_version_scores_alike_everywhere_and_two_versions_differ(port: int) -> None:
    with serving("--version", "a") as again, serving("--version", "b") as other:
        assert score(again) == score(port)
        assert score(other) != score(port)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_other_path_answers_with_method_and_path(port: int, method: str) -> None:
    answer = request(port, method, "/v2/rank?model=b", b"ignored")
    assert (answer.status, answer.body["method"], answer.body["path"]) == (200, method, "/v2/rank")


def test_the_trace_id_is_given_back(port: int) -> None:
    trace = "Root=1-67891233-abcdef012345678912345678"
    assert request(port, "POST", "/predict", FEATURES, X_Amzn_Trace_Id=trace).body["trace_id"] == trace
    assert request(port, "POST", "/predict", b"{", X_Amzn_Trace_Id=trace).body["trace_id"] == trace
    assert "trace_id" not in request(port, "GET", "/healthz").body


# What becomes of answers ----------------------------------------------------------------------------------------------

TRACE = "Self=1-6789-1;Root=1-67891233-abcdef012345678912345678"


def test_predictions_and_what_is_learned_later_are_joined_by_the_trace_id(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    with serving("--version", "a", "--outcomes", str(file)) as port:
        found = request(port, "POST", "/predict", FEATURES, X_Amzn_Trace_Id=TRACE).body["score"]
        answer = request(port, "POST", "/feedback", {"trace_id": TRACE, "correct": 1}, X_Amzn_Trace_Id="Root=1-0-1")
        lines = file.read_text(encoding="utf-8").splitlines()
    assert answer.status == 200
    assert [json.loads(line) for line in lines] == [
        {"trace_id": TRACE, "score": found},
        {"trace_id": TRACE, "correct": 1},
    ]


def test_a_report_takes_the_outcomes_as_they_are_recorded(tmp_path: Path) -> None:
    file, log = tmp_path / "outcomes.jsonl", tmp_path / "access.log"
    log.write_text(f"{line(variant='b', trace=TRACE)}\n", encoding="utf-8")
    with serving("--outcomes", str(file)) as port:
        found = request(port, "POST", "/predict", FEATURES, X_Amzn_Trace_Id=TRACE).body["score"]
        request(port, "POST", "/feedback", {"trace_id": TRACE, "correct": True})
    sums = read_logs([log], question(outcomes=file)).cells[0, "main split", "b"]
    assert (sums["score"].y, sums["correct"].y) == (found, 1)


def test_what_has_no_trace_id_or_no_prediction_is_no_outcome(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    with serving("--outcomes", str(file)) as port:
        request(port, "POST", "/predict", FEATURES)
        request(port, "POST", "/predict", b"{", X_Amzn_Trace_Id=TRACE)
        request(port, "GET", "/healthz", X_Amzn_Trace_Id=TRACE)
        request(port, "GET", "/else", X_Amzn_Trace_Id=TRACE)
    assert file.read_text(encoding="utf-8") == ""


def test_many_clients_at_once_and_two_servers_mix_no_lines(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.jsonl"
    with serving("--outcomes", str(file)) as one, serving("--outcomes", str(file)) as other:
        traces = [f"Root=1-0-{n}" for n in range(60)]
        with ThreadPoolExecutor(max_workers=12) as pool:
            list(
                pool.map(
                    lambda n: request((one, other)[n % 2], "GET", "/predict", X_Amzn_Trace_Id=traces[n]), range(60)
                )
            )
        lines = file.read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["trace_id"] for line in lines) == sorted(traces)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"trace_id": "Root=1-0-1"}',
        b'{"trace_id": 1, "correct": 1}',
        b'{"correct": 1}',
        b'{"trace_id": "Root=1-0-1", "correct": "yes"}',
        b'{"trace_id": "Root=1-0-1", "correct": NaN}',
        b'{"trace_id": "Root=1-0-1", "correct": null, "clicks": 1}',
    ],
)
def test_feedback_without_a_trace_id_or_a_number_is_refused(recording: tuple[int, Path], body: bytes) -> None:
    port, file = recording
    answer = request(port, "POST", "/feedback", body)
    assert answer.status == 400
    assert answer.body["error"] == 'expected JSON such as {"trace_id": "Root=1-...", "correct": 1}'
    assert file.read_text(encoding="utf-8") == ""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server that records, and its file."""
    file = tmp_path_factory.mktemp("outcomes") / "outcomes.jsonl"
    with serving("--outcomes", str(file)) as port:
        yield port, file


# Faults ---------------------------------------------------------------------------------------------------------------


def test_a_share_of_the_requests_fails_when_asked_for_and_no_health_check() -> None:
    with serving("--errors", "0.5") as port, connect(port) as connection:
        statuses = [ask(connection, "GET", path).status for path in ("/predict", "/v2/rank") for _ in range(100)]
        assert {ask(connection, "GET", "/healthz").status for _ in range(20)} == {200}
        checks = [ask(connection, "GET", "/health", User_Agent="ELB-HealthChecker/2.0").status for _ in range(20)]
        assert set(checks) == {200}, "whatever path a load balancer asks for"
    assert set(statuses) == {200, 500}
    assert 60 < statuses.count(500) < 140


def test_answers_are_slower_when_asked_for_and_no_health_check() -> None:
    with serving("--delay", "0.1") as port:
        assert request(port, "GET", "/predict").body["milliseconds"] >= 100
        assert request(port, "GET", "/healthz").body["milliseconds"] < 100


# How it speaks HTTP ---------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_for_further_requests(port: int) -> None:
    with connect(port) as connection:
        answers = [ask(connection, "POST", "/predict", FEATURES) for _ in range(3)]
        answers.append(ask(connection, "GET", "/healthz"))
    assert [answer.status for answer in answers] == [200] * 4


def test_a_connection_is_closed_when_the_client_asks_for_it(port: int) -> None:
    for head in (b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n"):
        answer = exchange(port, head)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in answer


def test_head_has_the_length_of_a_body_but_no_body(port: int) -> None:
    answer = exchange(port, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nContent-Length: " in head
    assert body == b""


def test_a_connection_is_kept_after_head(port: int) -> None:
    with connect(port) as connection:
        assert ask(connection, "HEAD", "/healthz").body is None
        assert ask(connection, "GET", "/healthz").body["status"] == "ok"


def test_a_chunked_body_scores_as_a_plain_one(port: int) -> None:
    data = json.dumps(FEATURES).encode()
    with connect(port) as connection:
        connection.request("POST", "/predict", iter((data[:5], data[5:])), encode_chunked=True)
        answer = read(connection)
        again = ask(connection, "POST", "/predict", FEATURES)
    assert (answer.status, answer.body["score"]) == (200, again.body["score"])


def test_extensions_and_trailers_of_a_chunked_body_are_skipped(port: int) -> None:
    answers = exchange(
        port,
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3;name=value\r\n[1,\r\n2\r\n2]\r\n0\r\nX-Trailer: 1\r\n\r\n"
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    assert answers.count(b"HTTP/1.1 200 ") == 2
    assert f'"score": {score(port, {"features": [1, 2]})}'.encode() in answers
    assert b'"status": "ok"' in answers


CHUNKED, NOT_A_NUMBER = b"Transfer-Encoding: chunked\r\n\r\n", b"the body's length is not a number"


# The client's mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"no",
        b"3",
        b'{"features": 3}',
        b'["x"]',
        b"[null]",
        b"[[1]]",
        b"\xff\xfe{}",
        b'{"feature": [1]}',
        b'{"features": "123"}',
        b"[" * 200_000,
    ],
)
def test_a_body_that_holds_no_features_is_refused_with_what_is_expected(port: int, body: bytes) -> None:
    with connect(port) as connection:
        answer = ask(connection, "POST", "/predict", body)
        assert (answer.status, answer.body["version"]) == (400, "a")
        assert answer.body["error"] == 'expected JSON such as {"features": [0.1, 0.2]}'
        assert ask(connection, "POST", "/predict", FEATURES).status == 200, "the connection can be used further"


@pytest.mark.parametrize("body", [b"[NaN]", b"[1, -Infinity]", b'["inf"]', b"[1e999]"])
def test_features_that_are_no_finite_numbers_are_refused(port: int, body: bytes) -> None:
    answer = request(port, "POST", "/predict", body)
    assert (answer.status, answer.body["error"]) == (400, "features must be finite numbers")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (b"Content-Length: ten\r\n\r\n", NOT_A_NUMBER),
        (b"Content-Length: -1\r\n\r\n", NOT_A_NUMBER),
        (b"Content-Length: 250001\r\n\r\n", b"the body is over 250,000 bytes"),
        (CHUNKED + b"ten\r\n", NOT_A_NUMBER),
        (CHUNKED + b"-1\r\n", NOT_A_NUMBER),
        (CHUNKED + b"0x3\r\n[1]\r\n0\r\n\r\n", NOT_A_NUMBER),
        (CHUNKED + b"+3\r\n[1]\r\n0\r\n\r\n", NOT_A_NUMBER),
        (CHUNKED + b"1_0\r\n", NOT_A_NUMBER),
        (CHUNKED + b"3D091\r\n", b"the body is over 250,000 bytes"),
        (CHUNKED + b"2\r\n[1]\r\n0\r\n\r\n", b"a chunk is longer than its size"),
        (CHUNKED + b"3\n[1]\n0\n\n", b"does not end with CR LF"),
        (CHUNKED + b"3;" + b"x" * 2000, b"a line of the body is too long"),
        (CHUNKED + b"0\r\n" + b"X-Trailer: 1\r\n" * 200, b"there are too many trailers"),
        (b"Transfer-Encoding: gzip, chunked\r\n\r\n", b"the only Transfer-Encoding is chunked"),
        (b"Transfer-Encoding: chunked, identity\r\n\r\n", b"the only Transfer-Encoding is chunked"),
        (b"Transfer-Encoding: xchunked\r\n\r\n", b"the only Transfer-Encoding is chunked"),
        (b"Content-Length: 3\r\n" + CHUNKED + b"0\r\n\r\n", b"the request's length is not clear"),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n[1]", b"the request's length is not clear"),
        (b"Transfer-Encoding: identity\r\n" + CHUNKED + b"0\r\n\r\n", b"the request's length is not clear"),
        (b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"the request's length is not clear"),
    ],
)
def test_a_body_of_unclear_length_is_refused_and_the_connection_closed(port: int, fields: bytes, why: bytes) -> None:
    answer = exchange(port, b"POST /predict HTTP/1.1\r\nHost: x\r\n" + fields)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1, "what follows is no request"
    assert b"\r\nConnection: close\r\n" in answer
    assert why in answer
    assert request(port, "GET", "/healthz").status == 200


@pytest.mark.parametrize("fields", [b"Content-Length: 9\r\n\r\n[1]", CHUNKED + b"9\r\n[1]", CHUNKED + b"3\r\n[1]\r\n"])
def test_a_body_that_is_cut_off_is_not_answered(port: int, fields: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + fields)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1000) == b""


def test_feedback_is_small(recording: tuple[int, Path]) -> None:
    port, file = recording
    answer = request(port, "POST", "/feedback", b"[" + b"1," * 5_000)
    assert (answer.status, answer.body["error"]) == (400, "the body is over 10,000 bytes")
    request(port, "GET", "/predict", X_Amzn_Trace_Id="Root=1-" + "0" * 2000)
    assert file.read_text(encoding="utf-8") == ""


def test_a_large_body_of_another_path_is_skipped(port: int) -> None:
    with connect(port) as connection:
        assert ask(connection, "POST", "/v2/rank", b"x" * 10_000_000).status == 200
        assert ask(connection, "GET", "/healthz").status == 200


def test_large_headers_are_refused(port: int) -> None:
    answer = exchange(port, b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 50_000) for n in range(3)))
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert request(port, "GET", "/healthz").status == 200


# Many clients ---------------------------------------------------------------------------------------------------------


def test_many_clients_at_once_each_get_their_own_score(port: int) -> None:
    wanted = {n: score(port, {"features": [n / 100]}) for n in range(24)}

    def client(n: int) -> list[float]:
        with connect(port) as connection:
            answers = [ask(connection, "POST", "/predict", {"features": [n / 100]}) for _ in range(5)]
        return [answer.body["score"] for answer in answers]

    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        found = dict(zip(wanted, pool.map(client, wanted), strict=True))
    assert found == {n: [value] * 5 for n, value in wanted.items()}
    assert len(set(wanted.values())) == len(wanted)


def test_a_client_that_stops_in_the_middle_holds_up_nobody(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as slow:
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n[1")
        assert request(port, "GET", "/healthz").status == 200
    assert request(port, "GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "start",
    [b"GET / HTTP/1.1\r\nX: ", b"POST /predict HTTP/1.1\r\nContent-Length: 99\r\n\r\n", b"GET /"],
    ids=["headers", "body", "request line"],
)
def test_a_client_that_sends_a_byte_now_and_then_is_cut_off(start: bytes) -> None:
    with serving("--timeout", "0.5") as port, socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as slow:
        before = time.monotonic()
        slow.sendall(start)
        with pytest.raises(ConnectionError):
            drip(slow, 5)
        assert time.monotonic() < before + 3


def drip(connection: socket.socket, seconds: float) -> None:
    """A byte now and then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(b"1")
        time.sleep(0.05)


def test_an_idle_connection_is_kept_longer_than_a_request_may_take() -> None:
    with serving("--timeout", "0.2") as port, connect(port) as connection:
        for _ in range(3):
            assert ask(connection, "GET", "/healthz").status == 200
            time.sleep(0.4)


def test_further_connections_than_it_takes_get_a_503() -> None:
    with serving("--most-connections", "2") as port:
        with connect(port) as one, connect(port) as two:
            assert {ask(one, "GET", "/healthz").status, ask(two, "GET", "/healthz").status} == {200}
            assert exchange(port, b"").startswith(b"HTTP/1.1 503 ")
        for _ in range(100):
            if exchange(port, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 "):
                return
            time.sleep(0.05)
        raise AssertionError("the connections that were closed count no longer")


# On Amazon Linux 2023 -------------------------------------------------------------------------------------------------


def python_3_9() -> str | None:
    """The oldest Python that must run it, where there is one that works (pyenv's shims may not)."""
    found = shutil.which("python3.9")
    works = found is not None and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0
    return found if works else None


def test_it_is_python_3_9() -> None:
    ast.parse(SERVER.read_text(encoding="utf-8"), feature_version=(3, 9))


@pytest.mark.skipif(python_3_9() is None, reason="no python3.9 on PATH")
def test_it_runs_on_python_3_9(port: int) -> None:
    with serving("--version", "a", python=python_3_9() or "") as old:
        assert score(old) == score(port)


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(SERVER.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= sys.stdlib_module_names


# The start-up script --------------------------------------------------------------------------------------------------


def user_data(name: str = "b", port: int = 8080) -> str:
    """The script of a variant without a ``userDataFile``."""
    made = experiment(config(variants={name: variant(port=port)}, weights={name: 1}))
    return sample_user_data(name, made.variants[name])


def test_the_start_up_script_is_short_enough_for_every_variant() -> None:
    longest = user_data("b" * (VARIANT_NAME.longest or 0), PORT.high)
    assert len(longest.encode()) < USER_DATA.high


def test_the_start_up_script_is_valid_bash() -> None:
    checked = subprocess.run([BASH, "-n"], input=user_data(), text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_start_up_script_writes_the_server_and_a_service_that_starts_it(tmp_path: Path) -> None:
    script = user_data().replace("/opt/abtest", f"{tmp_path}/opt").replace("/etc/systemd/system", str(tmp_path))
    until = script.index("systemctl")
    subprocess.run([BASH, "-c", script[:until]], check=True)
    server = tmp_path / "opt" / "server.py"
    assert server.read_bytes() == SERVER.read_bytes()
    assert script[until:] == "systemctl daemon-reload\nsystemctl enable --now abtest-sample.service\n"
    unit = (tmp_path / "abtest-sample.service").read_text(encoding="utf-8").splitlines()
    (start,) = (line.removeprefix("ExecStart=").split() for line in unit if line.startswith("ExecStart="))
    assert start == ["/usr/bin/python3", str(server), "--port", "8080", "--version=b"]
    with serving(*start[2:], server=server) as port:
        assert request(port, "GET", "/healthz").body["version"] == "b"
