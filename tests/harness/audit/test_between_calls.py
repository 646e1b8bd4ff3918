from __future__ import annotations

import functools
import threading
from collections import OrderedDict

import torch

from tests.harness.audit import planted
from tests.harness.audit.test_auditor import audited


def test_what_the_call_keeps_for_itself_is_shared() -> None:
    model = planted.Model()
    total = 0.0

    def call(value: float) -> torch.Tensor:
        nonlocal total
        total = value
        return torch.tensor(total) + float(model.array[0])

    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    assert [write.path for write in result.writes] == ["call.__closure__.total"]
    assert total == 0.0


def test_what_is_set_for_a_while_and_put_back_is_harmful_to_who_puts_it_back_meanwhile() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        before = model.plain.last
        model.plain.last = value
        result = torch.tensor(model.plain.last)
        model.plain.last = before
        return result

    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    shown = next(write for write in result.writes if write.harmful)
    assert shown.schedule is not None
    assert shown.schedule["side"] == "crossed"
    assert "calls A and B both held right after" in shown.evidence


def test_a_call_that_differs_in_a_thread_of_its_own_is_not_blamed_on_other_calls() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        elsewhere = threading.current_thread() is not threading.main_thread()
        return torch.tensor(value + elsewhere) + float(model.array[0])

    result = audited(call, model)

    assert result.verdict == "INCONCLUSIVE"
    assert "run alone in a thread of its own" in result.reason


def test_a_line_that_only_a_call_after_others_reaches_is_judged_after_others() -> None:
    class Cache:
        def __init__(self) -> None:
            self.lock = threading.RLock()
            self.entries: OrderedDict[float, torch.Tensor] = OrderedDict()

        def get(self, key: float) -> torch.Tensor:
            with self.lock:
                if key not in self.entries:
                    self.entries[key] = torch.tensor(key) * 3
                    while len(self.entries) > 1:
                        self.entries.popitem(last=False)
                return self.entries[key]

    cache = Cache()
    result = audited(lambda value: cache.get(value) + 1, cache)

    assert result.verdict == "SAFE"
    assert {held["path"] for held in result.guarded} == {"model.entries", "model.entries[1.0]"}


def test_a_call_that_takes_other_kernels_while_it_is_watched_is_safe() -> None:
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        watched = torch._C._len_torch_dispatch_stack()  # torch's fast paths ask this
        return torch.tensor(value + watched) + float(model.array[0])

    result = audited(call, model)

    assert result.verdict == "SAFE", result.reason


def test_what_a_partial_function_binds_is_shared() -> None:
    model = planted.Model()

    def call(box: dict[str, float], value: float) -> torch.Tensor:
        box["last"] = value
        return torch.tensor(box["last"]) + float(model.array[0])

    result = audited(functools.partial(call, {}), model)

    assert result.verdict == "UNSAFE"
    assert [write.path for write in result.writes] == ["call.args[0]['last']"]
