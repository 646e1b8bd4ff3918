"""The stateless wrapper: many callers, one ChatterBox, every result what stock gives alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from chatterbox.tts import ChatterboxTTS

from . import mel as mel_room
from . import waveform as waveform_room
from ._warm_up import fill_upstream_caches
from .errors import MissingVoiceError, UnsupportedModelError
from .randomness import CallRandomness, fresh_seed
from .request import SpeechRequest, SpeechResult, StageSeconds
from .speech_tokens import SpeechTokenSampler, decode, prepare_prompt, tokenize
from .voice import Voice, VoiceCache, encode_voice, read_clip

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_DEFAULT_CACHE_BYTES = 256 * 2**20


def _go_on() -> None:
    """Pass a checkpoint that nobody watches."""


class StatelessChatterBoxWrapper:
    """Speak with one shared ChatterBox from any number of threads.

    Every result is ``torch.equal`` to that of ``torch.manual_seed(seed); model.generate(...)`` on an otherwise idle
    process. A call writes nothing that calls share: its conditioning, key/value cache, generators and scratch modules
    are its own; the model, the voices and the process-wide generators are left as they are.

    Args:
        chatterbox_model: upstream's `chatterbox.tts.ChatterboxTTS`. Its current voice, if any, is copied and becomes
            the default voice; what is later done to the model's `conds` is not seen.
        voice_cache_bytes: most bytes of prepared voices kept (about 60 kB for each second of a clip).

    Raises:
        UnsupportedModelError: the model is no `ChatterboxTTS`.
    """

    def __init__(self, chatterbox_model: ChatterboxTTS, *, voice_cache_bytes: int = _DEFAULT_CACHE_BYTES) -> None:
        if not isinstance(chatterbox_model, ChatterboxTTS):
            raise UnsupportedModelError(
                f"{type(chatterbox_model).__module__}.{type(chatterbox_model).__qualname__} is not supported; "
                f"expected chatterbox.tts.ChatterboxTTS"
            )
        self.model = chatterbox_model
        self.sr: int = chatterbox_model.sr
        self.voices = VoiceCache(voice_cache_bytes)
        conds = chatterbox_model.conds
        self._default_voice = None if conds is None else Voice.from_conditionals(conds)
        fill_upstream_caches(chatterbox_model)

    @property
    def device(self) -> torch.device:
        """The device the model is on."""
        return torch.device(self.model.device)

    @property
    def has_default_conditions(self) -> bool:
        """Whether a request without a clip has a voice to be spoken with."""
        return self._default_voice is not None

    def prepare_default_conditionals(
        self, wav_fpath: str | os.PathLike[str] | Voice, exaggeration: float = 0.5
    ) -> Voice:
        """Make `wav_fpath` the voice of requests that name none, and return it.

        This is set-up, to be done before calls are made: requests that have begun keep the voice they began with. The
        exaggeration is checked and then left to each request, as upstream's `generate` overrides it too.
        """
        SpeechRequest(text="", exaggeration=exaggeration)
        self._default_voice = self.prepare_voice(wav_fpath)
        return self._default_voice

    def prepare_voice(self, clip: str | os.PathLike[str] | Voice) -> Voice:
        """Return the voice of a reference clip, encoded at most once while it stays in the cache.

        Raises:
            InvalidClipError: no voice can be made of the clip.
        """
        if isinstance(clip, Voice):
            return clip
        read = read_clip(clip)
        return self.voices.get(read.digest, lambda: encode_voice(self.model, read))

    def generate_stateless(
        self,
        text: str,
        audio_prompt_path: str | os.PathLike[str] | Voice | None = None,
        exaggeration: float = 0.5,
        cfg_weight: float = 0.5,
        temperature: float = 0.8,
        seed: int | None = None,
        *,
        repetition_penalty: float = 1.2,
        min_p: float = 0.05,
        top_p: float = 1.0,
        max_new_tokens: int = 1000,
    ) -> torch.Tensor:
        """Speak `text`; the arguments are those of `SpeechRequest`.

        Returns:
            Watermarked waveform, float32 of shape (1, samples) on the CPU, at `sr` Hz.

        Raises:
            StatelessTTSError: bad input, found before any work is done.
        """
        request = SpeechRequest(
            text=text,
            audio_prompt_path=audio_prompt_path,
            exaggeration=exaggeration,
            cfg_weight=cfg_weight,
            temperature=temperature,
            seed=seed,
            repetition_penalty=repetition_penalty,
            min_p=min_p,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
        )
        return self.synthesize(request).audio

    def synthesize(self, request: SpeechRequest, *, checkpoint: Callable[[], None] = _go_on) -> SpeechResult:
        """Speak `request` and tell what was used and how long each stage took.

        Args:
            request: what to say, and how.
            checkpoint: called before every decoding step and between the stages; an exception raised from it ends
                this call, and only this one.

        Raises:
            StatelessTTSError: bad input, found before any work is done.
        """
        text_tokens = tokenize(self.model, request.text)
        stopwatch = _Stopwatch()
        voice = self.voice_of(request)
        stopwatch.lap("voice")
        randomness = CallRandomness(fresh_seed() if request.seed is None else int(request.seed))
        spoken = self._speak(request, voice, text_tokens, randomness, checkpoint)
        stopwatch.lap("speech_tokens")
        checkpoint()
        readable = mel_room.readable_tokens(spoken)
        mel = mel_room.render_mel(self.model.s3gen, readable, voice, randomness)
        stopwatch.lap("mel")
        checkpoint()
        waveform = waveform_room.vocode(self.model.s3gen, mel, randomness)
        audio = waveform_room.watermark(self.model.watermarker, waveform, self.sr)
        stopwatch.lap("waveform")
        return SpeechResult(audio, self.sr, randomness.seed, spoken.cpu(), StageSeconds(**stopwatch.laps))

    def voice_of(self, request: SpeechRequest) -> Voice:
        """Return the voice that `request` is spoken with: its own, or the default one.

        Raises:
            InvalidClipError: no voice can be made of the request's clip.
            MissingVoiceError: the request names no clip and there is no default voice.
        """
        if request.audio_prompt_path:
            return self.prepare_voice(request.audio_prompt_path)
        if self._default_voice is None:
            raise MissingVoiceError(
                f"audio_prompt_path={request.audio_prompt_path!r} and the model has no built-in voice; "
                f"expected a reference clip, a Voice, or prepare_default_conditionals() beforehand"
            )
        return self._default_voice

    def _speak(
        self,
        request: SpeechRequest,
        voice: Voice,
        text_tokens: torch.Tensor,
        randomness: CallRandomness,
        checkpoint: Callable[[], None],
    ) -> torch.Tensor:
        t3 = self.model.t3
        prompt = prepare_prompt(
            t3, voice, text_tokens, exaggeration=request.exaggeration, cfg_weight=request.cfg_weight
        )
        sampler = SpeechTokenSampler(request, t3.hp, randomness, prompt.embeddings.device)
        return decode(t3, prompt, sampler, checkpoint)


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = now - self._last
        self._last = now
