"""Every hazard fails on stock, or never does if it is refuted, and never shows on `stateless_tts`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.hazards.catalogue import CATALOGUE, Hazard, Status
from harness.hazards.measure import measure
from harness.hazards.verdict import confirmed

if TYPE_CHECKING:
    from harness.hazards.bench import Bench


@pytest.mark.parametrize(
    "hazard", [each for each in CATALOGUE if each.status is not Status.READ], ids=lambda hazard: hazard.id
)
def test_hazard_is_as_the_catalogue_says(hazard: Hazard, bench: Bench) -> None:
    row = measure(hazard, bench, repeats=1)
    assert confirmed(row), row


def test_a_disturbed_call_is_not_disturbed_by_nobody(bench: Bench) -> None:
    """The same comparison without a second call: what the reproductions see is the second call's doing."""
    from harness.hazards.bench import FIRST, differing, speak_stock

    model = bench.stock()
    assert not differing(speak_stock(model, FIRST), speak_stock(model, FIRST))
