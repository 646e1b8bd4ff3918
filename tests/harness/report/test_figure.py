"""A chart is drawn for two themes and two widths, and the same data gives the same file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from harness.report.figure import draw_chart, is_narrow, legend_above, two_panels
from harness.report.theme import DARK, LIGHT

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from harness.report.theme import Theme


def draw(figure: Figure, theme: Theme) -> None:
    panels = two_panels(figure)
    panels[0].plot([1, 2], color=theme.text)
    panels[1].set_title("narrow" if is_narrow(figure) else "wide")
    legend_above(figure, [Line2D([], [], label=name) for name in ("one", "two", "three")], 3)


def test_every_theme_and_width_has_its_own_drawing(tmp_path: Path) -> None:
    chart = draw_chart("toy", "Toy", "A toy.", (2.0, 4.0), draw)
    assert len(set(chart.svgs.values())) == 4
    for key, svg in chart.svgs.items():
        theme = DARK if key.startswith("dark") else LIGHT
        assert theme.background in svg.decode()
        assert ("<!-- narrow -->" if key.endswith("narrow") else "<!-- wide -->") in svg.decode()
    chart.save(tmp_path)
    assert (tmp_path / "toy.svg").read_bytes() == chart.svgs["light"]
    assert (tmp_path / "toy.png").read_bytes().startswith(b"\x89PNG")


def test_drawing_again_gives_the_same_bytes() -> None:
    first, second = (draw_chart("toy", "Toy", "A toy.", (2.0, 4.0), draw) for _ in range(2))
    assert first.svgs == second.svgs
