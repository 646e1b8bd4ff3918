from __future__ import annotations

import pytest
import torch

from harness.run.digest import mark


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_equal_tensors_have_equal_marks(dtype: torch.dtype) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(dtype)
    assert mark(tensor) == mark(tensor.clone())
    assert mark(tensor.T.contiguous().T) == mark(tensor)


def test_shape_dtype_and_every_bit_count() -> None:
    tensor, nearly = torch.zeros(2, 3), torch.zeros(2, 3)
    nearly[1, 2] = 1e-45
    others = [torch.zeros(3, 2), torch.zeros(2, 3, dtype=torch.int32), torch.zeros(0), torch.tensor(0.0)]
    assert len({mark(item).sha256 for item in (tensor, nearly, *others)}) == 6


def test_a_mark_is_taken_at_once() -> None:
    tensor = torch.zeros(3)
    before = mark(tensor)
    tensor += 1
    assert mark(tensor) != before
