from __future__ import annotations

import pytest
import torch

from harness.run.digest import describe_error, mark


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


def raised(error: BaseException, cause: BaseException | None) -> BaseException:
    try:
        raise error from cause  # noqa: TRY301 - the raising is what is asked about
    except BaseException as caught:  # noqa: BLE001 - handed to the code under test
        return caught


def test_an_error_that_causes_itself_is_told_once() -> None:
    error, other = ValueError("first"), KeyError("second")
    assert describe_error(raised(error, error)).cause is None
    told = describe_error(raised(error, raised(other, error)))
    assert told.cause is not None
    assert (told.message, told.cause.kinds[0], told.cause.cause) == ("first", "KeyError", None)


def test_an_error_without_a_message_is_told() -> None:
    class Mute(Exception):  # noqa: N818 - a subject's own
        def __str__(self) -> str:
            raise RuntimeError

    assert describe_error(Mute()).message == "(its message cannot be made: RuntimeError)"
