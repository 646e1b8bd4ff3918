"""Reproductions of what the audit found beyond the first list: process-wide attention switches, T3's first use."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from chatterbox.models.t3 import T3

from harness.hazards.bench import FIRST, SECOND, Trial, differing, speak_stock
from harness.hazards.overlap import overlapped
from harness.hazards.places import torch_places
from harness.hazards.schedule import Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.hazards.bench import Bench

_SWITCHES: Any = torch.backends.cuda  # torch has no types for these functions
_ATTENTION = "scaled_dot_product_attention"
_FIRST_ATTENTION = f"{_ATTENTION} #1"
# Both are inside the perceiver's block; the first to enter it is the first to leave it.
_CROSSED = (
    f"first reaches {_FIRST_ATTENTION}",
    "second starts",
    f"second reaches {_FIRST_ATTENTION}",
    f"first leaves {_FIRST_ATTENTION}",
    "first ends",
    f"second leaves {_FIRST_ATTENTION}",
    "second ends",
)


def attention_switches(bench: Bench) -> Trial:
    """The application has turned one attention kernel off; two calls overlap in the perceiver."""
    model = bench.stock()
    with _flash_kernel_off():
        speak_stock(model, FIRST)
        alone = _SWITCHES.flash_sdp_enabled()
        schedule = Schedule(_CROSSED)

        def speak() -> torch.Tensor:
            with torch_places(schedule, [_ATTENTION]):
                return speak_stock(model, FIRST)

        played = schedule.run({"first": speak, "second": speak})
        left = _SWITCHES.flash_sdp_enabled()
    evidence = f"flash kernel, turned off by the application: {_told(alone)} after one call, {_told(left)} after two"
    return Trial(left and not alone, f"{evidence} that overlap", played.trace)


def untouched_switches(bench: Bench) -> Trial:
    """The same through the wrapper, and the audio as alone."""
    with _flash_kernel_off():
        trial = overlapped(bench, "", watched=[_ATTENTION], lines=_CROSSED)
        left = _SWITCHES.flash_sdp_enabled()
    evidence = f"flash kernel afterwards: {_told(left)}; {trial.evidence}"
    return replace(trial, failed=left or trial.failed, evidence=evidence)


class _PlacedFlag(T3):  # type: ignore[misc] # upstream ships no types
    """Upstream's T3, with a place where the flag is asked for; the code before and after is upstream's."""

    schedule: Schedule | None = None

    @property
    def compiled(self) -> bool:
        if self.schedule is not None:
            self.schedule.at("flag")
        return bool(self.__dict__["_flag"])

    @compiled.setter
    def compiled(self, flag: bool) -> None:
        self.__dict__["_flag"] = flag


def first_use_backend(bench: Bench) -> Trial:
    """T3 was never used: the first call has lowered the flag and is about to ask for it; the second runs to its end."""
    model = bench.stock()
    wanted = speak_stock(model, FIRST)
    model.t3 = copy.copy(model.t3)
    for name in ("compiled", "patched_model"):
        vars(model.t3).pop(name, None)
        model.t3._modules = {key: held for key, held in model.t3._modules.items() if key != name}  # noqa: SLF001 - nn.Module keeps a rebound submodule here
    model.t3.__class__ = _PlacedFlag
    model.t3.compiled = False
    model.t3.schedule = schedule = Schedule(held_at("flag"))

    def speak_second() -> None:
        # The second call's draws are put back: what is asked here is what the flag does by itself.
        with torch.random.fork_rng(devices=[]):
            speak_stock(model, SECOND)

    played = schedule.run({"first": lambda: speak_stock(model, FIRST), "second": speak_second})
    ended = played.ended["first"]
    difference = ended.told if ended.error is not None else differing(ended.value, wanted)
    evidence = f"first call, with the second's backend: {difference or 'bit-identical to itself alone'}"
    return Trial(bool(difference), evidence, played.trace)


def _told(enabled: bool) -> str:
    return "on" if enabled else "off"


@contextlib.contextmanager
def _flash_kernel_off() -> Iterator[None]:
    """Turn torch's flash attention off, as an application may; put all switches back as they were found."""
    cuda = _SWITCHES
    found = (
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
    )
    cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        for put, enabled in zip(
            (cuda.enable_flash_sdp, cuda.enable_mem_efficient_sdp, cuda.enable_math_sdp, cuda.enable_cudnn_sdp),
            found,
            strict=True,
        ):
            put(enabled)
