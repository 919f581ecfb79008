"""Questions that AWS's documents leave open: how the program decides them, and how a load balancer can be asked.

``observed.json`` has what AWS answered, and the table in docs/aws.md shows it. The local balancer decides as the program
does, so in the rehearsal each answer is the decision.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.aws.stand import Stand

__all__ = ["PROBES", "Probe", "observed_table", "record"]

OBSERVED = Path(__file__).with_name("observed.json")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """``decided`` is one of the texts that ``ask`` returns; None where nothing depends on the answer. ``place`` is what
    to change where AWS answers otherwise.
    """

    name: str
    question: str
    decided: str | None
    place: str
    ask: Callable[[Stand], str]
    can_be_rehearsed: bool = True


def _matches(target: str = "/", *headers: tuple[str, str], host: str | None = None) -> Callable[[Stand], str]:
    """Ask whether a rule that forwards to b takes a request. A client of the split meets b by chance: 9 times of 10 it
    does not, so ten requests tell.
    """

    def ask(stand: Stand) -> str:
        client = stand.client()
        found = {client.get(target, headers, host).variant for _ in range(10)}
        return "yes" if found == {"b"} else "no"

    return ask


def _keeps_cookie_at_weight_0(stand: Stand) -> str:
    stuck = stand.client_of("b")
    stand.up({**stand.config, "weights": {"a": 100, "b": 0}})
    try:
        return "yes" if stuck.get().variant == "b" else "no"
    finally:
        stand.up({**stand.config, "weights": {"a": 90, "b": 10}})


def _time_runs_from(stand: Stand) -> str:
    """Clients of b that come every 20 s: after 80 s of a cookie of 60 s, do they still have b?"""
    clients = [stand.client_of("b") for _ in range(10)]
    for _ in range(3):
        time.sleep(20)
        for client in clients:
            client.get()
    time.sleep(20)
    return "the last request" if sum(client.get().variant == "b" for client in clients) > 5 else "the choice"


def _own_answers_have_headers(stand: Stand) -> str:
    return "yes" if stand.client().get("/gone").headers.get("X-Frame-Options") == "DENY" else "no"


def _trace_id(stand: Stand) -> str:
    answer = stand.client().get("/", [("X-Amzn-Trace-Id", "Self=1-5759e988-bd862e3fe1be46a994272793")])
    return "yes" if b"Root=" in answer.body else "no"  # the sample server gives it back


def _stickiness_off(stand: Stand) -> str:
    before = stand.config
    stand.up({**before, "stickinessSeconds": 0})
    try:
        run = stand.stack.preview(None, "--refresh", "--expect-no-changes")
        return "no change" if run.code == 0 else "a change"
    finally:
        stand.up(before)


def _trimmed_count(stand: Stand) -> str:
    """Whether CloudWatch takes the statistic that the report asks for; not what it answers."""
    balancer = stand.outputs["load_balancer_arn"].partition("loadbalancer/")[2]
    metric = {
        "Namespace": "AWS/ApplicationELB",
        "MetricName": "TargetResponseTime",
        "Dimensions": [{"Name": "LoadBalancer", "Value": balancer}],
    }
    query = {"Id": "slow", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "TC(0.5:)"}}
    now = datetime.now(UTC)
    with stand.account.client("cloudwatch") as cloudwatch:
        try:
            cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=now - timedelta(hours=1), EndTime=now)
        except cloudwatch.exceptions.ClientError as error:
            return str(error.response["Error"]["Code"])
    return "yes"


CONDITIONS = "abtest/routing/conditions.py"
BALANCER = "abtest/local/balancer/"

PROBES = (
    Probe(
        name="host-port",
        question="Is a host condition compared without the port of the Host header?",
        decided="yes",
        place=CONDITIONS,
        ask=_matches(host="b.example.com:8080"),
    ),
    Probe(
        name="host-case",
        question="Is a host condition compared without regard to case?",
        decided="yes",
        place=CONDITIONS,
        ask=_matches(host="B.Example.COM"),
    ),
    Probe(
        name="path-dots",
        question="Is `/x/../v2/y` taken by a rule for `/v2/*`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/x/../v2/y"),
    ),
    Probe(
        name="path-encoded",
        question="Is `/%762/x` taken by a rule for `/v2/*`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/%762/x"),
    ),
    Probe(
        name="query-encoded",
        question="Is `?model=%62` taken by a rule for `model=b`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/?model=%62"),
    ),
    Probe(
        name="query-plus",
        question="Is `?words=two+words` taken by a rule for `words=two words`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/?words=two+words"),
    ),
    Probe(
        name="query-semicolon",
        question="Is `?x=1;model=b` taken by a rule for `model=b`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/?x=1;model=b"),
    ),
    Probe(
        name="header-lines",
        question="Are several lines of one header compared one by one?",
        decided="yes",
        place=CONDITIONS,
        ask=_matches("/", ("X-Model", "a"), ("X-Model", "b")),
    ),
    Probe(
        name="header-list",
        question="Is `X-Model: a, b` taken by a rule for `b`?",
        decided="no",
        place=CONDITIONS,
        ask=_matches("/", ("X-Model", "a, b")),
    ),
    Probe(
        name="header-case",
        question="Is a header condition compared without regard to case?",
        decided="yes",
        place=CONDITIONS,
        ask=_matches("/", ("X-Model", "B")),
    ),
    Probe(
        name="regex-anywhere",
        question="Does a regular expression without ^ and $ match anywhere in a header?",
        decided="yes",
        place=CONDITIONS,
        ask=_matches("/", ("X-Regex", "abba")),
        can_be_rehearsed=False,
    ),
    Probe(
        name="regex-case",
        question="Does case count in a regular expression of a header?",
        decided="yes",
        place=CONDITIONS,
        ask=lambda stand: {"yes": "no", "no": "yes"}[_matches("/", ("X-Regex", "BB"))(stand)],
        can_be_rehearsed=False,
    ),
    Probe(
        name="cookie-weight-0",
        question="Does a client keep a variant whose weight goes to 0, while it is named in the split?",
        decided="yes",
        place=BALANCER,
        ask=_keeps_cookie_at_weight_0,
    ),
    Probe(
        name="cookie-time",
        question="From when does the time of stickiness run?",
        decided="the choice",
        place=BALANCER,
        ask=_time_runs_from,
    ),
    Probe(
        name="own-answers",
        question="Are response headers set in the load balancer's own answers too?",
        decided="yes",
        place=BALANCER,
        ask=_own_answers_have_headers,
    ),
    Probe(
        name="trace-root",
        question="Does a trace id without a root get one?",
        decided="yes",
        place=BALANCER,
        ask=_trace_id,
    ),
    Probe(
        name="stickiness-off",
        question="After stickiness is switched off, does a refresh find a change?",
        decided="no change",
        place="abtest/stack/listener.py",
        ask=_stickiness_off,
    ),
    Probe(
        name="trimmed-count",
        question="Does GetMetricData take the statistic `TC(0.5:)`?",
        decided="yes",
        place="abtest/readout/cloudwatch.py",
        ask=_trimmed_count,
    ),
    Probe(
        name="log-delay",
        question="How long after a request is its line in the bucket?",
        decided=None,
        place="docs/report.md",
        ask=lambda stand: f"{stand.log_delay:.0f} s",
    ),
)


def record(probe: Probe, observed: str) -> None:
    """Keep what AWS answered, with the day."""
    found = json.loads(OBSERVED.read_text(encoding="utf-8"))
    found[probe.name] = {"observed": observed, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    OBSERVED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def observed_table() -> str:
    """The table in docs/aws.md."""
    found = json.loads(OBSERVED.read_text(encoding="utf-8"))
    rows = [
        f"| {probe.question} | {probe.decided or 'nothing depends on it'} | "
        f"{found[probe.name]['observed'] if probe.name in found else 'not observed yet'} | "
        f"{found[probe.name]['date'] if probe.name in found else ''} |"
        for probe in PROBES
    ]
    return "\n".join(["| question | decided | observed | date |", "|-|-|-|-|", *rows]) + "\n"
