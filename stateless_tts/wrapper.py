"""The stateless wrapper: many callers, one ChatterBox, every result what stock gives alone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from . import waveform as waveform_room
from ._calls import NamedCalls
from .errors import MissingVoiceError
from .families import converting, family_of, read_recording, speaking
from .randomness import CallRandomness, fresh_seed
from .request import ConversionRequest, SpeechRequest, SpeechResult, StageSeconds
from .speech_tokens import decode
from .voice import Voice, VoiceCache, read_clip

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import torch
    from chatterbox.mtl_tts import ChatterboxMultilingualTTS
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from chatterbox.vc import ChatterboxVC

    from .voice import Clip

_DEFAULT_CACHE_BYTES = 256 * 2**20


def _go_on() -> None:
    """Pass a checkpoint that nobody watches."""


class StatelessChatterBoxWrapper(NamedCalls):
    """Speak with one shared ChatterBox from any number of threads.

    Every result is ``torch.equal`` to that of ``torch.manual_seed(seed); model.generate(...)`` on an otherwise idle
    process. (On a GPU stock itself has the same bits twice only with ``torch.backends.cudnn.deterministic = True``,
    which is the process's, and so yours to set.) A call writes nothing that calls share: its conditioning, key/value
    cache, generators and scratch modules are its own; the model, the voices and the process-wide generators are left as
    they are.

    Args:
        chatterbox_model: upstream's `ChatterboxTTS`, `ChatterboxMultilingualTTS`, `ChatterboxTurboTTS` or
            `ChatterboxVC`. Its current voice, if any, is copied and becomes the default voice; what is later done to
            the model's `conds` or `ref_dict` is not seen.
        voice_cache_bytes: most bytes of prepared voices kept (about 16 kB for each of a clip's first 10 seconds).

    Raises:
        UnsupportedModelError: the model is none of these.
    """

    def __init__(
        self,
        chatterbox_model: ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS | ChatterboxVC,
        *,
        voice_cache_bytes: int = _DEFAULT_CACHE_BYTES,
    ) -> None:
        self.family = family_of(chatterbox_model)
        self.model = chatterbox_model
        self.sr: int = chatterbox_model.sr
        self.voices = VoiceCache(voice_cache_bytes)
        self._default_voice = self.family.default_voice()
        self.family.warm_up()

    @property
    def device(self) -> torch.device:
        """The device the model is on."""
        device: torch.device = self.model.s3gen.device
        return device

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

    def prepare_voice(self, clip: str | os.PathLike[str] | Voice, *, norm_loudness: bool | None = None) -> Voice:
        """Return the voice of a reference clip, encoded at most once while it stays in the cache.

        Args:
            clip: an audio file; a `Voice` is returned as it is.
            norm_loudness: Turbo only: whether to bring the clip to -27 LUFS first; None is upstream's own, True.

        Raises:
            InvalidClipError: no voice can be made of the clip.
            InvalidParameterError: `norm_loudness` with a model that does not take it.
        """
        return self.encoded(clip if isinstance(clip, Voice) else read_clip(clip), norm_loudness=norm_loudness)

    def encoded(self, reference: Voice | Clip, *, norm_loudness: bool | None = None) -> Voice:
        """Return the voice of a clip that has been read, as `prepare_voice` does; a `Voice` as it is, on our device."""
        if isinstance(reference, Voice):
            return reference.on(self.device)
        # Before anybody else may wait for this encoding: what is wrong with one call is no concern of the others.
        self.family.check_loudness(norm_loudness)
        key = f"{reference.digest} as recorded" if norm_loudness is False else reference.digest
        return self.voices.get(key, lambda: self.family.encode_voice(reference, norm_loudness=norm_loudness))

    def synthesize(
        self, request: SpeechRequest | ConversionRequest, *, checkpoint: Callable[[], None] = _go_on
    ) -> SpeechResult:
        """Carry out `request` and tell what was used and how long each stage took.

        Args:
            request: what to say, and how; a `ConversionRequest` for a `ChatterboxVC`, else a `SpeechRequest`.
            checkpoint: called before every decoding step and between the stages; an exception raised from it ends
                this call, and only this one.

        Raises:
            StatelessTTSError: bad input, found before any work is done.
        """
        if isinstance(request, ConversionRequest):
            return self._convert(request, checkpoint)
        return self._speak(request, checkpoint)

    def _speak(self, request: SpeechRequest, checkpoint: Callable[[], None]) -> SpeechResult:
        family = speaking(self.family, request)
        family.check(request)
        text_tokens = family.tokenize(request)
        stopwatch = _Stopwatch()
        voice = self.voice_of(request)
        stopwatch.lap("voice")
        randomness = _randomness(request.seed)
        utterance = family.begin(request, voice, text_tokens, randomness)
        spoken = decode(utterance.t3, utterance.prompt, utterance.sampler, checkpoint)
        return self._render(spoken, voice, randomness, stopwatch, checkpoint)

    def _convert(self, request: ConversionRequest, checkpoint: Callable[[], None]) -> SpeechResult:
        family = converting(self.family, request)
        recording = read_recording(request)
        stopwatch = _Stopwatch()
        voice = self.voice_of(request)
        stopwatch.lap("voice")
        checkpoint()
        spoken = family.listen(recording)
        return self._render(spoken, voice, _randomness(request.seed), stopwatch, checkpoint)

    def _render(
        self,
        spoken: torch.Tensor,
        voice: Voice,
        randomness: CallRandomness,
        stopwatch: _Stopwatch,
        checkpoint: Callable[[], None],
    ) -> SpeechResult:
        stopwatch.lap("speech_tokens")
        checkpoint()
        mel = self.family.render(spoken, voice, randomness)
        stopwatch.lap("mel")
        checkpoint()
        waveform = waveform_room.vocode(self.family.s3gen, mel, randomness)
        audio = waveform_room.watermark(self.model.watermarker, waveform, self.sr)
        stopwatch.lap("waveform")
        return SpeechResult(audio, self.sr, randomness.seed, spoken.cpu(), StageSeconds(**stopwatch.laps))

    def voice_of(self, request: SpeechRequest | ConversionRequest) -> Voice:
        """Return the voice that `request` is carried out with: its own, or the default one.

        Raises:
            InvalidClipError: no voice can be made of the request's clip.
            MissingVoiceError: the request names no clip and there is no default voice.
        """
        return self.encoded(self.reference_of(request))

    def reference_of(self, request: SpeechRequest | ConversionRequest) -> Voice | Clip:
        """Return what the voice of `request` comes from: a clip is read now, and later changes to it are not seen.

        Raises:
            InvalidClipError: the clip is missing, empty or cannot be read.
            MissingVoiceError: the request names no clip and there is no default voice.
        """
        name = "target_voice_path" if isinstance(request, ConversionRequest) else "audio_prompt_path"
        asked: str | os.PathLike[str] | Voice | None = getattr(request, name)
        if asked:
            return asked if isinstance(asked, Voice) else read_clip(asked)
        if self._default_voice is None:
            raise MissingVoiceError(
                f"{name}={asked!r} and the model has no built-in voice; "
                f"expected a reference clip, a Voice, or prepare_default_conditionals() beforehand"
            )
        return self._default_voice


def _randomness(seed: int | None) -> CallRandomness:
    return CallRandomness(fresh_seed() if seed is None else int(seed))


class _Stopwatch:
    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = now - self._last
        self._last = now
