from __future__ import annotations

import pytest

from harness.explore.written import playable, why_written
from harness.hazards.catalogue import find


def test_only_what_was_shown_is_played_and_each_says_why_it_is_not_searched() -> None:
    for hazard in playable():
        found = find(hazard)
        assert found is not None
        assert found.status == "shown"
        assert why_written(hazard)


@pytest.mark.parametrize(("hazard", "word"), [("draw-flow-noise", "generator"), ("reconfigured-tokenizer", "Rust")])
def test_the_reason_fits_the_hazard(hazard: str, word: str) -> None:
    assert word in why_written(hazard)
