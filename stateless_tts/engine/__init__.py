"""Many requests in one batch, and not one bit different for it."""

from __future__ import annotations

from ._engine import ContinuousBatchingEngine
from ._fast_flow import fast_s3gen
from ._ledger import Occupancy
from ._self_check import RowPlan

__all__ = ["ContinuousBatchingEngine", "Occupancy", "RowPlan", "fast_s3gen"]
