from __future__ import annotations

from typing import TYPE_CHECKING

from harness.commands import main

if TYPE_CHECKING:
    import pytest


def test_a_case_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "{}"]) == 2
    assert "is not a case" in capsys.readouterr().err


def test_an_unknown_fault_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", '{"utterances": [{}]}', "--fault", "none-such"]) == 2
    assert "no fault 'none-such'; there are shared-conditionals" in capsys.readouterr().err
