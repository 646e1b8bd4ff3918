"""Keeps what one shared object held, and puts it back onto the same object."""

from __future__ import annotations

import array
import ctypes
import random
import types
import zlib
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.audit.state.graph import CONTAINERS, ITERATORS, slots_of
from harness.audit.state.paths import ABSENT, MODULE_DICTIONARIES, TENSOR_ATTRIBUTES, own_dictionary
from harness.audit.state.shell import Shell, is_bent, shell_of, straighten

if TYPE_CHECKING:
    from harness.audit.state.graph import Node

KEEP_BYTES = 1 << 20
PRIMITIVES = (str, int, float, bool, bytes, type(None))


def same(one: object, other: object) -> bool:
    """Whether two held values are the same object, or equal values of a type that has no identity to speak of."""
    if one is other:
        return True
    return type(one) is type(other) and isinstance(one, PRIMITIVES) and (one == other or one != one)  # noqa: PLR0124 - NaN


def same_all(one: list[Any] | tuple[Any, ...], other: list[Any] | tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        # By their types: a weak proxy whose object is gone cannot be asked.
        same_all(left, right) if issubclass(type(left), tuple) and issubclass(type(right), tuple) else same(left, right)
        for left, right in zip(one, other, strict=True)
    )


def raw_bytes(value: torch.Tensor | np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """The memory of a CPU tensor's storage, or of an array, as bytes that change when it changes; to be read only.

    It is of the storage that the tensor has now, which lives as long as the bytes are held.
    """
    try:
        if isinstance(value, np.ndarray):
            return np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        storage = value.untyped_storage()
        if value.device.type != "cpu" or not storage.nbytes():
            return None
        # Not by `numpy()`: torch never again lets anybody resize a storage that numpy has seen.
        window = (ctypes.c_uint8 * storage.nbytes()).from_address(storage.data_ptr())
        window.storage = storage  # type: ignore[attr-defined] # keeps it alive
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return None
    found = np.ctypeslib.as_array(window)
    found.flags.writeable = False
    return found


def digest(value: torch.Tensor | np.ndarray[Any, Any], size: int | None = None) -> int | None:
    """A checksum of the memory, or of its first `size` bytes; None where there is none to look at."""
    found = raw_bytes(value)
    return None if found is None else zlib.crc32(found[:size].data)


def items_of(container: Any) -> list[Any]:  # noqa: ANN401 - any container
    if isinstance(container, OrderedDict):
        return list(OrderedDict.items(container))  # a plain dict's view does not follow `move_to_end`
    if isinstance(container, dict):
        return list(dict.items(container))
    return sorted(container, key=id) if isinstance(container, set) else list(container)


def refill(container: Any, items: list[Any]) -> None:  # noqa: ANN401 - any container
    """Make `container` hold exactly `items`, past any method its class overrides."""
    if isinstance(container, dict):
        _refill_dictionary(container, items)
    elif isinstance(container, set):
        set.clear(container)
        set.update(container, items)
    elif isinstance(container, array.array):
        container[:] = array.array(container.typecode, items)
    elif isinstance(container, deque):
        deque.clear(container)
        deque.extend(container, items)
    else:
        container[:] = items


def _refill_dictionary(dictionary: dict[Any, Any], items: list[Any]) -> None:
    """Entry by entry: a namespace that other threads read is never seen empty."""
    base = OrderedDict if isinstance(dictionary, OrderedDict) else dict
    wanted = dict(items)
    for key in list(dict.keys(dictionary)):
        if key not in wanted:
            base.__delitem__(dictionary, key)
    for key, value in items:
        if key not in dictionary or dict.__getitem__(dictionary, key) is not value:
            base.__setitem__(dictionary, key, value)
    if isinstance(dictionary, OrderedDict) and list(dictionary) != list(wanted):
        for key in wanted:
            OrderedDict.move_to_end(dictionary, key)


def get_state(generator: Any) -> Any:  # noqa: ANN401 - torch's, numpy's or Python's
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


def set_state(generator: Any, state: Any) -> None:  # noqa: ANN401 - torch's, numpy's or Python's
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def comparable(state: object) -> object:
    return state.numpy().tobytes() if isinstance(state, torch.Tensor) else repr(state)


def class_attributes(cls: type) -> dict[str, Any]:
    return {name: value for name, value in vars(cls).items() if not name.startswith("__") and name != "_abc_impl"}


def _put_class_attribute(owner: type, name: str, value: object) -> None:
    if value is not ABSENT:
        type.__setattr__(owner, name, value)
    elif name in vars(owner):
        type.__delattr__(owner, name)


def put_attribute(owner: object, name: str, value: object) -> None:
    """Bind `owner.name` to `value`, or unbind it for ABSENT, without running any of the owner's code."""
    if isinstance(owner, type):
        _put_class_attribute(owner, name, value)
        return
    if isinstance(owner, torch.Tensor) and name in TENSOR_ATTRIBUTES:
        setattr(owner, name, value)
        return
    namespace = own_dictionary(owner)
    if namespace is None or isinstance(getattr(type(owner), name, None), types.MemberDescriptorType):
        if value is not ABSENT:
            object.__setattr__(owner, name, value)
        elif dict(slots_of(owner)).get(name, ABSENT) is not ABSENT:
            object.__delattr__(owner, name)
        return
    inner = [namespace[key] for key in MODULE_DICTIONARIES if isinstance(namespace.get(key), dict)]
    for dictionary in (namespace, *inner):
        dictionary.pop(name, None)
    if value is ABSENT:
        return
    target = namespace
    if len(inner) == len(MODULE_DICTIONARIES):
        kinds = (torch.nn.Parameter, torch.Tensor, torch.nn.Module)
        target = next((held for held, kind in zip(inner, kinds, strict=True) if isinstance(value, kind)), namespace)
    target[name] = value


@dataclass(frozen=True, slots=True)
class Held:
    """What a node held when it was kept: enough to see a change, and mostly enough to undo it.

    Attributes:
        seen: what a change is told by; None for a tensor whose memory another node stands for.
        kept: what is put back, if that is something else.
        shell: of a tensor: how it looks at its memory.
    """

    seen: Any
    kept: Any = None
    shell: Shell | None = None

    @property
    def size(self) -> int | None:
        """Bytes of a tensor's memory that were looked at; the memory may have grown since."""
        return self.shell.nbytes if self.shell is not None else None


def hold(node: Node, keep_bytes: int = KEEP_BYTES) -> Held | None:  # noqa: C901, PLR0911 - one for each role
    """Keep what `node` holds; None for nodes that hold nothing themselves.

    Of larger tensors and arrays than `keep_bytes` only a checksum is kept.
    """
    value: Any = node.value
    if node.role in {"tensor", "array"}:
        found, shell = raw_bytes(value), shell_of(value)
        if found is None:
            return None if shell is None else Held(None, None, shell)
        return Held(zlib.crc32(found.data), found.copy() if found.nbytes <= keep_bytes else None, shell)
    if node.role == "namespace":
        return Held(list(value.items()))
    if node.role == "container":
        return Held(items_of(value)) if isinstance(value, CONTAINERS) else None
    if node.role == "object":
        held = list(slots_of(value))
        return Held(held) if held else None
    if node.role == "class":
        return Held(list(class_attributes(value).items()))
    if node.role == "generator":
        state = get_state(value)
        return Held(comparable(state), state)
    if node.role == "cache":
        return Held(value.cache_info().misses, value.cache_info().currsize)
    if node.role == "cell":
        return Held([_contents(value)])
    if node.role == "iterator":
        return Held(_progress(value))
    return None


def _progress(iterator: Any) -> str:  # noqa: ANN401 - an iterator of C, or a generator
    """How far an iterator is; it cannot be set back."""
    if isinstance(iterator, ITERATORS):
        return repr(iterator.__reduce__())
    frame = iterator.gi_frame
    if frame is None:
        return "ended"
    held = frame.f_locals.items()
    return repr([
        frame.f_lasti,
        *((name, _progress(value)) for name, value in held if isinstance(value, ITERATORS)),
        *((name, value) for name, value in held if isinstance(value, PRIMITIVES)),
    ])  # fmt: skip


def _contents(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


def differs(node: Node, held: Held) -> bool:
    if node.role in {"tensor", "array"}:
        bent = held.shell is not None and is_bent(node.value, held.shell)
        return bent or (held.seen is not None and digest(node.value, held.size) != held.seen)
    now = hold(node)
    if now is None:
        return True
    if isinstance(held.seen, list):
        return not same_all(held.seen, now.seen)
    return bool(held.seen != now.seen)


def _put_back_memory(value: torch.Tensor | np.ndarray[Any, Any], held: Held) -> bool:
    if isinstance(value, np.ndarray):
        if held.kept is None or held.kept.nbytes != value.nbytes or not value.flags.writeable:
            return False
        value[...] = held.kept.view(value.dtype).reshape(value.shape)
        return True
    if held.shell is not None and not straighten(value, held.shell):
        return False
    if held.kept is None:
        return held.seen is None or digest(value, held.size) == held.seen
    return _refill_memory(value, held.kept)


def _refill_memory(tensor: torch.Tensor, kept: np.ndarray[Any, Any]) -> bool:
    """Write what was kept into the tensor's storage, by torch: it knows the storage's size and keeps it alive."""
    storage = tensor.untyped_storage()
    if storage.nbytes() < kept.nbytes:
        return False
    with torch.inference_mode(mode=False):
        flat = torch.empty(0, dtype=torch.uint8).set_(storage)
        flat[: kept.nbytes].copy_(torch.from_numpy(kept))
    return True


def put_back(node: Node, held: Held) -> bool:  # noqa: C901, PLR0912 - one branch for each role
    """Make `node` hold again what was kept; False if that is not possible."""
    value: Any = node.value
    if node.role in {"tensor", "array"}:
        return _put_back_memory(value, held)
    if node.role in {"namespace", "container"}:
        refill(value, held.seen)
    elif node.role == "object":
        for name, inside in held.seen:
            put_attribute(value, name, inside)
    elif node.role == "class":
        kept = dict(held.seen)
        for name in class_attributes(value).keys() | kept.keys():
            if not same(vars(value).get(name, ABSENT), kept.get(name, ABSENT)):
                put_attribute(value, name, kept.get(name, ABSENT))
    elif node.role == "generator":
        set_state(value, held.kept)
    elif node.role == "cache" and held.kept == 0:
        value.cache_clear()  # it was empty: nobody's entries are lost
    elif node.role == "cell":
        if held.seen[0] is ABSENT:
            del value.cell_contents
        else:
            value.cell_contents = held.seen[0]
    else:
        return False
    return True


def changed_entries(node: Node, held: Held) -> list[object]:
    """The keys under which a namespace holds something else than it did, or nothing, or nothing did."""
    before, now = dict(held.seen), dict(node.value)
    keys = dict.fromkeys((*before, *now))
    return [key for key in keys if not same(before.get(key, ABSENT), now.get(key, ABSENT))]
