from __future__ import annotations

from typing import Any

from harness.report.charts.limits import stages_beside_limits


def row(nearer: str | None, seconds: float = 0.2) -> dict[str, Any]:
    return {
        "subject": "stock", "stage": f"stage near {nearer}", "dtype": "float32", "seconds": seconds,
        "of_memory_limit": 0.62, "of_arithmetic_limit": 0.06, "nearer_limit": nearer, "what": "4 workers; all",
    }  # fmt: skip


def test_each_stage_tells_how_much_of_its_nearer_limit_it_reaches() -> None:
    chart = stages_beside_limits([row("memory"), row("arithmetic")])
    assert chart is not None
    svg = chart.svgs["light"].decode()
    assert "<!-- stock: stage near memory, fp32, 4 workers -->" in svg
    assert "<!-- 62 % -->" in svg
    assert "<!-- 6 % -->" in svg


def test_a_stage_without_a_limit_is_left_out() -> None:
    chart = stages_beside_limits([row("memory"), row(None), row("memory", 0.0)])
    assert chart is not None
    assert "stage near None" not in chart.svgs["light"].decode()
    assert stages_beside_limits([row(None)]) is None
