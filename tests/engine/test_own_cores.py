"""A thread's cores are its own: torch keeps to them, and no other thread's number changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import torch

from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.engine._own_cores import use_cores


def cores_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(torch.get_num_threads).result()


@pytest.mark.parametrize("cores", [1, 3])
def test_only_the_calling_thread_has_other_cores(cores: int) -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, initializer=use_cores, initargs=(cores,)) as executor:
        assert executor.submit(torch.get_num_threads).result() == cores
        assert (torch.get_num_threads(), cores_of_a_new_thread()) == (before, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["by MKL", "by oneDNN"])
@pytest.mark.parametrize("cores", [1, 2])
def test_products_keep_to_the_cores_of_their_thread(dtype: torch.dtype, cores: int) -> None:
    if dtype is torch.bfloat16 and not has_onednn_bfloat16():
        pytest.skip("torch multiplies bfloat16 itself on this CPU, and such a product on one core")
    square = torch.ones(1024, 1024, dtype=dtype)
    process = psutil.Process()

    def threads() -> set[int]:
        return {thread.id for thread in process.threads()}

    def helpers() -> int:
        use_cores(cores)
        before = threads()  # of which some may just be ending
        square @ square
        return len(threads() - before)  # OpenMP gives every thread helpers of its own, and keeps them

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(helpers).result() == cores - 1
