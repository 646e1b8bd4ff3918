"""Settings of torch that hold for the whole process: who writes one writes it for every call that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_cuda = torch.backends.cuda


@dataclass(frozen=True)
class Setting:
    """One process-wide setting, and the functions of `torch._C` (or `torch`) that write it."""

    get: Callable[[], Any]
    put: Callable[[Any], object]
    setter: str


SETTINGS: Mapping[str, Setting] = {
    "torch.num_threads": Setting(torch.get_num_threads, torch.set_num_threads, "set_num_threads"),
    "torch.default_dtype": Setting(torch.get_default_dtype, torch.set_default_dtype, "_set_default_dtype"),
    "torch.float32_matmul_precision": Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "_set_float32_matmul_precision"
    ),
    "torch.deterministic_algorithms": Setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, "_set_deterministic_algorithms"
    ),
    "torch.backends.cuda.flash_sdp": Setting(
        _cuda.flash_sdp_enabled, _cuda.enable_flash_sdp, "_set_sdp_use_flash"
    ),
    "torch.backends.cuda.mem_efficient_sdp": Setting(
        _cuda.mem_efficient_sdp_enabled, _cuda.enable_mem_efficient_sdp, "_set_sdp_use_mem_efficient"
    ),
    "torch.backends.cuda.math_sdp": Setting(_cuda.math_sdp_enabled, _cuda.enable_math_sdp, "_set_sdp_use_math"),
    "torch.backends.cuda.cudnn_sdp": Setting(_cuda.cudnn_sdp_enabled, _cuda.enable_cudnn_sdp, "_set_sdp_use_cudnn"),
}  # fmt: skip
BY_SETTER: Mapping[str, str] = {setting.setter: name for name, setting in SETTINGS.items()}


def take() -> dict[str, Any]:
    """What every setting is now."""
    return {name: setting.get() for name, setting in SETTINGS.items()}


def put_back(taken: Mapping[str, Any]) -> None:
    """Set whatever is not as it was taken."""
    for name, value in taken.items():
        if SETTINGS[name].get() != value:
            SETTINGS[name].put(value)
