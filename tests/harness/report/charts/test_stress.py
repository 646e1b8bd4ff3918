from __future__ import annotations

from typing import Any

from harness.report.charts.stress import integrity, memory, throughput


def cell(subject: str, threads: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - entries of the cell
    counts = dict.fromkeys(("value_corruptions", "shape_corruptions", "crashes", "hangs", "not_started"), 0)
    speeds = {"utterances_per_s": 1.0 * threads, "speedup": 1.0 * threads}
    sizes = {"peak_rss_mib": 900.0, "rss_growth_per_thread_mib": 1.0}
    whole = {"subject": subject, "threads": threads, "utterances": 8, "bit_identical": 8, "not_run": None}
    return {**whole, **counts, **speeds, **sizes, **more}


CELLS = [cell(name, threads) for name in ("sequential", "stateless") for threads in (1, 4)]


def test_only_outcomes_that_were_seen_are_in_the_legend_of_the_matrix() -> None:
    svg = integrity([*CELLS, cell("seed-plan", 4, bit_identical=6, value_corruptions=2)]).svgs["light"].decode()
    assert "<!-- value corruption -->" in svg
    assert "<!-- 6/8 -->" in svg
    assert "<!-- hang -->" not in svg


def test_a_cell_that_was_not_run_says_so() -> None:
    svg = integrity([*CELLS, cell("seed-plan", 4, not_run="calls never ended")]).svgs["light"].decode()
    assert "<!-- not run -->" in svg


def test_throughput_has_law_ideal_cores_and_target() -> None:
    laws = {"stateless": {"rate": 1.0, "contention": 0.1, "coherence": 0.0}}
    svg = throughput(CELLS, 2, laws).svgs["light"].decode()
    for label in ("target: 2x at 4", "ideal: n workers, n times", "2 cores", "scaling law, fitted"):
        assert f"<!-- {label} -->" in svg
    bare = throughput(CELLS, None, {}).svgs["light"].decode()
    assert "cores -->" not in bare
    assert "scaling law" not in bare


def test_memory_has_the_line_of_constant_memory() -> None:
    assert "<!-- constant memory -->" in memory(CELLS).svgs["light"].decode()
