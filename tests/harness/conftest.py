"""What the tests of the harness share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from harness.report.theme import Theme


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every chart empty, for tests of what a page says; drawing one takes half a second."""
    leave_charts_empty(monkeypatch)


def leave_charts_empty(patch: pytest.MonkeyPatch) -> None:
    """Let charts have their size and nothing in it."""

    def empty(_draw: object, _theme: Theme, size: tuple[float, float]) -> Figure:
        return Figure(figsize=size)

    patch.setattr("harness.report.figure._laid_out", empty)
