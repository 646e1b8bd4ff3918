"""The synthetic model is upstream's own, seeded, stops by itself and hears what it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from chatterbox.models.tokenizers import EnTokenizer
from chatterbox.tts import ChatterboxTTS
from perth import PerthImplicitWatermarker

from stateless_tts import InvalidParameterError, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox, synthetic_clip

if TYPE_CHECKING:
    from pathlib import Path


def test_parts_are_upstreams_own(model: ChatterboxTTS) -> None:
    assert type(model) is ChatterboxTTS
    assert type(model.tokenizer) is EnTokenizer
    assert type(model.watermarker) is PerthImplicitWatermarker
    assert model.conds is not None
    modules = [*model.t3.modules(), *model.s3gen.modules(), *model.ve.modules()]
    foreign = {type(module).__module__.split(".")[0] for module in modules}
    assert foreign <= {"chatterbox", "transformers", "torch", "s3tokenizer", "diffusers"}
    assert not any(module.training for module in modules)


def test_the_seed_decides_and_nothing_process_wide_is_drawn(model: ChatterboxTTS) -> None:
    state = torch.random.get_rng_state()
    same, other = build_chatterbox(seed=0), build_chatterbox(seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    for root in ("t3", "s3gen", "ve"):
        wanted = getattr(model, root).state_dict()
        assert all(torch.equal(value, wanted[name]) for name, value in getattr(same, root).state_dict().items())
        assert any(not torch.equal(value, wanted[name]) for name, value in getattr(other, root).state_dict().items())


def test_it_stops_by_itself_and_long_texts_last_longer(wrapper: StatelessChatterBoxWrapper) -> None:
    for seed in range(2):
        short = wrapper.synthesize(SpeechRequest("Twenty characters ok", seed=seed))
        long = wrapper.synthesize(SpeechRequest("Twenty characters ok" * 20, seed=seed))
        assert short.speech_tokens[-1] == long.speech_tokens[-1] == 6562, "it did not stop by itself"
        assert long.audio.shape[1] >= 3 * short.audio.shape[1]


HEARD = SpeechRequest("Is every parameter heard in what is said, in an utterance of some length?", seed=7)


@pytest.fixture(scope="module")
def plain(wrapper: StatelessChatterBoxWrapper) -> torch.Tensor:
    """Return the tokens of `HEARD`."""
    return wrapper.synthesize(HEARD).speech_tokens


@pytest.mark.parametrize("change", [{"exaggeration": 0.6}, {"cfg_weight": 0.8}, {"temperature": 1.5}, {"seed": 8}])
def test_it_hears_its_parameters(
    wrapper: StatelessChatterBoxWrapper, plain: torch.Tensor, change: dict[str, Any]
) -> None:
    assert not torch.equal(plain, wrapper.synthesize(replace(HEARD, **change)).speech_tokens)


def test_it_hears_its_voice(wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...]) -> None:
    spoken = [wrapper.generate_stateless("Who is speaking?", clip, seed=1) for clip in clips]
    assert not torch.equal(spoken[0], spoken[1])
    assert float(spoken[0].abs().max()) < 1.5


def test_clips_are_seeded() -> None:
    assert (synthetic_clip(1, 0.2) == synthetic_clip(1, 0.2)).all()
    assert (synthetic_clip(1, 0.2) != synthetic_clip(2, 0.2)).any()


def test_unknown_family_and_profile_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="family='klingon'"):
        build_chatterbox(family="klingon")
    with pytest.raises(InvalidParameterError, match="profile='huge'"):
        build_chatterbox(profile="huge")
