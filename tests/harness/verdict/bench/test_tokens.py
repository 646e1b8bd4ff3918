"""Agreement with stock, and what the n-th token costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.run.bench.records import TokenCost
from harness.verdict.bench.tokens import agreement_in_cells, agreement_table, token_cost_table
from tests.harness import bench_toys


def test_agreement_is_a_share_with_a_lower_bound() -> None:
    (entry,) = agreement_table(bench_toys.observations().comparisons)
    assert (entry["utterances"], entry["same"], entry["first_differences"]) == (200, 199, [7])
    assert entry["share"] == pytest.approx(0.995)
    assert 0.96 < entry["share_at_least"] < 0.995


def test_agreement_on_the_measured_model_comes_from_its_cells() -> None:
    cells = list(bench_toys.observations().cells)
    fp32, bf16 = agreement_in_cells(cells)
    assert (fp32["dtype"], fp32["utterances"], fp32["same"]) == ("float32", 4, 4)
    assert (bf16["dtype"], bf16["same"]) == ("bfloat16", 4)
    cells = [
        replace(cell, calls=(replace(cell.calls[0], tokens_sha256="other"), *cell.calls[1:]))
        if cell.subject == "engine-fp32" and cell.calls
        else cell
        for cell in cells
    ]
    assert agreement_in_cells(cells)[0]["same"] == 3


def test_a_constant_cost_meets_the_target_and_a_growing_one_does_not() -> None:
    (entry,) = token_cost_table(bench_toys.observations().token_costs)
    assert entry["growth"] == pytest.approx(1.0)
    assert entry["required_growth"] > 1.0
    assert entry["met"] is True
    growing = [TokenCost("float32", tokens, 0.01 * tokens**2, tokens, 10_000_000) for tokens in (8, 16, 32, 64)]
    assert token_cost_table(growing)[0]["met"] is False
    turned = [TokenCost("float32", tokens, 10.0 - tokens, tokens, 1) for tokens in (1, 2, 3)]
    assert token_cost_table(turned)[0]["met"] is None


def test_one_quick_measurement_makes_no_growth() -> None:
    # Seconds of the full-size engine, of which one at 32 tokens came out quicker than all others.
    seconds = {8: (3.134, 3.163, 3.068), 32: (5.724, 5.818, 5.256), 64: (9.135, 9.162, 9.076)}
    costs = [
        TokenCost("float32", tokens, seconds[tokens][turn], 110_000_000 + 490_000 * tokens, 2_047_078_400)
        for turn in range(3)
        for tokens in seconds
    ]
    (entry,) = token_cost_table(costs)
    assert entry["growth"] == pytest.approx(0.99, abs=0.01)
    assert entry["growth_low"] < entry["growth"] < 1.3 < entry["growth_high"]
    assert (entry["repeats"], entry["seconds"]) == (3, [3.134, 5.724, 9.135])
    cut_off = token_cost_table(costs[:-1])[0]
    assert (cut_off["repeats"], cut_off["met"]) == (2, True)
    assert token_cost_table(costs[:2]) == []


def test_a_repeat_that_tells_nothing_is_not_counted() -> None:
    costs = [TokenCost("float32", tokens, 0.1 * tokens, tokens, 1000) for _ in range(8) for tokens in (8, 36, 64)]
    costs[1] = replace(costs[1], seconds=0.0)  # quicker than fewer tokens were
    (entry,) = token_cost_table(costs)
    assert entry["repeats"] == 7
