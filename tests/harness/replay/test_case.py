from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.replay.case import Case, Utterance


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "is not a case"),
        ("[]", "is not a case"),
        ('{"utterances": [{"words": "Hi."}]}', "is not a case"),
        ('{"utterances": []}', "at least one utterance"),
        ('{"utterances": [{}], "threads": 99}', "threads=99: expected 1 to 16"),
        ('{"utterances": [{}], "threads": Infinity}', "is not a case"),
        ('{"utterances": [{"voice": "three"}]}', "voice='three': expected one of built-in, one, two"),
        ('{"utterances": [{}, {}], "arrival": [0, 0]}', "expected each of 0 to 1 once"),
    ],
)
def test_a_line_that_is_no_case_says_why(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Case.from_json(line)


def test_what_is_default_is_left_out() -> None:
    line = Case((Utterance(seed=5),), threads=1).as_json()
    assert line == '{"utterances": [{"seed": 5}], "threads": 1, "arrival": [0]}'
