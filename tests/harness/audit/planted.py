"""Models with one planted write or draw each; the line is marked `# planted: NAME`, and the clean twin skips it."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOTAL = 0.0
TABLE: dict[str, float] = {}


@dataclass
class Inner:
    scale: float = 1.0


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)


class ModelConfig:
    def __init__(self) -> None:
        self.flag: float = 0.0


class Plain:
    """Shared state that is not a module."""

    level: float = 0.0

    def __init__(self) -> None:
        self.last: float = 0.0
        self.entries: dict[str, float] = {}
        self.names: set[str] = set()
        self.queue: deque[float] = deque()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.constant_(self.layer.bias, 0.25)
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("table", torch.zeros(3))
        self.table: torch.Tensor
        self.array = np.zeros(4, dtype=np.float32)
        self.history: list[float] = []
        self.cache: dict[str, float] = {}
        self.state = Outer()
        self.plain = Plain()
        self.config = ModelConfig()
        self.generator = torch.Generator()


def attribute_on_module(model: Model, value: float) -> torch.Tensor:
    model.extra = value  # type: ignore[assignment] # planted: attribute_on_module
    return torch.tensor(model.extra)


def attribute_on_object(model: Model, value: float) -> torch.Tensor:
    model.plain.last = value  # planted: attribute_on_object
    return torch.tensor(model.plain.last)


def submodule_rebinding(model: Model, value: float) -> torch.Tensor:
    model.layer = nn.Identity()  # type: ignore[assignment] # planted: submodule_rebinding
    return torch.tensor(value)


def buffer_rebinding(model: Model, value: float) -> torch.Tensor:
    model.table = torch.full((3,), value)  # planted: buffer_rebinding
    result: torch.Tensor = model.table + 1
    return result


def parameter_in_place(model: Model, value: float) -> torch.Tensor:
    with torch.no_grad():
        model.layer.weight.fill_(value)  # planted: parameter_in_place
    result: torch.Tensor = model.layer(torch.ones(2)).detach()
    return result


def view_in_place(model: Model, value: float) -> torch.Tensor:
    window = model.table[1:]
    window += value  # planted: view_in_place
    return window * 1


def out_argument(model: Model, value: float) -> torch.Tensor:
    torch.add(torch.ones(3), value, out=model.table)  # planted: out_argument
    return model.table * 2


def numpy_alias(model: Model, value: float) -> torch.Tensor:
    alias = model.table.numpy()
    alias[1] = value  # planted: numpy_alias
    return model.table * 2


def numpy_from_c(model: Model, value: float) -> torch.Tensor:
    np.add(model.array, value, out=model.array)  # planted: numpy_from_c
    return torch.from_numpy(model.array.copy())


def dictionary_item(model: Model, value: float) -> torch.Tensor:
    model.cache["k"] = value  # planted: dictionary_item
    return torch.tensor(model.cache["k"])


def dictionary_update(model: Model, value: float) -> torch.Tensor:
    model.cache.update(k=value)  # planted: dictionary_update
    return torch.tensor(model.cache["k"])


def list_append(model: Model, value: float) -> torch.Tensor:
    model.history.append(value)  # planted: list_append
    return torch.tensor(model.history[-1])


def bound_method(model: Model, value: float) -> torch.Tensor:
    put = model.plain.queue.appendleft
    put(value)  # planted: bound_method
    return torch.tensor(value)


def set_add(model: Model, value: float) -> torch.Tensor:
    model.plain.names.add(str(value))  # planted: set_add
    return torch.tensor(value)


def nested_field(model: Model, value: float) -> torch.Tensor:
    model.state.inner.scale = value  # planted: nested_field
    return torch.tensor(model.state.inner.scale)


def set_by_name(model: Model, value: float) -> torch.Tensor:
    name = "last"
    setattr(model.plain, name, value)  # planted: set_by_name
    return torch.tensor(model.plain.last)


def through_dictionary(model: Model, value: float) -> torch.Tensor:
    vars(model.plain)["last"] = value  # planted: through_dictionary
    return torch.tensor(model.plain.last)


def class_attribute(model: Model, value: float) -> torch.Tensor:
    type(model.plain).level = value  # planted: class_attribute
    return torch.tensor(model.plain.level)


def module_global(_model: Model, value: float) -> torch.Tensor:
    global TOTAL  # noqa: PLW0603 - the fault
    TOTAL = value  # planted: module_global
    return torch.tensor(TOTAL)


def module_table(_model: Model, value: float) -> torch.Tensor:
    TABLE["k"] = value  # planted: module_table
    return torch.tensor(TABLE["k"])


def hook(model: Model, value: float) -> torch.Tensor:
    model.layer.register_forward_hook(lambda _m, _i, output: output * value)  # planted: hook
    result: torch.Tensor = model.layer(torch.ones(2)).detach()
    return result


def configuration(model: Model, value: float) -> torch.Tensor:
    model.config.flag = value  # planted: configuration
    return torch.tensor(model.config.flag)


def running_statistics(model: Model, value: float) -> torch.Tensor:
    result: torch.Tensor = model.norm(torch.tensor([[value, 0.0], [0.0, value]]))  # planted: running_statistics
    return result.detach()


def write_and_restore(model: Model, value: float) -> torch.Tensor:
    before = model.plain.last
    model.plain.last = value  # planted: write_and_restore
    result = torch.tensor(model.plain.last)
    model.plain.last = before
    return result


# name: (the faulty call, a part of the path, the kind)
WRITES: dict[str, tuple[Callable[[Model, float], torch.Tensor], str, str]] = {
    "attribute_on_module": (attribute_on_module, "model.extra", "attribute rebinding"),
    "attribute_on_object": (attribute_on_object, "model.plain.last", "attribute rebinding"),
    "submodule_rebinding": (submodule_rebinding, "model.layer", "attribute rebinding"),
    "buffer_rebinding": (buffer_rebinding, "model.table", "attribute rebinding"),
    "parameter_in_place": (parameter_in_place, "model.layer.weight", "in-place tensor write"),
    "view_in_place": (view_in_place, "model.table", "in-place tensor write"),
    "out_argument": (out_argument, "model.table", "in-place tensor write"),
    "numpy_alias": (numpy_alias, "model.table", "in-place tensor write"),
    "numpy_from_c": (numpy_from_c, "model.array", "in-place array write"),
    "dictionary_item": (dictionary_item, "model.cache['k']", "container item"),
    "dictionary_update": (dictionary_update, "model.cache", "container item"),
    "list_append": (list_append, "model.history", "container item"),
    "bound_method": (bound_method, "model.plain.queue", "container item"),
    "set_add": (set_add, "model.plain.names", "container item"),
    "nested_field": (nested_field, "model.state.inner.scale", "attribute rebinding"),
    "set_by_name": (set_by_name, "model.plain.last", "attribute rebinding"),
    "through_dictionary": (through_dictionary, "model.plain.last", "attribute rebinding"),
    "class_attribute": (class_attribute, "model.plain.__class__.level", "attribute rebinding"),
    "module_global": (module_global, f"{__name__}.TOTAL", "module global"),
    "module_table": (module_table, f"{__name__}.TABLE['k']", "module global"),
    "hook": (hook, "model.layer._forward_hooks", "hook registration"),
    "configuration": (configuration, "model.config.flag", "configuration"),
    "running_statistics": (running_statistics, "model.norm.running_mean", "in-place tensor write"),
    "write_and_restore": (write_and_restore, "model.plain.last", "attribute rebinding"),
}


def randn(_model: Model) -> Any:  # noqa: ANN401 - each draw returns what its library does
    return torch.randn(3)  # planted: randn


def randn_like(_model: Model) -> Any:  # noqa: ANN401 - as above
    return torch.randn_like(torch.ones(3))  # planted: randn_like


def dropout(_model: Model) -> Any:  # noqa: ANN401 - as above
    return nn.functional.dropout(torch.ones(9))  # planted: dropout


def multinomial(_model: Model) -> Any:  # noqa: ANN401 - as above
    return torch.multinomial(torch.ones(9), 3)  # planted: multinomial


def python_random(_model: Model) -> Any:  # noqa: ANN401 - as above
    return random.random()  # planted: python_random


def numpy_random(_model: Model) -> Any:  # noqa: ANN401 - as above
    return np.random.rand(3)  # noqa: NPY002 # planted: numpy_random


def shared_generator(model: Model) -> Any:  # noqa: ANN401 - as above
    return torch.randn(3, generator=model.generator)  # planted: shared_generator


DRAWS: dict[str, tuple[Callable[[Model], Any], str]] = {
    "randn": (randn, "process-wide torch.default_generator"),
    "randn_like": (randn_like, "process-wide torch.default_generator"),
    "dropout": (dropout, "process-wide torch.default_generator"),
    "multinomial": (multinomial, "process-wide torch.default_generator"),
    "python_random": (python_random, "process-wide random"),
    "numpy_random": (numpy_random, "process-wide numpy.random"),
    "shared_generator": (shared_generator, "shared model.generator"),
}


def clean(model: Model, value: float) -> torch.Tensor:
    """Does the like of every fault to objects of its own."""
    local, entries, history, plain = Outer(), {"k": 0.0}, [0.0], Plain()
    local.inner.scale = value
    entries["k"] = value
    entries.update(k=value)
    history.append(value)
    plain.last = value
    table = model.table.clone()
    table[1:] += value
    torch.add(torch.ones(3), value, out=table)
    array = model.array.copy()
    np.add(array, value, out=array)
    generator = torch.Generator().manual_seed(int(value))
    noise = torch.randn(3, generator=generator)
    random.Random(int(value)).random()
    np.random.default_rng(int(value)).random()
    with torch.no_grad():
        nn.functional.dropout(table, training=False)
        result: torch.Tensor = model.layer(torch.ones(2)).sum() + table + noise
        return result


def line_of(name: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# planted: {name}"))


@contextlib.contextmanager
def fresh_globals() -> Iterator[None]:
    global TOTAL  # noqa: PLW0603 - put back
    yield
    TOTAL = 0.0
    TABLE.clear()
