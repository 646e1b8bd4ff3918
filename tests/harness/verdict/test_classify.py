"""Exceptions that torch really raises, and how they are filed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.nn import functional

from harness.run.digest import describe_error
from harness.verdict.classify import is_shape_error

if TYPE_CHECKING:
    from collections.abc import Callable

ones = torch.ones

SHAPE: dict[str, Callable[[], object]] = {
    "add": lambda: ones(3) + ones(4),
    "in-place add": lambda: ones(3).add_(ones(4, 3)),
    "stack": lambda: torch.stack([ones(1, 51), ones(86, 86)]),
    "cat": lambda: torch.cat([ones(2, 3), ones(2, 4)], dim=0),
    "cat ranks": lambda: torch.cat([ones(2), ones(2, 2)]),
    "linear": lambda: functional.linear(ones(2, 3), ones(4, 5)),
    "bmm": lambda: torch.bmm(ones(2, 3, 4), ones(2, 5, 6)),
    "mv": lambda: ones(3, 4) @ ones(3),
    "view": lambda: ones(7).view(2, 3),
    "expand": lambda: ones(3).expand(2, 4),
    "copy": lambda: ones(3).copy_(ones(4)),
    "index put": lambda: ones(5).__setitem__(slice(0, 3), ones(4)),
    "mask": lambda: ones(4)[torch.tensor([True, False, True])],
    "indices": lambda: ones(4, 4)[torch.tensor([0, 1]), torch.tensor([0, 1, 2])],
    "beyond the end": lambda: ones(3)[5],
    "dimension": lambda: ones(3).sum(dim=4),
    "narrow": lambda: ones(5).narrow(0, 3, 4),
    "split": lambda: torch.split_with_sizes(ones(5), [2, 2]),
    "gather": lambda: torch.gather(ones(2, 3), 0, torch.zeros(3, 4, dtype=torch.long)),
    "conv channels": lambda: functional.conv1d(ones(1, 3, 8), ones(4, 2, 3)),
    "conv kernel": lambda: functional.conv1d(ones(1, 2, 2), ones(4, 2, 3)),
    "reflect padding": lambda: functional.pad(ones(1, 1, 3), (5, 5), mode="reflect"),
    "layer norm": lambda: functional.layer_norm(ones(2, 5), (4,)),
    "einsum": lambda: torch.einsum("ij,jk->ik", ones(2, 3), ones(4, 5)),
    "attention": lambda: functional.scaled_dot_product_attention(ones(1, 2, 3, 4), ones(1, 2, 3, 5), ones(1, 2, 3, 4)),
    "numpy": lambda: np.ones(3) + np.ones(4),
}
OTHER: dict[str, Callable[[], object]] = {
    "a token outside the vocabulary": lambda: functional.embedding(torch.tensor([9]), ones(3, 2)),
    "an element that is missing": lambda: torch.cat([ones(1), None]),  # type: ignore[list-item]
    "a dtype": lambda: functional.linear(ones(2, 3), ones(4, 3).double()),
    "a probability": lambda: torch.multinomial(torch.tensor([float("nan")]), 1),
    "a list": lambda: list(range(1))[1],
    "a key": lambda: dict[str, int]()["hann_window"],
    "an attribute": lambda: None.shape,  # type: ignore[attr-defined]
    "another shape": lambda: (_ for _ in ()).throw(RuntimeError("in no shape to speak")),
}


def raised(action: Callable[[], object]) -> Exception:
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever torch raises is what the test is about
        return error
    pytest.fail("nothing was raised")


@pytest.mark.parametrize("name", SHAPE)
def test_sizes_that_do_not_fit_are_shape_corruption(name: str) -> None:
    error = raised(SHAPE[name])
    assert is_shape_error(describe_error(error)), repr(error)


@pytest.mark.parametrize("name", OTHER)
def test_anything_else_is_not(name: str) -> None:
    error = raised(OTHER[name])
    assert not is_shape_error(describe_error(error)), repr(error)


def test_a_library_may_wrap_it() -> None:
    def wrap() -> None:
        try:
            ones(3) + ones(4)
        except RuntimeError as error:
            raise KeyError("generation failed") from error

    assert is_shape_error(describe_error(raised(wrap)))
