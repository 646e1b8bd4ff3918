"""Contestants by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.errors import UsageError
from harness.run.bench.campaign import distinct_requests, with_baselines
from harness.run.bench.rounds import Effort
from harness.subjects.contestants import CLOSE_WITHIN_S, NAMES, build_contestant, check_names
from harness.subjects.source import ModelSource
from stateless_tts.engine import RowPlan


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
    effort = Effort(alone_calls=1, least_calls=2, most_locked_calls=2, baseline_calls=2)
    assert distinct_requests(effort, ("sequential", "engine-fp32"), (1, 4)) == 4
    assert distinct_requests(effort, ("sequential",), (1, 4)) == 2


def test_an_engine_that_hangs_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[dict[str, object]] = []
    plan = RowPlan({}, row_counts=(2,), singly=False, like_stock=True)
    engine = SimpleNamespace(
        plan=plan, render_dtype=torch.float32, private_weight_bytes=0, close=lambda **how: closed.append(how)
    )
    monkeypatch.setattr("stateless_tts.ContinuousBatchingEngine", lambda *_, **__: engine)
    model: Any = None
    build_contestant("engine-fp32", model, ModelSource(), 1).close()
    assert closed == [{"drain": False, "timeout": CLOSE_WITHIN_S}]
