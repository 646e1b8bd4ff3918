from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from harness.hazards.catalogue import CATALOGUE, find
from harness.hazards.measure import measure, one_torch_thread

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


def test_torch_threads_come_back_after_an_exception() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_torch_thread():
        {}["nothing"]
    assert torch.get_num_threads() == before
