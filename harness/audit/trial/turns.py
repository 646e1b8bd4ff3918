"""In which turn findings are judged, as time may run out: first one line of every distinct place, then repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.audit.findings import Finding
    from harness.audit.state.cells import Cell
    from harness.audit.watch.locate import Site

CACHE = "lru_cache growth"
DRAW = "random draw"
# What most often does harm comes first. Configurations come last: calls mostly store the same into them.
KINDS = ("attribute rebinding", "in-place tensor write", "in-place array write", "hook registration", DRAW,
         "container item", "module global", "configuration")  # fmt: skip


class Turns:
    """The order of judging.

    Attributes:
        order: indices of the findings. Lines that only ever stored what was there come last; before them what
            calls add, which other calls reach only through a place that is judged before; before these the second
            and further lines that write the same place.
        added: indices of findings whose holder does not exist before a call has run.
        beneath: for a finding through whose place added objects are reached: where calls most often write those.
        changing: every place that some line changes.
    """

    def __init__(self, findings: Sequence[Finding], is_there: Callable[[frozenset[Cell]], bool]) -> None:
        self.added = frozenset(
            index for index, found in enumerate(findings) if found.ancestors and not is_there(found.cells)
        )
        self.changing = frozenset(cell for found in findings if not found.same_value for cell in found.cells)
        self.order = self._in_turn(findings)
        self.beneath = self._find_beneath(findings)

    def _in_turn(self, findings: Sequence[Finding]) -> tuple[int, ...]:
        seen: set[frozenset[Cell]] = set()
        ranks = []
        for index, found in enumerate(findings):
            added = index in self.added
            again = found.cells in seen and found.kind != DRAW and not added
            kind = KINDS.index(found.kind) if found.kind in KINDS else len(KINDS)
            ranks.append((found.same_value, added, again, -found.count if added else kind, index))
            seen.add(found.cells)
        return tuple(rank[-1] for rank in sorted(ranks))

    def _find_beneath(self, findings: Sequence[Finding]) -> Mapping[int, tuple[Site, ...]]:
        beneath: dict[int, Finding] = {}
        for index in self.added:
            inner = findings[index]
            outer = [
                other
                for other, found in enumerate(findings)
                if other not in self.added and found.cells & inner.ancestors
            ]  # fmt: skip
            if not outer or not inner.sites or inner.same_value:
                continue
            # Of several lines that write there, the one that writes least else is the one that added the object.
            nearest = min(outer, key=lambda other: len(findings[other].cells))
            if nearest not in beneath or beneath[nearest].count < inner.count:
                beneath[nearest] = inner
        return {index: inner.sites[:1] for index, inner in beneath.items()}


def one_of_every_kind_first(findings: Sequence[Finding]) -> list[int]:
    """Indices of the findings: what is like none before it comes first, as time may run out here too."""
    kinds = [found.kind for found in findings]
    return sorted(range(len(kinds)), key=lambda index: (kinds.index(kinds[index]) != index, index))
