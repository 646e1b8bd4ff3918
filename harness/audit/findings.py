"""Groups raw writes and draws into what a person fixes: one line of code and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.audit.state.cells import Cell, cell_of_draw, cell_of_write, is_ancestor
from harness.audit.state.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.audit.state.paths import Path
    from harness.audit.watch.events import Draw, Record, Write
    from harness.audit.watch.locate import Place, Site


@dataclass(frozen=True)
class Finding:
    """A line that writes shared state of one kind, or draws from one generator that calls share.

    Attributes:
        path: of what is written, or the generator.
        kind: of the write; `random draw` for a draw.
        place: where, with the stack.
        operations: how it was written.
        cells: everything it writes.
        ancestors: written slots through which these cells are reached.
        sites: instructions at which a call can be held, innermost first.
        count: how often it was seen.
        paths: all paths it writes, if there are several.
        same_value: whether it only ever stored the object that was there already.
        guard: the lock of the written object itself that was held at every one of these writes.
    """

    path: str
    kind: str
    place: Place
    operations: tuple[str, ...]
    cells: frozenset[Cell]
    ancestors: frozenset[Cell]
    sites: tuple[Site, ...]
    count: int
    paths: tuple[str, ...] = ()
    same_value: bool = False
    guard: Path | None = None


def _group_key(write: Write) -> tuple[object, ...]:
    name = str(write.owner.steps[-1].key) if write.owner.steps else write.owner.root
    if write.owner.root in SETTINGS:
        name = "settings"  # what one line sets together is one finding
    return (write.kind, write.place.location, write.owner.of_module, name if write.holds != "nothing" else "")


def _unique_sites(places: Iterable[Place]) -> tuple[Site, ...]:
    inner: list[Site] = []
    outer: list[Site] = []
    for place in places:
        inner.extend(place.sites[:1])
        outer.extend(place.sites[1:])
    return tuple(dict.fromkeys([*inner, *outer]))


def group_writes(record: Record) -> tuple[Finding, ...]:
    """One finding for each line and what it writes, in the order of first sight."""
    groups: dict[tuple[object, ...], list[Write]] = {}
    counts: dict[tuple[object, ...], int] = {}
    for key, writes in record.writes.items():
        group = _group_key(writes[0])
        groups.setdefault(group, []).extend(writes)
        counts[group] = counts.get(group, 0) + record.counts[key]
    every_cell = {cell_of_write(write) for writes in groups.values() for write in writes}
    findings = []
    for group, writes in groups.items():
        cells = frozenset(map(cell_of_write, writes))
        ancestors = frozenset(other for other in every_cell if any(is_ancestor(other, cell) for cell in cells))
        paths = tuple(dict.fromkeys(str(write.path) for write in writes))
        findings.append(
            Finding(
                paths[0],
                writes[0].kind,
                writes[0].place,
                tuple(dict.fromkeys(write.operation for write in writes)),
                cells,
                ancestors - cells,
                _unique_sites(write.place for write in writes),
                counts[group],
                paths if len(paths) > 1 else (),
                all(write.key not in record.changing for write in writes),
                None if any(write.key in record.unguarded for write in writes) else writes[0].guard,
            )
        )
    return tuple(findings)


def group_draws(record: Record) -> tuple[Finding, ...]:
    """One finding for each line that draws from, or seeds, a generator that calls share."""
    found = []
    for key, draws in record.draws.items():
        draw: Draw = draws[0]
        if draw.isolated:
            continue
        cells = frozenset({cell_of_draw(draw)})
        sites = _unique_sites(each.place for each in draws)
        count = record.counts[key]
        found.append(
            Finding(draw.generator, "random draw", draw.place, (draw.op,), cells, frozenset(), sites, count)
        )  # fmt: skip
    return tuple(found)
