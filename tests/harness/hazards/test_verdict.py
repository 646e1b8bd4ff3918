from __future__ import annotations

from typing import Any

import pytest

from harness.hazards.verdict import confirmed


def row(status: str, stock: tuple[int, int] | None, stateless: tuple[int, int] | None = None) -> dict[str, Any]:
    def trials(counts: tuple[int, int] | None) -> dict[str, int] | None:
        return None if counts is None else {"failed": counts[0], "trials": counts[1]}

    return {"status": status, "stock": trials(stock), "stateless": trials(stateless)}


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (row("shown", (3, 3), (0, 3)), True),
        (row("shown", (2, 3), (0, 3)), False),  # a flaky reproduction proves nothing
        (row("shown", (3, 3), (1, 3)), False),
        (row("shown", None), False),
        (row("refuted", (0, 3)), True),
        (row("refuted", (1, 3)), False),
        (row("read", None), True),
        (row("read", (3, 3)), False),
    ],
)
def test_confirmed(measured: dict[str, Any], expected: bool) -> None:
    assert confirmed(measured) is expected
