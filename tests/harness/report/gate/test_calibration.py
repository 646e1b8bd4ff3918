from __future__ import annotations

from harness.report.gate.calibration import calibration_markdown
from tests.harness.verdict.gate.test_calibration import calibration


def test_what_is_counted_comes_before_what_takes_more_for_granted() -> None:
    text = calibration_markdown(calibration())
    counted, rest = text.split("First runs alone")
    both, pairs = rest.split("All ordered pairs")
    pairs, modelled = pairs.split("A model, not a count")
    assert "short gate, 5 runs of 8 rounds in fresh processes" in counted
    assert "| A/A | 2 | 0 | 0 | 2 | 0.0 % (0.0 to 84.2 %) |" in counted
    assert both.count("| A/A | 10 | 0 | 0 | 10 | 0.0 % (0.0 to 30.8 %) |") == 1
    assert both.count("| +20 % | ") == 1
    # All pairs agree, so they have no interval.
    assert "| A/A | 20 | 0 | 0 | 20 | 0.0 % |" in pairs
    assert "| A/A | 0.00 % | 9.52 % |" in modelled
    assert "| throughput/stateless/4 | " in modelled


def test_every_metric_says_how_many_runs_failed_by_it() -> None:
    row = next(one for one in calibration_markdown(calibration()).splitlines() if one.startswith("| cpu/stateless/1 "))
    assert [cell.rpartition("; ")[2] for cell in row.split(" | ")[1:4]] == ["0", "5", "5"]


def test_a_calibration_without_a_pair_has_no_share() -> None:
    text = calibration_markdown(calibration(1))
    assert "| A/A | 0 | 0 | 0 | 0 | - |" in text
