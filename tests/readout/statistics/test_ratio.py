"""The mean a request and its standard error, against statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from abtest.readout.statistics import Ratio, ratio
from abtest.readout.sums import Sums
from tests.readout.statistics.units import FEW, Unit, clients, sums_of


@pytest.mark.parametrize("seed", range(5))
def test_the_standard_error_is_that_of_a_cluster_robust_regression_over_requests(seed: int) -> None:
    import statsmodels.api as sm  # takes a second, which each worker of the tests would wait for

    units = clients(200, 0.1, seed)
    groups = np.repeat(np.arange(len(units)), [int(n) for n, _ in units])
    failed = np.concatenate([np.arange(n) < y for n, y in units]).astype(float)
    oracle = sm.OLS(failed, np.ones(len(failed))).fit(cov_type="cluster", cov_kwds={"groups": groups})

    found = ratio(sums_of(units))

    assert found is not None
    assert found.mean == pytest.approx(oracle.params[0], rel=1e-12)
    assert found.error == pytest.approx(oracle.bse[0], rel=1e-9)
    assert found.units == 200


def test_with_one_request_each_it_is_the_standard_error_of_a_mean() -> None:
    found = ratio(sums_of([(1, 2.0), (1, 4.0), (1, 9.0)]))
    assert found is not None
    assert found.error == pytest.approx(math.sqrt(13 / 3))
    assert found.variance == pytest.approx(13)


def test_two_units_with_a_request_between_them_are_enough() -> None:
    assert ratio(sums_of([(1, 1), (0, 0)])) == Ratio(mean=1, error=0, units=2)


@pytest.mark.parametrize("units", [[], [(5, 1)], [(0, 0), (0, 0)], [(1, 1e200), (1, -1e200)]])
def test_what_has_no_standard_error_has_no_ratio(units: list[Unit]) -> None:
    assert ratio(sums_of(units)) is None


def test_rounding_never_makes_a_variance_negative() -> None:
    found = ratio(sums_of([(n, n * 0.1) for n in range(1, 1000)]))
    assert found is not None
    assert found.error == pytest.approx(0, abs=1e-9)


def test_a_billion_units_keep_their_standard_error() -> None:
    k = 10**9
    found = ratio(Sums(units=k, n=5e9, y=5e7, nn=50e9, ny=5e8, yy=1e8))
    assert found is not None
    assert found.error == pytest.approx(math.sqrt((1e8 - 2 * 0.01 * 5e8 + 1e-4 * 50e9) / 5e9**2), rel=1e-6)


@given(FEW)
def test_it_says_something_finite_or_nothing(units: list[Unit]) -> None:
    found = ratio(sums_of(units))
    assert found is None or (math.isfinite(found.error) and found.error >= 0)
