from __future__ import annotations

from harness.report.gate.calibration import calibration_markdown
from tests.harness.verdict.gate.test_calibration import calibration


def test_observed_and_resampled_gates_are_told_apart() -> None:
    text = calibration_markdown(calibration())
    observed, resampled = text.split("Resampled gates")
    assert "| A/A | 2 | 0 | 0 | 2 | 0.0 % (0.0 to 84.2 %) |" in observed
    assert "not independent, so without interval" in resampled
    assert "| throughput/stateless/4 | " in resampled
    assert "short gate, 5 runs of 8 rounds in fresh processes" in observed


def test_a_calibration_without_a_pair_has_no_share() -> None:
    assert "| A/A | 0 | 0 | 0 | 0 | - |" in calibration_markdown(calibration(1))
