from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from harness.report.gate.markdown import MARKER, gate_markdown
from harness.report.gate.text import change, gate_lines
from harness.run.gate.process import HARNESS_ROOT
from harness.run.gate.records import HEAD
from harness.verdict.gate.answers import Floor
from harness.verdict.gate.result import conclude, gate_json
from tests.harness.gate_toys import COUNTS, make_rounds
from tests.harness.verdict.gate.test_result import observations

FLOOR = Floor("reports/published/gate/calibration.json", {"cpu/stateless/1": 1.07})


def result(**made: float) -> dict[str, Any]:
    rounds = make_rounds(**made)  # type: ignore[arg-type]
    seen = observations(rounds)
    found = gate_json(seen, conclude(seen, FLOOR), FLOOR, 90.0)
    found["environment"] = {"cpu": "A | CPU", "cores": 2}
    return found


def test_the_answer_comes_first_and_every_table_is_whole() -> None:
    text = gate_markdown(result())
    assert text.splitlines()[0] == "## ✅ Gate: PASS"
    for block in re.split(r"\n\n", text):
        lines = [line.replace(r"\|", "") for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, block
    assert "| CPU s per audio s, wrapper, 1 worker | PASS |" in text
    assert "+7.0 % |" in text
    assert r"A \| CPU" in text


@pytest.mark.parametrize(
    ("made", "mark"), [({"slower": 1.4}, "❌ Gate: FAIL"), ({"foreign": 0.9}, "❔ Gate: INCONCLUSIVE")]
)
def test_other_answers_have_their_own_marks(made: dict[str, float], mark: str) -> None:
    text = gate_markdown(result(**made))
    assert text.startswith(f"## {mark}")
    assert ("What would settle it: a machine that does nothing else" in text) is ("foreign" in made)


def test_what_was_not_timed_is_said() -> None:
    seen = observations(head=replace(COUNTS, revision=HEAD, equal_to_stock=1), commands=())
    found = gate_json(seen, conclude(seen, Floor()), Floor(), 9.0)
    for text in (gate_markdown(found), "\n".join(gate_lines(found))):
        assert "not timed: bits-alone: 1 of 2 bit-identical; it has to be all bit-identical" in text
    assert gate_lines(found)[-1].startswith("FAIL: bits-alone")


def test_the_terminal_gets_every_metric_and_the_answer_last() -> None:
    lines = gate_lines(result())
    assert lines[0] == "bbbbbbbbbbbb against aaaaaaaaaaaa (the commit before)"
    assert lines[-1].startswith("PASS: ")
    assert sum(line.startswith(("throughput/", "cpu/", "law/", "memory/")) for line in lines) == 10
    assert change(None) == "-"
    assert change(1.0512) == "+5.1 %"


def test_saved_benchmarks_say_where_they_are_of_other_revisions() -> None:
    found = result()
    found["benchmarks"] = {"metrics": [found["runs"][0]["metrics"][0]], "notes": ["a.json was measured on c0ffee"]}
    for text in (gate_markdown(found), "\n".join(gate_lines(found))):
        assert "a.json was measured on c0ffee" in text


def test_a_metric_without_a_floor_of_its_own_says_so() -> None:
    text = gate_markdown(result())
    assert text.count(", no floor measured |") == 9
    assert "Limits: the larger of 5 % and the metric's floor" in gate_lines(result())
    assert sum(line.endswith(", no floor measured") for line in gate_lines(result())) == 9


def test_ci_finds_its_comment_by_the_summarys_marker() -> None:
    workflow = yaml.safe_load((HARNESS_ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["gate"]["env"]["MARKER"] == MARKER
    assert gate_markdown(result()).rstrip().endswith(MARKER)
