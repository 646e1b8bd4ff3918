"""What the ways to multiply a strip have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

FETCH_AHEAD_BYTES = 32 * 1024
"""How far ahead of what is multiplied weights are fetched; a core's caches have room for more."""

LINE_BYTES = 64
"""Of a cache."""

JOB = {
    "next_part": "i64",
    "parts": "i64",
    "strips": "i64",
    "strip_bytes": "i64",
    "depth": "i64",
    "sums_of": "i64",
    "groups": "i64",
    "rows": "i64",
    "numbers": "ptr",
    "weights": "ptr",
    "result": "ptr",
}
"""What a product is told, each of 8 bytes: the next part to take, parts and strips there are, bytes of a strip; numbers
in a row, and how many of them make one sum, in the arithmetic's own units; groups of rows, rows of a group, and where
everything lies."""


class Arithmetic(Protocol):
    """A way to multiply rows with a strip of weights, the result being float32."""

    @property
    def dtype(self) -> torch.dtype:
        """Of rows and weights."""

    @property
    def outputs(self) -> int:
        """Of a strip."""

    @property
    def fills_up(self) -> bool:
        """Whether a last strip may be filled up with zeros. Worth it where libraries multiply far slower."""

    @property
    def unit(self) -> int:
        """Numbers of a row that are multiplied at a time; the depth has to be a multiple."""

    @property
    def sums_of(self) -> tuple[int, ...]:
        """Numbers that may make one sum, before it is added to the others; 0 is all of them. The first is the best."""

    def in_strips(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a view of `weight`, of shape (outputs, depth), as its strips lie in memory."""

    def depth_of(self, packed: torch.Tensor) -> int | None:
        """Return the depth of a weight in strips; None if these are none of its own."""

    def groups_of(self, rows: int) -> tuple[int, int]:
        """Return the groups that so many rows make, and the rows of one; the last may have some of nobody's."""

    def arranged(self, rows: torch.Tensor) -> torch.Tensor:
        """Return `rows`, of shape (rows, depth), in groups, as a strip is multiplied with them.

        The first dimension is that of groups, all of as many rows; at the end, rows of zeros may have been added.
        """

    def source(self) -> str:
        """Return LLVM assembly for the functions of each thread.

        `begin()` and `end()` stand round all that it does; ``strip(ptr job, ptr weights, ptr result)`` multiplies all
        rows with one strip, `result` being where the first row's outputs go.
        """


def fields(*names: str) -> str:
    """Return assembly that reads these fields of `%job` into variables of the same names."""
    read = []
    for place, (name, type_) in enumerate(JOB.items()):
        if name in names:
            read.append(f"%{name}_at = getelementptr i64, ptr %job, i64 {place}")
            read.append(f"%{name} = load {type_}, ptr %{name}_at")
    return block(read)


def block(lines: Iterable[str]) -> str:
    """Return lines of assembly as they stand in a function."""
    return "\n  ".join(lines)


def fetches(start: str, count: int) -> list[str]:
    """Return lines that ask for so many cache lines of weights from the pointer `start` on."""
    return [
        line
        for place in range(count)
        for line in (
            f"%fetch{place} = getelementptr i8, ptr {start}, i64 {place * LINE_BYTES}",
            f"call void @llvm.prefetch.p0(ptr %fetch{place}, i32 0, i32 2, i32 1)",
        )
    ]


def groups_of(rows: int, most: int) -> tuple[int, int]:
    """Return as few groups, of at most so many rows, as hold them, and the rows of one."""
    groups = -(-rows // most)
    return groups, -(-rows // groups)


def filled_up(rows: torch.Tensor, multiple: int) -> torch.Tensor:
    """Return `rows`, contiguous, and rows of zeros up to a multiple."""
    lacking = -len(rows) % multiple
    return functional.pad(rows, (0, 0, 0, lacking)) if lacking else rows.contiguous()
