"""Where a run took place: machine, versions and commit."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGES = ("torch", "transformers", "chatterbox-tts", "numpy", "stateless-tts")
GIB = 1024**3


def describe_environment(torch_threads: int | None = None, device: str = "cpu") -> dict[str, Any]:
    """Return the environment as plain data.

    Args:
        torch_threads: what torch reports for one operation.
        device: torch device of the run; a CUDA device is named, with its memory.
    """
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "torch_threads": torch_threads,
        **({"gpu": _gpu_name(device)} if device.startswith("cuda") else {}),
        "commit": _commit(),
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }


def cores_left_idle(environment: Mapping[str, Any]) -> str:
    """Say so if one operation of torch's uses fewer cores than there are, as with OMP_NUM_THREADS; else empty."""
    threads, cores = environment.get("torch_threads"), environment.get("cores")
    if "gpu" in environment or not threads or not cores or threads >= cores:
        return ""
    return f"An operation of torch's had {threads} of {cores} cores (is OMP_NUM_THREADS set?)."


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _gpu_name(device: str) -> str:
    import torch  # noqa: PLC0415 - a run on a CPU may be described without it

    properties = torch.cuda.get_device_properties(device)
    return f"{properties.name}, {properties.total_memory / GIB:.1f} GiB, CUDA {torch.version.cuda}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """Commit of the checkout this file lies in, `-dirty` if it has changes, `unknown` without a checkout."""
    command = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
