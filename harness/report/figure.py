"""Draw a figure once per theme and width, as SVG for the page and as PNG for other uses."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.report.theme import LIGHT, THEMES, Theme

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PNG_DPI = 150
WIDE_IN, NARROW_IN = 9.6, 4.3
# Drawn for a telephone and shown at that width, this stays as readable as the page's own text.
NARROW_FONT = 9.0
NARROW_LEGEND_COLUMNS = 2


@dataclass(frozen=True)
class Chart:
    """A drawn chart: an SVG per theme and width, and words for readers who cannot see it.

    `svgs` has the keys `light`, `dark`, `light-narrow` and `dark-narrow`.
    """

    name: str
    title: str
    caption: str
    svgs: Mapping[str, bytes]
    png: bytes

    def uri(self, key: str) -> str:
        """Return one of `svgs` as a `data:` address."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svgs[key]).decode("ascii")

    def save(self, folder: Path) -> None:
        """Write `NAME.svg` and `NAME.png`, both wide and for a light background."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.svg").write_bytes(self.svgs[LIGHT.name])
        (folder / f"{self.name}.png").write_bytes(self.png)


def draw_chart(
    name: str,
    title: str,
    caption: str,
    heights: tuple[float, float],
    draw: Callable[[Figure, Theme], None],
) -> Chart:
    """Draw for every theme, wide and narrow; `draw` fills an empty figure, `heights` are inches, wide and narrow."""
    svgs: dict[str, bytes] = {}
    png = b""
    for theme in THEMES:
        with mpl.rc_context(theme.settings()):
            figure = _laid_out(draw, theme, (WIDE_IN, heights[0]))
            svgs[theme.name] = _save(figure, "svg")
            if theme is LIGHT:
                png = _save(figure, "png")
        with mpl.rc_context({**theme.settings(), "font.size": NARROW_FONT, "axes.titlesize": NARROW_FONT}):
            svgs[f"{theme.name}-narrow"] = _save(_laid_out(draw, theme, (NARROW_IN, heights[1])), "svg")
    return Chart(name, title, caption, svgs, png)


def is_narrow(figure: Figure) -> bool:
    """Whether the figure is the one for a narrow screen."""
    return bool(figure.get_figwidth() <= NARROW_IN)


def two_panels(figure: Figure) -> tuple[Axes, Axes]:
    """Return two panels: beside each other, or one above the other on a narrow screen."""
    first, second = figure.subplots(2, 1) if is_narrow(figure) else figure.subplots(1, 2)
    return first, second


def legend_above(figure: Figure, handles: Sequence[Artist], columns: int) -> None:
    """Put one legend above all panels, with fewer columns on a narrow screen."""
    columns = min(columns, NARROW_LEGEND_COLUMNS) if is_narrow(figure) else columns
    figure.legend(handles=list(handles), loc="outside upper left", ncols=columns)


def _laid_out(draw: Callable[[Figure, Theme], None], theme: Theme, size: tuple[float, float]) -> Figure:
    """Draw, and find everything its place, once for all files: matplotlib would draw each of them twice for that."""
    figure = Figure(figsize=size, layout="constrained")
    draw(figure, theme)
    engine = figure.get_layout_engine()
    assert engine is not None
    engine.execute(figure)
    figure.set_layout_engine("none")
    return figure


def _save(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Without a date the same data gives the same file.
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()
