"""Dotted paths from a shared root, and how to follow them again after the objects on the way were replaced."""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

StepKind = Literal["attribute", "item", "element", "class", "cell", "default", "result"]
MODULE_DICTIONARIES = ("_parameters", "_buffers", "_modules")
TENSOR_ATTRIBUTES = ("grad", "requires_grad")
CALL = "call"
KEY_LENGTH = 40
SIMPLE_KEYS = (str, int, float, bool, bytes, type(None), torch.dtype, torch.device)
# Steps whose key is not shown: it may be any object, and `repr` may do anything.
SHOWN = {"class": ".__class__", "result": "()"}


class Absent:
    """What stands where nothing was: an attribute or a key that does not exist."""

    def __repr__(self) -> str:
        return "<absent>"


ABSENT = Absent()


@dataclass(frozen=True, eq=False)
class Result:
    """What a caching function keeps and hands out; told from others by identity, whatever `==` means to it."""

    value: object


def is_simple(key: object) -> bool:
    """Whether keys of that type are the same if they are equal, and can be shown."""
    return isinstance(key, SIMPLE_KEYS) or (type(key) is tuple and all(map(is_simple, key)))


def _shown(key: object) -> str:
    if type(key) is tuple and not is_simple(key):
        return f"({', '.join(map(_shown, key))})"
    return repr(key) if is_simple(key) else type(key).__name__


@dataclass(frozen=True, eq=False)
class Step:
    """One step from an object to something it holds; keys that are not simple are told apart by identity.

    A slice has no hash in Python 3.11, and tensors do not say whether they are equal.
    """

    kind: StepKind
    key: object = None

    @property
    def _told_by(self) -> tuple[object, ...]:
        return (self.kind, self.key) if is_simple(self.key) else (self.kind, id(self.key))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and self._told_by == other._told_by

    def __hash__(self) -> int:
        return hash(self._told_by)

    def text(self) -> str:
        if self.kind == "attribute":
            return f".{self.key}"
        if self.kind == "item":
            text = _shown(self.key)
            return f"[{text if len(text) <= KEY_LENGTH else text[:KEY_LENGTH] + '...'}]"
        if self.kind == "element":
            return f"{{{type(self.key.value).__name__}}}" if isinstance(self.key, Result) else "{}"
        if self.kind in SHOWN:
            return SHOWN[self.kind]
        return f".__closure__.{self.key}" if self.kind == "cell" else f".__defaults__[{self.key!r}]"


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


def wrapped_in(value: object) -> tuple[object, ...]:
    """What a property or a method, of whichever sort, is made of; anything else is made of itself."""
    if isinstance(value, property):
        return tuple(accessor for accessor in (value.fget, value.fset, value.fdel) if accessor is not None)
    if isinstance(value, classmethod | staticmethod):
        return (value.__func__,)
    return (value,)


def _functions_in(value: object) -> list[types.FunctionType]:
    inside = (value.__func__,) if isinstance(value, types.MethodType) else wrapped_in(value)
    return [function for function in inside if isinstance(function, types.FunctionType)]


def _from_cell(value: object, key: object) -> object:
    return cell_of(value, key).cell_contents


def cell_of(value: object, key: object) -> types.CellType:
    """The cell in which a function keeps its variable `key`.

    Raises:
        KeyError: there is no function in `value`, or none has such a variable.
    """
    cells: dict[str, types.CellType] = {}
    for function in reversed(_functions_in(value)):
        cells |= dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return cells[str(key)]


def _from_default(value: object, key: object) -> object:
    for function in _functions_in(value):
        held: Any = dict(enumerate(function.__defaults__ or ())) | (function.__kwdefaults__ or {})
        if key in held:
            return held[key]
    return ABSENT


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
    "element": lambda _value, key: key.value if isinstance(key, Result) else ABSENT,
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
