"""A whole run of contestants that take no time: who is asked for what."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.run.bench import campaign as under_test
from harness.run.bench.campaign import Campaign, CampaignPlan, Materials, end_of, timed_parts
from harness.run.bench.records import ArrivalCell, BenchCell
from harness.run.bench.rounds import HEARING_TOKENS, Effort
from harness.subjects.contestant import Contestant, Spoken
from harness.subjects.source import ModelSource
from stateless_tts import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.run.bench.records import Record

    Run = Callable[..., list[Record]]

REQUESTS = tuple(SpeechRequest(f"number {place}", seed=place) for place in range(16))
NAMES = ("sequential", "stateless", "engine-fp32", "engine-bf16")
EFFORT = Effort(alone_calls=1, least_calls=1, most_locked_calls=1, baseline_calls=1)


class HungError(Exception):
    """Written down as a call that was given up."""


@pytest.fixture
def costs() -> list[str]:
    """Return who was asked what a token costs."""
    return []


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, costs: list[str]) -> Run:
    """Return a function that runs parts of a campaign in which `hangs` answers its first request alone."""

    def run(*parts: str, hangs: str = "", arrivals: int = 12) -> list[Record]:
        asked: Counter[str] = Counter()

        def build(name: str, *_: object) -> Contestant:
            def speak(request: SpeechRequest) -> Spoken:
                if request.max_new_tokens != HEARING_TOKENS:
                    asked[name] += 1
                if name == hangs and asked[name] > 1:
                    raise HungError
                return Spoken(torch.zeros(1, 4))

            return Contestant(name, speak, one_worker=name == "sequential")

        def measure_costs(engine: Contestant, *_: object) -> list[Record]:
            costs.append(engine.name)
            return []

        monkeypatch.setattr("harness.run.bench.rounds.SETTLE_S", 0.0)
        monkeypatch.setattr(under_test, "build_contestant", build)
        monkeypatch.setattr(under_test, "measure_token_costs", measure_costs)
        monkeypatch.setattr(under_test, "measure_limits", lambda _: ())
        monkeypatch.setattr(under_test, "model_facts", lambda _, requests: SimpleNamespace(prompt_tokens=requests))
        monkeypatch.setattr(under_test, "with_encoded_voices", lambda requests, _: tuple(requests))
        model: Any = torch.nn.Module()
        materials = Materials(ModelSource("synthetic", "tiny"), model, model, REQUESTS, REQUESTS, (), REQUESTS[0])
        plan = CampaignPlan(NAMES, parts, (1, 4, 8), 1, EFFORT, arrivals, 0.7, 64, 0, 0, 1000.0)
        records: list[Record] = []
        Campaign(plan, materials, records.append, lambda _: lambda: None).run()
        return records

    return run


def arriving(records: list[Record]) -> list[str]:
    return [record.subject for record in records if isinstance(record, ArrivalCell) and record.calls]


def test_who_hung_is_asked_for_nothing_more(run: Run, costs: list[str]) -> None:
    assert arriving(run("whole", "arrivals", hangs="engine-fp32")) == ["engine-bf16", "sequential"]
    assert costs == ["engine-bf16"]


def test_arrivals_are_a_part_of_their_own(run: Run, costs: list[str]) -> None:
    everybody = ["engine-bf16", "engine-fp32", "sequential"]
    assert arriving(run("whole")) == []
    assert arriving(run("whole", "arrivals")) == everybody
    costs.clear()
    alone = run("arrivals")
    assert arriving(alone) == everybody
    # Before, no more is measured than what is asked for alone, and each one's capacity.
    timed = {(cell.subject, cell.workers) for cell in alone if isinstance(cell, BenchCell) and cell.round >= 0}
    engines = {(name, workers) for name in ("engine-fp32", "engine-bf16") for workers in (1, 8)}
    assert timed == {("sequential", 1), *engines}
    assert costs == []


def test_who_has_too_few_arrivals_says_so(run: Run) -> None:
    (*_, last) = [record for record in run("arrivals", arrivals=10) if isinstance(record, ArrivalCell)]
    assert (last.subject, last.calls) == ("sequential", ())
    assert last.not_run == "10 arrivals were asked for, and a median needs 11"


def test_parts_are_measured_in_the_order_of_their_shares() -> None:
    assert timed_parts(("s3gen", "t3", "whole")) == ("whole", "t3", "s3gen")
    assert timed_parts(("t3", "arrivals")) == ("whole", "t3")


def test_the_time_of_what_is_left_out_is_for_the_rest() -> None:
    assert end_of("whole", ("whole", "arrivals")) == 0.75
    assert end_of("whole", ("whole", "stages")) == 1.0
    assert end_of("whole", ("whole", "arrivals", "t3")) == 0.65
    assert end_of("whole", ("whole", "t3")) == 0.78
    assert end_of("arrivals", ("arrivals",)) == 1.0
