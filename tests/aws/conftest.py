"""The acceptance suite: asks for consent, stands a stack up once, and takes everything away at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.account import REHEARSAL, Account
from tests.aws.leftovers import leftovers
from tests.aws.stand import BASE, REGEX_RULE, RUN_TAG, Stand
from tests.configs import ROOT
from tests.engine.harness import Stack

CONSENT = """\
This makes resources in a real AWS account, and takes them away at the end, also after Ctrl-C and failures:
  a load balancer, target groups, security groups, a bucket for access logs; two to four t3.micro instances, an Auto
  Scaling group and a Fargate service for some minutes each. All are tagged abtest-acceptance.
It takes about 90 minutes and costs less than 1 USD (us-east-1, 2026).

It needs credentials in the environment or a profile, `pulumi` on PATH, and a default VPC. To go on:
  ABTEST_AWS=yes AWS_REGION=us-east-1 make aws"""


@pytest.fixture(scope="session")
def account() -> Account:
    if REHEARSAL not in os.environ and (os.environ.get("ABTEST_AWS") != "yes" or "AWS_REGION" not in os.environ):
        pytest.exit(CONSENT, returncode=2)
    if shutil.which("pulumi") is None:
        pytest.exit("pulumi is not on PATH", returncode=2)
    return Account.of_environment()


@pytest.fixture(scope="session")
def stand(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    run = f"{int(time.time()):x}"
    # Where the project is, Pulumi's state outlives a process that is killed.
    folder = tmp_path_factory.mktemp("run") if account.is_rehearsal else ROOT / ".abtest" / f"aws-{run}"
    folder.mkdir(parents=True, exist_ok=True)
    stack = Stack(folder, account, seconds=3600)
    rules = BASE["rules"] if account.is_rehearsal else {**BASE["rules"], "regex-b": REGEX_RULE}
    standing = Stand(account=account, stack=stack, run=run, config={**BASE, "rules": rules})
    _say(
        f"\nrun {run} in {account.region}; if this process is killed, take everything away with",
        f"  cd {stack.folder} && PULUMI_BACKEND_URL={stack.backend} PULUMI_CONFIG_PASSPHRASE='of the tests' "
        "pulumi destroy --yes --stack dev --run-program",
    )
    try:
        yield standing
    finally:
        _take_away(standing, folder)


def _take_away(standing: Stand, folder: Path) -> None:
    """The last test does so too; this is for a run that did not get there."""
    run = standing.destroy()
    found = leftovers(standing.account, standing.run)
    if run.code or found:
        _say(run.output[-3000:], f"left in the account, by the tag {RUN_TAG}={standing.run}:", *found)
        _say(f"pulumi's state is in {folder}")
        pytest.exit("not everything could be taken away", returncode=3)
    shutil.rmtree(folder)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 pytest -s shows it
