"""One self-contained page: the verdict first, then a part per result with its text, tables and charts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.report.figure import Chart

Tone = Literal["good", "bad", "unsure", "plain"]
TONES: dict[str, Tone] = {"SAFE": "good", "UNSAFE": "bad", "INCONCLUSIVE": "unsure"}


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
    """A section of a part; all but the title may be empty. `folded` ones open on a click, and in print."""

    title: str
    text: tuple[str, ...] = ()
    table: Table | None = None
    charts: tuple[Chart, ...] = ()
    folded: bool = False


@dataclass(frozen=True)
class Part:
    """All that the page says about one saved result.

    Attributes:
        title: what was asked, in a few words.
        status: the one word that a hurried reader takes away.
        tone: whether that word is good news.
        summary: the verdict in a sentence.
        sections: what it rests on.
        source: which saved files this was drawn from.
        counted: whether the verdict is on this project's code; a finding in somebody else's is no bad news about it.
        name: unique on the page, fit for an anchor and for file names.
    """

    title: str
    status: str
    tone: Tone
    summary: str
    sections: tuple[Section, ...]
    source: str
    counted: bool = True
    name: str = ""


@dataclass(frozen=True)
class Page:
    """The whole page; with a single part, its verdict is the page's."""

    title: str
    status: str
    tone: Tone
    summary: str
    parts: tuple[Part, ...]


def numbers(texts: Sequence[str]) -> tuple[Field, ...]:
    """Return fields that are set to the right."""
    return tuple(Field(text, number=True) for text in texts)


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
