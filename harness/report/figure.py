"""Draw a figure once per theme, as SVG for the page and as PNG for other uses."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.report.theme import DARK, LIGHT, THEMES, Theme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PNG_DPI = 150


@dataclass(frozen=True)
class Chart:
    """A drawn chart: one SVG per theme, and words for readers who cannot see it."""

    name: str
    title: str
    caption: str
    light_svg: bytes
    dark_svg: bytes
    png: bytes

    @property
    def light_uri(self) -> str:
        return _uri(self.light_svg)

    @property
    def dark_uri(self) -> str:
        return _uri(self.dark_svg)

    def save(self, folder: Path) -> None:
        """Write `NAME.svg` and `NAME.png`, both for a light background."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.svg").write_bytes(self.light_svg)
        (folder / f"{self.name}.png").write_bytes(self.png)


def draw_chart(
    name: str,
    title: str,
    caption: str,
    size: tuple[float, float],
    draw: Callable[[Figure, Theme], None],
) -> Chart:
    """Draw in every theme; `draw` fills an empty figure of `size` inches."""
    svgs: dict[str, bytes] = {}
    png = b""
    for theme in THEMES:
        with mpl.rc_context(theme.settings()):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure, theme)
            svgs[theme.name] = _save(figure, "svg")
            if theme is LIGHT:
                png = _save(figure, "png")
    return Chart(name, title, caption, svgs[LIGHT.name], svgs[DARK.name], png)


def _save(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    # Without a date the same data gives the same file.
    metadata = {"Date": None} if kind == "svg" else None
    figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()


def _uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii")
