"""One call after the other breaks nothing: what a search finds is the interleaving's doing."""

from __future__ import annotations

import pytest
import torch

from harness.explore.targets import TARGETS, tables_put_back
from harness.hazards.catalogue import find


@pytest.mark.parametrize("hazard", TARGETS)
def test_a_target_holds_without_threads(hazard: str) -> None:
    target = TARGETS[hazard]()
    with tables_put_back():
        for workers in (target.workers, target.workers[::-1]):
            state = target.setup()
            for worker in workers:
                worker(state)
            if hazard == "shared-t3cond":
                # Alone, the second caller reads what the first has left complete.
                assert torch.equal(state.returned[0], state.returned[1])
            assert target.holds(state)


def test_targets_are_hazards_of_the_catalogue() -> None:
    assert all(find(hazard) is not None for hazard in TARGETS)
