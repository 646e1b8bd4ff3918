"""The terminal's table."""

from __future__ import annotations

from harness.report.bench.text import bench_lines
from harness.verdict.bench.result import judge_bench
from tests.harness import bench_toys


def test_it_tells_every_cell_every_target_and_the_sum() -> None:
    lines = bench_lines(judge_bench(bench_toys.observations()))
    text = "\n".join(lines)
    assert "3.08 [3.08, 3.08]" in next(line for line in lines if line.startswith("engine-fp32") and "  4 " in line)
    assert "no time left" in text
    assert "not measured in this run" in text
    assert lines[-1].startswith("MET: end to end, 4 workers, fp32: 3.08 times stock")
