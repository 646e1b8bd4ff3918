"""A gate's page says the answer, what would settle it, and shows every ratio beside its controls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.report.draw import draw_report
from harness.report.kinds.gate import KIND
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("answer", "tone"), [("PASS", "good"), ("FAIL", "bad"), ("INCONCLUSIVE", "unsure")])
def test_the_answer_is_the_headline(answer: str, tone: str) -> None:
    part = KIND.part({**samples.gate_result(answer, runs=()), "settle": "more rounds"})
    assert (part.status, part.tone) == (answer, tone)
    assert part.summary == "nothing got worse. To settle it: more rounds."
    assert part.title == "Gate: aaaaaaaaaa-dirty against bbbbbbbbbb"


@pytest.mark.usefixtures("undrawn")
def test_one_run_has_one_table_of_ratios_with_the_controls_last() -> None:
    sections = {section.title: section for section in KIND.part(samples.gate_result()).sections}
    assert list(sections) == [
        "Must not change at all", "Performance", "Ratios", "Raw rounds of run 1", "Scaling", "Memory",
        "The machine meanwhile", "Environment",
    ]  # fmt: skip
    table = sections["Ratios"].table
    assert table is not None
    assert [row[0].text.split(" ")[0] for row in table.rows][-2:] == ["control/memory", "control/arithmetic"]
    assert [field.text for field in table.rows[0]][4:8] == ["1.005", "0.980 to 1.010", "1.05", "4"]
    exact = sections["Must not change at all"].table
    assert exact is not None
    assert [(row[1].text, row[1].tone) for row in exact.rows] == [
        ("PASS", "good"), ("ACCEPTED", "unsure"), ("INCONCLUSIVE", "unsure"),
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_a_second_run_has_ratios_and_rounds_of_its_own(tmp_path: Path) -> None:
    runs = tuple(samples.gate_run(number, worse=0.2, answer="FAIL") for number in (1, 2))
    samples.save_gate(tmp_path, "FAIL", runs)
    page = draw_report(tmp_path).read_text(encoding="utf-8")
    assert all(f"{what} of run {number}</h2>" in page for what in ("Ratios", "Raw rounds") for number in (1, 2))
    assert {file.name for file in (tmp_path / "charts").glob("*.svg")} == {
        "forest.svg", "rounds-1.svg", "rounds-2.svg", "law.svg", "memory.svg",
    }  # fmt: skip
    assert "Say &lt;hello&gt;" in page


@pytest.mark.usefixtures("undrawn")
def test_a_ratio_says_why_only_where_its_figures_do_not() -> None:
    run = samples.gate_run()
    known = {"reason": "x <&>: worse by 20 %", "title": "x <&>"}
    metrics = [{**run["metrics"][0], **known, "answer": answer} for answer in ("FAIL", "INCONCLUSIVE")]
    part = KIND.part(samples.gate_result(runs=({**run, "metrics": metrics},)))
    table = next(section.table for section in part.sections if section.title == "Ratios")
    assert table is not None
    assert [row[9].text for row in table.rows] == ["-", "worse by 20 %", "-", "-"]


def test_without_a_run_the_page_says_why() -> None:
    sections = {section.title: section for section in KIND.part(samples.gate_result("FAIL", ())).sections}
    assert sections["Performance"].text == ("bits differ",)
    assert "Ratios" not in sections


@pytest.mark.usefixtures("undrawn")
def test_what_may_be_unknown_is_drawn_as_a_dash(tmp_path: Path) -> None:
    bare = samples.gate_metric("x", [0.0])
    bare |= {"base_value": None, "head_value": None, "low": None, "high": None, "worse_log": [], "workers": None}
    empty = {**samples.gate_run(), "metrics": [bare], "controls": [], "law": [], "memory": [], "machine": {}}
    samples.save_gate(tmp_path, "INCONCLUSIVE", (empty,))
    part = KIND.part({**KIND.load(tmp_path), "aa_floor": None})
    table = next(section.table for section in part.sections if section.title == "Ratios")
    assert table is not None
    assert [field.text for field in table.rows[0]][1:6] == ["-", "-", "utterances/s", "1.000", "-"]


def test_a_gate_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    path = samples.save_gate(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("gate/1", "gate/9"), encoding="utf-8")
    with pytest.raises(
        SavedFileError, match=r"gate\.json: version 'gate/9' is not 'gate/1', which this harness reads$"
    ):
        draw_report(tmp_path)
