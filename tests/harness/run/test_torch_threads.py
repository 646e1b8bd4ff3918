from __future__ import annotations

import os

import pytest
import torch

from harness.run.torch_threads import one_torch_thread


def test_torch_threads_come_back_after_an_exception() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_torch_thread():
        os.environ["NO_SUCH_VARIABLE"]
    assert torch.get_num_threads() == before
