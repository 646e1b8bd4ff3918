"""A prompt that is read in chains is near what torch reads, and depends on nothing but the prompt."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._passages import Passage
from stateless_tts.engine._prompts import Beginnings, ByTorch, read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.engine.chains import ChainedPrompt, LayerCalls, chained_step, step_attention
from stateless_tts.engine.streamed import streamed_product
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox
from tests.engine.readers import Counted, HalfWay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._passages import KeysAndValues

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
    assert isinstance(step.calls, LayerCalls)
    return ChainedPrompt(t3, step.calls)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def past_of(t3: T3, tokens: int) -> tuple[list[KeysAndValues], ...]:
    """Return made-up keys and values of so many positions, in two pieces."""
    heads, layers = t3.cfg.num_key_value_heads, range(1, 1 + len(t3.tfmr.layers))
    sizes = [size for size in (tokens // 3, tokens - tokens // 3) if size]
    return tuple([(noise(1, heads, size, 64), noise(1, heads, size, 64) * one) for one in layers] for size in sizes)


def passage(t3: T3, rows: int, positions: int, tokens: int = 0, hidden: int = 0) -> Passage:
    """Return made-up positions behind so many others, and behind some that they do not see."""
    return Passage(noise(rows, positions, 1024) * 0.3, past_of(t3, tokens + hidden), tokens)


def flat(layers: Sequence[KeysAndValues]) -> torch.Tensor:
    return torch.stack([tensor for layer in layers for tensor in layer])


@needs_kernels
@settings(deadline=None, max_examples=25)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 70), st.integers(0, 40)), min_size=1, max_size=3),
    hidden=st.integers(0, 5),
)
@torch.inference_mode()
def test_it_is_near_torchs(t3: T3, shapes: list[tuple[int, int, int]], hidden: int) -> None:
    passages, expected = ([passage(t3, *shape, hidden if shape[2] else 0) for shape in shapes] for _ in range(2))
    last = prompt_of(t3)(passages)
    for mine, found, other, by_torch in zip(passages, last, expected, ByTorch(t3)(expected), strict=True):
        torch.testing.assert_close(found, by_torch, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(flat(mine.layers), flat(other.layers), rtol=1e-4, atol=1e-4)
        assert torch.equal(mine.embeddings, other.embeddings)


@needs_kernels
@settings(deadline=None, max_examples=15)
@given(
    rows=st.integers(1, 2),
    positions=st.integers(1, 70),
    threads=st.integers(1, 4),
    tokens=st.sampled_from([0, 16, 33, 50]),
    before=st.lists(st.integers(1, 40), max_size=2),
    behind=st.lists(st.integers(1, 40), max_size=1),
)
@torch.inference_mode()
def test_it_depends_on_the_passage_alone(
    t3: T3, rows: int, positions: int, threads: int, tokens: int, before: list[int], behind: list[int]
) -> None:
    read, alone, again = prompt_of(t3), *(passage(t3, rows, positions, tokens) for _ in range(2))
    (last,) = read([alone])
    with torch_threads(threads):
        read([Passage(noise(1, 20, 1024) * 100)])
        others = [[Passage(noise(1, size, 1024)) for size in sizes] for sizes in (before, behind)]
        last_again = read([*others[0], again, *others[1]])[len(before)]
    assert torch.equal(last, last_again)
    assert torch.equal(flat(alone.layers), flat(again.layers))


@needs_kernels
@pytest.mark.parametrize(("positions", "tokens"), [(1, 50), (2, 33), (3, 33), (3, 50), (203, 480)])
@torch.inference_mode()
def test_threads_change_nothing_in_short_or_long_passages(t3: T3, positions: int, tokens: int) -> None:
    """Torch's attention is another one for up to three queries, and has larger tiles for many."""
    read, results = prompt_of(t3), []
    for threads in (1, 2, 3):
        with torch_threads(threads):
            one = passage(t3, 1, positions, tokens)
            results.append(torch.cat([read([one])[0].flatten(), flat(one.layers).flatten()]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@needs_kernels
@torch.inference_mode()
def test_what_follows_is_read_in_the_same_pass(t3: T3) -> None:
    embeddings = noise(1, 40, 1024)
    pieces = torch.split(embeddings, [11, 16, 13], dim=1)
    together: list[Passage] = []
    for piece in pieces:
        begin = sum(one.embeddings.size(1) for one in together)
        together.append(Passage(piece, tuple(one.layers for one in together), begin))
    one_by_one = [Passage(one.embeddings, (), one.begin) for one in together]
    for place, one in enumerate(one_by_one):
        one.past = tuple(other.layers for other in one_by_one[:place])
        last = prompt_of(t3)([one])[0]
    assert torch.equal(prompt_of(t3)(together)[-1], last)
    for one, other in zip(together, one_by_one, strict=True):
        assert torch.equal(flat(one.layers), flat(other.layers))
    torch.testing.assert_close(last, prompt_of(t3)([Passage(embeddings)])[0], rtol=1e-4, atol=1e-4)


@needs_kernels
def test_what_is_not_float32_is_refused(t3: T3) -> None:
    with pytest.raises(ValueError, match=r"embedded tokens of torch.bfloat16 .* expected torch.float32"):
        prompt_of(t3)([Passage(noise(1, 3, 1024).bfloat16())])


@needs_kernels
def test_what_is_of_another_width_is_refused(t3: T3) -> None:
    with pytest.raises(ValueError, match=r"3 rows of 1536 numbers in all, .* expected 1024"):
        prompt_of(t3)([Passage(noise(1, 3, 512))])


@needs_kernels
def test_it_keeps_what_it_reads(model: ChatterboxTTS) -> None:
    own = prepare_decoding(copy.deepcopy(model.t3), 4, torch.float32, pack=True).t3
    read, embeddings = prompt_of(own), noise(2, 11, 1024)
    (expected,) = read([Passage(embeddings)])
    for parameter in own.tfmr.parameters():  # as whoever moves the model elsewhere
        parameter.data = torch.zeros(1)
    torch.randn(10_000_000)
    assert torch.equal(read([Passage(embeddings)])[0], expected)


def prompt(t3: T3, voice: int, emotion: int, text: int, rows: int = 2) -> Prompt:
    """Return a prompt of 33 positions of voice, one of emotion, so many of text, and two of speech, as upstream's."""
    beginning = torch.randn(1, 33, 1024, generator=torch.Generator().manual_seed(voice)).expand(rows, -1, -1)
    feeling = noise(1, 1, 1024).expand(rows, -1, -1) * emotion
    blank = t3.text_pos_emb.emb.weight if rows == 2 else None
    said = noise(rows, text, 1024)
    if blank is not None:
        said[1] = blank[:text]
    speech = noise(1, 2, 1024).expand(rows, -1, -1)
    return Prompt(torch.cat([beginning, feeling, said, speech], dim=1), (34, 34 + text), 33, blank)


@needs_kernels
@torch.inference_mode()
def test_what_was_kept_changes_nothing(t3: T3) -> None:
    kept = Beginnings(2**30)
    asked = [(1, 1, 12), (2, 1, 12), (1, 1, 40), (1, 2, 15, 1), (1, 1, 12), (1, 2, 16), (2, 1, 47), (1, 1, 39)]
    for one in asked:
        caches, logits = zip(*(read_prompt(t3, prompt(t3, *one), own, prompt_of(t3)) for own in (kept, Beginnings(0))),
                             strict=True)  # fmt: skip
        assert torch.equal(*logits)
        assert [cache.length for cache in caches] == [36 + one[2]] * 2
        assert torch.equal(*(cache.past() for cache in caches))
    # Two voices; one with two feelings, of which one was followed by texts of up to 40, and the other of 16.
    blocks = 3 + 2 + 3
    assert kept.nbytes == 2 * len(t3.tfmr.layers) * (2 * 33 + 16 * blocks) * 1024 * 4


@needs_kernels
@torch.inference_mode()
def test_a_prompt_in_pieces_is_near_stocks(t3: T3, model: ChatterboxTTS) -> None:
    for text in (2, 15, 16, 31, 70):
        whole = prompt(t3, 3, 1, text)
        cache, logits = read_prompt(t3, whole, Beginnings(2**30), prompt_of(t3))
        expected, stocks = read_prompt(model.t3, whole)
        torch.testing.assert_close(logits, stocks, rtol=1e-4, atol=1e-4)
        assert cache.length == 36 + text
        torch.testing.assert_close(cache.past(), expected.past(), rtol=1e-4, atol=1e-4)


@needs_kernels
@torch.inference_mode()
def test_a_text_as_long_as_the_model_takes_has_a_shorter_last_block(t3: T3) -> None:
    whole, own = prompt(t3, 1, 1, 20), Beginnings(2**30)
    assert whole.blank is not None
    cache, logits = read_prompt(t3, replace(whole, blank=whole.blank[:20]), own, prompt_of(t3))
    assert own.nbytes == 2 * len(t3.tfmr.layers) * (33 + 1 + 20) * 1024 * 4
    assert cache.length == 56
    torch.testing.assert_close(logits, read_prompt(t3, whole, Beginnings(0), prompt_of(t3))[1], rtol=1e-4, atol=1e-4)


@needs_kernels
@torch.inference_mode()
def test_a_long_text_is_read_in_blocks_up_to_a_bound(t3: T3) -> None:
    kept = Beginnings(2**30)
    for text in (254, 255, 256, 600):  # with the one position before it, the second ends a block, and the bound
        cache, logits = read_prompt(t3, prompt(t3, 1, 1, text), kept, prompt_of(t3))
        expected, stocks = read_prompt(t3, prompt(t3, 1, 1, text))
        torch.testing.assert_close(logits, stocks, rtol=1e-4, atol=1e-4)
        assert cache.length == 36 + text
        torch.testing.assert_close(cache.past(), expected.past(), rtol=1e-4, atol=1e-4)
        assert kept.nbytes == 2 * len(t3.tfmr.layers) * (33 + 256) * 1024 * 4


@needs_kernels
@torch.inference_mode()
def test_two_rows_that_say_the_same_have_no_blank_text(t3: T3) -> None:
    both = prompt(t3, 1, 1, 20, 1)
    twice = replace(both, embeddings=both.embeddings.expand(2, -1, -1))
    cache, logits = read_prompt(t3, twice, Beginnings(2**30), prompt_of(t3))
    torch.testing.assert_close(logits[0], logits[1])
    torch.testing.assert_close(logits[:1], read_prompt(t3, both, Beginnings(2**30), prompt_of(t3))[1])
    assert cache.length == 56


@needs_kernels
@torch.inference_mode()
def test_what_could_not_be_read_is_not_kept(t3: T3) -> None:
    read, kept = prompt_of(t3), Beginnings(2**30)
    read_prompt(t3, prompt(t3, 1, 1, 14), kept, read)
    before = kept.nbytes
    with pytest.raises(MemoryError):
        read_prompt(t3, prompt(t3, 1, 1, 40), kept, HalfWay(read))
    assert kept.nbytes == before
    logits = [read_prompt(t3, prompt(t3, 1, 1, 40), own, read)[1] for own in (kept, Beginnings(0))]
    assert torch.equal(*logits)


@needs_kernels
@torch.inference_mode()
def test_voices_stay_and_the_ends_of_texts_go_first(t3: T3) -> None:
    of_position = 2 * len(t3.tfmr.layers) * 1024 * 4
    counted, kept = Counted(prompt_of(t3)), Beginnings((2 * 33 + 32) * of_position)
    for one in ((1, 1, 40), (1, 1, 40), (2, 1, 60), (1, 1, 12), (2, 1, 12), (3, 1, 12), (2, 1, 12, 1), (1, 1, 12, 1)):
        read_prompt(t3, prompt(t3, *one), kept, counted)
        assert kept.nbytes <= (2 * 33 + 32) * of_position
    assert [[positions for _, positions in sizes] for sizes in counted.sizes] == [
        [33, 16, 16, 16, 43, 2],
        [43, 2],  # all of it had room beside one voice
        [33, 16, 16, 16, 16, 63, 2],
        [16, 15, 2],  # its voice is still there
        [15, 2],
        [33, 16, 15, 2],
        [15],
        [33, 15],  # three voices are too many
    ]


@needs_kernels
@torch.inference_mode()
def test_a_known_beginning_is_not_read_again(t3: T3) -> None:
    counted, kept = Counted(prompt_of(t3)), Beginnings(2**30)
    for one in ((1, 1, 20), (1, 1, 18), (1, 1, 35), (1, 2, 5), (1, 2, 5, 1)):
        read_prompt(t3, prompt(t3, *one), kept, counted)
    assert counted.sizes == [
        [(1, 33), (1, 16), (1, 16), (1, 23), (1, 2)],
        [(1, 21), (1, 2)],
        [(1, 16), (1, 38), (1, 2)],
        [(1, 16), (1, 8), (1, 2)],
        [(1, 8)],
    ]


@needs_kernels
def test_the_engine_takes_it_with_a_chained_step_alone(model: ChatterboxTTS) -> None:
    assert isinstance(prepare_decoding(model.t3, 2, torch.float32, pack=True).read, ChainedPrompt)
    for t3, pack in (
        (model.t3, False),
        (build_chatterbox("multilingual").t3, True),
        (build_chatterbox("turbo").t3, True),
    ):
        assert isinstance(prepare_decoding(t3, 2, torch.float32, pack=pack).read, ByTorch)
