"""One self-contained page: the verdict first, then sections of text, tables and charts, for any command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2

if TYPE_CHECKING:
    from harness.report.figure import Chart

Tone = Literal["good", "bad", "unsure", "plain"]
TONES: dict[str, Tone] = {
    "SAFE": "good",
    "UNSAFE": "bad",
    "INCONCLUSIVE": "unsure",
    "MET": "good",
    "NOT MET": "bad",
    "WRONG OUTPUTS": "bad",
    "NOT MEASURED": "unsure",
}


@dataclass(frozen=True)
class Field:
    """Text in a table, `number` being set to the right; a tone puts it into a coloured box."""

    text: str
    tone: Tone = "plain"
    number: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a heading per column."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Field, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page; all but the title may be empty. `folded` parts open on a click, and in print."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    charts: tuple[Chart, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """The whole page; `status` is the one word that a hurried reader takes away."""

    title: str
    status: str
    summary: str
    sections: tuple[Section, ...]
    footer: str

    @property
    def tone(self) -> Tone:
        return TONES.get(self.status, "unsure")


def render_page(page: Page) -> str:
    """Return the page as HTML that needs no other file and no network."""
    folder = Path(__file__).parent
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return engine.get_template("page.html.jinja").render(page=page)
