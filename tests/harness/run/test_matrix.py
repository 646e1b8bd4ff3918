"""Order of the matrix, hangs that end a subject, references that cannot be made."""

from __future__ import annotations

import threading

import pytest
import torch

from harness import ReferenceFailedError, Subject
from harness.run.matrix import WORKLOAD, MatrixPlan, make_references, run_matrix
from harness.run.records import Ending
from tests.harness import toys


def plan(*threads: int, patience_s: float = toys.MEETING_TIMEOUT_S) -> MatrixPlan:
    return MatrixPlan(threads, utterances=4, after=4, patience_s=patience_s, one_at_a_time=frozenset({"sequential"}))


def test_thread_counts_are_outside_and_every_second_round_goes_backwards() -> None:
    subjects = [toys.clean("sequential"), toys.clean("stateless")]
    references = make_references(subjects, None, (), 10)
    cells = list(run_matrix(subjects, (), references, plan(2, 16)))
    assert [(cell.threads, cell.subject) for cell in cells] == [
        (2, "sequential"),
        (2, "stateless"),
        (16, "stateless"),
        (16, "sequential"),
    ]
    assert [cell.workers for cell in cells] == [1, 2, 16, 1]
    assert [len(cell.calls) for cell in cells] == [4, 4, 16, 16]
    assert all(call.worker == 0 for cell in cells if cell.workers == 1 for call in cell.calls)


def test_subjects_without_requests_share_the_references_of_the_workload() -> None:
    model = toys.ToyModel()
    subject = Subject("a", lambda request: model.speak(toys.voice_of(request), toys.noise_of(request)), (model,))
    references = make_references([subject, toys.clean("b")], subject, toys.REQUESTS, 10)
    assert set(references.calls) == {WORKLOAD, "b"}
    (cell,) = run_matrix([subject], toys.REQUESTS, references, plan(2))
    assert [call.output for call in cell.calls] == [call.output for call in references.calls[WORKLOAD]]


def test_after_a_hang_the_subject_is_not_run_again_and_says_so() -> None:
    release = threading.Event()
    subjects = [toys.hanging(release), toys.clean()]
    try:
        references = make_references(subjects, None, (), 10)
        cells = list(run_matrix(subjects, (), references, plan(2, 4, patience_s=0.5)))
    finally:
        release.set()
    stuck = [cell for cell in cells if cell.subject == "hanging"]
    assert sum(call.ending is Ending.HUNG for call in stuck[0].calls) == 1
    assert stuck[1].not_run == "not run: 1 calls never ended at 2 threads"
    assert [cell.not_run for cell in cells if cell.subject == "stateless"] == [None, None]


def test_a_reference_that_raises_stops_the_run() -> None:
    def call(_request: object) -> torch.Tensor:
        raise ValueError("no voice")

    with pytest.raises(ReferenceFailedError, match="request 0 raised ValueError: no voice"):
        make_references([Subject("broken", call, (), (1,))], None, (), 10)


def test_a_subject_without_requests_needs_something_to_compare_with() -> None:
    subject = Subject("a", lambda _request: torch.ones(1), ())
    with pytest.raises(ReferenceFailedError, match="nothing makes the references"):
        make_references([subject], None, (), 10)
