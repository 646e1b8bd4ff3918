"""A bfloat16 prompt that is cut and read in chains has the bits of one that torch reads in one go, as stock does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._prompts import Beginnings, read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.engine.chains import ChainedPrompt
from stateless_tts.engine.chains.bfloat16 import _prompt as of_torch
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox
from tests.engine.features import IN_TORCHS_SUMS
from tests.engine.readers import Counted, HalfWay

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._start_up import Speaking
    from stateless_tts.engine.chains._prompt import Attend

OF_POSITION = 2 * 2 * 1024  # bytes of a layer's keys and values


@pytest.fixture(scope="module")
def speaking(model: ChatterboxTTS) -> Speaking:
    found = prepare_decoding(model.t3, 2, torch.bfloat16, pack=True)
    assert found.plan.like_stock
    if found.read is None and not IN_TORCHS_SUMS:
        pytest.skip("this machine's bfloat16 products are for few rows, or not the engine's own")
    assert isinstance(found.read, ChainedPrompt)
    return found


def prompt(t3: T3, voice: int, text: int, rows: int = 2, of_voice: int = 33) -> Prompt:
    """Return a prompt of a voice, exaggeration, so many of text, and two of speech, as upstream's."""
    noise = torch.Generator().manual_seed(1000 * voice + text)
    beginning = torch.randn(1, of_voice, 1024, generator=torch.Generator().manual_seed(voice))
    feeling, speech = beginning[:, :1] / 2, torch.randn(1, 2, 1024, generator=noise)
    said = torch.randn(rows, text, 1024, generator=noise).bfloat16()
    blank = t3.text_pos_emb.emb.weight.detach()
    said[1:] = blank[:text]
    whole = torch.cat([beginning.expand(rows, -1, -1), feeling.expand(rows, -1, -1)], dim=1).bfloat16()
    whole = torch.cat([whole, said, speech.expand(rows, -1, -1).bfloat16()], dim=1)
    return Prompt(whole, (of_voice + 1, of_voice + 1 + text), of_voice, blank if rows > 1 else None)


def assert_like_stock(speaking: Speaking, asked: Prompt, kept: Beginnings) -> None:
    cache, logits = read_prompt(speaking.t3, asked, kept, speaking.read)
    stocks, expected = read_prompt(speaking.t3, asked)
    assert torch.equal(logits, expected)
    assert torch.equal(cache.past(), stocks.past())


@settings(deadline=None, max_examples=15)
@given(
    prompts=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=3),
    count=st.integers(1, 3),
)
@torch.inference_mode()
def test_it_has_the_bits_of_torchs(speaking: Speaking, prompts: list[tuple[int, int, int]], count: int) -> None:
    kept = Beginnings(2**30)  # a later one finds what others have left, read by another number of threads
    for number, one in enumerate(prompts):
        with torch_threads(1 + (count + number) % 3):
            assert_like_stock(speaking, prompt(speaking.t3, *one), kept)


@pytest.mark.parametrize("text", [155, 156, 221, 733])
@torch.inference_mode()
def test_long_prompts_have_the_bits_of_torchs(speaking: Speaking, text: int) -> None:
    """From 192 positions on, torch's attention takes more queries at a time, and these are not cut."""
    kept = Beginnings(2**30)
    assert_like_stock(speaking, prompt(speaking.t3, 1, 40), kept)
    for rows in (2, 1):
        assert_like_stock(speaking, prompt(speaking.t3, 1, text, rows), kept)


@pytest.mark.parametrize("of_voice", [1, 31, 32, 140])
@torch.inference_mode()
def test_voices_of_any_length_have_the_bits_of_torchs(speaking: Speaking, of_voice: int) -> None:
    kept = Beginnings(2**30)
    for text in (1, 40, 95):
        assert_like_stock(speaking, prompt(speaking.t3, 1, text, of_voice=of_voice), kept)


@torch.inference_mode()
def test_a_text_as_long_as_the_model_takes_has_the_bits_of_torchs(speaking: Speaking) -> None:
    for text, positions in ((40, 64), (29, 32)):  # the latter ends one position before its tile does
        asked, kept = prompt(speaking.t3, 1, text), Beginnings(2**30)
        assert asked.blank is not None
        assert_like_stock(speaking, replace(asked, blank=asked.blank[:text]), kept)
        assert kept.nbytes == len(speaking.t3.tfmr.layers) * positions * OF_POSITION


@torch.inference_mode()
def test_a_known_beginning_is_not_read_again(speaking: Speaking) -> None:
    assert speaking.read is not None
    counted, kept = Counted(speaking.read), Beginnings(2**30)
    for one in ((1, 20), (1, 40), (1, 31), (1, 28), (1, 27), (1, 20, 1), (2, 70), (1, 200)):
        read_prompt(speaking.t3, prompt(speaking.t3, *one), kept, counted)
    assert counted.sizes == [
        [(1, 32), (2, 24)],  # the next tile is not full
        [(1, 32), (1, 44), (1, 12)],
        [(1, 35), (1, 3)],  # what is blank ends in the next tile
        [(1, 32), (1, 2)],
        [(2, 31)],
        [(1, 24)],
        [(1, 32), (1, 32), (1, 32), (1, 74), (1, 10)],
        [(2, 236)],  # long prompts are not cut
    ]


@torch.inference_mode()
def test_two_rows_that_say_the_same_have_the_bits_of_torchs(speaking: Speaking) -> None:
    both = prompt(speaking.t3, 1, 40, 1)
    twice = replace(both, embeddings=both.embeddings.expand(2, -1, -1).contiguous())
    assert_like_stock(speaking, twice, Beginnings(2**30))


@torch.inference_mode()
def test_what_could_not_be_read_is_not_kept(speaking: Speaking) -> None:
    read, kept = speaking.read, Beginnings(2**30)
    assert read is not None
    read_prompt(speaking.t3, prompt(speaking.t3, 1, 20), kept, read)
    before = kept.nbytes
    with pytest.raises(MemoryError):
        read_prompt(speaking.t3, prompt(speaking.t3, 1, 40), kept, HalfWay(read))
    assert kept.nbytes == before
    assert_like_stock(speaking, prompt(speaking.t3, 1, 40), kept)


@torch.inference_mode()
def test_no_more_is_kept_than_there_is_room_for(speaking: Speaking) -> None:
    of_tile = 32 * len(speaking.t3.tfmr.layers) * OF_POSITION
    kept = Beginnings(2 * of_tile)
    for voice, text in ((1, 70), (2, 40), (3, 20), (1, 70)):
        assert_like_stock(speaking, prompt(speaking.t3, voice, text), kept)
        assert 0 < kept.nbytes <= 2 * of_tile


@pytest.mark.skipif(not IN_TORCHS_SUMS, reason="torch's attention is another one where it has oneDNN for bfloat16")
@pytest.mark.parametrize("count", [1, 3])
@torch.inference_mode()
def test_full_tiles_are_the_same_in_every_prompt(count: int) -> None:
    """Of 32 queries; those that are not full are not, or else prompts could be cut anywhere."""
    differ = 0
    noise = torch.randn(3, 1, 16, 191, 64, generator=torch.Generator().manual_seed(count)).bfloat16()

    def attended_in(positions: int) -> torch.Tensor:
        queries, keys, values = noise[..., :positions, :]
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)

    with torch_threads(count):
        found = {positions: attended_in(positions) for positions in range(32, 192)}
    for positions, attended in found.items():
        full = positions // 32 * 32
        assert torch.equal(attended[:, :, :full], found[full][:, :, :full])
        differ += not torch.equal(attended[:, :, full:], found[191][:, :, full:positions])
    assert differ


@pytest.mark.usefixtures("speaking")
def test_prompts_that_attend_otherwise_are_read_by_torch(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    as_one = of_torch.attention_as_one

    def other(begin: int, positions: int) -> Attend:
        attend = as_one(begin, positions)
        return lambda queries, keys, values, scale: attend(queries, keys, values, scale * 1.01)

    monkeypatch.setattr(of_torch, "attention_as_one", other)
    found = prepare_decoding(model.t3, 2, torch.bfloat16, pack=True)
    assert found.read is None
    assert found.plan.like_stock


@pytest.mark.usefixtures("speaking")
def test_numbers_that_go_by_their_place_leave_prompts_to_torch(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    silu = functional.silu

    def other(numbers: torch.Tensor) -> torch.Tensor:
        alone = numbers.dim() == 1 and len(numbers) < 8
        return silu(numbers) * (1.01 if alone else 1.0)

    monkeypatch.setattr(functional, "silu", other)
    found = prepare_decoding(model.t3, 2, torch.bfloat16, pack=True)
    assert found.read is None
    assert found.plan.like_stock


def test_what_is_watched_is_read_by_torch() -> None:
    assert prepare_decoding(build_chatterbox("multilingual").t3, 2, torch.bfloat16, pack=True).read is None
