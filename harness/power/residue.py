"""What calls leave behind on shared objects: rebound attributes, written tensors, hooks, a moved generator.

It looks before and after, not while calls run, and knows nothing of why: a quick look beside the audit's long one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from stateless_tts.voice import VoiceCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.power.stepped import SteppedWrapper

_REGISTRIES = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks")


def residue(wrapper: SteppedWrapper) -> dict[str, str]:
    """Return a mark for every shared place: equal marks mean that nothing was left there."""
    marks = dict(_attributes("wrapper", wrapper))
    marks.update(_attributes("model", wrapper.model))
    for part in ("t3", "s3gen", "ve"):
        for path, module in getattr(wrapper.model, part).named_modules():
            marks.update(_module(".".join(filter(None, ("model", part, path))), module))
    state = torch.default_generator.get_state().numpy().tobytes()
    marks["torch.default_generator"] = hashlib.sha256(state).hexdigest()[:12]
    return marks


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the places that were written, appeared or went."""
    return tuple(place for place in {**before, **after} if before.get(place) != after.get(place))


def _attributes(path: str, owner: object) -> Iterator[tuple[str, str]]:
    for name, value in vars(owner).items():
        # The wrapper's cache is the one thing that calls are meant to write to.
        if isinstance(value, VoiceCache):
            continue
        yield f"{path}.{name}", _mark(value)


def _module(path: str, module: torch.nn.Module) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        if name in _REGISTRIES:
            for key, entry in value.items():
                yield f"{path}.{name}[{key!r}]", _mark(entry)
        else:
            yield f"{path}.{name}", _mark(value)


def _mark(value: object) -> str:
    if isinstance(value, torch.Tensor):
        # Tensors made in inference mode keep no version; those are compared by identity alone.
        version = "" if value.is_inference() else f" written {value._version} times"  # noqa: SLF001 - torch has no other name for it
        return f"tensor {id(value)}{version}"
    if isinstance(value, dict):
        return f"dict {id(value)} " + ", ".join(f"{key!r}: {_mark(entry)}" for key, entry in value.items())
    if isinstance(value, bool | int | float | str | None):
        return repr(value)
    return f"{type(value).__name__} {id(value)}"
