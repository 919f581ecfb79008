"""The program on AWS, from the first `up` to the last `destroy`, in this order; each test goes on where the one before
ended.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event

import pytest

from abtest.readout.statistics import check_split
from abtest.routing.request import Request
from tests.aws.account import Account, wait_until
from tests.aws.leftovers import leftovers
from tests.aws.probes import PROBES, Probe, record
from tests.aws.stand import VARIANT, Stand
from tests.engine.harness import ROOT, Run, meanwhile

pytestmark = pytest.mark.aws


# A stack ----------------------------------------------------------------------------------------------------------------


def test_a_first_up_creates_everything_and_requests_are_answered(stand: Stand) -> None:
    run = stand.up()
    assert {step.op for step in run.steps} == {"create"}
    assert stand.weights() == {"a": 90, "b": 10}


def test_the_next_up_changes_nothing(stand: Stand) -> None:
    assert stand.up().steps == ()


def test_a_refresh_finds_no_drift(stand: Stand) -> None:
    run = stand.stack.preview(None, "--refresh", "--expect-no-changes")
    assert run.code == 0, run.output


# Routing ----------------------------------------------------------------------------------------------------------------


def test_the_split_is_as_asked(stand: Stand) -> None:
    seen = stand.variants(2000)
    found = check_split([({"a": 90, "b": 10}, {str(name): count for name, count in seen.items()})])
    assert found is not None
    assert not found.is_off(), seen
    assert not found.stray, seen


def test_a_client_keeps_its_variant(stand: Stand) -> None:
    for _ in range(20):
        client = stand.client(keeps_cookies=True)
        assert len({client.get().variant for _ in range(5)}) == 1


def test_the_override_forces_a_variant(stand: Stand) -> None:
    token = stand.outputs["override_token"]
    for variant in ("a", "b"):
        client = stand.client()
        answers = {client.get("/", [("X-Abtest-Variant", f"{token}-{variant}")]).variant for _ in range(10)}
        assert answers == {variant}


#: Path and query, header lines and host of requests for the rules.
REQUESTS = [
    (target, headers, host)
    for target in (
        "/v2/x",
        "/v2/",
        "/v2",
        "/V2/x",
        "/",
        "/?model=b",
        "/?model=B",
        "/?x=1&model=b",
        "/gone",
        "/gone?x=1",
    )
    for headers, host in (
        ((), None),
        ((("X-Model", "b"),), None),
        ((("X-Model", "c"),), None),
        ((("X-Other", "b"),), "b.example.com"),
    )
]


@pytest.mark.parametrize(("target", "headers", "host"), REQUESTS)
def test_a_request_goes_where_explain_says(
    stand: Stand, target: str, headers: tuple[tuple[str, str], ...], host: str | None
) -> None:
    name = host or stand.outputs["alb_dns_name"]
    given = {"method": "GET", "url": f"http://{name}{target}", "headers": {**dict(headers), "Host": name}}
    route = stand.table.decide(Request.parse(given)).route
    answer = stand.client().get(target, headers, host)
    if route.action.kind == "forward":
        assert answer.variant in {variant for variant, share in route.action.shares.items() if share}, route.label
    else:
        assert (answer.status, answer.body) == (410, b"gone")


# Moving traffic ---------------------------------------------------------------------------------------------------------


def test_a_shift_is_one_update_of_one_listener(stand: Stand) -> None:
    run = stand.up({**stand.config, "weights": {"a": 80, "b": 20}})
    assert [(step.op, step.type) for step in run.steps] == [("update", "aws:lb/listener:Listener")]
    assert stand.weights() == {"a": 80, "b": 20}
    stand.up({**stand.config, "weights": {"a": 90, "b": 10}})


def test_a_ramp_is_rolled_back_when_the_candidate_dies_and_a_shift_puts_it_back(stand: Stand) -> None:
    (instance,) = stand.instances("b")
    bake = "30s" if stand.account.is_rehearsal else "5m"
    with _stopped_at(stand, instance, share=20):
        run = stand.stack.abtest("ramp", "b", "--schedule", "20,30", "--bake", bake, "--yes")
    assert run.code == 5, run.output
    assert stand.weights() == {"a": 100}
    with stand.account.client("ec2") as ec2:
        ec2.start_instances(InstanceIds=[instance])
    wait_until(lambda: stand.is_healthy("b"), stand.account, "a healthy target of b")
    _moves(stand, "shift", "b=0")
    _moves(stand, "shift", "b=10")
    assert stand.weights() == {"a": 90, "b": 10}


@contextmanager
def _stopped_at(stand: Stand, instance: str, share: int) -> Iterator[None]:
    """Stop an instance as soon as its variant has a share."""

    def wait(is_over: Event) -> None:
        while stand.weights().get("b") != share:
            if is_over.wait(stand.account.pause):
                return
        with stand.account.client("ec2") as ec2:
            ec2.stop_instances(InstanceIds=[instance])

    with meanwhile(wait):
        yield


def test_a_rollback_takes_every_client_back(stand: Stand) -> None:
    stuck = stand.client_of("b")
    _moves(stand, "rollback")
    assert stand.weights() == {"a": 100}
    wait_until(lambda: stuck.get().variant == "a", stand.account, "the control for a client that had b", seconds=120)
    assert set(stand.variants(50)) == {"a"}
    _moves(stand, "shift", "b=0")
    _moves(stand, "shift", "b=10")


def _moves(stand: Stand, *words: str) -> Run:
    run = stand.stack.abtest(*words, "--yes")
    assert run.code == 0, run.output
    return run


# Measuring --------------------------------------------------------------------------------------------------------------


def test_a_report_reads_the_access_logs_of_the_bucket(stand: Stand) -> None:
    stand.variants(100)
    sent = time.monotonic()

    def counted() -> int:
        run = stand.stack.abtest("report", "--since", "1h", "--format", "json")
        with suppress(json.JSONDecodeError):
            lines = json.loads(run.output)["lines"]
            assert lines["skipped"] == 0
            return int(lines["parsed"])
        return 0

    wait_until(lambda: counted() > 0, stand.account, "lines in the log bucket")
    stand.log_delay = time.monotonic() - sent


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_what_aws_leaves_open_is_decided_as_it_does(stand: Stand, probe: Probe) -> None:
    if stand.account.is_rehearsal and not probe.can_be_rehearsed:
        pytest.skip("moto refuses regular expressions in rules, so the rehearsal has none")
    observed = probe.ask(stand)
    if not stand.account.is_rehearsal:
        record(probe, observed)
    assert probe.decided in {None, observed}, f"{probe.question} AWS: {observed}; change {probe.place}"


# Other targets ----------------------------------------------------------------------------------------------------------


def test_an_instance_is_replaced_under_load_without_a_failed_request(stand: Stand) -> None:
    bigger = {**VARIANT, "targets": {"launch": {**VARIANT["targets"]["launch"], "instanceType": "t3.small"}}}
    before = stand.instances("a")
    with _load(stand) as statuses:
        stand.up({**stand.config, "variants": {**stand.config["variants"], "a": bigger}})
    assert stand.instances("a") != before
    assert set(statuses) == {200}, statuses


@contextmanager
def _load(stand: Stand) -> Iterator[Counter[int]]:
    """New clients, one after the other, until the block ends; the statuses of their answers, 0 for none."""
    statuses = Counter[int]()

    def send(is_over: Event) -> None:
        client = stand.client()
        while not is_over.is_set():
            try:
                statuses[client.get().status] += 1
            except OSError:
                statuses[0] += 1

    with meanwhile(send):
        yield statuses


SCALING = {**VARIANT, "targets": {"launch": {"instanceType": "t3.micro", "min": 1, "max": 1}}}
SERVER = (ROOT / "abtest" / "sample" / "server.py").read_text(encoding="utf-8")
SERVICE = {
    **VARIANT,
    "targets": {
        "ecs": {
            "image": "public.ecr.aws/docker/library/python:3.13-slim",
            "cpu": 256,
            "memory": 512,
            "publicIp": True,
            "command": ["python", "-c", SERVER, "--port", "8080", "--version", "c"],
        }
    },
}


@pytest.mark.parametrize("variant", [SCALING, SERVICE], ids=["Auto Scaling", "Fargate"])
def test_a_third_variant_joins_answers_and_leaves(stand: Stand, variant: dict[str, object]) -> None:
    before = stand.config
    stand.up({**before, "variants": {**before["variants"], "c": variant}, "weights": {"a": 90, "b": 10, "c": 0}})
    stand.up({**stand.config, "weights": {"a": 70, "b": 10, "c": 20}})
    assert set(stand.variants(100)) == {"a", "b", "c"}
    stand.up({**stand.config, "weights": {"a": 90, "b": 10, "c": 0}})
    stand.up(before)


# The end ----------------------------------------------------------------------------------------------------------------


def test_a_destroy_leaves_nothing(stand: Stand, account: Account) -> None:
    run = stand.destroy().succeeded()
    assert {step.op for step in run.steps} == {"delete"}
    assert leftovers(account, stand.run) == []
