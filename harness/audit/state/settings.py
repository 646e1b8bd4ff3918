"""Settings of torch that hold for the whole process: who writes one writes it for every call that runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_cuda, _cudnn, _mkldnn = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn


@dataclass(frozen=True)
class Setting:
    """One process-wide setting, and the functions of `torch._C` (or `torch`) that write it."""

    get: Callable[[], Any]
    put: Callable[[Any], object]
    setter: str


def _switch(owner: Any, name: str, setter: str) -> Setting:  # noqa: ANN401 - torch types none of its modules of switches
    return Setting(lambda: getattr(owner, name), lambda value: setattr(owner, name, value), setter)


SETTINGS: Mapping[str, Setting] = {
    "torch.num_threads": Setting(torch.get_num_threads, torch.set_num_threads, "set_num_threads"),
    "torch.default_dtype": Setting(torch.get_default_dtype, torch.set_default_dtype, "_set_default_dtype"),
    "torch.float32_matmul_precision": Setting(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "_set_float32_matmul_precision"
    ),
    "torch.deterministic_algorithms": Setting(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, "_set_deterministic_algorithms"
    ),
    "torch.anomaly_mode": Setting(torch.is_anomaly_enabled, torch.set_anomaly_enabled, "set_anomaly_enabled"),
    "torch.backends.cudnn.enabled": _switch(_cudnn, "enabled", "_set_cudnn_enabled"),
    "torch.backends.cudnn.benchmark": _switch(_cudnn, "benchmark", "_set_cudnn_benchmark"),
    "torch.backends.cudnn.deterministic": _switch(_cudnn, "deterministic", "_set_cudnn_deterministic"),
    "torch.backends.cudnn.allow_tf32": _switch(_cudnn, "allow_tf32", "_set_cudnn_allow_tf32"),
    "torch.backends.cuda.matmul.allow_tf32": _switch(_cuda.matmul, "allow_tf32", "_set_cublas_allow_tf32"),
    "torch.backends.mkldnn.enabled": _switch(_mkldnn, "enabled", "_set_mkldnn_enabled"),
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
