"""Writes that exchange what a shared tensor is made of: its memory, its shape, its gradient.

Values may be written under another thread's hands; this may not: torch frees what the other thread still reads, and
the process ends in heap corruption, without any audit too. Such calls are never let run freely in this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.audit.state.paths import TENSOR_ATTRIBUTES
from harness.audit.state.shell import is_bent
from harness.audit.watch.events import OF_A_SPARSE_TENSOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.audit.state.checkpoint import Checkpoint
    from harness.audit.state.graph import Node
    from harness.audit.watch.events import Record, Write

EXCHANGING = frozenset({
    "aten::set_", "aten::resize_", "aten::resize_as_", "aten::_resize_output_", "aten::t_", "aten::transpose_",
    "aten::swapaxes_", "aten::swapdims_", "aten::squeeze_", "aten::unsqueeze_", "aten::as_strided_", "ndarray.resize",
    "backward",
})  # fmt: skip


def _exchanges(write: Write) -> bool:
    last = write.path.steps[-1] if write.path.steps else None
    of_autograd = last is not None and last.kind == "attribute" and last.key in TENSOR_ATTRIBUTES
    # A sparse tensor is made of others, and is given new ones.
    return of_autograd or write.operation in EXCHANGING or write.operation.endswith((" data", OF_A_SPARSE_TENSOR))


def seen_exchanging(record: Record) -> list[str]:
    """The paths of what was seen to be exchanged."""
    return [str(write.path) for writes in record.writes.values() for write in writes if _exchanges(write)]


def found_exchanged(changed: Iterable[Node], checkpoint: Checkpoint) -> list[str]:
    """The paths of changed tensors that are not made of what they were, however that came about."""
    shells = [(node, checkpoint.held_by(node).shell) for node in changed if node.role == "tensor"]
    return [str(node.path) for node, shell in shells if shell is not None and is_bent(node.value, shell)]
