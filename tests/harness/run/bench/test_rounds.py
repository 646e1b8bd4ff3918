"""Which cells run, in which order, and what is left out when time is short."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from harness.commands.bench import effort_of
from harness.run.bench.rounds import (
    TARGETS,
    CellPlan,
    Effort,
    choose_cells,
    first_estimates,
    hear,
    order_of_round,
    plan_cells,
    run_rounds,
)
from harness.subjects.contestant import Contestant, Spoken
from harness.verdict.bench.targets import _RATIOS, BF16, FP32, MEMORY_WORKERS
from stateless_tts import SpeechRequest

if TYPE_CHECKING:
    import pytest

    from harness.run.bench.records import BenchCell

EFFORT = Effort(alone_calls=16, least_calls=4, most_locked_calls=4, baseline_calls=16)
FULL = effort_of("full")
NAMES = ("sequential", "upstream-locked", "process-pool", "stateless", "engine-fp32", "engine-bf16")
REQUESTS = tuple(SpeechRequest(f"number {place}", seed=place) for place in range(16))


def contestant(name: str) -> Contestant:
    return Contestant(name, lambda _request: Spoken(torch.zeros(1, 4)), one_worker=name == "sequential")


CONTESTANTS = tuple(contestant(name) for name in NAMES)


def test_an_engine_hears_the_requests_of_its_largest_cell_and_says_next_to_nothing() -> None:
    assert FULL.heard("engine-fp32", (1, 4, 16)) == 32
    assert FULL.heard("engine-fp32", (1, 4)) == 8
    assert FULL.heard("stateless", (1, 4, 16)) == 0
    asked: list[SpeechRequest] = []

    def say(request: SpeechRequest) -> Spoken:
        asked.append(request)
        raise ValueError("so little cannot be rendered")

    told = [
        SpeechRequest("short", audio_prompt_path="one.wav"),
        SpeechRequest("short", audio_prompt_path="other.wav"),
        SpeechRequest("the longest", audio_prompt_path="one.wav"),
        SpeechRequest("longer", audio_prompt_path="one.wav"),
        SpeechRequest("otherwise", audio_prompt_path="one.wav", exaggeration=0.75),
    ]
    hear(Contestant("engine-fp32", say), told)
    assert [(request.text, request.max_new_tokens) for request in asked] == [
        (text, 2) for text in ("the longest", "short", "otherwise")
    ]


def test_every_cell_is_planned_and_a_baseline_stands_in_the_middle_of_each_number_of_workers() -> None:
    cells = plan_cells(CONTESTANTS, (1, 4, 16), EFFORT)
    assert len(cells) == 6 * 3
    assert len({cell.key for cell in cells}) == 5 * 3 + 1
    assert [place for place, cell in enumerate(cells) if cell.subject == "sequential"] == [2, 8, 14]
    calls = {cell.key: cell.calls for cell in cells}
    assert calls["engine-fp32", 16] == 16
    assert calls["engine-fp32", 1] == calls["upstream-locked", 16] == 4
    # As many as its neighbours, and the pool makes 8.
    assert [(cell.beside, cell.calls) for cell in cells if cell.beside] == [(1, 8), (4, 8), (16, 16)]


def test_at_full_size_what_has_no_target_runs_less() -> None:
    keys = {cell.key: cell.calls for cell in plan_cells(CONTESTANTS, (1, 4, 16), FULL)}
    assert ("stateless", 16) not in keys
    rivals = {key for key in keys if key[0] in {"process-pool", "upstream-locked"}}
    assert rivals == {("process-pool", 4), ("upstream-locked", 4)}
    assert keys["upstream-locked", 4] == keys["sequential", 1] == 2
    assert keys["process-pool", 4] == 8  # its last one leaves all processes but one without work
    assert keys["engine-bf16", 16] == 32
    many = {cell.key for cell in plan_cells(CONTESTANTS, (1, 2, 4, 8, 16), FULL)}
    assert rivals == {key for key in many if key[0] in {"process-pool", "upstream-locked"}}


def test_an_engine_speaks_utterances_of_every_length_and_with_company_more() -> None:
    keys = {cell.key: cell.calls for cell in plan_cells(CONTESTANTS, (1, 2, 4, 16), FULL)}
    assert [keys["engine-fp32", workers] for workers in (1, 2, 4, 16)] == [4, 4, 8, 32]
    assert keys["stateless", 4] == 4


def test_rounds_go_forwards_backwards_backwards_forwards() -> None:
    cells = plan_cells(CONTESTANTS, (1, 4), EFFORT)
    turns = [order_of_round(cells, turn) for turn in range(5)]
    assert turns[0] == turns[3] == turns[4] == cells
    assert turns[1] == turns[2] == tuple(reversed(cells))


def test_what_has_targets_stays_when_time_is_short() -> None:
    cells = plan_cells(CONTESTANTS, (1, 4, 16), EFFORT)
    estimates = {cell.key: 10.0 for cell in cells}
    assert choose_cells(cells, estimates, 1000.0) == cells
    kept = choose_cells(cells, estimates, 45.0)
    assert {cell.key for cell in kept} == {("sequential", 1), ("engine-fp32", 4), ("engine-bf16", 16)}
    assert kept == tuple(cell for cell in cells if cell in kept)
    # Each number of workers has a baseline of its own, and the one that has no cell has none.
    assert [cell.beside for cell in kept if cell.beside] == [4, 16]
    # A cell that does not fit leaves room for a less important one that does.
    estimates["engine-fp32", 4] = 40.0
    assert ("engine-bf16", 4) in {cell.key for cell in choose_cells(cells, estimates, 45.0)}
    assert choose_cells(cells, estimates, 0.0) == ()


def test_baselines_alone_keep_to_the_time_as_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.bench.rounds.SETTLE_S", 0.0)
    stock = (contestant("sequential"),)
    cells = plan_cells(stock, (1, 4), EFFORT)
    seen = list(
        run_rounds(
            "whole", stock, REQUESTS, cells, rounds=3, ends_at=time.perf_counter(), effort=EFFORT,
            seconds_per_call={"sequential": 1.0}, on_call=lambda _name: lambda: None,
        )
    )  # fmt: skip
    # The first round in any case, and no other.
    assert [cell.not_run for cell in seen] == [None] * 2 + ["no time left"] * 4
    assert choose_cells(cells, {("sequential", 1): 10.0}, 30.0) == cells


def test_of_the_rest_what_has_not_run_yet_goes_first() -> None:
    cells = (CellPlan("stateless", 1, 1), CellPlan("stateless", 4, 4))
    estimates = {cell.key: 10.0 for cell in cells}
    assert choose_cells(cells, estimates, 10.0) == cells[:1]
    assert choose_cells(cells, estimates, 10.0, frozenset({("stateless", 1)})) == cells[1:]


def test_every_cell_runs_once_before_any_runs_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = plan_cells(CONTESTANTS, (1, 4, 16), FULL)
    estimates = {cell.key: 10.0 for cell in cells}
    targets = frozenset({("engine-fp32", 4), ("engine-bf16", 16), ("engine-bf16", 4), ("sequential", 1)})
    kept = {cell.key for cell in choose_cells(cells, estimates, 90.0, targets)}
    assert kept == {
        ("sequential", 1), ("engine-fp32", 1), ("engine-bf16", 1), ("engine-fp32", 16), ("stateless", 1),
        ("process-pool", 4), ("upstream-locked", 4),
    }  # fmt: skip
    # Stock and the pool are expected to take 160 s, everyone else 80: there is time for all once, and not twice.
    monkeypatch.setattr("harness.run.bench.rounds.SETTLE_S", 0.0)
    first = [cell for cell in rounds(EFFORT, 1000.0, {"sequential": 20.0}) if cell.round == 0]
    assert [cell.not_run for cell in first] == [None] * 6


def test_who_was_not_tried_is_taken_to_be_as_slow_as_stock() -> None:
    cells = (CellPlan("process-pool", 4, 2), CellPlan("engine-fp32", 4, 4), CellPlan("engine-fp32", 1, 4))
    assert first_estimates(cells, {"sequential": 30.0, "engine-fp32": 20.0}) == {
        ("process-pool", 4): 60.0,
        ("engine-fp32", 4): 40.0,
        ("engine-fp32", 1): 80.0,
    }


def test_whatever_has_a_target_is_run_first() -> None:
    judged = {(row.subject, row.workers) for row in _RATIOS if row.part == "whole"}
    judged |= {(subject, int(count)) for subject in (FP32, BF16) for count in MEMORY_WORKERS}
    assert judged == set(TARGETS["whole"])


def rounds(effort: Effort, ends_in_s: float, seconds_per_call: dict[str, float] | None = None) -> list[BenchCell]:
    cells = plan_cells(CONTESTANTS, (1,), effort)
    return list(
        run_rounds(
            "whole", CONTESTANTS, REQUESTS, cells, rounds=2, ends_at=time.perf_counter() + ends_in_s, effort=effort,
            seconds_per_call=seconds_per_call or {}, on_call=lambda _name: lambda: None,
        )
    )  # fmt: skip


def test_every_cell_of_every_round_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.run.bench.rounds.SETTLE_S", 0.0)
    seen = rounds(EFFORT, 1000.0)
    assert len(seen) == 2 * (5 + 1)
    calls = {"sequential": 8, "process-pool": 8}
    assert all(len(cell.calls) == calls.get(cell.subject, 4) for cell in seen)
    assert all(cell.wall_s > 0 and cell.peak_mib >= cell.before_mib > 0 for cell in seen)
    # Lock and pool, which have no targets, do not run again where one round is enough for them.
    rivals = rounds(FULL, 1000.0)
    assert sorted(cell.round for cell in rivals if cell.subject in {"process-pool", "upstream-locked"}) == [0, 0]
    # What no longer fits is named, not forgotten.
    late = rounds(EFFORT, -1.0)
    assert len(late) == len(seen)
    assert {cell.not_run for cell in late} == {"no time left", None}
    # What has targets is measured once in any case.
    once = {(cell.subject, cell.workers, cell.round) for cell in late if not cell.not_run}
    assert once == {("sequential", 1, 0), ("engine-fp32", 1, 0), ("engine-bf16", 1, 0)}
