"""A module that nobody calls into: `planted_rare` writes its globals."""

from __future__ import annotations

COUNT = 0.0
NAMES: dict[str, float] = {}
