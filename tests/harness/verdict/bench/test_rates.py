"""Rates, ratios within a round, and outputs that were checked while they were timed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.run.bench.records import BenchCell
from harness.verdict.bench.rates import (
    check_outputs,
    rates_of,
    references,
    round_ratio,
    scaling_table,
    speedup,
    wrong_outputs,
)
from tests.harness import bench_toys


def test_rates_of_a_cell() -> None:
    cell = bench_toys.cell("stateless", 4, 0)
    rates = rates_of(cell, bench_toys.RATE)
    assert rates.utterances_per_s == pytest.approx(0.11)
    assert rates.audio_s_per_s == pytest.approx(0.22)
    assert rates.real_time_factor == pytest.approx(1 / 0.22)
    assert rates.cpu_s_per_audio_s == pytest.approx(2 / 0.22)
    assert rates.tokens_per_s == pytest.approx(50 * 0.11)


def test_what_raised_counts_for_nothing() -> None:
    cell = bench_toys.cell("stateless", 4, 0)
    raised = replace(cell.calls[0], error="OSError: no", samples=0)
    rates = rates_of(replace(cell, calls=(raised, *cell.calls[1:])), bench_toys.RATE)
    assert rates.utterances_per_s == pytest.approx(0.11 * 3 / 4)


def test_a_ratio_is_to_the_same_round_so_drift_cancels() -> None:
    cells = bench_toys.observations().cells
    found = speedup(cells, "whole", "engine-fp32", 4)
    assert found is not None
    assert found.rounds == 2
    # The second round took twice as long for everybody.
    assert found.median == found.low == found.high == pytest.approx(4 / 1.3)
    assert speedup(cells, "whole", "engine-bf16", 16, against="sequential-bf16").median == pytest.approx(16 / 2.5)  # type: ignore[union-attr]
    assert speedup(cells, "whole", "upstream-locked", 4) is None
    assert speedup(cells, "s3gen", "engine-fp32", 4) is None


def test_of_several_baselines_in_a_round_the_nearest_counts() -> None:
    """The machine becomes half as fast in the middle of it."""
    cells = [
        bench_toys.cell("stateless", 1, 0),
        bench_toys.cell("sequential", 1, 0),
        bench_toys.cell("engine-fp32", 1, 0),
        bench_toys.cell("stateless", 4, 0, drift=2.0),  # as near to the one before as to the one after
        bench_toys.cell("process-pool", 4, 0, drift=2.0),
        bench_toys.cell("sequential", 1, 0, drift=2.0),
        bench_toys.cell("engine-fp32", 4, 0, drift=2.0),
    ]
    steady = bench_toys.observations().cells
    for subject, workers in (("engine-fp32", 1), ("engine-fp32", 4), ("stateless", 4)):
        found, expected = (speedup(every, "whole", subject, workers) for every in (cells, steady))
        assert found is not None
        assert expected is not None
        assert found.median == pytest.approx(expected.median)


def test_a_round_without_its_baseline_has_no_ratio() -> None:
    cells = [cell for cell in bench_toys.observations().cells if (cell.subject, cell.round) != ("sequential", 1)]
    found = speedup(cells, "whole", "engine-fp32", 4)
    assert found is not None
    assert found.rounds == 1


def test_requests_that_stock_did_not_speak_are_compared_by_audio() -> None:
    long, short = bench_toys.call("sequential", 0, 30.0), bench_toys.call("sequential", 1, 10.0, 30.0)
    baseline = replace(bench_toys.cell("sequential", 1, 0), calls=(replace(long, samples=6 * bench_toys.RATE), short))
    cell = bench_toys.cell("engine-fp32", 4, 0)
    cell = replace(cell, calls=(cell.calls[1],), wall_s=5.0)
    # The same request: 10 s of stock against 5 s.
    assert round_ratio(cell, baseline) == pytest.approx(2.0)
    # Another one: 2 s of audio in 5 s against 8 s of audio in 40 s.
    other = replace(cell, calls=(replace(cell.calls[0], request=9),))
    assert round_ratio(other, baseline) == pytest.approx(0.4 / 0.2)


def test_outputs_are_held_to_stock_to_themselves_and_to_their_first_time() -> None:
    cells = bench_toys.observations().cells
    expected = references(cells, "whole")
    assert expected["stateless"][0].audio_sha256 == "stock/0"
    assert expected["process-pool"] == expected["stateless"]
    assert expected["engine-fp32"][0].audio_sha256 == "engine-fp32/0"
    table = {(row["subject"], row["workers"]): row for row in scaling_table(cells, "whole", bench_toys.RATE)}
    assert table["engine-fp32", 16]["outputs"]["same"] == 8
    assert not any(row["wrong_outputs"] for row in table.values() if not row["not_run"])
    assert table["upstream-locked", 4]["not_run"] == "no time left"


@pytest.mark.parametrize("subject", ["stateless", "engine-bf16"])
def test_one_wrong_bit_is_counted(subject: str) -> None:
    cells = list(bench_toys.observations().cells)
    place = next(number for number, cell in enumerate(cells) if (cell.subject, cell.workers) == (subject, 16))
    bad = replace(cells[place].calls[2], audio_sha256="other")
    cells[place] = replace(cells[place], calls=(*cells[place].calls[:2], bad, cells[place].calls[3]))
    rows = scaling_table(cells, "whole", bench_toys.RATE)
    assert [row["wrong_outputs"] for row in rows if (row["subject"], row["workers"]) == (subject, 16)] == [1]


def test_a_cell_is_never_its_own_reference() -> None:
    alone, first, second = (bench_toys.cell("engine-fp32", 1, turn) for turn in (-1, 0, 1))

    def outputs(*cells: BenchCell) -> dict[str, int]:
        (row,) = scaling_table(cells, "whole", bench_toys.RATE)
        return {name: count for name, count in row["outputs"].items() if count}

    assert outputs(first) == {"first_seen": 4}
    assert outputs(first, second) == {"first_seen": 4, "same": 4}
    assert outputs(replace(alone, calls=alone.calls[:1]), first) == {"same": 1, "first_seen": 3}
    changed = replace(second, calls=tuple(replace(call, audio_sha256="other") for call in second.calls))
    assert outputs(first, changed) == {"first_seen": 4, "different": 4}


def test_why_a_cell_was_not_run_is_told_of_its_own_part() -> None:
    cells = [
        BenchCell("whole", "stateless", 4, 0, not_run="no time left"),
        BenchCell("t3", "stateless", 4, 0, not_run="hung in an earlier cell"),
    ]
    assert scaling_table(cells, "whole", bench_toys.RATE)[0]["not_run"] == "no time left"


def test_without_a_reference_the_first_output_is_what_later_ones_are_held_to() -> None:
    first = bench_toys.cell("engine-fp32", 4, 0)
    seen: dict[int, str] = {}
    assert check_outputs([first], {}, seen)["first_seen"] == 4
    again = check_outputs([first], {}, seen)
    assert (again["repeated"], wrong_outputs(again)) == (4, 0)
    changed = replace(first, calls=tuple(replace(call, audio_sha256="other") for call in first.calls))
    assert wrong_outputs(check_outputs([changed], {}, seen)) == 4
