"""Writes of rarer kinds, one each; the line is marked `# planted: NAME`."""

from __future__ import annotations

import array
import functools
import heapq
import itertools
import operator
import os
import threading
import types
import weakref
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tests.harness.audit import other_place

if TYPE_CHECKING:
    from collections.abc import Callable


class Slotted:
    __slots__ = ("x",)

    def __init__(self) -> None:
        self.x = 0.0


@dataclass(frozen=True)
class Frozen:
    x: float = 0.0


class Lazy:
    @functools.cached_property
    def table(self) -> torch.Tensor:
        return torch.ones(2)


class Registry:
    """Nothing that is shared refers to it."""

    latest = 0.0


class Scale:
    """A descriptor that keeps its value under another name."""

    def __set__(self, owner: object, value: float) -> None:
        vars(owner)["_scale"] = value  # planted: descriptor


class Scaled:
    scale = Scale()


@functools.lru_cache(maxsize=2)
def window(size: int) -> torch.Tensor:
    return torch.ones(size)


class Key:
    """What a weak dictionary is keyed by."""


def accumulate(value: float, kept: list[float] = []) -> int:  # noqa: B006 - the fault
    kept.append(value)  # planted: default_argument
    return len(kept)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("table", torch.zeros(4))
        self.table: torch.Tensor
        self.bank: Any = [{"k": torch.zeros(2)}, (torch.zeros(2), [torch.zeros(1)])]
        self.slotted, self.frozen, self.lazy, self.key = Slotted(), Frozen(), Lazy(), Key()
        self.lists: defaultdict[str, list[float]] = defaultdict(list)
        self.ordered = OrderedDict(a=1, b=2)
        self.raw, self.numbers = bytearray(4), array.array("d", [0.0, 0.0])
        self.array = np.zeros(4)
        halves = torch.zeros(2, 2)
        self.low, self.high = halves[0], halves[1]
        self.heap = [0.0]
        self.scaled = Scaled()
        self.space = types.SimpleNamespace(x=0.0)
        self.weak: weakref.WeakKeyDictionary[Key, float] = weakref.WeakKeyDictionary()
        self.tally: Counter[str] = Counter()
        self.counter = itertools.count()
        self.stream = (number for number in range(10**9))
        self.bump = self._make_bump()

    @staticmethod
    def _make_bump() -> Callable[[float], None]:
        total = 0.0

        def bump(value: float) -> None:
            nonlocal total
            total = value  # planted: closure_cell

        return bump


def nested_tensor(model: Model, value: float) -> None:
    model.bank[0]["k"].fill_(value)  # planted: nested_tensor


def tensor_in_tuple(model: Model, value: float) -> None:
    model.bank[1][1][0].add_(value)  # planted: tensor_in_tuple


def slot(model: Model, value: float) -> None:
    model.slotted.x = value  # planted: slot


def frozen(model: Model, value: float) -> None:
    object.__setattr__(model.frozen, "x", value)  # planted: frozen


def cached_property(model: Model, _value: float) -> None:
    model.lazy.table.sum()  # planted: cached_property


def missing_key(model: Model, value: float) -> None:
    model.lists[str(value)]  # planted: missing_key


def moved_entry(model: Model, value: float) -> None:
    model.ordered.move_to_end("a" if value > 1 else "b")  # planted: moved_entry


def view_of_bytes(model: Model, value: float) -> None:
    memoryview(model.raw)[1] = int(value)  # planted: view_of_bytes


def array_item(model: Model, value: float) -> None:
    model.numbers[0] = value  # planted: array_item


def copied_into(model: Model, value: float) -> None:
    np.copyto(model.array, value)  # planted: copied_into


def simple_namespace(model: Model, value: float) -> None:
    model.space.x = value  # planted: simple_namespace


def weak_key(model: Model, value: float) -> None:
    model.weak[model.key] = value  # planted: weak_key


def tallied(model: Model, value: float) -> None:
    model.tally[str(value)] += 1  # planted: tallied


def next_number(model: Model, _value: float) -> None:
    next(model.counter)  # planted: next_number


def next_of_generator(model: Model, _value: float) -> None:
    next(model.stream)  # planted: next_of_generator


def closure_cell(model: Model, value: float) -> None:
    model.bump(value)


def default_argument(_model: Model, value: float) -> None:
    accumulate(value)


def other_global(_model: Model, value: float) -> None:
    other_place.COUNT = value  # planted: other_global


def class_of_a_module(_model: Model, value: float) -> None:
    Registry.latest = value  # planted: class_of_a_module


def other_table(_model: Model, value: float) -> None:
    operator.setitem(other_place.NAMES, "k", value)  # planted: other_table


def registered_buffer(model: Model, value: float) -> None:
    model.register_buffer("extra", torch.full((1,), value))  # planted: registered_buffer


def gradient_flag(model: Model, value: float) -> None:
    model.layer.weight.requires_grad_(value > 1)  # planted: gradient_flag


def gradient(model: Model, value: float) -> None:
    model.layer(torch.full((2,), value)).sum().backward()  # planted: gradient


def training_mode(model: Model, value: float) -> None:
    model.train(value > 1)  # planted: training_mode


def index_put(model: Model, value: float) -> None:
    model.table[torch.tensor([0, 2])] = value  # planted: index_put


def replaced_data(model: Model, value: float) -> None:
    model.table.data = torch.full((4,), value)  # planted: replaced_data


def default_dtype(_model: Model, value: float) -> None:
    torch.set_default_dtype(torch.float64 if value > 1 else torch.float32)  # planted: default_dtype


def matmul_precision(_model: Model, value: float) -> None:
    torch.set_float32_matmul_precision("high" if value > 1 else "medium")  # planted: matmul_precision


def attention_kernel(_model: Model, value: float) -> None:
    torch.backends.cuda.enable_flash_sdp(value > 1)  # planted: attention_kernel


def second_half(model: Model, value: float) -> None:
    model.high.view(1, 2).fill_(value)  # planted: second_half


def heap(model: Model, value: float) -> None:
    heapq.heapreplace(model.heap, model.heap[0] + value * 0)  # planted: heap


def descriptor(model: Model, value: float) -> None:
    model.scaled.scale = value


def cached_result(_model: Model, value: float) -> None:
    window(3).fill_(value)  # planted: cached_result


def other_thread(model: Model, value: float) -> None:
    thread = threading.Thread(target=lambda: model.table.fill_(value))  # planted: other_thread
    thread.start()
    thread.join()


def convolution_switch(_model: Model, value: float) -> None:
    torch.backends.cudnn.benchmark = value > 1  # planted: convolution_switch


def environment(_model: Model, value: float) -> None:
    os.environ["PLANTED"] = str(value)  # planted: environment


# name: (the faulty call, a part of the path, the kind)
WRITES: dict[str, tuple[Callable[[Model, float], None], str, str]] = {
    "nested_tensor": (nested_tensor, "model.bank[0]['k']", "in-place tensor write"),
    "tensor_in_tuple": (tensor_in_tuple, "model.bank[1][1][0]", "in-place tensor write"),
    "slot": (slot, "model.slotted.x", "attribute rebinding"),
    "frozen": (frozen, "model.frozen.x", "attribute rebinding"),
    "cached_property": (cached_property, "model.lazy.table", "attribute rebinding"),
    "missing_key": (missing_key, "model.lists", "container item"),
    "moved_entry": (moved_entry, "model.ordered", "container item"),
    "view_of_bytes": (view_of_bytes, "model.raw", "container item"),
    "array_item": (array_item, "model.numbers", "container item"),
    "copied_into": (copied_into, "model.array", "in-place array write"),
    "simple_namespace": (simple_namespace, "model.space.x", "attribute rebinding"),
    "weak_key": (weak_key, "model.weak.data", "container item"),
    "tallied": (tallied, "model.tally", "container item"),
    "next_number": (next_number, "model.counter", "container item"),
    "next_of_generator": (next_of_generator, "model.stream", "container item"),
    "closure_cell": (closure_cell, "total", "attribute rebinding"),
    "default_argument": (default_argument, "accumulate", "module global"),
    "other_global": (other_global, "other_place.COUNT", "module global"),
    "class_of_a_module": (class_of_a_module, "planted_rare.Registry.latest", "module global"),
    "other_table": (other_table, "other_place.NAMES", "module global"),
    "registered_buffer": (registered_buffer, "model.extra", "attribute rebinding"),
    "gradient_flag": (gradient_flag, "model.layer.weight.requires_grad", "attribute rebinding"),
    "gradient": (gradient, "model.layer.weight.grad", "in-place tensor write"),
    "training_mode": (training_mode, "model.training", "attribute rebinding"),
    "index_put": (index_put, "model.table", "in-place tensor write"),
    "replaced_data": (replaced_data, "model.table", "in-place tensor write"),
    "default_dtype": (default_dtype, "torch.default_dtype", "configuration"),
    "matmul_precision": (matmul_precision, "torch.float32_matmul_precision", "configuration"),
    "second_half": (second_half, "model.high", "in-place tensor write"),
    "heap": (heap, "model.heap", "container item"),
    "descriptor": (descriptor, "model.scaled._scale", "attribute rebinding"),
    "cached_result": (cached_result, "planted_rare.window()", "in-place tensor write"),
    "other_thread": (other_thread, "model.table", "in-place tensor write"),
    "convolution_switch": (convolution_switch, "torch.backends.cudnn.benchmark", "configuration"),
    "environment": (environment, "os.environ", "module global"),
    "attention_kernel": (attention_kernel, "torch.backends.cuda.flash_sdp", "configuration"),
}


def line_of(name: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# planted: {name}"))
