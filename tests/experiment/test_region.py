"""``aws:region`` is checked offline."""

from __future__ import annotations

import re

import boto3
import pytest

from abtest.experiment.limits import REGION, REGIONS
from tests.configs import config, errors, problems


def _known() -> set[str]:
    session = boto3.Session()
    partitions = session.get_available_partitions()
    return {region for name in partitions for region in session.get_available_regions("ec2", partition_name=name)}


@pytest.mark.parametrize(
    ("region", "remedy"),
    [
        ("us-east1", "did you mean us-east-1?"),
        ("US-EAST-1", "did you mean us-east-1?"),
        ("us-east-1 ", "did you mean us-east-1?"),
        ("eu-west-1a", "did you mean eu-west-1?"),
        ("useast1", "did you mean us-east-1?"),
        ("virginia", "write a region such as us-east-1"),
    ],
)
def test_a_region_of_another_form_is_an_error(region: str, remedy: str) -> None:
    message = f'aws:region: "{region}" is not a region of AWS; {remedy} (Regions guide, AWS Regions)'
    assert errors(config() | {"aws:region": region}) == [message]


def test_what_is_compared_with_a_wrong_region_is_not_reported() -> None:
    acl = {"webAclArn": "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/main/1-2"}
    assert len(errors(config(waf=acl) | {"aws:region": "us-east1"})) == 1


def test_a_region_that_is_not_known_is_a_warning() -> None:
    message = 'warning: aws:region: "us-east-9" is not a known region of AWS; did you mean us-east-2?'
    assert re.sub(r"us-east-\d\?", "us-east-2?", problems(config() | {"aws:region": "us-east-9"})[0]) == message


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-east-1", "cn-northwest-1", "eusc-de-east-1", None])
def test_regions_of_every_partition_are_fine(region: str | None) -> None:
    assert problems(config() | {"aws:region": region}) == []


def test_the_known_regions_are_those_of_aws() -> None:
    """Newer libraries may know more of them, which all have the form."""
    known = _known()
    assert known >= REGIONS
    assert [region for region in known if not re.fullmatch(REGION.pattern, region)] == []
