from __future__ import annotations

from typing import Any

import pytest
import torch

from harness import Subject, SubjectError


def call(_request: object) -> torch.Tensor:
    return torch.ones(1)


def test_a_subject_keeps_what_it_is_given() -> None:
    subject = Subject("a-1", call, (1,), ("x",))
    assert (subject.name, subject.call, subject.shared, subject.requests) == ("a-1", call, (1,), ("x",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Not A Name"}, "not 'Not A Name'"),
        ({"name": 3}, "not 3"),
        ({"call": 3}, "call must be callable, not 3"),
        ({"shared": [1]}, "shared must be a tuple of objects, not list"),
        ({"requests": ()}, r"requests must be a tuple of at least one, not \(\)"),
        ({"requests": [1]}, "requests must be a tuple"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"name": "a", "call": call, "shared": (), **change}
    with pytest.raises(SubjectError, match=message):
        Subject(**fields)
