"""A prompt that is read in chains is near what torch reads, and depends on nothing but the prompt."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stateless_tts.engine._prompts import Beginnings, _by_torch, read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.engine.chains import ChainedPrompt, chained_step, step_attention
from stateless_tts.engine.streamed import streamed_product
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

needs_kernels = pytest.mark.skipif(
    streamed_product(torch.float32) is None or step_attention(64) is None, reason="the kernels are of AVX2"
)


@pytest.fixture(scope="module")
def t3(model: ChatterboxTTS) -> T3:
    """Return the view that the engine reads with."""
    return prepare_decoding(model.t3, 2, torch.float32, pack=True).t3


def prompt_of(t3: T3) -> ChainedPrompt:
    step = chained_step(t3, 4, lambda rows: rows)
    assert step is not None
    return ChainedPrompt(t3, step.calls)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def past_of(t3: T3, rows: int, tokens: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    if not tokens:
        return []
    shape = 1, t3.cfg.num_key_value_heads, tokens, 64
    layers = range(1, 1 + len(t3.tfmr.layers))
    return [(noise(*shape).expand(rows, -1, -1, -1), noise(*shape).expand(rows, -1, -1, -1) * one) for one in layers]


def flat(layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    return torch.stack([tensor for layer in layers for tensor in layer])


@needs_kernels
@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 2), positions=st.integers(1, 90), tokens=st.integers(0, 40))
@torch.inference_mode()
def test_it_is_near_torchs(t3: T3, rows: int, positions: int, tokens: int) -> None:
    embeddings = noise(rows, positions, 1024) * 0.3
    before = embeddings.clone()
    layers, last = prompt_of(t3)(embeddings, past_of(t3, rows, tokens))
    expected, hidden = _by_torch(t3, embeddings, past_of(t3, rows, tokens))
    torch.testing.assert_close(last, hidden[:, -1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(flat(layers), flat(expected), rtol=1e-4, atol=1e-4)
    assert torch.equal(embeddings, before)


@needs_kernels
@settings(deadline=None, max_examples=15)
# No prompt has less: two tokens of text, one or more that are said, and two of speech. Of up to three positions torch's
# attention multiplies by MKL in ways that go by threads on some CPUs (seen on a Zen 3).
@given(positions=st.integers(5, 90), threads=st.integers(1, 4), tokens=st.sampled_from([0, 33]))
@torch.inference_mode()
def test_it_depends_on_the_prompt_alone(t3: T3, positions: int, threads: int, tokens: int) -> None:
    read, embeddings = prompt_of(t3), noise(2, positions, 1024)
    layers, last = read(embeddings, past_of(t3, 2, tokens))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        read(noise(1, 20, 1024) * 100, [])
        again, last_again = read(embeddings, past_of(t3, 2, tokens))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(last, last_again)
    assert torch.equal(flat(layers), flat(again))


@needs_kernels
def test_what_is_not_float32_is_refused(t3: T3) -> None:
    with pytest.raises(ValueError, match=r"embedded tokens of torch.bfloat16 .* expected torch.float32"):
        prompt_of(t3)(noise(1, 3, 1024).bfloat16(), [])


@needs_kernels
def test_what_is_of_another_width_is_refused(t3: T3) -> None:
    with pytest.raises(ValueError, match=r"3 rows of 1536 numbers in all, .* expected 1024"):
        prompt_of(t3)(noise(1, 3, 512), [])


@needs_kernels
def test_it_keeps_what_it_reads(model: ChatterboxTTS) -> None:
    own = prepare_decoding(copy.deepcopy(model.t3), 4, torch.float32, pack=True).t3
    read, embeddings = prompt_of(own), noise(2, 11, 1024)
    expected = read(embeddings, [])[1]
    for parameter in own.tfmr.parameters():  # as whoever moves the model elsewhere
        parameter.data = torch.zeros(1)
    torch.randn(10_000_000)
    assert torch.equal(read(embeddings, [])[1], expected)


@needs_kernels
@torch.inference_mode()
def test_a_voice_that_was_kept_changes_nothing(t3: T3) -> None:
    read, kept = prompt_of(t3), Beginnings(2**30)
    for voice, text, rows in ((1, 1, 2), (2, 1, 2), (1, 2, 1), (1, 1, 2), (2, 3, 1)):
        beginning = torch.randn(1, 33, 1024, generator=torch.Generator().manual_seed(voice)).expand(rows, -1, -1)
        rest = torch.randn(rows, 9 + text, 1024, generator=torch.Generator().manual_seed(10 + text))
        prompt = Prompt(torch.cat([beginning, rest], dim=1), (34, 40 + text), 33)
        caches, logits = zip(*(read_prompt(t3, prompt, one, read) for one in (kept, Beginnings(0))), strict=True)
        assert torch.equal(*logits)
        length = 42 + text
        assert [cache.length for cache in caches] == [length] * 2
        for one, other in zip(*(cache._buffers for cache in caches), strict=True):
            assert torch.equal(one[..., :length, :], other[..., :length, :])
    assert kept.nbytes == 2 * 2 * len(t3.tfmr.layers) * 33 * 1024 * 4


@needs_kernels
def test_the_engine_takes_it_with_a_chained_step_alone(model: ChatterboxTTS) -> None:
    assert isinstance(prepare_decoding(model.t3, 2, torch.float32, pack=True).read, ChainedPrompt)
    for t3, dtype, pack in (
        (model.t3, torch.bfloat16, True),
        (model.t3, torch.float32, False),
        (build_chatterbox("multilingual").t3, torch.float32, True),
        (build_chatterbox("turbo").t3, torch.float32, True),
    ):
        assert prepare_decoding(t3, 2, dtype, pack=pack).read is None
