"""The multilingual family: stock's bits, and an alignment analyser that lives as long as its call."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
import torch
from chatterbox.models.t3.inference.alignment_stream_analyzer import LLAMA_ALIGNED_HEADS, AlignmentStreamAnalyzer

from stateless_tts import InvalidParameterError, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.families import SpeakingFamily
from stateless_tts.randomness import CallRandomness
from tests.families.contract import (
    Subject,
    stock_audio,
    subject,
    touched_by,
    wrong_from_threads,
    wrong_sequentially,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def case(clips: tuple[Path, ...]) -> Subject:
    return subject(
        "multilingual",
        (
            SpeechRequest("Bonjour.", seed=0, language_id="fr"),
            SpeechRequest("Grüezi!", clips[0], seed=1, language_id="DE", exaggeration=0.9),
            SpeechRequest("日本語を話す", seed=2, language_id="ja", cfg_weight=1.2),
            SpeechRequest("你好世界", seed=3, language_id="zh", cfg_weight=0.0),
            SpeechRequest("안녕하세요", clips[1], seed=4, language_id="ko", repetition_penalty=1.2, top_p=0.9),
            SpeechRequest("Привет", seed=5, language_id="ru", temperature=0.05, repetition_penalty=1.0),
        ),
    )


def test_sequential_results_are_stocks(case: Subject) -> None:
    assert not wrong_sequentially(case)


def test_concurrent_results_are_stocks(case: Subject) -> None:
    assert not wrong_from_threads(case, 8)


def test_calls_write_nothing_that_is_shared(case: Subject) -> None:
    t3 = case.wrapper.model.t3
    assert not touched_by(case, case.requests[:2])
    assert _hooks(t3) == 0
    assert t3.cfg._attn_implementation == "sdpa"
    assert not t3.cfg.output_attentions
    assert not t3.compiled
    assert "patched_model" not in t3._modules
    assert not hasattr(t3.tfmr, "_output_capturing_hooks_installed")


def test_no_analyser_outlives_its_call(case: Subject) -> None:
    gc.collect()
    gc.disable()  # freed by counting references, not by chance
    try:
        before = _analysers()
        for seed in range(4):
            case.wrapper.generate_stateless("Ja.", seed=seed, language_id="da", max_new_tokens=3)
        assert _analysers() == before
    finally:
        gc.enable()


def test_stocks_first_call_and_later_ones_agree_and_so_does_a_wrapper_made_after_them(case: Subject) -> None:
    """Stock leaves eager attention and old hooks on the model; neither changes a bit, and the old hooks stay silent."""
    t3 = case.stock.t3
    hooks = _hooks(t3)
    assert hooks >= 3 * len(case.requests)
    assert t3.cfg._attn_implementation == "eager"
    again = stock_audio(case.stock, case.requests[0])
    assert torch.equal(again, case.wanted[0])
    late = StatelessChatterBoxWrapper(case.stock)
    last = t3.patched_model.alignment_stream_analyzer.last_aligned_attns[0]
    assert torch.equal(late.synthesize(case.requests[0]).audio, case.wanted[0])
    assert t3.patched_model.alignment_stream_analyzer.last_aligned_attns[0] is last
    assert _hooks(t3) == hooks + 3, "stock's one call adds three, ours none"


def test_the_analyser_decides(case: Subject, caplog: pytest.LogCaptureFixture) -> None:
    """A voice that repeats itself is stopped by force, at the step where stock is stopped."""
    with caplog.at_level("WARNING"):
        stopped = case.wrapper.synthesize(case.requests[5])
    assert "forcing EOS token" in caplog.text
    assert stopped.speech_tokens[-1] == 6562


@torch.inference_mode()
def test_a_watch_brings_the_analyser_what_its_hooks_bring(case: Subject) -> None:
    """The maps of row 0, head by head: where many utterances are read at a time there is nothing to hook."""
    family = case.wrapper.family
    assert isinstance(family, SpeakingFamily)
    voice = family.default_voice()
    assert voice is not None
    request = SpeechRequest("Goedendag.", language_id="nl")
    utterance = family.begin(request, voice, family.tokenize(request), CallRandomness(0))
    out = utterance.t3.tfmr(inputs_embeds=utterance.prompt.embeddings, output_attentions=True, use_cache=True)
    assert utterance.watch is not None
    analyser = utterance.watch._analyser  # type: ignore[attr-defined] # of a protocol; ours has one
    hooked = [attention.clone() for attention in analyser.last_aligned_attns]
    analyser.last_aligned_attns = [None] * len(LLAMA_ALIGNED_HEADS)
    for layer, weights in enumerate(out.attentions):
        utterance.watch.see(layer, weights)
    assert all(torch.equal(*pair) for pair in zip(analyser.last_aligned_attns, hooked, strict=True))


def test_without_guidance_there_are_two_rows_as_upstream_has(case: Subject) -> None:
    """One row alone may round differently, which a token seldom shows."""
    family = case.wrapper.family
    assert isinstance(family, SpeakingFamily)
    voice = family.default_voice()
    assert voice is not None
    request = SpeechRequest("Hallo.", language_id="nl", cfg_weight=0.0)
    utterance = family.begin(request, voice, family.tokenize(request), CallRandomness(0))
    assert utterance.prompt.embeddings.size(0) == 2
    assert torch.equal(utterance.prompt.embeddings[0], utterance.prompt.embeddings[1])


def test_the_defaults_are_upstreams(case: Subject) -> None:
    plain = case.wrapper.synthesize(case.requests[0]).audio
    said = {
        penalty: case.wrapper.generate_stateless("Bonjour.", seed=0, language_id="fr", repetition_penalty=penalty)
        for penalty in (2.0, 1.2)
    }
    assert torch.equal(plain, said[2.0])
    assert not torch.equal(plain, said[1.2])


def test_the_language_is_heard(case: Subject) -> None:
    spoken = [case.wrapper.generate_stateless("Taxi.", seed=0, language_id=language) for language in ("en", "fi")]
    assert not torch.equal(spoken[0], spoken[1])


@pytest.mark.parametrize("language", [None, "", "klingon", "english"])
def test_missing_and_unknown_languages_are_refused(case: Subject, language: str | None) -> None:
    with pytest.raises(InvalidParameterError, match=f"language_id={language!r}: expected one of ar, da, de"):
        case.wrapper.generate_stateless("Hello.", language_id=language)


def test_what_other_families_take_is_refused(case: Subject, clips: tuple[Path, ...]) -> None:
    with pytest.raises(InvalidParameterError, match="top_k=5: expected only with a ChatterboxTurboTTS"):
        case.wrapper.generate_stateless("Hello.", language_id="en", top_k=5)
    with pytest.raises(InvalidParameterError, match="norm_loudness=True: expected only with a ChatterboxTurboTTS"):
        case.wrapper.prepare_voice(clips[2], norm_loudness=True)
    with pytest.raises(InvalidParameterError, match=r"a ChatterboxMultilingualTTS converts no recording"):
        case.wrapper.convert(clips[0])
    with pytest.raises(InvalidParameterError, match=r"has 3000 tokens|at most 2048"):
        case.wrapper.generate_stateless("a" * 3000, language_id="en")


def _hooks(t3: torch.nn.Module) -> int:
    return sum(
        getattr(hook, "__module__", "") == AlignmentStreamAnalyzer.__module__
        for index, _ in LLAMA_ALIGNED_HEADS
        for hook in t3.get_submodule(f"tfmr.layers.{index}.self_attn")._forward_hooks.values()
    )


def _analysers() -> int:
    return sum(type(thing) is AlignmentStreamAnalyzer for thing in gc.get_objects())
