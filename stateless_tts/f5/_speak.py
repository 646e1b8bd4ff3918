"""From a request to a waveform, with upstream's functions and nothing that another call can see."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import torch
from f5_tts.infer.utils_infer import chunk_text, infer_batch_process

from stateless_tts.errors import InvalidParameterError
from stateless_tts.randomness import CallRandomness, redirected_draws

from ._model import VOCODER, F5Model, private_cfm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from ._request import F5Request

# Upstream divides texts so that clip and speech together last about so long,
_WINDOW_SECONDS = 22.0
# and has places for so many frames; what cannot be divided may need more.
_MOST_FRAMES = 8192


def speak(model: F5Model, request: F5Request, checkpoint: Callable[[], None]) -> torch.Tensor:
    """Carry out `request` on the calling thread.

    The result is that of ``seed_everything(seed)`` and upstream's `infer_process` in an otherwise idle process.
    Upstream speaks the parts of a divided text on threads that race for its generator, so that their bits change from
    call to call; here they are spoken in order, as upstream does when it has one such thread.

    Returns:
        Waveform, float32 of shape (1, samples) on the CPU.

    Raises:
        InvalidParameterError: the text has a part too long for the model.
    """
    parts = divide(request, model)
    own = private_cfm(model.cfm, checkpoint)
    with redirected_draws(CallRandomness(request.seed)):
        # Told to stream, upstream works on this thread; a chunk without end is a whole part.
        spoken = infer_batch_process(
            (request.voice.samples, request.voice.sample_rate),
            request.voice.text,
            parts,
            own,
            model.vocoder,
            mel_spec_type=VOCODER,
            progress=None,
            nfe_step=request.nfe_step,
            cfg_strength=request.cfg_strength,
            sway_sampling_coef=request.sway_sampling_coef,
            speed=request.speed,
            device=model.device,
            streaming=True,
            chunk_size=sys.maxsize,
        )
        waves = [wave for wave, _ in spoken]
    joined = cross_fade(waves, int(request.cross_fade_duration * model.sample_rate))
    return torch.from_numpy(joined.astype(np.float32)).unsqueeze(0)


def divide(request: F5Request, model: F5Model) -> list[str]:
    """Divide the text as upstream does: by the clip's length and how fast its words are said.

    Raises:
        InvalidParameterError: a part, which has no punctuation to divide it at, needs more frames than the model has.
    """
    voice = request.voice
    bytes_per_second = len(voice.text.encode()) / voice.seconds
    parts: list[str] = chunk_text(
        request.text, max_chars=int(bytes_per_second * (_WINDOW_SECONDS - voice.seconds) * request.speed)
    )
    most_seconds = _MOST_FRAMES * model.hop_length / model.sample_rate - voice.seconds
    most_bytes = int(bytes_per_second * most_seconds * request.speed)
    longest = max(parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > most_bytes:
        raise InvalidParameterError(
            f"text={longest[:40]!r}...: {len(longest.encode())} bytes without punctuation; "
            f"expected at most {most_bytes} with this voice"
        )
    return parts


def cross_fade(waves: Sequence[NDArray[np.float32]], samples: int) -> NDArray[np.float32] | NDArray[np.float64]:
    """Put waveforms of shape (samples,) one after the other, overlapping by up to `samples`."""
    joined: NDArray[np.float32] | NDArray[np.float64] = waves[0]
    for wave in waves[1:]:
        length = min(samples, len(joined), len(wave))
        begin = len(joined) - length
        overlap = joined[begin:] * np.linspace(1, 0, length) + wave[:length] * np.linspace(0, 1, length)
        joined = np.concatenate([joined[:begin], overlap, wave[length:]])
    return joined
