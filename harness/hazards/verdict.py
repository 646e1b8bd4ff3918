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
    ever fail, and every reproduction has to be played.
    """
    if row["stateless"] is not None and (row["stateless"]["failed"] or not_played(row["stateless"])):
        return False
    return confirmed_on_stock(row)


def confirmed_on_stock(row: Mapping[str, Any]) -> bool:
    """Whether stock did what the catalogue says."""
    stock = row["stock"]
    if row["status"] == Status.READ:
        return stock is None
    if stock is None:
        return False
    return bool(stock["failed"] == (stock["trials"] if row["status"] == Status.SHOWN else 0))


def not_played(measured: Mapping[str, Any]) -> int:
    """Return how many of a row's trials on `stateless_tts` could not be played; files of earlier versions know none."""
    return int(measured.get("stuck", 0))


def told(stateless: Mapping[str, Any]) -> str:
    """Say how many of a row's trials on `stateless_tts` passed."""
    stuck = not_played(stateless)
    passed = stateless["trials"] - stateless["failed"] - stuck
    text = f"passes {passed} of {stateless['trials']}"
    return f"{text}; {stuck} could not be played, because calls wait for each other" if stuck else text
