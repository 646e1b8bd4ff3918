"""Dotted paths from a shared root, and how to follow them again after the objects on the way were replaced."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping

StepKind = Literal["attribute", "item", "class", "cell", "default", "result"]
MODULE_DICTIONARIES = ("_parameters", "_buffers", "_modules")
TENSOR_ATTRIBUTES = ("grad", "requires_grad")
CALL = "call"
KEY_LENGTH = 40
SIMPLE_KEYS = (str, int, float, bool, bytes, tuple, type(None))


class Absent:
    """What stands where nothing was: an attribute or a key that does not exist."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()


@dataclass(frozen=True, eq=False)
class Result:
    """What a caching function keeps and hands out; told from others by identity, whatever `==` means to it."""

    value: object


@dataclass(frozen=True)
class Step:
    """One step from an object to something it holds."""

    kind: StepKind
    key: object = None

    def text(self) -> str:
        if self.kind == "attribute":
            return f".{self.key}"
        if self.kind == "item":
            text = repr(self.key) if isinstance(self.key, SIMPLE_KEYS) else type(self.key).__name__
            return f"[{text if len(text) <= KEY_LENGTH else text[:KEY_LENGTH] + '...'}]"
        if self.kind == "class":
            return ".__class__"
        if self.kind == "cell":
            return f".__closure__.{self.key}"
        if self.kind == "result":
            return "()"
        return f".__defaults__[{self.key!r}]"


@dataclass(frozen=True)
class Path:
    """A shared root by name, and the steps from there."""

    root: str
    steps: tuple[Step, ...] = ()
    of_module: bool = False

    def attribute(self, name: str) -> Path:
        return Path(self.root, (*self.steps, Step("attribute", name)), self.of_module)

    def step(self, kind: StepKind, key: object = None) -> Path:
        return Path(self.root, (*self.steps, Step(kind, key)), self.of_module)

    def starts_with(self, other: Path) -> bool:
        return self.root == other.root and self.steps[: len(other.steps)] == other.steps

    def names(self) -> tuple[str, ...]:
        return tuple(str(step.key) for step in self.steps if step.kind == "attribute")

    def __str__(self) -> str:
        return self.root + "".join(step.text() for step in self.steps)


def own_dictionary(value: object) -> dict[str, Any] | None:
    """The instance's `__dict__`, past any `__getattribute__` of its class, or None if it has none."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except (AttributeError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def held_attribute(value: object, name: str) -> object:  # noqa: PLR0911 - one return for each way to hold
    """What `value` holds under `name`, without running a property or a `__getattr__`; ABSENT if nothing."""
    if isinstance(value, torch.Tensor) and name in TENSOR_ATTRIBUTES:
        return getattr(value, name)
    if isinstance(value, torch.jit.ScriptModule):
        return getattr(value, name, ABSENT)  # kept where Python has no dictionary
    namespace = value.__dict__ if isinstance(value, type) else own_dictionary(value)
    if namespace is not None:
        if name in namespace:
            return namespace[name]
        for inner in MODULE_DICTIONARIES:
            inside = namespace.get(inner)
            if isinstance(inside, dict) and name in inside:
                return inside[name]
    descriptor = inspect.getattr_static(type(value), name, None)
    if inspect.ismemberdescriptor(descriptor):
        try:
            return descriptor.__get__(value, type(value))
        except AttributeError:
            return ABSENT
    return ABSENT


def _from_cell(value: object, key: object) -> object:
    return cell_of(value, key).cell_contents


def cell_of(value: object, key: object) -> types.CellType:
    """The cell in which a function keeps its variable `key`.

    Raises:
        AttributeError, KeyError: `value` is no function, or has no such variable.
    """
    function: Any = value
    cells: dict[str, types.CellType] = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return cells[str(key)]


def _from_default(value: object, key: object) -> object:
    function: Any = value
    return (function.__kwdefaults__ if isinstance(key, str) else function.__defaults__)[key]


def _from_item(value: object, key: object) -> object:
    container: Any = value
    if isinstance(container, dict):
        return dict.__getitem__(container, key)
    return container[key]


FOLLOW: dict[str, Callable[[object, object], object]] = {
    "attribute": lambda value, key: held_attribute(value, str(key)),
    "item": _from_item,
    "class": lambda _value, key: key,
    "cell": _from_cell,
    "default": _from_default,
    "result": lambda _value, key: key.value if isinstance(key, Result) else ABSENT,
}


def follow(path: Path, roots: Mapping[str, object]) -> object:
    """The object at `path` now, or ABSENT if the way there is broken."""
    value = roots.get(path.root, ABSENT)
    for step in path.steps:
        if value is ABSENT:
            return ABSENT
        try:
            value = FOLLOW[step.kind](value, step.key)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            return ABSENT
    return value


def name_roots(shared: tuple[object, ...], call: Callable[..., object]) -> dict[str, object]:
    """Names for the roots: `model` for a single one; else what the call knows them as, or `model` and `shared[i]`.

    The call itself is the last one: what it keeps, in a closure or in the object it is a method of, all calls share.
    """
    names: dict[str, object] = {"model": shared[0]} if len(shared) == 1 else _names_in(shared, call)
    names.setdefault(CALL, call)
    return names


def _names_in(shared: tuple[object, ...], call: Callable[..., object]) -> dict[str, object]:
    known: dict[int, str] = {}
    function: Any = inspect.unwrap(getattr(call, "__func__", call))
    if inspect.isfunction(function):
        inside = inspect.getclosurevars(function)
        for name, value in (*inside.globals.items(), *inside.nonlocals.items()):
            known[id(value)] = name
    names: dict[str, object] = {}
    for index, value in enumerate(shared):
        name = known.get(id(value), "model" if index == 0 else f"shared[{index}]")
        names[name if name not in names else f"shared[{index}]"] = value
    return names
