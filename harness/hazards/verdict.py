"""Hold what was measured against the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.hazards.catalogue import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "hazards/1"
FILE = "hazards.json"
NEEDED = frozenset({"environment", "hazards"})


def confirmed(row: Mapping[str, Any]) -> bool:
    """Whether a measured row says what the catalogue says.

    Shown: stock failed every time. Refuted: stock never did. Read: nothing was run. On `stateless_tts` nothing may
    ever fail.
    """
    if row["stateless"] is not None and row["stateless"]["failed"]:
        return False
    stock = row["stock"]
    if row["status"] == Status.READ:
        return stock is None
    if stock is None:
        return False
    return bool(stock["failed"] == (stock["trials"] if row["status"] == Status.SHOWN else 0))
