"""Sees every store to a shared object as it happens, in the thread it is installed in.

Attribute, item and global stores are read from the bytecode about to run, calls of mutating methods from the
profiler's report of calls into C. Nothing of the subject is changed for it.
"""

from __future__ import annotations

import inspect
import random
import sys
import threading
from collections import OrderedDict
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.audit import value_stack
from harness.audit.scope import PACKAGE_ROOT, SYNCHRONISED
from harness.audit.state.contents import changed_keys, content, held_item, same_content
from harness.audit.state.graph import CONTAINERS
from harness.audit.state.paths import ABSENT, Path, Result, follow, held_attribute
from harness.audit.state.restore import same
from harness.audit.state.settings import BY_SETTER, SETTINGS
from harness.audit.watch.bytecode import ARGUMENT_WRITERS, EMPTY, FIRST_INPLACE_OPERATOR, Plan, plan_of
from harness.audit.watch.classify import write_kind
from harness.audit.watch.dispatch import is_process_wide
from harness.audit.watch.events import OWN, PROCESS_WIDE, Draw, Holds, Record, Write, WriteKind
from harness.audit.watch.guards import guard_of
from harness.audit.watch.locate import place_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import CodeType, FrameType

    from harness.audit.state.graph import Graph
    from harness.audit.watch.bytecode import Instruction

CONTAINER_METHODS = frozenset({
    "append", "appendleft", "extend", "extendleft", "insert", "remove", "pop", "popleft", "popitem", "clear", "sort",
    "reverse", "rotate", "update", "setdefault", "add", "discard", "move_to_end", "difference_update",
    "intersection_update", "symmetric_difference_update",
})  # fmt: skip
ARRAY_METHODS = frozenset({"fill", "sort", "put", "itemset", "resize", "partition", "setfield", "byteswap"})
NO_DRAW = frozenset({"getstate", "get_state", "initial_seed", "clone_state", "graphsafe_get_state", "bit_generator"})
NUMPY_WIDE = np.random.mtrand._rand  # noqa: SLF001 - numpy's process-wide generator
PYTHON_WIDE = random._inst  # noqa: SLF001 - Python's process-wide generator
PLAIN_SETATTR: tuple[object, ...] = (object.__setattr__, torch.nn.Module.__setattr__, type.__setattr__)


class WriteTracer:
    """Trace and profile functions for one audit; the same instance serves any number of threads."""

    def __init__(self, graph: Graph, record: Record) -> None:
        self._graph = graph
        self._nodes = graph.nodes
        self._record = record
        self._plans: dict[CodeType, Plan] = {}
        self._open = threading.local()
        self._reads_stack = value_stack.works_here()

    def start(self, operations: Callable[[], AbstractContextManager[object]]) -> None:
        """Start in this thread, and in the threads it starts from here on; those enter `operations` as well."""
        threading.settrace(lambda frame, event, argument: self._on_thread(operations(), frame, event, argument))
        threading.setprofile(self._on_profile)
        sys.setprofile(self._on_profile)
        sys.settrace(self._on_call)

    def _on_thread(
        self, operations: AbstractContextManager[object], frame: FrameType, event: str, argument: object
    ) -> Callable[..., Any]:
        """A thread's first call: everything that the thread does happens until it returns."""
        operations.__enter__()
        sys.settrace(self._on_call)
        inner = self._on_call(frame, event, argument)

        def until_return(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            if inner is not None:
                inner(frame, event, argument)
            if event == "return":
                operations.__exit__(None, None, None)
            return until_return

        return until_return

    @staticmethod
    def stop() -> None:
        sys.settrace(None)
        sys.setprofile(None)

    def _on_call(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if id(frame.f_globals) not in self._graph.known_globals:
            self._graph.add_globals(frame.f_globals)
        cached = code in self._graph.caches
        if event == "call" and cached:
            path = self._graph.caches[code]
            self._write(path, "lru_cache growth", "call of the cached function", frame.f_back or frame)
        plan = self._plans.get(code)
        if plan is None:
            examined = self._reads_stack and not code.co_filename.startswith(PACKAGE_ROOT)
            plan = self._plans[code] = plan_of(code) if examined else EMPTY
        if not plan.lines:
            return self._on_event if cached else None
        frame.f_trace_opcodes = True
        return self._on_event

    def _on_event(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        plan = self._plans[frame.f_code]
        if event == "return" and frame.f_code in self._graph.caches:
            result = self._graph.caches[frame.f_code].step("result", Result(argument))
            self._graph.extend(result, argument)  # from now on other calls are handed the same object
        elif event == "line":
            frame.f_trace_opcodes = frame.f_lineno in plan.lines
        elif event == "opcode":
            instruction = plan.instructions.get(frame.f_lasti)
            if instruction is not None:
                self._examine(frame, instruction)
        return self._on_event

    def _examine(self, frame: FrameType, instruction: Instruction) -> None:
        name = instruction.name
        if name in {"STORE_ATTR", "DELETE_ATTR"}:
            value = value_stack.operand(frame, 2) if name == "STORE_ATTR" else ABSENT
            self._attribute(frame, value_stack.operand(frame, 1), str(instruction.value), value, name)
        elif name in {"STORE_SUBSCR", "DELETE_SUBSCR"}:
            value = value_stack.operand(frame, 3) if name == "STORE_SUBSCR" else ABSENT
            self._item(frame, value_stack.operand(frame, 2), value_stack.operand(frame, 1), value, name)
        elif name in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
            value = value_stack.operand(frame, 1) if name == "STORE_GLOBAL" else ABSENT
            self._namespace_entry(frame, frame.f_globals, str(instruction.value), value, name)
        elif name in {"STORE_DEREF", "DELETE_DEREF"}:
            node = self._nodes.get(id(value_stack.local_slot(frame, instruction.argument)))
            if node is not None and node.role == "cell":
                self._write(node.path, "attribute rebinding", name, frame, owner=node.path)
        elif name == "BINARY_OP":
            target = value_stack.operand(frame, 2)
            if instruction.argument >= FIRST_INPLACE_OPERATOR and isinstance(target, (*CONTAINERS, np.ndarray)):
                self._item(frame, target, ABSENT, ABSENT, "in-place operator")
        elif name == "CALL":
            self._setting_call(frame, instruction.argument)

    def _setting_call(self, frame: FrameType, count: int) -> None:
        arguments = [value_stack.operand(frame, depth) for depth in range(count, 0, -1)]
        function = value_stack.operand(frame, count + 2)
        if function is None:
            function = value_stack.operand(frame, count + 1)
        else:
            arguments.insert(0, value_stack.operand(frame, count + 1))
        bound = getattr(function, "__self__", None)
        name = getattr(function, "__name__", "")
        writer, index = ARGUMENT_WRITERS.get(name, (None, 0))
        if writer is not None and function is writer:
            if index < len(arguments):
                self._item(frame, arguments[index], ABSENT, ABSENT, f"{writer.__module__.lstrip('_')}.{name}")
            return
        if name in {"__setattr__", "__delattr__", "__setitem__", "__delitem__"}:
            if type(function).__name__ == "method-wrapper":
                arguments.insert(0, bound)
            elif type(function).__name__ != "wrapper_descriptor":
                return  # a method written in Python: its own stores are seen
        elif function is not setattr and function is not delattr:
            return
        if len(arguments) < 2:  # noqa: PLR2004 - owner and name
            return
        value = arguments[2] if len(arguments) > 2 else ABSENT  # noqa: PLR2004 - owner, name and value
        if name.endswith("item__"):
            self._item(frame, arguments[0], arguments[1], value, name)
        else:
            self._attribute(frame, arguments[0], str(arguments[1]), value, name, direct=name.startswith("__"))

    def _attribute(
        self, frame: FrameType, owner: object, name: str, value: object, how: str, *, direct: bool = False
    ) -> None:
        node = self._nodes.get(id(owner))
        if node is None and isinstance(owner, type):
            node = self._graph.add_class(owner)
        if node is None or node.value is not owner or isinstance(owner, SYNCHRONISED):
            return
        if node.role == "module":
            self._namespace_entry(frame, owner.__dict__, name, value, how)
            return
        if not direct and not isinstance(owner, type):
            setter = type(owner).__setattr__
            if setter not in PLAIN_SETATTR and isinstance(setter, FunctionType):
                return  # its own __setattr__ decides where the value goes, and is traced
            descriptor = inspect.getattr_static(type(owner), name, None)
            if isinstance(descriptor, property) or isinstance(getattr(type(descriptor), "__set__", None), FunctionType):
                return  # likewise
        if name == "__slotnames__":
            return  # the interpreter's own memo, kept by copyreg on every class that is copied
        path = node.path.attribute(name)
        if node.role == "tensor" and name == "data":
            self._write(node.path, "in-place tensor write", f"{how} data", frame, owner=node.path)
            return
        self._write(path, write_kind(path, owner), how, frame, same=same(held_attribute(owner, name), value))
        self._graph.extend(path, value)

    def _namespace_entry(self, frame: FrameType, namespace: dict[str, Any], name: str, value: object, how: str) -> None:
        node = self._nodes.get(id(namespace))
        if node is None:
            return
        path = node.path.attribute(name)
        kind = write_kind(path, None)
        self._write(path, kind, how, frame, same=same(namespace.get(name, ABSENT), value))
        self._graph.extend(path, value)

    def _item(self, frame: FrameType, owner: object, key: object, value: object, how: str) -> None:
        if isinstance(owner, torch.Tensor):
            return  # seen as a tensor operation
        if isinstance(owner, np.ndarray):
            path = self._graph.owner_of_memory(owner)
            if path is not None:
                of_tensor = isinstance(follow(path, self._graph.roots), torch.Tensor)
                kind: WriteKind = "in-place tensor write" if of_tensor else "in-place array write"
                self._write(path, kind, how, frame, owner=path)
            return
        node = self._nodes.get(id(owner))
        if node is None or node.value is not owner or not isinstance(owner, CONTAINERS):
            return
        if node.role == "namespace":
            self._namespace_entry(frame, owner, str(key), value, how)  # type: ignore[arg-type] # a namespace is a dict
            return
        self._container(frame, node.path, key, value, how, same=same(held_item(owner, key), value))

    def _container(
        self, frame: FrameType, owner: Path, key: object, value: object, how: str, *, same: bool = False
    ) -> None:
        path = owner if key is ABSENT else owner.step("item", key)
        kind = write_kind(path, {})
        shown = owner if kind == "hook registration" else path
        self._write(shown, kind, how, frame, owner=owner, same=same)
        if value is not ABSENT:
            self._graph.extend(path, value)

    def _write(
        self,
        path: Path,
        kind: WriteKind,
        how: str,
        frame: FrameType,
        *,
        owner: Path | None = None,
        same: bool = False,
    ) -> None:
        """Record a write: with an `owner` its content changed, without one the slot `path` was bound again."""
        holds: Holds = "slot" if owner is None else "content"
        if kind == "lru_cache growth":
            holds = "nothing"
        guard = guard_of(path, self._graph.roots)
        self._record.add_write(Write(path, kind, how, place_of(frame), owner or path, holds, same, guard))

    def _on_profile(self, frame: FrameType, event: str, function: Any) -> None:  # noqa: ANN401 - any C function
        name = getattr(function, "__name__", "")
        if name in BY_SETTER:
            self._setting(frame, BY_SETTER[name], returned=event == "c_return")
        elif name == "run_backward":
            self._backward(frame, returned=event == "c_return")
        if event == "c_call":
            owner = getattr(function, "__self__", None)
            if owner is None:
                if function is np.random.seed:
                    self._draw(frame, "numpy.random.seed", f"{PROCESS_WIDE} numpy.random")
                return
            node = self._nodes.get(id(owner))
            if node is not None:
                self._method_call(frame, owner, function.__name__)
            elif isinstance(owner, np.ndarray) and function.__name__ in ARRAY_METHODS:
                self._item(frame, owner, ABSENT, ABSENT, f"ndarray.{function.__name__}")
            elif isinstance(owner, random.Random | np.random.RandomState | np.random.Generator | torch.Generator):
                self._generator_call(frame, owner, function.__name__)
        elif event == "c_return" and getattr(self._open, "calls", None):
            self._method_return(frame, getattr(function, "__self__", None))

    def _setting(self, frame: FrameType, name: str, *, returned: bool) -> None:
        """A write of a process-wide setting, noted once it is done: only then is it known whether it changed."""
        now = SETTINGS[name].get()
        if not returned:
            self._open.setting = now
            return
        path = Path(name, of_module=True)
        unchanged = getattr(self._open, "setting", ABSENT) == now
        place = place_of(frame)
        self._record.add_write(Write(path, "configuration", SETTINGS[name].setter, place, path, "content", unchanged))

    def _backward(self, frame: FrameType, *, returned: bool) -> None:
        """Gradients that a backward pass left on shared tensors."""
        now = {
            node.path: (id(node.value.grad), getattr(node.value.grad, "_version", 0))
            for node in list(self._nodes.values())
            if node.role == "tensor" and node.value.is_leaf and node.value.requires_grad
        }
        before = getattr(self._open, "gradients", {})
        self._open.gradients = now
        for path in (path for path in now if returned and now[path] != before.get(path)):
            gradient = path.attribute("grad")
            holds: Holds = "slot" if now[path][0] != before.get(path, now[path])[0] else "content"
            self._record.add_write(
                Write(gradient, "in-place tensor write", "backward", place_of(frame), gradient, holds)
            )
            self._graph.extend(gradient, follow(gradient, self._graph.roots))

    def _method_call(self, frame: FrameType, owner: Any, name: str) -> None:  # noqa: ANN401 - any container
        if isinstance(owner, np.ndarray):
            if name in ARRAY_METHODS:
                self._item(frame, owner, ABSENT, ABSENT, f"ndarray.{name}")
        elif isinstance(owner, torch.Tensor):
            if name == "requires_grad_":
                path = self._nodes[id(owner)].path.attribute("requires_grad")
                self._write(path, write_kind(path, owner), f"Tensor.{name}", frame)
        elif isinstance(owner, CONTAINERS) and name in CONTAINER_METHODS:
            if not hasattr(self._open, "calls"):
                self._open.calls = []
            self._open.calls.append((owner, name, content(owner)))
        elif isinstance(owner, random.Random | np.random.RandomState | np.random.Generator | torch.Generator):
            self._generator_call(frame, owner, name)

    def _method_return(self, frame: FrameType, owner: Any) -> None:  # noqa: ANN401 - any container
        calls = self._open.calls
        if calls[-1][0] is not owner:
            return
        _owner, name, before = calls.pop()
        node = self._nodes[id(owner)]
        if before is not None and same_content(before, content(owner)):
            return
        operation = f"{type(owner).__name__}.{name}"
        if node.role == "namespace":
            changed = changed_keys(before, owner)
            for key in changed:
                self._namespace_entry(frame, owner, key, owner.get(key, ABSENT), operation)
            return
        self._container(frame, node.path, ABSENT, ABSENT, operation)
        if isinstance(owner, dict | OrderedDict):
            for key, value in list(dict.items(owner)):
                self._graph.extend(node.path.step("item", key), value)
        elif isinstance(owner, list):
            for index, value in enumerate(list(owner)):
                self._graph.extend(node.path.step("item", index), value)

    def _generator_call(self, frame: FrameType, owner: Any, name: str) -> None:  # noqa: ANN401 - any generator
        if name in NO_DRAW or name.startswith("_"):
            return
        if isinstance(owner, torch.Generator):
            if name not in {"manual_seed", "seed", "set_state", "graphsafe_set_state", "set_offset"}:
                return  # draws are seen as tensor operations
            wide = "torch.default_generator" if is_process_wide(owner) else ""
            op = f"torch.Generator.{name}"
        else:
            wide = {id(PYTHON_WIDE): "random", id(NUMPY_WIDE): "numpy.random"}.get(id(owner), "")
            op = f"{'random' if isinstance(owner, random.Random) else 'numpy.random'}.{name}"
        node = self._nodes.get(id(owner))
        if wide:
            self._draw(frame, op, f"{PROCESS_WIDE} {wide}")
        elif node is not None:
            self._draw(frame, op, f"shared {node.path}")
        else:
            self._draw(frame, op, OWN)

    def _draw(self, frame: FrameType, op: str, generator: str) -> None:
        self._record.add_draw(Draw(op, generator, place_of(frame)))
