"""Draw the page of a folder: of every saved result that lies in it or below it, from the saved data alone."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import SavedFileError
from harness.report.kind import Kind, all_kinds
from harness.report.page import Page, Part, Tone, render_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = "index.html"
CHART_FOLDER = "charts"
# The worst news gives the page its headline.
WORST_FIRST: tuple[Tone, ...] = ("bad", "unsure", "plain", "good")
ALL_GOOD = "ALL GOOD"


def draw_report(folder: Path) -> Path:
    """Draw the charts and the page of all results in `folder` and below; return the page's path.

    Raises:
        SavedFileError: there is none, or one is damaged, cut off or of another version.
    """
    kinds = all_kinds()
    found = sorted(find_results(folder, kinds), key=lambda one: (one[1].order, one[0].as_posix()))
    if not found:
        wanted = ", ".join(kind.files[0] for kind in kinds)
        raise SavedFileError(f"{folder}: holds no saved result, nor does a folder below it; looked for {wanted}")
    parts = _with_own_names([_part(folder / place, kind, place) for place, kind in found])
    page = make_page(parts)
    try:
        text = render_page(page)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SavedFileError(f"{folder}: an entry of a saved result is of the wrong kind: {error!r}") from error
    for part in parts:
        prefix = "" if len(parts) == 1 else f"{part.name}-"
        for section in part.sections:
            for chart in section.charts:
                replace(chart, name=prefix + chart.name).save(folder / CHART_FOLDER)
    path = folder / PAGE
    path.write_text(text, encoding="utf-8")
    return path


def find_results(folder: Path, kinds: Sequence[Kind]) -> Iterator[tuple[Path, Kind]]:
    """Yield each result's folder, relative to `folder`, and kind; hidden folders and links are passed by."""
    for place, below, _ in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        for kind in kinds:
            if kind.lies_in(Path(place)):
                yield Path(place).relative_to(folder), kind


def make_page(parts: Sequence[Part]) -> Page:
    """Put parts on one page; the headline is the worst verdict among those on this project's own code."""
    if len(parts) == 1:
        (part,) = parts
        return Page(part.title, part.status, part.tone, part.summary, (part,))
    counted = [part for part in parts if part.counted] or list(parts)
    worst = min(counted, key=lambda part: WORST_FIRST.index(part.tone))
    count = Counter(part.status for part in counted)
    tally = ", ".join(f"{number} {status}" for status, number in count.items())
    others = len(parts) - len(counted)
    aside = f" {others} on other people's code stand below, and are not counted here." if others else ""
    title = f"Report of {len(parts)} results"
    if worst.tone == "good":
        return Page(title, ALL_GOOD, "good", f"{tally}.{aside}", tuple(parts))
    summary = f"{worst.title}: {worst.summary} All in all: {tally}.{aside}"
    return Page(title, worst.status, worst.tone, summary, tuple(parts))


def _part(folder: Path, kind: Kind, place: Path) -> Part:
    result = kind.load(folder)
    try:
        part = kind.part(result)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        file = folder / kind.files[0]
        raise SavedFileError(f"{file}: an entry is missing or of the wrong kind: {error!r}") from error
    # The same kind may lie in several folders, and several kinds in one.
    names = [step for step in place.parts if step != kind.name]
    return replace(part, name="-".join([kind.name, *names]).replace(" ", "-").lower())


def _with_own_names(parts: Sequence[Part]) -> list[Part]:
    """Number parts of one name, which is their anchor on the page and their charts' prefix."""
    seen: Counter[str] = Counter()
    named = []
    for part in parts:
        seen[part.name] += 1
        named.append(part if seen[part.name] == 1 else replace(part, name=f"{part.name}-{seen[part.name]}"))
    return named
