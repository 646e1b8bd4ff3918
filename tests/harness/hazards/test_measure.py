from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.hazards.catalogue import CATALOGUE, find
from harness.hazards.measure import measure
from harness.hazards.verdict import confirmed, told
from stateless_tts import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from pathlib import Path

    from harness.hazards.bench import Bench
    from stateless_tts import SpeechRequest, SpeechResult, Voice


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


@pytest.mark.parametrize("name", ["shared-t3cond", "mel-tables", "position-table", "attention-switches"])
def test_calls_that_wait_for_each_other_leave_a_reproduction_unplayed(
    name: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = threading.Lock()
    synthesize, prepare_voice = StatelessChatterBoxWrapper.synthesize, StatelessChatterBoxWrapper.prepare_voice

    def synthesize_alone(self: StatelessChatterBoxWrapper, request: SpeechRequest) -> SpeechResult:
        with lock:
            return synthesize(self, request)

    def prepare_alone(self: StatelessChatterBoxWrapper, path: str | Path) -> Voice:
        with lock:
            return prepare_voice(self, path)

    monkeypatch.setattr(StatelessChatterBoxWrapper, "synthesize", synthesize_alone)
    monkeypatch.setattr(StatelessChatterBoxWrapper, "prepare_voice", prepare_alone)
    for module in ("overlap", "tables"):
        monkeypatch.setattr(f"harness.hazards.{module}.PROJECT_PATIENCE_S", 1.0)
    hazard = find(name)
    assert hazard is not None
    row = measure(hazard, bench, repeats=1)
    assert (row["stateless"]["failed"], row["stateless"]["stuck"]) == (0, 1)
    assert "could not be played, because calls wait for each other" in row["stateless"]["evidence"]
    assert told(row["stateless"]) == "passes 0 of 1; 1 could not be played, because calls wait for each other"
    assert not confirmed(row)
