"""State that calls share where nobody looks for it: found all the same; and what looks like sharing and is none."""

from __future__ import annotations

import functools
import sys
import threading
import types
import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import Subject
from harness.audit.auditor import audit
from harness.audit.state.paths import Step
from harness.errors import SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from harness.audit.result import AuditResult

SHORT, LONG = torch.ones(2), torch.ones(4)


def audited(
    call: Callable[[Any], object], shared: object, requests: tuple[object, ...] = (SHORT, LONG), budget: float = 12.0
) -> AuditResult:
    return audit(Subject("hidden", call, (shared,)), requests, threads=4, budget=budget)  # type: ignore[arg-type] # no tensor is fine, too


class Tables:
    """No object that calls share is one of these."""

    kept: dict[str, Any] = {}  # noqa: RUF012 - the very mistake


def from_table(kept: dict[str, Any], numbers: torch.Tensor) -> torch.Tensor:
    """Return `numbers` plus a table that is lengthened when it has to be: two entries that belong together."""
    count = numbers.numel()
    if kept.get("count", 0) < count:
        kept["table"] = torch.arange(count)
        kept["count"] = count
    found: torch.Tensor = numbers + kept["table"][:count]
    return found


class OfAClass(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return from_table(Tables.kept, numbers)


class Stage:
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}


class OfAStage(nn.Module):
    """Holds the only stage as an element of a set, or as a key."""

    def __init__(self, stages: Collection[Stage]) -> None:
        super().__init__()
        self.stages = stages

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        (stage,) = self.stages
        return from_table(stage.kept, numbers)


def in_a_set() -> OfAStage:
    return OfAStage({Stage()})


def as_a_key() -> OfAStage:
    return OfAStage({Stage(): "the only one"})


class OnATensor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.weight.kept = {}  # type: ignore[attr-defined] # tensors take attributes

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return from_table(self.weight.kept, numbers)  # type: ignore[attr-defined] # as above


def remembered(compute: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    known: dict[str, Any] = {}

    def remembering(owner: object) -> dict[str, Any]:
        compute(owner)
        return known

    return remembering


class BehindAProperty(nn.Module):
    @property
    @remembered
    def kept(self) -> dict[str, Any]:
        return {}

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return from_table(self.kept, numbers)


@lru_cache
def state_of(_name: str) -> tuple[dict[str, Any], str]:
    return {}, "a tuple cannot be changed, and what it holds can"


class Counts:
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def add(self, numbers: torch.Tensor) -> torch.Tensor:
        return from_table(self.kept, numbers)


class BehindABoundMethod(nn.Module):
    add = Counts().add

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.add(numbers)


class InACachedTuple(nn.Module):
    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return from_table(state_of("warm")[0], numbers)


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    state_of("warm")[0].clear()
    yield
    assert not Tables.kept, "the audit puts back what it found"


@pytest.mark.parametrize(
    "model", [OfAClass, in_a_set, as_a_key, OnATensor, BehindAProperty, BehindABoundMethod, InACachedTuple]
)
def test_a_table_is_found_wherever_it_is_kept(model: Callable[[], nn.Module]) -> None:
    shared = model()
    result = audited(shared, shared)
    assert result.verdict == "UNSAFE", result.reason
    assert any("kept" in write.path or "['" in write.path for write in result.writes), result.writes


class Remembers:
    """Writes one attribute under a lock, and another where no Python is run for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.cache: dict[float, float] = {}
        self.last: float | None = None
        self.remember = functools.partial(setattr, self, "last")

    def __call__(self, value: float) -> torch.Tensor:
        with self.lock:
            self.cache.setdefault(value, value)
        self.remember(value)
        return torch.tensor(self.last)


def test_what_is_written_beneath_an_object_does_not_explain_what_is_written_in_it() -> None:
    shared = Remembers()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict == "UNSAFE", result.reason
    assert "model.last" in {write.path for write in result.writes}


class Replaces:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.table = torch.arange(0)

    def __call__(self, numbers: torch.Tensor) -> torch.Tensor:
        with self.lock:
            self.table = torch.arange(numbers.numel())
        with self.lock:
            return numbers + self.table[: numbers.numel()]


@pytest.mark.parametrize("requests", [(SHORT, LONG), (LONG, SHORT)])
def test_a_lock_round_each_use_is_not_enough_whichever_call_comes_between(requests: tuple[torch.Tensor, ...]) -> None:
    shared = Replaces()
    result = audited(shared, shared, requests)
    assert result.verdict == "UNSAFE", result.reason
    assert any(write.harmful for write in result.writes), result.writes


class Scratch:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.scratch = torch.zeros(3)

    def __call__(self, value: float) -> torch.Tensor:
        with self.lock:
            self.scratch.fill_(value)
            return self.scratch * 2


def test_a_tensor_used_only_under_a_lock_of_its_own_is_guarded() -> None:
    shared = Scratch()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict == "SAFE", result.reason
    assert [entry["path"] for entry in result.guarded] == ["model.scratch"]


class TwoViews:
    """The shorter view of an array comes first, and what is written lies beyond it."""

    def __init__(self, *, writeable: bool) -> None:
        base = np.zeros(4)
        self.head = base[:2] if writeable else base.view()
        self.head.flags.writeable = writeable
        self.base = base

    def __call__(self, value: float) -> torch.Tensor:
        np.copyto(self.base[2:], value)
        return torch.from_numpy(self.base[2:].copy())


@pytest.mark.parametrize("writeable", [True, False])
def test_the_memory_of_an_array_is_watched_as_far_as_any_view_of_it_goes(*, writeable: bool) -> None:
    shared = TwoViews(writeable=writeable)
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict == "UNSAFE", result.reason
    assert shared.base.tolist() == [0.0] * 4


class Sparse:
    def __init__(self) -> None:
        self.adjacency = torch.eye(2).to_sparse()

    def __call__(self, value: float) -> torch.Tensor:
        self.adjacency.mul_(1.0)
        return torch.tensor(value)


def test_a_write_to_a_sparse_tensor_is_seen() -> None:
    shared = Sparse()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict != "SAFE"
    assert [write.path for write in result.writes] == ["model.adjacency"]


def test_a_sparse_result_is_named() -> None:
    with pytest.raises(SubjectError, match=r"a call returned a tensor of torch\.float32 and torch\.sparse_coo"):
        audited(lambda numbers: numbers.to_sparse(), nn.Linear(1, 1))


def test_what_there_was_no_time_for_is_said() -> None:
    model = nn.Linear(2, 1).requires_grad_(requires_grad=False)
    assert "there was time for" not in audited(model, model, (SHORT,) * 3).reason
    result = audited(model, model, (SHORT,) * 3, budget=1e-6)
    assert "of 3 requests there was time for 2" in result.reason or result.verdict != "SAFE"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that nobody has imported yet."""
    (tmp_path / "never_imported").mkdir()
    (tmp_path / "never_imported" / "__init__.py").write_text("from .inner import half\n\nHALF = 0.5\n")
    (tmp_path / "never_imported" / "inner.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "never_imported"
    for name in ("never_imported", "never_imported.inner"):
        sys.modules.pop(name, None)


def test_a_module_that_the_first_call_imports_stays_whole(package: str) -> None:
    def call(numbers: torch.Tensor) -> torch.Tensor:
        import never_imported  # type: ignore[import-not-found]

        found: torch.Tensor = never_imported.half(numbers) + never_imported.HALF
        return found

    assert audited(call, nn.Linear(1, 1)).verdict == "SAFE"
    assert sys.modules[package].HALF == 0.5
    assert sys.modules[f"{package}.inner"].half(2) == 1


def test_a_lazy_module_is_refused_by_name() -> None:
    model = nn.Sequential(nn.LazyLinear(2))
    with pytest.raises(SubjectError, match=r"model\.0\.weight has no shape yet: expected a model that was called once"):
        audited(model, model)
    assert isinstance(model[0], nn.LazyLinear)


class Sliced:
    def __init__(self) -> None:
        self.items: list[dict[str, float]] = []

    def __call__(self, value: float) -> torch.Tensor:
        self.items[:] = [{}]
        self.items[0]["x"] = value
        return torch.tensor(self.items[0]["x"])


class ByParameter:
    def __init__(self) -> None:
        self.weights = [nn.Parameter(torch.ones(2)) for _ in range(3)]
        self.moments = {weight: {"step": torch.zeros(1)} for weight in self.weights}

    def __call__(self, value: float) -> torch.Tensor:
        for moment in self.moments.values():
            moment["step"].fill_(value)
        return torch.cat([moment["step"] for moment in self.moments.values()])


@pytest.mark.parametrize("model", [Sliced, ByParameter])
def test_keys_that_have_no_hash_or_no_truth_are_told_apart(model: Any) -> None:  # noqa: ANN401 - a class
    shared = model()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict != "SAFE"
    assert result.writes


def test_a_proxy_whose_object_is_gone_is_passed_by() -> None:
    model, trainer = nn.Linear(2, 1).requires_grad_(requires_grad=False), nn.Linear(1, 1)
    model.trainer = weakref.proxy(trainer)  # type: ignore[assignment] # modules take attributes
    del trainer
    assert audited(model, model, (SHORT, SHORT + 1)).verdict == "SAFE"


def test_what_this_thread_alone_has_switched_on_is_nobodys_write() -> None:
    model = nn.Linear(2, 1)
    model.calls = 0  # type: ignore[assignment] # modules take attributes

    def call(numbers: torch.Tensor) -> np.ndarray[Any, Any]:
        model.calls += 1  # type: ignore[operator, assignment] # as above
        found: np.ndarray[Any, Any] = model(numbers).numpy()
        return found

    with torch.no_grad():
        result = audited(call, model, (SHORT, SHORT + 1))
    assert result.verdict == "INCONCLUSIVE"
    assert "run alone in a thread of its own, it raised RuntimeError: Can't call numpy()" in result.reason


def test_a_module_may_be_called_as_a_shared_object_is(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("model")
    source = """
import threading
import torch

SEEN = {}

class Cache:
    def __init__(self):
        self.lock = threading.Lock()
        self.known = {}

    def __call__(self, value):
        with self.lock:
            if value not in self.known:
                self.known[value] = value * 2
            return torch.tensor(self.known[value])
"""
    module.__file__ = "/nowhere/model.py"
    exec(compile(source, module.__file__, "exec"), module.__dict__)  # noqa: S102 - as if it was a file
    monkeypatch.setitem(sys.modules, "model", module)
    shared = module.Cache()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict == "SAFE", result.reason
    assert [entry["path"] for entry in result.guarded] == ["model.known[1.0]"] or result.guarded


class OnlyOnce:
    def __init__(self) -> None:
        self.used = False

    def __call__(self, value: float) -> torch.Tensor:
        if self.used:
            raise RuntimeError("this model has been used")
        self.used = True
        return torch.tensor(value)


def test_a_call_that_fails_for_what_an_earlier_one_left_is_unsafe() -> None:
    shared = OnlyOnce()
    result = audited(shared, shared, (1.0, 2.0))
    assert result.verdict == "UNSAFE", result.reason
    assert not shared.used


class Undoing:
    def __init__(self) -> None:
        self.value: float | None = None

    def __call__(self, value: float) -> torch.Tensor:
        self.value = value
        found = torch.tensor(self.value)
        self.value = None
        return found


def test_where_stores_cannot_be_read_nothing_is_called_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shared = nn.Linear(2, 1).requires_grad_(requires_grad=False), Undoing()
    assert audited(shared, shared, (1.0, 2.0)).verdict == "UNSAFE"
    monkeypatch.setattr("harness.audit.value_stack.works_here", lambda: False)
    assert audited(shared, shared, (1.0, 2.0)).verdict != "SAFE"
    result = audited(model, model, (SHORT, SHORT + 1))
    assert result.verdict == "INCONCLUSIVE"
    assert "this Python's stack cannot be read" in result.reason


class Unspeakable(nn.Module):
    """What it is said to be costs more than to be it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0.0

    def __repr__(self) -> str:
        raise RuntimeError("nobody asks")


@lru_cache
def unspeakable() -> Unspeakable:
    return Unspeakable()


def test_what_a_cache_hands_out_is_not_asked_what_it_is() -> None:
    unspeakable()

    def call(value: float) -> torch.Tensor:
        unspeakable().last = value
        return torch.tensor(unspeakable().last)

    result = audited(call, nn.Linear(1, 1), (1.0, 2.0))
    assert result.verdict == "UNSAFE", result.reason
    assert any(write.path.endswith("unspeakable().last") for write in result.writes), result.writes


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ((torch.float32, 1), "[(torch.float32, 1)]"),
        ((nn.ReLU(), 1), "[(ReLU, 1)]"),
        (slice(None), "[slice]"),
        ("a", "['a']"),
    ],
)
def test_keys_are_shown_as_far_as_they_can_be(key: object, shown: str) -> None:
    assert Step("item", key).text() == shown
