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


def test_any_printable_name_will_do_and_lists_become_tuples() -> None:
    subject = Subject("My Model (v2)", call, [1, 2], ["x"])  # type: ignore[arg-type]
    assert (subject.shared, subject.requests) == ((1, 2), ("x",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "two\nlines"}, r"not 'two\\nlines'"),
        ({"name": " "}, "not ' '"),
        ({"name": "n" * 81}, "at most 80 characters, not 81"),
        ({"name": 3}, "not 3"),
        ({"call": 3}, "call must be callable, not 3"),
        ({"shared": {1}}, "shared must be a tuple of objects, not set"),
        ({"requests": ()}, r"requests must be a tuple of at least one, not \(\)"),
        ({"requests": {1}}, "requests must be a tuple"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"name": "a", "call": call, "shared": (), **change}
    with pytest.raises(SubjectError, match=message):
        Subject(**fields)
