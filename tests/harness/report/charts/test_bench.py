from __future__ import annotations

from typing import Any

from harness.report.charts.bench import latency_split, memory, throughput


def entry(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - entries of the table
    return {"subject": "engine-fp32", "split_s": [[1.0, 0.0], [1.0, 2.5]], **more}


def test_latency_is_split_into_service_and_queueing_per_contestant() -> None:
    chart = latency_split([entry(), entry(subject="stateless")])
    assert chart is not None
    svg = chart.svgs["light"].decode()
    service = "service: worked on, alone or in a batch"
    for label in ("engine-fp32", "stateless", service, "2 requests, fastest to slowest"):
        assert f"<!-- {label} -->" in svg


def test_without_answered_requests_there_is_no_split() -> None:
    older = {"subject": "engine-fp32"}
    assert latency_split([older, entry(split_s=[])]) is None


def test_memory_tells_the_slope_of_who_has_one() -> None:
    peak = {"peak_mib": {"1": 100.0, "4": 130.0}, "cache_mib_per_request": 9.0, "slope_mib_per_worker": 10.0}
    flat = {**peak, "subject": "sequential", "peak_mib": {"1": 100.0}, "slope_mib_per_worker": None}
    chart = memory([{**peak, "subject": "engine-fp32"}, flat], "How it was measured.")
    assert chart.caption == "How it was measured."
    svg = chart.svgs["light"].decode()
    assert "<!-- engine-fp32 (10.0 MiB/worker) -->" in svg
    assert "<!-- sequential -->" in svg


def test_throughput_shows_ideal_cores_and_law() -> None:
    value = {"median": 1.0, "low": 0.9, "high": 1.1}
    rows = [
        {"subject": "engine-fp32", "workers": workers, "not_run": None, "audio_s_per_s": value, "speedup": value,
         "wrong_outputs": 0}
        for workers in (1, 4)
    ]  # fmt: skip
    law = {"engine-fp32": {"rate": 1.0, "contention": 0.1, "coherence": 0.0}}
    svg = throughput(rows, law, 8).svgs["light"].decode()
    assert throughput(rows[::-1], law, 8).svgs["light"].decode() == svg  # as runs are merged, so rows may lie
    for label in ("ideal: n workers, n times", "8 cores", "scaling law, fitted", "target: 2x at 4"):
        assert f"<!-- {label} -->" in svg
