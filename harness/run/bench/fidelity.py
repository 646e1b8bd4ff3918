"""How near the engine's rendering is to stock's, for the same speech tokens and the same noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from librosa.filters import mel as mel_bands

from harness.run.bench.records import Fidelity
from harness.run.bench.stages import packed_dtypes
from stateless_tts import StatelessChatterBoxWrapper
from stateless_tts.engine import fast_s3gen
from stateless_tts.mel import readable_tokens, render_mel
from stateless_tts.randomness import CallRandomness
from stateless_tts.waveform import vocode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest, Voice

OTHER_SEED = "stock, other noise"
WINDOW, HOP, BANDS = 1024, 256, 80
# Below this share of the loudest band nothing is heard: 80 dB.
FLOOR = 1e-8


def measure_fidelity(
    model: ChatterboxTTS,
    requests: Sequence[SpeechRequest],
    profile: str,
    on_call: Callable[[], None] = lambda: None,
) -> Iterator[Fidelity]:
    """Render each request's tokens by stock and by the engine's S3Gen; yield one comparison for each rendering.

    Stock with noise of another seed stands beside them: what stock itself leaves open.
    """
    wrapper = StatelessChatterBoxWrapper(model)
    rate = int(model.sr)
    views = {
        str(dtype).removeprefix("torch."): fast_s3gen(model.s3gen, dtype, torch.get_num_threads())
        for dtype in packed_dtypes(str(model.device))
    }
    for place, request in enumerate(requests):
        tokens = readable_tokens(wrapper.synthesize(request).speech_tokens.to(model.device))
        voice, seed = wrapper.voice_of(request), int(request.seed or 0)
        stock = _render(model.s3gen, tokens, voice, seed)
        renderings = {name: _render(view, tokens, voice, seed) for name, view in views.items()}
        renderings[OTHER_SEED] = _render(model.s3gen, tokens, voice, seed + 1)
        for name, (mel, waveform) in renderings.items():
            yield Fidelity(
                profile=profile,
                rendering=name,
                request=place,
                tokens=int(tokens.numel()),
                mel_snr_db=signal_to_noise_db(stock[0], mel),
                waveform_snr_db=signal_to_noise_db(stock[1], waveform),
                log_mel_distance_db=log_mel_distance_db(stock[1], waveform, rate),
            )
        on_call()


def signal_to_noise_db(signal: torch.Tensor, other: torch.Tensor) -> float:
    """Return the ratio of the power of `signal` to that of what `other` differs by, in dB; infinite if by nothing."""
    noise = (signal - other).double().pow(2).sum()
    return float(10 * torch.log10(signal.double().pow(2).sum() / noise))


def log_mel_distance_db(one: torch.Tensor, other: torch.Tensor, rate: int) -> float:
    """Return the mean difference of two waveforms, of shape (1, samples), over mel bands and frames, in dB."""
    levels = [_log_mel_db(waveform, rate) for waveform in (one, other)]
    return float((levels[0] - levels[1]).abs().mean())


def _log_mel_db(waveform: torch.Tensor, rate: int) -> torch.Tensor:
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    spectrum = torch.stft(waveform.double().cpu(), WINDOW, HOP, window=window, return_complex=True)
    bands = torch.from_numpy(mel_bands(sr=rate, n_fft=WINDOW, n_mels=BANDS)).double()
    power = bands @ spectrum.abs().pow(2)
    return 10 * torch.log10(power + FLOOR * power.max() + torch.finfo(torch.float64).tiny)


def _render(s3gen: S3Gen, tokens: torch.Tensor, voice: Voice, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    randomness = CallRandomness(seed)
    mel = render_mel(s3gen, tokens, voice, randomness)
    return mel, vocode(s3gen, mel, randomness)
