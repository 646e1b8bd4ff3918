"""What a benchmark run leaves behind: plain values, ready to be saved, without any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class BenchCall:
    """One utterance asked of a contestant. Times are seconds from the start of its cell.

    Attributes:
        request: place in the workload.
        scheduled_s: when it was to arrive; in a closed loop, when it began.
        started_s: when a worker took it up.
        ended_s: when the audio was there.
        samples: length of the audio.
        audio_sha256: of shape, dtype and bytes of the audio; empty if the call raised.
        tokens: how many speech tokens T3 said; None if the contestant does not tell.
        tokens_sha256: of the speech tokens; None if the contestant does not tell.
        stage_seconds: wall time by stage, as far as the contestant tells.
        error: what was raised, in one line.
    """

    request: int
    scheduled_s: float
    started_s: float
    ended_s: float
    samples: int = 0
    audio_sha256: str = ""
    tokens: int | None = None
    tokens_sha256: str | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True)
class BenchCell:
    """One contestant at one number of workers in one round; round -1 is before anything is timed, one at a time.

    Attributes:
        part: `whole`, or the part of the model that is measured alone: `t3`, `s3gen`.
        subject: the contestant.
        workers: how many callers it has at a time.
        round: which round.
        calls: in the order of the workload.
        wall_s: from the start to the end of the last call.
        cpu_s: processor time of the contestant's processes meanwhile.
        before_mib: memory of the contestant's processes before the cell.
        peak_mib: the most they had during the cell.
        gpu_peak_mib: the most memory of a GPU that this process's tensors took during the cell; None without a GPU, and
            where other processes do the work.
        not_run: why the cell was not run; None if it was.
    """

    part: str
    subject: str
    workers: int
    round: int
    calls: tuple[BenchCall, ...] = ()
    wall_s: float = 0.0
    cpu_s: float = 0.0
    before_mib: float = 0.0
    peak_mib: float = 0.0
    gpu_peak_mib: float | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class ArrivalCell:
    """One contestant under arrivals that do not wait for it.

    Attributes:
        subject: the contestant.
        capacity_per_s: utterances per second it was measured to manage.
        fraction: of the capacity that is offered.
        calls: in the order of their arrival.
        not_run: why nothing arrived; None if it did.
    """

    subject: str
    capacity_per_s: float
    fraction: float
    calls: tuple[BenchCall, ...] = ()
    not_run: str | None = None


@dataclass(frozen=True)
class ContestantFacts:
    """What a contestant is.

    Attributes:
        part: for which it was built.
        name: its name.
        base_mib: memory of the process with the shared model, and without any contestant.
        own_mib: what building it added.
        details: whatever it tells of itself.
    """

    part: str
    name: str
    base_mib: float
    own_mib: float
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptMemory:
    """What a contestant kept (MiB) of hearing the voices and prompts of all its cells once: there, whoever asks."""

    name: str
    requests: int
    kept_mib: float


@dataclass(frozen=True)
class LimitMeasurement:
    """What this machine can do at best: a rate in `unit`, measured several times."""

    name: str
    unit: str
    rates: tuple[float, ...]


ENGINE_FLOW = "S3Gen flow, as the engine computes it"
"""The one stage that is not stock's."""


@dataclass(frozen=True)
class StageMeasurement:
    """One stage of stock, or `ENGINE_FLOW`, called alone.

    Attributes:
        stage: its name.
        dtype: of its weights.
        seconds: how long each call took.
        flops: arithmetic of one call.
        read_bytes: weights (and cache) that one call has to read at least once.
        what: the work of one call, in words.
    """

    stage: str
    dtype: str
    seconds: tuple[float, ...]
    flops: float
    read_bytes: float
    what: str


@dataclass(frozen=True)
class TokenComparison:
    """Speech tokens of the engine beside those of stock in the same dtype, run alone.

    Attributes:
        profile: size of the model.
        dtype: of T3.
        request: place in the workload.
        stock_tokens: how many stock said.
        engine_tokens: how many the engine said.
        same: whether all are equal.
        first_difference: first position at which they are not; None if all are equal.
    """

    profile: str
    dtype: str
    request: int
    stock_tokens: int
    engine_tokens: int
    same: bool
    first_difference: int | None


@dataclass(frozen=True)
class TokenCost:
    """Seconds the engine decoded for an utterance of `tokens` tokens; `past_bytes` is its cache before the last.

    The n-th record of each length belongs to the n-th repeat.
    """

    dtype: str
    tokens: int
    seconds: float
    past_bytes: int
    weight_bytes: int


@dataclass(frozen=True)
class Fidelity:
    """One rendering of the tokens of one request beside stock's, with the same noise.

    Attributes:
        profile: size of the model.
        rendering: the engine's in a dtype, or stock's own with other noise.
        request: place in the workload.
        tokens: how many speech tokens.
        mel_snr_db: signal to noise of the mel spectrogram.
        waveform_snr_db: signal to noise of the waveform.
        log_mel_distance_db: mean difference of the waveforms' log mel spectra.
    """

    profile: str
    rendering: str
    request: int
    tokens: int
    mel_snr_db: float
    waveform_snr_db: float
    log_mel_distance_db: float


@dataclass(frozen=True)
class ModelFacts:
    """Sizes of the model that is measured, in bytes, by dtype; cache is for one token of one request."""

    sample_rate: int
    t3_step_weight_bytes: dict[str, int]
    cache_bytes_per_token: dict[str, int]
    prompt_tokens: tuple[int, ...]
    t3_step_flops_per_row: float


Record = (
    ArrivalCell
    | BenchCell
    | ContestantFacts
    | Fidelity
    | KeptMemory
    | LimitMeasurement
    | ModelFacts
    | StageMeasurement
    | TokenComparison
    | TokenCost
)
