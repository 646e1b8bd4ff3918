"""The whole soak over toys: what is run, in which order, and that the time is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.observations.soak_store import SoakWriter, read_soak
from harness.run.soak import campaign
from harness.run.soak.campaign import SoakCampaign, SoakPlan
from harness.run.soak.planted import DEFECTS
from harness.run.soak.records import SegmentEnding, SoakReference
from harness.verdict.soak.result import judge_soak
from harness.workload.soak import make_requests
from tests.harness.soak_toys import toy_references, toy_stage
from tests.harness.verdict.soak.test_result import PLAIN, cycle

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.soak.batches import BatchPlan
    from harness.run.soak.records import BatchCycle

PLAN = SoakPlan(seconds=1.5, per_family=2, healthy=6, batch_lines=2)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[BatchPlan]:
    """Put toys in place of models and processes; returns the batches that are asked for."""
    asked: list[BatchPlan] = []

    def references(requests: Any, _clips: Any) -> list[SoakReference]:  # noqa: ANN401 - as it is called
        known = toy_references()
        return [known.get(request.key) or SoakReference(request.key, "a", "f", 100, 0.1) for request in requests]

    def run_cycle(plan: BatchPlan) -> BatchCycle:
        asked.append(plan)
        return cycle()

    monkeypatch.setattr(campaign, "stock_references", references)
    monkeypatch.setattr(SoakCampaign, "_stage", lambda _self, folder, _clips: toy_stage(folder))
    monkeypatch.setattr(campaign, "run_cycle", run_cycle)
    return asked


def test_everything_is_run_and_written_down(plans: list[BatchPlan], tmp_path: Path) -> None:
    events: list[str] = []
    path = tmp_path / "observations.jsonl"
    with SoakWriter(path) as writer:
        SoakCampaign(PLAN, writer, events.append).run()
    seen = read_soak(path)
    assert {round_.phase for round_ in seen.rounds} == {"soak", "warm-up", *(defect.name for defect in DEFECTS)}
    assert len(seen.references) == 8 + 2
    assert len(seen.cycles) == len(plans) >= 1
    assert [plan.seed for plan in plans] == list(range(len(plans)))
    assert plans[0].expected == {"0001.wav": "f", "0002.wav": "f"}
    assert plans[0].sizes == {"0001.wav": 244, "0002.wav": 244}
    assert events[0] == "10 references by stock, one at a time"
    assert [event.partition(":")[0] for event in events[1:4]] == ["warm-up", "warm-up", "planted"]
    result = judge_soak(seen, {})
    assert all(row["caught"] for row in result["power"]), result["power"]
    assert not any(result["checks"].values()), result["checks"]


def test_what_comes_out_long_is_left_out_unless_its_family_has_no_other() -> None:
    requests = make_requests(0, 2)
    samples = {"english-0": 36_001, "turbo-0": 90_000, "turbo-1": 80_000}
    references = [SoakReference(r.key, "a", "f", samples.get(r.key, 36_000), 1.0) for r in requests]
    assert [request.key for request in campaign._short_ones(requests, references)] == [
        "english-1", "multilingual-0", "multilingual-1", "turbo-1", "vc-0", "vc-1"
    ]  # fmt: skip


@pytest.mark.parametrize(("slowest", "timeout"), [(0.3, 4.0), (7.0, 14.0)])
def test_a_time_out_leaves_room_for_what_the_warm_up_took(slowest: float, timeout: float) -> None:
    endings = tuple(SegmentEnding(index, True, seconds=seconds) for index, seconds in enumerate((0.1, slowest)))
    assert campaign._timeout(replace(PLAIN, endings=endings)) == timeout
