from __future__ import annotations

from typing import TYPE_CHECKING

from harness.hazards.catalogue import CATALOGUE, find
from harness.hazards.measure import measure

if TYPE_CHECKING:
    from harness.hazards.bench import Bench


def test_a_row_that_was_only_read_is_not_run(bench: Bench) -> None:
    read = next(hazard for hazard in CATALOGUE if hazard.status == "read")
    row = measure(read, bench, repeats=1)
    assert row["stock"] is None
    assert row["why_not"]


def test_repeats_are_counted(bench: Bench) -> None:
    hazard = find("shared-t3cond")
    assert hazard is not None
    row = measure(hazard, bench, repeats=2)
    assert (row["stock"]["trials"], row["stock"]["failed"]) == (2, 2)
    assert row["stock"]["trace"][0] == "first reaches t3.speech_pos_emb"
