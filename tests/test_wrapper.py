"""The contract: bit-identical to stock alone, whatever else runs, and nothing shared written."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import (
    InvalidClipError,
    InvalidParameterError,
    MissingVoiceError,
    SpeechRequest,
    StatelessChatterBoxWrapper,
    UnsupportedModelError,
    Voice,
)
from tests.stock import fresh_conditionals, stock_generate

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

SHORT = "Hello there."
LONG = "the quick brown fox — jumps over… the lazy dog; and then it rests, at last: " * 2


@pytest.fixture(scope="module")
def requests(clips: tuple[Path, ...]) -> tuple[SpeechRequest, ...]:
    """Mix voices, lengths and parameters."""
    return (
        SpeechRequest(SHORT, seed=0),
        SpeechRequest(SHORT, clips[0], seed=1),
        SpeechRequest(LONG, clips[1], seed=2, exaggeration=0.9),
        SpeechRequest("", clips[2], seed=3, cfg_weight=1.3, top_p=0.8),
        SpeechRequest("¿Qué? 🙂 " + SHORT, clips[0], seed=-4, temperature=1.0, repetition_penalty=1.0),
        SpeechRequest("   ", seed=2**63, min_p=0.0, temperature=1.7),
        SpeechRequest(LONG[:90], clips[1], seed=6, exaggeration=0.1, cfg_weight=0.2, min_p=0.3),
        SpeechRequest(SHORT, str(clips[2]), seed=7, temperature=0.3, top_p=0.0),
    )


@pytest.fixture(scope="module")
def wanted(stock: ChatterboxTTS, requests: tuple[SpeechRequest, ...]) -> list[torch.Tensor]:
    """Run stock alone, one request after the other."""
    built_in = fresh_conditionals(stock.conds)
    return [stock_generate(stock, built_in, request) for request in requests]


def test_sequential_results_are_stocks(
    wrapper: StatelessChatterBoxWrapper, requests: tuple[SpeechRequest, ...], wanted: list[torch.Tensor]
) -> None:
    for request, audio in zip(requests, wanted, strict=True):
        assert torch.equal(wrapper.synthesize(request).audio, audio), request


@pytest.mark.parametrize("threads", [8, 16])
def test_concurrent_results_are_stocks(
    wrapper: StatelessChatterBoxWrapper, requests: tuple[SpeechRequest, ...], wanted: list[torch.Tensor], threads: int
) -> None:
    start = threading.Barrier(threads)

    def speak(first: int) -> list[tuple[int, torch.Tensor]]:
        start.wait(60)
        mine = range(first, max(len(requests), threads), threads)
        return [(i % len(requests), wrapper.synthesize(requests[i % len(requests)]).audio) for i in mine]

    with ThreadPoolExecutor(threads) as pool:
        spoken = [item for batch in pool.map(speak, range(threads)) for item in batch]
    assert {index for index, _ in spoken} == set(range(len(requests)))
    wrong = [requests[index] for index, audio in spoken if not torch.equal(audio, wanted[index])]
    assert not wrong


def test_generate_stateless_takes_the_arguments_of_the_plan(
    wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...], requests: tuple[SpeechRequest, ...]
) -> None:
    positional = wrapper.generate_stateless(SHORT, clips[0], 0.5, 0.5, 0.8, 1)
    assert torch.equal(positional, wrapper.synthesize(requests[1]).audio)
    assert positional.dtype == torch.float32
    assert positional.ndim == 2
    assert not positional.is_inference()


def test_a_voice_may_take_the_place_of_its_clip(
    wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...], wanted: list[torch.Tensor]
) -> None:
    voice = wrapper.prepare_voice(clips[0])
    assert isinstance(voice, Voice)
    assert wrapper.prepare_voice(clips[0]) is voice
    assert torch.equal(wrapper.generate_stateless(SHORT, voice, seed=1), wanted[1])


def test_calls_write_nothing_that_is_shared(
    model: ChatterboxTTS, wrapper: StatelessChatterBoxWrapper, requests: tuple[SpeechRequest, ...]
) -> None:
    voice = wrapper.prepare_voice(str(requests[1].audio_prompt_path))
    before = _fingerprint(model), _voice_bits(voice), torch.random.get_rng_state()
    conds = model.conds
    wrapper.synthesize(replace(requests[1], audio_prompt_path=voice))
    wrapper.synthesize(requests[3])
    after = _fingerprint(model), _voice_bits(voice), torch.random.get_rng_state()
    assert model.conds is conds
    assert after[0] == before[0]
    assert all(torch.equal(a, b) for a, b in zip(after[1], before[1], strict=True))
    assert torch.equal(after[2], before[2])


def _fingerprint(model: ChatterboxTTS) -> dict[str, object]:
    """Identity of every attribute of every module, and the versions of its tensors."""
    marks: dict[str, object] = {name: id(value) for name, value in vars(model).items()}
    for root in ("t3", "s3gen", "ve"):
        for path, module in getattr(model, root).named_modules():
            for name, value in vars(module).items():
                marks[f"{root}.{path}.{name}"] = (id(value), len(value) if isinstance(value, dict) else None)
        for path, tensor in getattr(model, root).state_dict(keep_vars=True).items():
            marks[f"{root}.{path}"] = (tensor.data_ptr(), tensor._version)
    return marks


def _voice_bits(voice: Voice) -> list[torch.Tensor]:
    return [tensor.clone() for tensor in vars(voice).values() if tensor is not None]


def test_without_guidance_the_conditional_row_decides(wrapper: StatelessChatterBoxWrapper) -> None:
    """Upstream crashes at cfg_weight=0; near 0 its formula tends to the conditional row, and so do we."""
    alone = wrapper.synthesize(SpeechRequest(SHORT, seed=5, cfg_weight=0.0))
    nearly = wrapper.synthesize(SpeechRequest(SHORT, seed=5, cfg_weight=1e-9))
    assert torch.equal(alone.speech_tokens, nearly.speech_tokens)


def test_the_result_tells_what_was_used(wrapper: StatelessChatterBoxWrapper) -> None:
    result = wrapper.synthesize(SpeechRequest(SHORT))
    again = wrapper.synthesize(SpeechRequest(SHORT, seed=result.seed))
    assert torch.equal(again.audio, result.audio)
    assert torch.equal(again.speech_tokens, result.speech_tokens)
    assert result.speech_tokens.dtype == torch.int64
    assert result.sample_rate == wrapper.sr == 24_000
    assert result.duration == result.audio.shape[1] / 24_000
    assert min(vars(result.stage_seconds).values()) >= 0
    assert result.stage_seconds.total > 0
    assert wrapper.synthesize(SpeechRequest(SHORT)).seed != result.seed


def test_max_new_tokens_ends_the_utterance(wrapper: StatelessChatterBoxWrapper) -> None:
    whole = wrapper.synthesize(SpeechRequest(LONG, seed=1))
    cut = wrapper.synthesize(SpeechRequest(LONG, seed=1, max_new_tokens=6))
    assert torch.equal(cut.speech_tokens, whole.speech_tokens[:6])
    assert cut.audio.shape[1] < whole.audio.shape[1]


def test_a_checkpoint_ends_its_own_call_alone(wrapper: StatelessChatterBoxWrapper) -> None:
    steps = 0

    def give_up() -> None:
        nonlocal steps
        steps += 1
        if steps > 3:
            raise TimeoutError("given up at step 4")

    before = wrapper.synthesize(SpeechRequest(SHORT, seed=1)).audio
    with pytest.raises(TimeoutError, match="step 4"):
        wrapper.synthesize(SpeechRequest(SHORT, seed=1), checkpoint=give_up)
    assert steps == 4
    assert torch.equal(wrapper.synthesize(SpeechRequest(SHORT, seed=1)).audio, before)


def test_default_voice(model: ChatterboxTTS, stock: ChatterboxTTS, clips: tuple[Path, ...]) -> None:
    built_in, model.conds = model.conds, None
    try:
        silent = StatelessChatterBoxWrapper(model)
    finally:
        model.conds = built_in
    assert not silent.has_default_conditions
    with pytest.raises(MissingVoiceError, match="no built-in voice"):
        silent.generate_stateless(SHORT)
    with pytest.raises(InvalidParameterError, match="exaggeration=-1"):
        silent.prepare_default_conditionals(clips[0], exaggeration=-1)
    voice = silent.prepare_default_conditionals(clips[0])
    assert silent.has_default_conditions
    spoken = silent.generate_stateless(SHORT, seed=1)
    assert torch.equal(spoken, silent.generate_stateless(SHORT, voice, seed=1))
    assert torch.equal(
        spoken, stock_generate(stock, fresh_conditionals(built_in), SpeechRequest(SHORT, clips[0], seed=1))
    )


def test_a_wrapper_made_after_stock_has_spoken_is_the_same(stock: ChatterboxTTS, wanted: list[torch.Tensor]) -> None:
    """Stock rewrites the voice it holds, in place and in another dtype; the bits do not depend on it."""
    held = fresh_conditionals(stock.conds)
    stock.conds = held
    stock.generate(SHORT)
    assert stock.conds.gen["prompt_token"].is_floating_point()
    built_in_voice = StatelessChatterBoxWrapper(stock)
    speakers_differ = not torch.equal(built_in_voice.generate_stateless(SHORT, seed=0), wanted[1])
    assert speakers_differ


def test_bad_input_is_refused_before_any_work(wrapper: StatelessChatterBoxWrapper, tmp_path: Path) -> None:
    with pytest.raises(InvalidClipError, match="does not exist"):
        wrapper.generate_stateless(SHORT, tmp_path / "absent.wav")
    with pytest.raises(InvalidParameterError, match="temperature=0"):
        wrapper.generate_stateless(SHORT, temperature=0)
    with pytest.raises(InvalidParameterError, match=r"text of 3000 characters .* at most 2048"):
        wrapper.generate_stateless("a" * 3000, tmp_path / "absent.wav")
    with pytest.raises(UnsupportedModelError, match=r"builtins.dict is not supported; expected .*ChatterboxTTS"):
        StatelessChatterBoxWrapper({})


def test_a_known_voice_is_not_decoded_again(
    wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = wrapper.prepare_voice(clips[0])
    monkeypatch.setattr("soundfile.read", None)
    assert wrapper.prepare_voice(clips[0]) is voice


def test_no_call_touches_the_process_wide_attention_switches(
    wrapper: StatelessChatterBoxWrapper, stock: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Upstream turns all attention kernels on for the process and off again, in whatever order its calls end."""
    touched: list[bool] = []
    switch = torch._C._set_sdp_use_flash

    def watched(on: bool) -> None:
        touched.append(on)
        switch(on)

    monkeypatch.setattr(torch._C, "_set_sdp_use_flash", watched)
    stock_generate(stock, fresh_conditionals(stock.conds), SpeechRequest(SHORT, seed=1))
    assert touched, "stock no longer does; this test guards nothing"
    touched.clear()
    wrapper.synthesize(SpeechRequest(SHORT, seed=1))
    assert not touched


def test_a_model_in_training_mode_is_refused(stock: ChatterboxTTS) -> None:
    stock.s3gen.speaker_encoder.train()
    try:
        with pytest.raises(UnsupportedModelError, match=r"model\.s3gen is in training mode"):
            StatelessChatterBoxWrapper(stock)
    finally:
        stock.s3gen.speaker_encoder.eval()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: is the contract kept there?")
def test_contract_on_cuda(clips: tuple[Path, ...]) -> None:
    from stateless_tts.synthetic import build_chatterbox

    stock = build_chatterbox(device="cuda")
    shared = StatelessChatterBoxWrapper(build_chatterbox(device="cuda"))
    built_in = fresh_conditionals(stock.conds)
    requests = [SpeechRequest(SHORT, clip, seed=seed) for seed, clip in enumerate(clips)]
    wanted = [stock_generate(stock, built_in, request) for request in requests]
    with ThreadPoolExecutor(3) as pool:
        spoken = list(pool.map(lambda request: shared.synthesize(request).audio, requests))
    assert all(torch.equal(a, b) for a, b in zip(spoken, wanted, strict=True))
