from __future__ import annotations

import random
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from harness import ReferenceFailedError, Subject
from harness.audit.auditor import audit
from harness.audit.deadline import Deadline
from harness.audit.trial.judge import Judge
from tests.harness.audit import planted

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.audit.result import AuditResult

REQUESTS = (1.0, 2.0)


def audited(call: Callable[[float], torch.Tensor], *shared: object) -> AuditResult:
    return audit(Subject("planted", call, shared, REQUESTS), REQUESTS, threads=4, budget=12.0)


def remedies_of(result: AuditResult) -> dict[str, str]:
    return {remedy["name"]: remedy["result"] for remedy in result.writes[0].remedies}


@pytest.mark.parametrize(
    "name", ["attribute_on_module", "buffer_rebinding", "numpy_alias", "module_table", "class_attribute"]
)
def test_a_write_that_reaches_other_calls_is_unsafe_with_the_schedule_that_shows_it(name: str) -> None:
    model = planted.Model()
    result = audited(lambda value: planted.WRITES[name][0](model, value), model)

    assert result.verdict == "UNSAFE"
    assert result.writes[0].harmful
    assert result.writes[0].schedule is not None
    assert "call A held right after" in result.writes[0].evidence


def test_a_write_nobody_reads_is_benign_and_the_verdict_inconclusive() -> None:
    model = planted.Model()
    result = audited(lambda value: planted.bound_method(model, value), model)

    assert result.verdict == "INCONCLUSIVE"
    assert [write.harmful for write in result.writes] == [False]
    assert "both sides" in result.writes[0].evidence


def test_the_clean_twin_is_safe() -> None:
    model = planted.Model()
    result = audited(lambda value: planted.clean(model, value), model)

    assert result.verdict == "SAFE"
    assert result.writes == ()


def test_every_remedy_holds_against_an_attribute_of_the_shared_object() -> None:
    model = planted.Model()
    result = audited(lambda value: planted.attribute_on_object(model, value), model)

    assert remedies_of(result) == {"lock": "holds", "copy per call": "holds", "object per thread": "holds"}


def test_only_a_lock_holds_against_a_module_global() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        planted.TABLE["k"] = value
        return torch.tensor(planted.TABLE["k"]) + float(model.array[0])

    result = audited(call, model)

    assert remedies_of(result) == {
        "lock": "holds", "copy per call": "does not hold", "object per thread": "does not hold"
    }  # fmt: skip


def test_no_lock_holds_against_what_carries_over_from_call_to_call() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        model.plain.last += value
        return torch.tensor(model.plain.last)

    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    assert remedies_of(result)["lock"] == "does not hold"
    assert remedies_of(result)["copy per call"] == "holds"


def test_seeding_the_process_and_drawing_from_it_is_unsafe() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        torch.manual_seed(int(value))
        return torch.randn(3) + float(model.array[0])

    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    assert {draw.generator for draw in result.draws} == {"process-wide torch.default_generator"}
    assert all(draw.harmful for draw in result.draws), result.draws


def test_a_generator_of_its_own_for_every_call_holds_against_shared_draws() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        torch.manual_seed(int(value))
        return torch.randn(3) + torch.nn.functional.dropout(torch.ones(3)) + float(model.array[0])

    result = audited(call, model)

    tried = [{remedy["name"]: remedy["result"] for remedy in draw.remedies} for draw in result.draws if draw.harmful]
    assert tried
    assert all(each["own generator per call"] == "holds" for each in tried)


def test_a_flag_raised_after_what_it_stands_for_is_no_harm_although_sharing_it_alone_would_be() -> None:
    class Backend:
        ready = False
        made: list[float] | None = None

    shared = Backend()

    def call(value: float) -> torch.Tensor:
        shared.ready = False
        if not shared.ready:
            shared.made = [2.0]
            shared.ready = True
        assert shared.made is not None
        return torch.tensor(value) * shared.made[0]

    result = audited(call, shared)

    assert {write.path for write in result.writes} == {"model.ready", "model.made"}
    assert not any(write.harmful for write in result.writes)


def test_a_line_that_only_one_request_reaches_is_judged_with_that_request() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        if value > 2:
            model.plain.last = value
        return torch.tensor(value) + model.plain.last * (value > 2)

    requests = (1.0, 2.0, 3.0, 4.0)
    result = audit(Subject("rare", call, (model,), requests), requests, threads=4, budget=12.0)

    assert [write.harmful for write in result.writes] == [True]


def test_conditioning_filled_in_two_steps_is_harmful_to_who_reads_in_between() -> None:
    class Cond:
        embedding: torch.Tensor | None = None

    class Voices:
        def __init__(self) -> None:
            self.current = Cond()

    shared = Voices()

    def call(value: float) -> torch.Tensor:
        cond = shared.current
        if cond.embedding is None:
            cond.embedding = torch.ones(3)
            cond.embedding += 1
        return cond.embedding * value

    result = audited(call, shared)

    assert result.verdict == "UNSAFE"
    assert "model.current.embedding" in {write.path for write in result.writes if write.harmful}


def test_hooks_that_calls_leave_behind_are_harmful_where_they_fire_in_another_call() -> None:
    class Spy:
        seen = 0.0

    def call(value: float) -> torch.Tensor:
        spy = Spy()

        def take_down(_module: object, _inputs: object, output: torch.Tensor) -> None:
            spy.seen = float(output.sum())

        layer.register_forward_hook(take_down)
        layer(torch.full((1, 2), value))
        return torch.tensor(spy.seen)

    layer = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(layer.weight, 0.5)
    torch.nn.init.constant_(layer.bias, 0.25)
    result = audited(call, layer)

    registry = next(write for write in result.writes if write.path == "model._forward_hooks")
    assert registry.harmful
    assert "sharing only this: call A" in registry.evidence
    assert "grows with every call" in registry.evidence
    inside = next(write for write in result.writes if write.path.endswith("spy.seen"))
    assert inside.harmful is False  # it is the registry's doing that another call gets there
    assert "only through model._forward_hooks, which is harmful" in inside.evidence


def test_an_unseeded_draw_is_inconclusive_and_named() -> None:
    model = planted.Model()
    result = audited(lambda _value: planted.randn(model), model)

    assert result.verdict == "INCONCLUSIVE"
    assert "not deterministic even sequentially" in result.reason
    assert f"{planted.__file__}:{planted.line_of('randn')}" in result.reason


def test_two_writes_that_share_a_lock_but_not_a_critical_section_are_unsafe() -> None:
    class Split:
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.value = 0.0

    shared = Split()

    def call(value: float) -> torch.Tensor:
        with shared.lock:
            shared.value = value
        with shared.lock:
            return torch.tensor(shared.value)

    result = audited(call, shared)

    assert result.verdict == "UNSAFE"
    assert "as soon as model.lock is free" in result.writes[0].evidence


def test_a_cache_used_only_under_its_own_lock_is_guarded() -> None:
    class Cache:
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.entries: dict[float, torch.Tensor] = {}

        def get(self, key: float) -> torch.Tensor:
            with self.lock:
                if key not in self.entries:
                    self.entries[key] = torch.tensor(key) * 2
                return self.entries[key]

    cache = Cache()
    result = audited(lambda value: cache.get(value) + 1, cache)

    assert result.verdict == "SAFE"
    assert [held["path"] for held in result.guarded] == ["model.entries[1.0]"]
    assert cache.entries == {}


def test_a_cache_that_is_also_read_without_its_lock_is_not() -> None:
    class Cache:
        def __init__(self) -> None:
            self.lock = threading.Lock()
            self.entries: dict[float, float] = {}

    cache = Cache()

    def call(value: float) -> torch.Tensor:
        with cache.lock:
            cache.entries[value] = value
        return torch.tensor(cache.entries[value])

    result = audited(call, cache)

    assert result.verdict == "INCONCLUSIVE"
    assert result.guarded == ()
    assert [write.guard for write in result.writes] == ["model.lock"]


def test_a_call_that_raises_by_itself_is_reported_as_that() -> None:
    def call(_value: float) -> torch.Tensor:
        raise ValueError("boom")

    with pytest.raises(ReferenceFailedError, match="although nothing else ran: ValueError: boom"):
        audited(call, planted.Plain())


@pytest.mark.parametrize("raises", [False, True])
def test_the_process_and_the_model_are_left_as_found(*, raises: bool) -> None:
    model = planted.Model()
    before = (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile(), sys.getswitchinterval())
    states = (torch.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate())  # type: ignore[index] # noqa: NPY002 - the process-wide one
    weight = model.layer.weight.detach().clone()

    def call(value: float) -> torch.Tensor:
        planted.parameter_in_place(model, value)
        planted.hook(model, value)
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002 - the process-wide one
        if raises:
            raise ValueError("boom")
        return torch.tensor(value)

    if raises:
        with pytest.raises(ReferenceFailedError):
            audited(call, model)
    else:
        audited(call, model)

    after = (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile(), sys.getswitchinterval())
    assert after == before
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tobytes() == states[1]  # type: ignore[index] # noqa: NPY002 - as above
    assert random.getstate() == states[2]
    assert torch.equal(model.layer.weight, weight)
    assert not model.layer._forward_hooks


class Pair:
    """A value kept in two places: either one alone being another call's is noticed, and both together are not."""

    def __init__(self) -> None:
        self.first, self.second, self.unread = Place(), Place(), Place()

    def call(self, value: float) -> torch.Tensor:
        self.first.value = value
        self.second.value = value
        self.unread.value = value
        time.sleep(0.002)  # for the plain concurrent runs to get in between
        kept = (self.first.value, self.second.value)
        return torch.tensor([kept[1] if kept[0] == kept[1] else value])


class Place:
    """Something with a value."""

    value = 0.0


def test_what_does_harm_together_is_told_apart_from_what_is_only_there() -> None:
    pair = Pair()
    result = audited(pair.call, pair)
    found = {write.path.split(".")[-2]: write for write in result.writes}

    assert result.verdict == "UNSAFE"
    assert (found["second"].harmful, found["unread"].harmful) == (True, False)
    assert "not so without this" in found["second"].evidence


def test_an_audit_without_time_for_trials_accuses_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    in_time = Judge.judge_all
    monkeypatch.setattr(
        Judge, "judge_all", lambda judge, findings, *_, **__: in_time(judge, findings, Deadline(0), 0.0)
    )
    pair = Pair()
    result = audited(pair.call, pair)

    assert result.verdict == "UNSAFE"
    assert {write.harmful for write in result.writes} == {None}
    assert all("time was up" in write.evidence for write in result.writes)
