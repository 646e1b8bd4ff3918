"""Contestants by name."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.run.bench.campaign import distinct_requests, with_baselines
from harness.run.bench.rounds import Effort
from harness.subjects.contestants import NAMES, check_names


def test_names_are_checked_before_anything_is_loaded() -> None:
    check_names(NAMES)
    with pytest.raises(UsageError, match="unknown subject 'nobody'; there are sequential"):
        check_names(("stateless", "nobody"))
    with pytest.raises(UsageError, match="'stateless' is given twice"):
        check_names(("stateless", "stateless"))


def test_baselines_come_along_with_what_is_compared_with_them() -> None:
    assert with_baselines(("engine-fp32",)) == ("sequential", "engine-fp32")
    assert with_baselines(("engine-bf16", "sequential")) == ("sequential-bf16", "engine-bf16", "sequential")


def test_the_workload_is_as_large_as_the_largest_cell() -> None:
    effort = Effort(alone_calls=1, least_calls=2, most_rival_calls=2, baseline_calls=2)
    assert distinct_requests(effort, ("sequential", "engine-fp32"), (1, 4)) == 4
    assert distinct_requests(effort, ("sequential",), (1, 4)) == 2
