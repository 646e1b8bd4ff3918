"""Call-private copies of the few modules that upstream writes to, over the same shared weights.

Some of upstream's modules keep results of a call on themselves. A call gets its own copy of those modules and of
the path that leads to them; every other module, and every parameter and buffer, is the shared one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def with_private(module: ModuleT, paths: Iterable[str]) -> ModuleT:
    """Return a copy of `module` in which the submodules at `paths`, and those above them, are private.

    Args:
        module: shared module; not written to.
        paths: dotted paths such as ``"flow.encoder.embed.pos_enc"``.

    Returns:
        A module of the same class. Attributes assigned and hooks registered on it or on its private submodules are
        not seen by holders of `module`; parameters, buffers and all other submodules are the very same objects.
    """
    branches: dict[str, list[str]] = {}
    for path in paths:
        first, _, rest = path.partition(".")
        branches.setdefault(first, []).append(rest)
    copy = _shallow(module)
    for name, rests in branches.items():
        copy._modules[name] = with_private(  # noqa: SLF001 - nn.Module keeps its children here
            module.get_submodule(name), [rest for rest in rests if rest]
        )
    return copy


def with_replaced(module: ModuleT, replacements: Mapping[str, nn.Module]) -> ModuleT:
    """Return a copy of `module` with others in the place of some of its submodules.

    Args:
        module: shared module; not written to.
        replacements: by dotted path, the last part of which names the submodule.
    """
    above = {path.rpartition(".")[0] for path in replacements}
    copy = with_private(module, sorted(above - {""}))
    for path, replacement in replacements.items():
        parent, _, name = path.rpartition(".")
        setattr(copy.get_submodule(parent), name, replacement)
    return copy


def _shallow(module: ModuleT) -> ModuleT:
    copy = object.__new__(type(module))
    for name, value in module.__dict__.items():
        # nn.Module's registries: of submodules, parameters, buffers and every kind of hook.
        is_registry = name.startswith("_") and isinstance(value, dict)
        copy.__dict__[name] = value.copy() if is_registry else value
    return copy
