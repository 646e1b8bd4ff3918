"""The batching engine over each family, small and seeded, for `python -m harness audit harness.subjects.engines:turbo`.

Every call starts an engine of its own over the one shared model, and closes it: what is shared is the model, and the
engine's threads are started where the audit can watch them.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from harness.subject import Subject
from harness.subjects.scratch import scratch_folder
from harness.workload.clips import draw_recipes, write_clip
from stateless_tts import ContinuousBatchingEngine, ConversionRequest, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    import torch

SEED = 0
MOST_TOKENS = 6


def english() -> Subject:
    """Engines over one `ChatterboxTTS`."""
    return _engines("english", (_speech(1), _speech(2, cfg_weight=0.0)))


def multilingual() -> Subject:
    """Engines over one `ChatterboxMultilingualTTS`; each request has an alignment analyser of its own."""
    return _engines("multilingual", (_speech(1, language_id="fr"), _speech(2, language_id="de")))


def turbo() -> Subject:
    """Engines over one `ChatterboxTurboTTS`."""
    return _engines("turbo", (_speech(1), _speech(2, top_k=20)))


def conversion() -> Subject:
    """Engines over one `ChatterboxVC`."""
    folder = scratch_folder("conversion")
    clips = [str(write_clip(recipe, folder).path) for recipe in draw_recipes(random.Random(SEED), 2)]  # noqa: S311 - reproducible, not cryptographic
    return _engines("vc", (ConversionRequest(clips[0], clips[1], 1), ConversionRequest(clips[1], None, 2)))


def _speech(seed: int, **parameters: Any) -> SpeechRequest:  # noqa: ANN401 - a request's
    return SpeechRequest("A few words.", seed=seed, max_new_tokens=MOST_TOKENS, **parameters)


def _engines(family: str, requests: tuple[SpeechRequest | ConversionRequest, ...]) -> Subject:
    model = build_chatterbox(family, profile="tiny", seed=SEED)
    # What a process does once, before its calls: upstream's tables are filled, the packages of its languages imported,
    # an engine's products translated for this CPU.
    StatelessChatterBoxWrapper(model)
    with ContinuousBatchingEngine(model, max_batch_size=2, render_workers=1):
        pass

    def call(request: SpeechRequest | ConversionRequest) -> torch.Tensor:
        with ContinuousBatchingEngine(model, max_batch_size=2, render_workers=1) as engine:
            return engine.synthesize(request).audio

    return Subject(f"engine-{family}", call, (model,), requests)
