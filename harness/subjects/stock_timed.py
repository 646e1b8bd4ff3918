"""Stock ChatterBox that also tells its speech tokens and how long its stages took, with nothing patched.

The model that `generate` runs on is a shallow copy: the networks are the shared ones, but T3, S3Gen and the
watermarker stand behind a proxy that notes time and tokens on the way through.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import torch

from harness.subjects.contestant import Spoken

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest


class _Noted:
    """A part of the model; calls of `method` are timed and their results kept."""

    def __init__(self, part: Any, method: str) -> None:  # noqa: ANN401 - any of upstream's parts
        self._part = part
        self._method = method
        self.seconds = 0.0
        self.result: Any = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the part has
        found = getattr(self._part, name)
        return self._timed(found) if name == self._method else found

    def _timed(self, function: Any) -> Any:  # noqa: ANN401 - a bound method of the part
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the part's own signature
            began = time.perf_counter()
            self.result = function(*args, **kwargs)
            self.seconds = time.perf_counter() - began
            return self.result

        return call


class TimedStock:
    """Seed the process, encode the voice, `generate`. One call at a time.

    A request's clip is encoded anew by every call, as stock's `generate` does; a request that brings an encoded
    `Voice` skips that.

    Args:
        model: upstream's; its `conds` are left alone.
        dtype: T3 is used as it is, or as a cast copy.
    """

    def __init__(self, model: ChatterboxTTS, dtype: torch.dtype | None = None) -> None:
        self._model = copy.copy(model)
        t3 = model.t3
        self._dtype: torch.dtype = t3.speech_head.weight.dtype
        if dtype not in (None, self._dtype):
            assert dtype is not None
            self._dtype, t3 = dtype, copy.deepcopy(t3).to(dtype)
        self._t3 = _Noted(t3, "inference")
        self._s3gen = _Noted(model.s3gen, "inference")
        self._watermarker = _Noted(model.watermarker, "apply_watermark")
        self._model.t3, self._model.s3gen, self._model.watermarker = self._t3, self._s3gen, self._watermarker

    def __call__(self, request: SpeechRequest) -> Spoken:
        """Speak `request`."""
        model = self._model
        torch.manual_seed(request.seed)
        began = time.perf_counter()
        self._take_voice(request)
        stages = {"voice": time.perf_counter() - began}
        audio: torch.Tensor = model.generate(
            request.text,
            exaggeration=request.exaggeration,
            cfg_weight=request.cfg_weight,
            temperature=request.temperature,
            repetition_penalty=request.repetition_penalty,
            min_p=request.min_p,
            top_p=request.top_p,
        )
        stages["speech_tokens"] = self._t3.seconds
        # Stock's S3Gen makes mel and waveform in one go.
        stages["render"] = self._s3gen.seconds
        stages["watermark"] = self._watermarker.seconds
        return Spoken(audio, self._t3.result[0], stages)

    def say(self, request: SpeechRequest) -> Spoken:
        """Run T3 alone, called as `generate` calls it; the result has tokens and no audio."""
        from stateless_tts.speech_tokens import tokenize  # noqa: PLC0415 - takes ten seconds to import

        model = self._model
        torch.manual_seed(request.seed)
        self._take_voice(request)
        with torch.inference_mode():
            tokens = self._t3.inference(
                t3_cond=model.conds.t3,
                text_tokens=tokenize(model, request.text).repeat(2, 1),
                max_new_tokens=request.max_new_tokens,
                temperature=request.temperature,
                cfg_weight=request.cfg_weight,
                repetition_penalty=request.repetition_penalty,
                min_p=request.min_p,
                top_p=request.top_p,
            )
        return Spoken(torch.empty(1, 0), tokens[0], {"speech_tokens": self._t3.seconds})

    def _take_voice(self, request: SpeechRequest) -> None:
        from chatterbox.tts import Conditionals  # noqa: PLC0415 - takes ten seconds to import

        from stateless_tts import Voice  # noqa: PLC0415 - the same

        prompt = request.audio_prompt_path
        if isinstance(prompt, Voice):
            conditioning = prompt.t3_conditioning(request.exaggeration)
            self._model.conds = Conditionals(conditioning, prompt.s3gen_reference())
        else:
            self._model.prepare_conditionals(prompt, exaggeration=request.exaggeration)
        if self._dtype is not torch.float32:
            self._model.conds.t3.to(dtype=self._dtype)
