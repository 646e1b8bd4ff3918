"""What an audit left undecided or untried because its time was up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.audit.result import JudgedDraw, JudgedWrite

TIME_WAS_UP = "the audit's time was up"


def is_left(harmful: bool | None, evidence: str) -> bool:
    """Whether this is what was said of a write or draw that there was no time to judge."""
    return harmful is None and TIME_WAS_UP in evidence


def left_for_lack_of_time(writes: Sequence[JudgedWrite], draws: Sequence[JudgedDraw]) -> list[str]:
    """One line for each write or draw that was not judged, or whose remedies were not tried, for lack of time."""
    named: list[tuple[str, JudgedWrite | JudgedDraw]] = [
        *((write.path, write) for write in writes),
        *((f"{draw.op} from {draw.generator}", draw) for draw in draws),
    ]
    left = [f"{name} at {each.location}: not judged" for name, each in named
            if is_left(each.harmful, each.evidence)]  # fmt: skip
    return left + [
        f"{name} at {each.location}: no remedy tried" for name, each in named
        if any(TIME_WAS_UP in remedy["evidence"] for remedy in each.remedies)
    ]  # fmt: skip
