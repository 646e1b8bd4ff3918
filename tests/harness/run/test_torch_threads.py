from __future__ import annotations

import pytest
import torch

from harness.run.torch_threads import one_torch_thread


def test_torch_threads_come_back_after_an_exception() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), one_torch_thread():
        {}["nothing"]
    assert torch.get_num_threads() == before
