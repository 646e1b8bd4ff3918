"""What a measurement of the detectors' power comes to: faults that nobody caught, and false alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "power/1"
FILE = "power.json"
NEEDED = frozenset({"environment", "detectors", "faults", "clean"})


def missed(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the planted faults that no detector caught."""
    return [row["fault"] for row in result["faults"] if not any(row["caught_at_run"].values())]
