"""The wrapper as the published plan for it draws it: conditions are local, and that is all.

The plan keeps `self.conds` out of the way, but still seeds the process-wide generator and still goes through
`t3.inference` and `s3gen.inference` of the shared model, so the draws of one call land in another.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from harness.subject import Subject

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS, Conditionals

    from stateless_tts import SpeechRequest

# What stock `generate` passes and what it keeps of the result (chatterbox-tts 0.1.7).
MAX_NEW_TOKENS = 1000
FIRST_SPECIAL_TOKEN = 6561


class SeedPlanCall:
    """`generate_stateless` of the plan."""

    def __init__(self, model: ChatterboxTTS) -> None:
        self._model = model
        self._built_in_voice = copy.deepcopy(model.conds)

    def __call__(self, request: SpeechRequest) -> torch.Tensor:
        """Return (1, samples) float32."""
        model = self._model
        torch.manual_seed(request.seed)
        conditions = self._local_conditions(request)
        text_tokens = self._text_tokens(request)
        with torch.inference_mode():
            speech_tokens = model.t3.inference(
                t3_cond=conditions.t3,
                text_tokens=text_tokens,
                max_new_tokens=MAX_NEW_TOKENS,
                temperature=request.temperature,
                cfg_weight=request.cfg_weight,
                repetition_penalty=request.repetition_penalty,
                min_p=request.min_p,
                top_p=request.top_p,
            )[0]
            speech_tokens = speech_tokens[speech_tokens < FIRST_SPECIAL_TOKEN].to(model.device)
            audio, _ = model.s3gen.inference(speech_tokens=speech_tokens, ref_dict=conditions.gen)
            samples = audio.squeeze(0).detach().cpu().numpy()
        marked = model.watermarker.apply_watermark(samples, sample_rate=model.sr)
        return torch.from_numpy(marked).unsqueeze(0)

    def _local_conditions(self, request: SpeechRequest) -> Conditionals:
        # A shallow copy of the model is this call's own place for upstream's methods to leave `conds` in.
        local = copy.copy(self._model)
        if request.audio_prompt_path is not None:
            local.prepare_conditionals(request.audio_prompt_path, exaggeration=request.exaggeration)
        else:
            local.conds = copy.deepcopy(self._built_in_voice)
            local.conds.t3.emotion_adv = request.exaggeration * torch.ones(1, 1, 1, device=self._model.device)
            local.conds.t3.cond_prompt_speech_emb = None
        return local.conds

    def _text_tokens(self, request: SpeechRequest) -> torch.Tensor:
        from chatterbox.tts import punc_norm  # noqa: PLC0415 - takes ten seconds to import

        tokens = self._model.tokenizer.text_to_tokens(punc_norm(request.text)).to(self._model.device)
        rows = tokens.expand(2 if request.cfg_weight > 0 else 1, -1)
        settings = self._model.t3.hp
        rows = functional.pad(rows, (1, 0), value=settings.start_text_token)
        return functional.pad(rows, (0, 1), value=settings.stop_text_token)


def seed_plan(model: ChatterboxTTS) -> Subject:
    """The plan's wrapper, called from all threads."""
    return Subject("seed-plan", SeedPlanCall(model), (model,))
