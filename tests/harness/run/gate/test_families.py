from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.gate.families import OTHER_FAMILIES, unequal_family
from harness.run.gate.serving import TIMED_VOICE
from harness.workload.clips import write_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize("family", OTHER_FAMILIES)
def test_a_family_has_stocks_bits_and_one_that_has_not_is_named(
    family: str, tmp_path: Path, spoil: Callable[[], None]
) -> None:
    clip = write_clip(TIMED_VOICE, tmp_path).path
    assert unequal_family(family, clip) == ""
    spoil()
    assert unequal_family(family, clip).startswith(f"{family}: (1, ")


def test_a_family_that_raises_is_named_with_its_error(tmp_path: Path) -> None:
    assert unequal_family("klingon", tmp_path).startswith("klingon: ")
