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
        self._memory: dict[int, tuple[int, Node]] = {}
        self._dirty: set[int] = set()
        self._settings = settings.take()
        self._is_whole = False
        self._take(list(graph.nodes.values()))
        self._is_whole = True
        graph.on_module = self._take

    def _take(self, nodes: list[Node]) -> None:
        for node in nodes:
            if node.role in {"tensor", "array"} and not self._stands_for_its_memory(node):
                self._hold_shell(node)
                continue
            held = hold(node)
            if held is not None:
                self._held[id(node.value)] = (node, held)

    def _stands_for_its_memory(self, node: Node) -> bool:
        """Whether a digest is to be taken of `node`: of one for each memory, however many views of it are shared.

        That is the one that sees most of it, of arrays that can be written if there are any.
        """
        found = memory_of(node.value)
        if found is None:
            return True
        known = self._memory.get(found[0])
        reach = _reach(node.value, found[1])
        if known is not None:
            # Later on, the memory may have been written already: then the digest from before is the one to keep.
            if self._is_whole or known[1].value is node.value or _reach(known[1].value, known[0]) >= reach:
                return known[1].value is node.value
            self._held.pop(id(known[1].value), None)
            self._hold_shell(known[1])
        self._memory[found[0]] = (found[1], node)
        return True

    def _hold_shell(self, node: Node) -> None:
        shell = shell_of(node.value)
        if shell is not None:
            self._held[id(node.value)] = (node, Held(None, None, shell))

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
        known = self._memory.get(found[0]) if found else None
        return None if known is None else id(known[1].value)

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


def _reach(value: object, high: int) -> tuple[bool, int]:
    """How well a tensor or an array stands for its memory."""
    return not isinstance(value, np.ndarray) or value.flags.writeable, high
