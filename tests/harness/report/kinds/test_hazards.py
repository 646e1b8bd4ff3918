from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report.kinds.hazards import KIND
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_a_catalogue_that_holds_is_confirmed(tmp_path: Path) -> None:
    samples.save_hazards(tmp_path)
    part = KIND.part(KIND.load(tmp_path))
    assert (part.status, part.tone) == ("CONFIRMED", "good")
    assert part.summary == "2 of 2 hazards are as the catalogue says: 1 shown, 1 refuted."
    table = part.sections[0].table
    assert table is not None
    assert [row[5].text for row in table.rows] == ["fails 3 of 3", "fails 0 of 3"]
    assert [row[6].text for row in table.rows] == ["passes 3 of 3", "nothing to mend"]


def test_a_failure_on_stateless_tts_is_the_headline(tmp_path: Path) -> None:
    samples.save_hazards(tmp_path, stateless_fails=1)
    part = KIND.part(KIND.load(tmp_path))
    assert (part.status, part.tone) == ("NOT CONFIRMED", "bad")
    assert part.summary.endswith("Not as it says: one.")
    table = part.sections[0].table
    assert table is not None
    assert (table.rows[0][6].text, table.rows[0][6].tone) == ("passes 2 of 3", "bad")
