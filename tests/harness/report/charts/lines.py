"""What a drawn line goes through, as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


def xs(line: Line2D) -> list[float]:
    return list(map(float, np.atleast_1d(np.asarray(line.get_xdata(), dtype=np.float64))))


def ys(line: Line2D) -> list[float]:
    return list(map(float, np.atleast_1d(np.asarray(line.get_ydata(), dtype=np.float64))))
