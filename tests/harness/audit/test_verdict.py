from __future__ import annotations

import pytest

from harness.audit.result import JudgedDraw, JudgedWrite, StressSummary
from harness.audit.verdict import decide, unstable_reason

QUIET = StressSummary(4, 8, 0, "")


def write(*, harmful: bool | None) -> JudgedWrite:
    return JudgedWrite("model.x", "attribute rebinding", "a.py:1", harmful, "")


def test_nothing_written_nothing_drawn_and_nothing_changed_is_safe() -> None:
    assert decide((), (JudgedDraw("aten::randn", "own", "a.py:1"),), QUIET, "")[0] == "SAFE"


@pytest.mark.parametrize(("harmful", "verdict"), [(True, "UNSAFE"), (False, "INCONCLUSIVE"), (None, "INCONCLUSIVE")])
def test_one_write_is_never_safe(*, harmful: bool | None, verdict: str) -> None:
    assert decide((write(harmful=harmful),), (), QUIET, "")[0] == verdict


def test_a_draw_from_the_process_is_never_safe_even_if_no_output_changed() -> None:
    draw = JudgedDraw("aten::randn", "process-wide torch.default_generator", "a.py:1", harmful=False)
    assert decide((), (draw,), QUIET, "")[0] == "INCONCLUSIVE"


def test_changed_outputs_are_unsafe_without_any_write_seen() -> None:
    assert decide((), (), StressSummary(4, 8, 1, "its output changed"), "")[0] == "UNSAFE"


def test_what_carries_over_is_unsafe() -> None:
    assert decide((), (), QUIET, "request 0: its output changed") == (
        "UNSAFE", "what one call leaves behind changes the next: request 0: its output changed"
    )  # fmt: skip


def test_an_unstable_call_names_the_shared_draw_before_an_own_one() -> None:
    draws = (JudgedDraw("aten::rand", "own", "a.py:1"), JudgedDraw("aten::randn", "process-wide random", "a.py:2"))
    assert "aten::randn draws from the process-wide random generator at a.py:2" in unstable_reason(draws, (), "how")
