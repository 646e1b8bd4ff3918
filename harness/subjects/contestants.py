"""The contestants by name, all over one model but the process pool."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.subjects.contestant import Contestant, Spoken

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.tts import ChatterboxTTS

    from harness.subjects.source import ModelSource
    from stateless_tts import SpeechRequest, SpeechResult

BASELINE = "sequential"
BASELINE_BF16 = "sequential-bf16"
LOCKED, POOL, STATELESS = "upstream-locked", "process-pool", "stateless"
ENGINE_FP32, ENGINE_BF16 = "engine-fp32", "engine-bf16"
# T3 in float32, so with the tokens of `engine-fp32`, and S3Gen's flow in bfloat16.
ENGINE_MIXED = "engine-mixed"
NAMES = (BASELINE, BASELINE_BF16, LOCKED, POOL, STATELESS, ENGINE_FP32, ENGINE_MIXED, ENGINE_BF16)
# The process pool loads models of its own, so it cannot be given a part of one.
WHOLE_ONLY = frozenset({LOCKED, POOL})
POOL_PROCESSES = 2
MAX_BATCH = 16
# Nothing is under way when the bench closes an engine, but in one that hangs.
CLOSE_WITHIN_S = 30.0


def check_names(names: tuple[str, ...]) -> None:
    """Refuse a name that is not a contestant's, or is given twice.

    Raises:
        UsageError: the message names it.
    """
    for name in names:
        if name not in NAMES:
            raise UsageError(f"unknown subject {name!r}; there are {', '.join(NAMES)}")
        if names.count(name) > 1:
            raise UsageError(f"subject {name!r} is given twice")


def build_contestant(name: str, model: ChatterboxTTS, source: ModelSource, torch_threads: int) -> Contestant:
    """Build one contestant over `model`; the process pool loads models of its own from `source`."""
    import torch  # noqa: PLC0415 - a command line is checked without it

    builders: dict[str, Callable[[], Contestant]] = {
        BASELINE: lambda: _stock(name, model, None),
        BASELINE_BF16: lambda: _stock(name, model, torch.bfloat16),
        LOCKED: lambda: _locked(model),
        POOL: lambda: _pool(source, torch_threads),
        STATELESS: lambda: _stateless(model),
        ENGINE_FP32: lambda: _engine(name, model, torch.float32, torch.float32),
        ENGINE_MIXED: lambda: _engine(name, model, torch.float32, torch.bfloat16),
        ENGINE_BF16: lambda: _engine(name, model, torch.bfloat16, None),
    }
    return builders[name]()


def _stock(name: str, model: ChatterboxTTS, dtype: Any) -> Contestant:  # noqa: ANN401 - torch.dtype; imported late
    from harness.subjects.stock_timed import TimedStock  # noqa: PLC0415 - imports torch

    return Contestant(name, TimedStock(model, dtype), servers=1, one_worker=True)


def _locked(model: ChatterboxTTS) -> Contestant:
    from harness.subjects.stock_timed import TimedStock  # noqa: PLC0415 - imports torch

    stock, lock = TimedStock(model), threading.Lock()

    def speak(request: SpeechRequest) -> Spoken:
        with lock:
            return stock(request)

    return Contestant(LOCKED, speak)


def _pool(source: ModelSource, torch_threads: int) -> Contestant:
    from harness.subjects.pool import process_pool  # noqa: PLC0415 - imports multiprocessing

    return process_pool(source, POOL_PROCESSES, max(1, torch_threads // POOL_PROCESSES))


def _stateless(model: ChatterboxTTS) -> Contestant:
    from stateless_tts import StatelessChatterBoxWrapper  # noqa: PLC0415 - imports torch

    wrapper = StatelessChatterBoxWrapper(model)
    return Contestant(STATELESS, lambda request: _spoken(wrapper.synthesize(request)))


def _engine(
    name: str,
    model: ChatterboxTTS,
    dtype: Any,  # noqa: ANN401 - torch.dtype; imported late
    render_dtype: Any,  # noqa: ANN401 - the same
) -> Contestant:
    from stateless_tts import ContinuousBatchingEngine  # noqa: PLC0415 - imports torch

    engine = ContinuousBatchingEngine(model, max_batch_size=MAX_BATCH, dtype=dtype, render_dtype=render_dtype)
    plan = engine.plan
    details = {
        "render_dtype": str(engine.render_dtype).removeprefix("torch."),
        "row_counts": list(plan.row_counts),
        "singly": plan.singly,
        "like_stock": plan.like_stock,
        "private_weight_mib": round(engine.private_weight_bytes / 2**20, 1),
    }
    close = partial(engine.close, drain=False, timeout=CLOSE_WITHIN_S)
    return Contestant(name, lambda request: _spoken(engine.synthesize(request)), details=details, close=close)


def _spoken(result: SpeechResult) -> Spoken:
    laps = result.stage_seconds
    stages = {name: getattr(laps, name) for name in ("voice", "speech_tokens", "mel", "waveform", "waiting")}
    return Spoken(result.audio, result.speech_tokens, stages)
