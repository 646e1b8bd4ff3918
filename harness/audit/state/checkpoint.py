"""The whole shared graph as it was: decides what changed, however it was written, and undoes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.audit.state import settings
from harness.audit.state.memory import memory_of
from harness.audit.state.paths import MODULE_DICTIONARIES, Path, follow, own_dictionary
from harness.audit.state.restore import Held, differs, hold, put_back, raw_bytes
from harness.audit.state.shell import shell_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from harness.audit.state.graph import Graph, Node
    from harness.audit.watch.events import Write


class Checkpoint:
    """What every shared object held when the audit began; modules first seen later join as they were then."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._held: dict[int, tuple[Node, Held]] = {}
        self._memory: dict[int, int] = {}
        self._dirty: set[int] = set()
        self._settings = settings.take()
        self._take(list(graph.nodes.values()))
        graph.on_module = self._take

    def _take(self, nodes: list[Node]) -> None:
        for node in sorted(nodes, key=_sees_less):
            if node.role in {"tensor", "array"}:
                found = memory_of(node.value)
                key = id(node.value) if found is None else self._memory.setdefault(found[0], id(node.value))
                if key != id(node.value):  # one digest for each memory, however many views of it are shared
                    shell = shell_of(node.value)
                    if shell is not None:
                        self._held[id(node.value)] = (node, Held(None, None, shell))
                    continue
            held = hold(node)
            if held is not None:
                self._held[id(node.value)] = (node, held)

    def keep_before_write(self, tensor: torch.Tensor) -> None:
        """Copy the memory of a shared tensor that is about to be written for the first time."""
        key = self._key_of_memory(tensor)
        if key not in self._held:
            return
        node, held = self._held[key]
        self._dirty.add(key)
        if held.kept is None and held.shell is not None:
            content = raw_bytes(held.shell.alias)
            if content is not None:
                self._held[key] = (node, replace(held, kept=content[: held.size].copy()))

    def _key_of_memory(self, value: object) -> int | None:
        """Which of the nodes that share the memory of a tensor or an array stands for it."""
        found = memory_of(value)
        return self._memory.get(found[0]) if found else None

    def changed(self) -> list[Node]:
        """Every shared object that does not hold what it held; remembered, so that `restore` looks there."""
        found = [node for node, held in list(self._held.values()) if differs(node, held)]
        self._dirty.update(id(node.value) for node in found)
        return found

    def mark_written(self, writes: Iterable[Write]) -> None:
        """Remember where writes went: a value that was put back by the next call is to be put back all the same."""
        for write in writes:
            owner = write.owner
            if write.holds == "slot":
                owner = Path(owner.root, owner.steps[:-1], owner.of_module)
            value = follow(owner, self._graph.roots)
            namespace = own_dictionary(value) or {}
            memory = self._key_of_memory(value)
            registries = [held for name in MODULE_DICTIONARIES if isinstance(held := namespace.get(name), dict)]
            self._dirty.update(id(each) for each in (value, namespace, *registries) if id(each) in self._held)
            if memory in self._held:
                self._dirty.add(memory)

    def held_by(self, node: Node) -> Held:
        return self._held[id(node.value)][1]

    def restore(self) -> tuple[Node, ...]:
        """Undo all changes to objects that were ever seen changed; returns those that could not be undone."""
        settings.put_back(self._settings)
        return self._restore(self._held[key] for key in self._dirty)

    def restore_everything(self) -> tuple[Node, ...]:
        self.changed()
        return self.restore()

    @staticmethod
    def _restore(entries: Iterable[tuple[Node, Held]]) -> tuple[Node, ...]:
        return tuple(
            node for node, held in list(entries) if differs(node, held) and not put_back(node, held)
        )  # fmt: skip


def _sees_less(node: Node) -> tuple[bool, bool, int]:
    """Of the arrays that share a memory, the widest comes first, of those that can be written if there are any."""
    value = node.value
    return (True, not value.flags.writeable, -value.nbytes) if isinstance(value, np.ndarray) else (False, False, 0)
