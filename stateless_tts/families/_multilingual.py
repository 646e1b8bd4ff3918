"""`ChatterboxMultilingualTTS`."""

from __future__ import annotations

import copy
import importlib.util
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from chatterbox.models.t3.inference.alignment_stream_analyzer import LLAMA_ALIGNED_HEADS, AlignmentStreamAnalyzer
from chatterbox.models.tokenizers.tokenizer import add_hebrew_diacritics, add_russian_stress, hiragana_normalize
from chatterbox.mtl_tts import SUPPORTED_LANGUAGES, punc_norm

from stateless_tts.errors import InvalidParameterError
from stateless_tts.private import with_private
from stateless_tts.request import Sampling
from stateless_tts.speech_tokens import SpeechTokenSampler, bounded, prepare_prompt

from ._family import SpeakingFamily, Utterance, refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from chatterbox.models.t3 import T3

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import SpeechRequest
    from stateless_tts.voice import Voice

_SAMPLING = Sampling(repetition_penalty=2.0, min_p=0.05, top_p=1.0)
# Upstream keeps one process-wide converter for each of these languages and makes it on first use.
_CONVERTERS: Mapping[str, tuple[Callable[[str], str], str]] = {
    "pykakasi": (hiragana_normalize, "あ"),
    "dicta_onnx": (add_hebrew_diacritics, "א"),
    "russian_text_stresser": (add_russian_stress, "а"),  # noqa: RUF001 - a Russian letter
}

# The converters are upstream's globals, shared by all its models, and promise nothing about threads.
_CONVERTING = Lock()


@dataclass(frozen=True, eq=False)
class MultilingualFamily(SpeakingFamily):
    """23 languages: English's architecture, watched by upstream's alignment analyser.

    The analyser reads attention maps through hooks and switches T3's configuration to eager attention, which upstream
    does on the shared T3, once more with every call. Here each call has a skeleton of T3 of its own, over the shared
    weights: the hooks and the configuration die with the call. Upstream's first call already runs on eager attention,
    as all its later ones do, so there is one stock result to be identical to, whether or not stock was called before.

    Upstream's ``language_id=None``, a text without a mark of its language, is refused: no language is meant by it.
    """

    def warm_up(self) -> None:
        """Fill upstream's process-wide tables now, its language converters included where they are installed."""
        super().warm_up()
        for package, (convert, letter) in _CONVERTERS.items():
            if importlib.util.find_spec(package) is not None:
                convert(letter)

    def rows(self, request: SpeechRequest) -> int:  # noqa: ARG002 - the same for every request
        """Return 2: upstream reads two rows at a `cfg_weight` of 0, too."""
        return 2

    def check(self, request: SpeechRequest) -> None:
        """Refuse a missing or unknown language, and a top-k."""
        language = request.language_id
        if not language or language.lower() not in SUPPORTED_LANGUAGES:
            raise InvalidParameterError(f"language_id={language!r}: expected one of {', '.join(SUPPORTED_LANGUAGES)}")
        refuse(request, "top_k", "ChatterboxTurboTTS", "ChatterboxMultilingualTTS")

    def tokenize(self, request: SpeechRequest) -> torch.Tensor:
        """Return the tokens of the request's text, int64 of shape (1, tokens) on the model's device."""
        assert request.language_id is not None
        with _CONVERTING:
            tokens = self.model.tokenizer.text_to_tokens(
                punc_norm(request.text), language_id=request.language_id.lower()
            )
        return bounded(tokens, self.model.t3.hp, request.text).to(self.model.t3.device)

    def begin(
        self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor, randomness: CallRandomness
    ) -> Utterance:
        """Prepare the decoding of one utterance, on a call-private skeleton of T3."""
        t3 = _skeleton(self.model.t3)
        prompt = prepare_prompt(
            t3,
            voice,
            text_tokens,
            exaggeration=request.exaggeration,
            cfg_weight=request.cfg_weight,
            always_two_rows=True,
        )
        analyser = AlignmentStreamAnalyzer(
            t3.tfmr, None, text_tokens_slice=prompt.text_span, eos_idx=t3.hp.stop_speech_token
        )
        # The analyser's hooks bring the attention maps. The switch that it turned on as well would only make
        # transformers put more hooks on every layer and collect all maps a second time.
        t3.tfmr.config.output_attentions = False
        sampler = SpeechTokenSampler(
            replace(request, **vars(request.sampling(_SAMPLING))),
            t3.hp,
            randomness,
            prompt.embeddings.device,
            inspect=analyser.step,
        )
        return Utterance(t3, prompt, sampler, _Watch(analyser))


class _Watch:
    """Brings the analyser of one utterance what its hooks bring it, where T3 reads for many utterances at a time."""

    def __init__(self, analyser: AlignmentStreamAnalyzer) -> None:
        self._analyser = analyser

    def see(self, layer: int, weights: torch.Tensor) -> None:
        for place, (watched, head) in enumerate(LLAMA_ALIGNED_HEADS):
            if watched == layer:
                self._analyser.last_aligned_attns[place] = weights[0, head].cpu()


def _skeleton(t3: T3) -> T3:
    """Return a view of `t3` whose configuration, attention modules and hooks are private, and whose weights are not."""
    private = with_private(t3, [f"tfmr.layers.{index}.self_attn" for index in range(len(t3.tfmr.layers))])
    config = copy.copy(t3.tfmr.config)
    private.cfg = private.tfmr.config = config
    for layer in private.tfmr.layers:
        layer.self_attn.config = config
    for index, _ in LLAMA_ALIGNED_HEADS:
        _drop_analysers(private.tfmr.layers[index].self_attn)
    return private


def _drop_analysers(attention: torch.nn.Module) -> None:
    """Take the hooks of past calls of stock's own `generate` off the private module."""
    hooks = attention._forward_hooks  # noqa: SLF001 - nn.Module has no public view of its hooks
    for key, hook in list(hooks.items()):
        if getattr(hook, "__module__", None) == AlignmentStreamAnalyzer.__module__:
            del hooks[key]
