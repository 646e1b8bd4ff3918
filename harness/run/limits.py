"""Limits of a run."""

from __future__ import annotations

MAX_THREADS = 16
