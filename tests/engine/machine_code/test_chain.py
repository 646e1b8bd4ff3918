"""A chain runs its calls in order, with what it is told, and is not written to."""

from __future__ import annotations

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from stateless_tts.engine.machine_code import _chain
from stateless_tts.engine.machine_code._chain import Call, Chain, Told
from stateless_tts.engine.machine_code._function import Function, read
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features, openmp

pytestmark = pytest.mark.skipif(openmp() is None, reason="torch has no OpenMP of GNU's here")

FIELDS = {"numbers": "ptr", "count": "i64", "factor": "i64", "added": "i64", "room_bytes": "i64"}


def scaling(name: str, order: list[str]) -> MachineCode:
    """Return code that makes each of some whole numbers `factor` times itself plus `added`, in one thread."""
    code = Function(name, {"table": "ptr"}, public=True)
    fields = {field: FIELDS[field] for field in order}
    told = read(code, fields)
    with code.loop(told["count"]) as turn:
        at = code.after(told["numbers"], code.times(turn.index, 8))
        code.store("i64", code.plus(code.times(code.load("i64", at), told["factor"]), told["added"]), at)
    return MachineCode(code.source(), {name: fields}, cpu_features())


@pytest.fixture(scope="module")
def chain() -> Chain:
    """Return a chain of two codes, whose tables are not alike: first 3 x + shift, then 10 x + 2 shift + 1."""
    one, other = scaling("one", list(FIELDS)), scaling("other", list(FIELDS)[:-1][::-1])
    common: dict[str, int | Told] = {"numbers": Told("numbers", plus=8), "count": Told("count", times=2)}
    first = Call(one, "one", {**common, "factor": 3, "added": Told("shift"), "room_bytes": Told("count", 5, 7)})
    return Chain([first, Call(other, "other", {**common, "factor": 10, "added": Told("shift", 2, 1)})])


def test_calls_run_in_order_with_what_is_told(chain: Chain) -> None:
    numbers = torch.arange(6)
    chain.run(1, numbers=numbers.data_ptr(), count=2, shift=4, unasked=9)
    assert numbers.tolist() == [0, *(10 * (3 * x + 4) + 2 * 4 + 1 for x in (1, 2, 3, 4)), 5]


def test_threads_may_run_it_at_the_same_time(chain: Chain) -> None:
    def own(shift: int) -> set[int]:
        numbers = torch.zeros(201, dtype=torch.int64)
        chain.run(1, numbers=numbers.data_ptr(), count=100, shift=shift)
        return set(numbers[1:].tolist())

    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(own, range(64))) == [{10 * shift + 2 * shift + 1} for shift in range(64)]


def test_the_most_that_a_field_is_told(chain: Chain) -> None:
    assert chain.most("room_bytes", count=4) == 27
    assert chain.most("factor") == 10
    assert chain.most("no such field") == 0


def test_what_is_not_told_is_named(chain: Chain) -> None:
    with pytest.raises(KeyError, match="shift"):
        chain.run(1, numbers=0, count=0)


def test_a_copy_is_the_chain(chain: Chain) -> None:
    assert copy.deepcopy(chain) is chain


def test_threads_may_make_and_run_the_first_chains_at_the_same_time() -> None:
    code = scaling("one", list(FIELDS))
    numbers: dict[str, int | Told] = {"numbers": Told("numbers"), "count": 1, "factor": 2, "added": 1, "room_bytes": 0}

    def own(start: threading.Barrier) -> int:
        start.wait()
        made = Chain([Call(code, "one", numbers)])
        number = torch.zeros(1, dtype=torch.int64)
        for _ in range(20):
            made.run(1, numbers=number.data_ptr())
        return int(number)

    with ThreadPoolExecutor(8) as callers:
        for _ in range(10):
            _chain._in_turn.cache_clear()  # several of them may translate it, and all but one are forgotten
            assert set(callers.map(own, 8 * [threading.Barrier(8)])) == {2**20 - 1}
