"""One page for whatever lies in a folder: the worst verdict on this project's own code is its headline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.errors import SavedFileError
from harness.report.draw import draw_report, find_results, make_page
from harness.report.kind import all_kinds
from harness.report.page import Part, Tone
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


def part(status: str, tone: Tone, *, counted: bool = True) -> Part:
    return Part(f"About {status}", status, tone, f"It is {status}.", (), "toy.json", counted=counted)


def test_results_are_found_in_the_folder_and_below_it(tmp_path: Path) -> None:
    samples.save_power(tmp_path)
    samples.save_hazards(tmp_path)
    samples.save_audit(tmp_path / "deep" / "down")
    (tmp_path / "empty").mkdir()
    samples.save_power(tmp_path / ".cache")
    found = sorted((place.as_posix(), kind.name) for place, kind in find_results(tmp_path, all_kinds()))
    assert found == [(".", "hazards"), (".", "power"), ("deep/down", "audit")]


def test_one_page_holds_all_of_them(tmp_path: Path) -> None:
    samples.save_power(tmp_path)
    samples.save_stress(tmp_path / "first")
    samples.save_audit(tmp_path / "first", "stateless")
    samples.save_audit(tmp_path / "audit" / "stranger")
    page = draw_report(tmp_path).read_text(encoding="utf-8")
    headline = page[page.index("<body>") : page.index("Results</h2>")]
    assert "UNSAFE" in headline
    assert "All in all: 1 SAFE, 1 UNSAFE, 1 ALL CAUGHT." in headline
    assert "1 on other people&#39;s code" in headline
    for name in ("stress-first", "audit-first", "audit-stranger", "power"):
        assert page.count(f'id="{name}"') == page.count(f'href="#{name}"') == 1
    assert min(file.name for file in (tmp_path / "charts").glob("*.svg")) == "stress-first-integrity.svg"


@pytest.mark.parametrize(
    ("parts", "status", "tone"),
    [
        ([part("SAFE", "good")], "SAFE", "good"),
        ([part("SAFE", "good"), part("CONFIRMED", "good")], "ALL GOOD", "good"),
        ([part("SAFE", "good"), part("INCONCLUSIVE", "unsure")], "INCONCLUSIVE", "unsure"),
        ([part("INCONCLUSIVE", "unsure"), part("NOT MET", "bad"), part("SAFE", "good")], "NOT MET", "bad"),
        ([part("SAFE", "good"), part("UNSAFE", "bad", counted=False)], "ALL GOOD", "good"),
        ([part("SAFE", "good", counted=False), part("UNSAFE", "bad", counted=False)], "UNSAFE", "bad"),
    ],
)
def test_the_headline_is_the_worst_verdict_that_counts(parts: list[Part], status: str, tone: Tone) -> None:
    page = make_page(parts)
    assert (page.status, page.tone) == (status, tone)


def test_a_folder_without_results_says_what_was_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds no saved result, nor does a folder below it; looked for gate.json, " in said
    assert said.count("\n") == 1


def test_a_folder_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "DIR: no folder" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_results_of_one_name_have_charts_of_their_own(tmp_path: Path) -> None:
    samples.save_stress(tmp_path / "tiny")
    samples.save_stress(tmp_path / "stress" / "tiny")
    page = draw_report(tmp_path).read_text(encoding="utf-8")
    for name in ("stress-tiny", "stress-tiny-2"):
        assert page.count(f'id="{name}"') == 1
        assert (tmp_path / "charts" / f"{name}-integrity.svg").exists()


@pytest.mark.usefixtures("undrawn")
def test_an_entry_that_only_the_page_stumbles_over_is_named_and_nothing_is_drawn(tmp_path: Path) -> None:
    path = samples.save_stress(tmp_path)
    result = json.loads(path.read_text(encoding="utf-8"))
    result["reasons"] = dict.fromkeys(result["reasons"], 5)
    path.write_text(json.dumps(result), encoding="utf-8")
    with pytest.raises(SavedFileError, match="of the wrong kind"):
        draw_report(tmp_path)
    assert not (tmp_path / "charts").exists()


def test_one_damaged_file_is_named_and_no_page_is_left(tmp_path: Path) -> None:
    samples.save_power(tmp_path)
    samples.save_hazards(tmp_path / "below")
    path = tmp_path / "below" / "hazards.json"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(SavedFileError, match=r"below/hazards\.json: is not whole JSON, damaged or cut off"):
        draw_report(tmp_path)
    assert not (tmp_path / "index.html").exists()
