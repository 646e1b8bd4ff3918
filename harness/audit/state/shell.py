"""How a tensor looks at its memory: which, how large, as what type and shape; and what autograd keeps with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Shell:
    """A tensor apart from the values in its memory.

    Attributes:
        alias: another tensor over the same memory, of the same type, shape and strides.
        nbytes: of the memory.
        requires_grad: whether autograd followed it.
        grad: the gradient it held, the very object.
    """

    alias: torch.Tensor
    nbytes: int
    requires_grad: bool
    grad: torch.Tensor | None


def shell_of(value: object) -> Shell | None:
    """The shell of a tensor; None for anything else, and for a tensor that has no memory to look at."""
    if not isinstance(value, torch.Tensor):
        return None
    try:
        return Shell(value.detach(), value.untyped_storage().nbytes(), value.requires_grad, _gradient(value))
    except (RuntimeError, NotImplementedError, ValueError):
        return None


def is_bent(tensor: torch.Tensor, shell: Shell) -> bool:
    """Whether `tensor` looks at other memory, or at the same otherwise, or has another gradient."""
    autograd = tensor.requires_grad != shell.requires_grad or _gradient(tensor) is not shell.grad
    return autograd or _is_elsewhere(tensor, shell) or shell.alias.untyped_storage().nbytes() < shell.nbytes


def straighten(tensor: torch.Tensor, shell: Shell) -> bool:
    """Make `tensor` look as it did; False if torch does not let it.

    Memory that has grown stays as large as it is: a call that is held, or was left behind, may look at all of it.
    """
    storage = shell.alias.untyped_storage()
    try:
        if storage.nbytes() < shell.nbytes:
            storage.resize_(shell.nbytes)
        if _is_elsewhere(tensor, shell):
            tensor.data = shell.alias
        if tensor.requires_grad != shell.requires_grad:
            tensor.requires_grad_(shell.requires_grad)
        if _gradient(tensor) is not shell.grad:
            tensor.grad = shell.grad
    except RuntimeError:
        return False
    return True


def _is_elsewhere(tensor: torch.Tensor, shell: Shell) -> bool:
    alias = shell.alias
    return (
        tensor.data_ptr() != alias.data_ptr()
        or tensor.dtype != alias.dtype
        or tensor.shape != alias.shape
        or tensor.stride() != alias.stride()
    )


def _gradient(tensor: torch.Tensor) -> torch.Tensor | None:
    return tensor.grad if tensor.is_leaf else None  # asked of any other tensor torch warns
