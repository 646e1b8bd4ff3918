from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.run.gate.families import CONVERSION
from harness.run.gate.records import HEAD, CellPlan
from harness.run.gate.serving import RevisionWork
from harness.run.gate.worker import serve
from stateless_tts.engine._fast_vocoder import FastVocoderBlock
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import torch


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RevisionWork]:
    made = RevisionWork(HEAD, tmp_path_factory.mktemp("clips"))
    made.warm_up(made.subjects)
    yield made
    made.close()


@pytest.fixture(scope="module")
def calibrating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RevisionWork]:
    """The same as a calibration has it: one stage can be slowed down."""
    made = RevisionWork(HEAD, tmp_path_factory.mktemp("clips"))
    made.warm_up(made.subjects, slowable=True)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["work", "calibrating"])
def test_the_engine_is_timed_with_its_own_vocoder(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []
    right = FastVocoderBlock.forward

    def noted(block: FastVocoderBlock, samples: torch.Tensor) -> torch.Tensor:
        ran.append(block)
        return right(block, samples)

    monkeypatch.setattr(FastVocoderBlock, "forward", noted)
    work: RevisionWork = request.getfixturevalue(kind)
    (cell,) = work.turn([CellPlan("engine", 1, 1)], 0.0).cells
    assert ran
    assert cell.wrong == 0


@pytest.mark.slow
def test_counts_are_exact_and_say_that_all_is_well(work: RevisionWork) -> None:
    one = work.count([CONVERSION])
    assert one.revision == HEAD
    assert (one.equal_to_stock, one.first_unequal) == (one.requests, "")
    assert one.requests == len(one.tokens) + 1 == 4
    assert [(pair.wrong, pair.at_once) for pair in one.threaded] == [(0, pair.threads) for pair in one.threaded]
    assert (one.weight_writes, one.process_draws, one.generators_moved) == (0, 0, ())
    assert min(one.tensor_ops, one.weight_bytes, *one.tokens, *one.samples) > 0


def test_a_turn_measures_every_cell_and_both_controls(work: RevisionWork) -> None:
    turn = work.turn([CellPlan("stateless", 2, 3), CellPlan("engine", 2, 2)], 0.0)
    assert [(cell.subject, cell.calls, cell.wrong) for cell in turn.cells] == [("stateless", 3, 0), ("engine", 2, 0)]
    for cell in turn.cells:
        assert min(cell.wall_s, cell.cpu_s, cell.audio_s) > 0
        assert cell.peak_mib >= cell.before_mib > 0
    assert min(turn.controls.values()) > 0


def test_a_gate_times_the_model_as_it_is(work: RevisionWork, calibrating: RevisionWork) -> None:
    assert type(work.model.s3gen) is type(build_chatterbox().s3gen)
    assert type(calibrating.model.s3gen) is not type(work.model.s3gen)


def test_more_work_in_a_stage_keeps_the_bits(calibrating: RevisionWork) -> None:
    for cell in calibrating.turn([CellPlan("stateless", 1, 2), CellPlan("engine", 1, 2)], 3.0).cells:
        assert cell.wrong == 0


def test_wrong_bits_are_noticed_while_they_are_timed(work: RevisionWork, spoil: Callable[[], None]) -> None:
    spoil()
    (cell,) = work.turn([CellPlan("stateless", 1, 1)], 0.0).cells
    assert cell.wrong == 1


def test_a_revision_that_cannot_be_loaded_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:  # noqa: ANN401 - takes anything
        raise RuntimeError("no such weights")

    monkeypatch.setattr("harness.run.gate.serving.build_chatterbox", lambda **_named: broken())
    monkeypatch.setattr("harness.run.gate.worker.quieten_upstream", lambda: None)
    answers = io.StringIO()
    assert serve(io.StringIO('{"ask": "load", "revision": "head"}\n'), answers) == 1
    assert json.loads(answers.getvalue()) == {"error": "load", "message": "RuntimeError: no such weights"}


def test_the_engine_is_timed_where_there_is_one(work: RevisionWork, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "engine" in work.subjects
    monkeypatch.delattr("stateless_tts.ContinuousBatchingEngine")
    assert "engine" not in work.subjects


def test_questions_that_end_end_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.gate.worker.quieten_upstream", lambda: None)
    assert serve(io.StringIO(""), io.StringIO()) == 0
    assert serve(io.StringIO('{"ask": "stop"}\n{"ask": "load"}\n'), io.StringIO()) == 0
    assert list(tmp_path.iterdir()) == []
