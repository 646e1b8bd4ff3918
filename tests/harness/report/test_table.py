from __future__ import annotations

from harness.report.table import stress_lines
from harness.verdict.stress_result import judge_stress
from tests.harness import toys


def test_the_table_ends_with_verdicts_and_what_the_run_proved() -> None:
    result = judge_stress(toys.observe(toys.clean()), sample_rate=None, control=None, facts={})
    lines = stress_lines(result)
    assert lines[0].split()[:3] == ["subject", "threads", "identical"]
    assert lines[1].split()[:3] == ["stateless", "2", "4/4"]
    assert lines[3].split()[:2] == ["stateless", "SAFE"]
    assert lines[-1].startswith("INCONCLUSIVE: upstream-shared was not run")
