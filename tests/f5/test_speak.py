"""One call: stock's bits, and nothing left behind."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts.f5 import F5Model, F5Voice

    from .conftest import StockF5

from .conftest import STEPS

pytestmark = pytest.mark.usefixtures("f5_is_installed")
# More than the 22 s that clip and speech may last together.
LONG = " ".join(f"This is sentence number {number}, and it has a few words." for number in range(8))


def go_on() -> None:
    """Pass a checkpoint."""


def spoken(model: F5Model, voice: F5Voice, text: str, seed: int = 1) -> torch.Tensor:
    from stateless_tts.f5 import F5Request
    from stateless_tts.f5._speak import speak

    return speak(model, F5Request(text, voice, seed, nfe_step=STEPS), go_on)


@pytest.mark.parametrize("fade", [0.15, 0.0])
def test_a_divided_text_is_stocks_spoken_in_order(
    f5_model: F5Model, f5_voice: F5Voice, stock_f5: StockF5, fade: float
) -> None:
    from stateless_tts.f5 import F5Request
    from stateless_tts.f5._speak import divide, speak

    request = F5Request(LONG, f5_voice, 4, nfe_step=STEPS, cross_fade_duration=fade)
    assert len(divide(request, f5_model)) > 1
    assert torch.equal(speak(f5_model, request, go_on), stock_f5.infer(LONG, 4, cross_fade_duration=fade))


def test_options_are_passed_on(f5_model: F5Model, f5_voice: F5Voice, stock_f5: StockF5) -> None:
    from stateless_tts.f5 import F5Request
    from stateless_tts.f5._speak import speak

    options = {"cfg_strength": 0.0, "sway_sampling_coef": 0.3, "speed": 1.7, "nfe_step": 5}
    request = F5Request("It is said somewhat faster.", f5_voice, 9, **options)  # type: ignore[arg-type] # by name
    assert torch.equal(speak(f5_model, request, go_on), stock_f5.infer("It is said somewhat faster.", 9, **options))


def test_a_call_leaves_everything_as_it_was(f5_model: F5Model, f5_voice: F5Voice) -> None:
    import f5_tts.infer.utils_infer as inference
    from f5_tts.model import modules

    def state() -> list[object]:
        tables = [
            list(table)
            for owner in (inference, modules)
            for name, table in sorted(vars(owner).items())
            if isinstance(table, dict) and name.endswith("_cache")
        ]
        attributes = [
            {name: id(value) for name, value in module.__dict__.items() if not isinstance(value, dict)}
            | {name: list(value) for name, value in module.__dict__.items() if isinstance(value, dict)}
            for model in (f5_model.cfm, f5_model.vocoder)
            for module in model.modules()
        ]
        versions = [tensor._version for tensor in f5_model.cfm.state_dict(keep_vars=True).values()]
        return [tables, attributes, versions, random.getstate(), torch.get_rng_state().tolist()]

    before = state()
    spoken(f5_model, f5_voice, "What was, is.")
    assert state() == before


def test_a_call_puts_no_shared_module_into_eval_mode_again(
    f5_model: F5Model, f5_voice: F5Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in that mode: the value stays, but every call would write it to what all calls share."""
    put: list[torch.nn.Module] = []

    def noted(module: torch.nn.Module, *_: bool) -> torch.nn.Module:
        put.append(module)
        return module

    monkeypatch.setattr(torch.nn.Module, "train", noted)
    spoken(f5_model, f5_voice, "What was, is.")
    assert not put


def test_text_that_a_failed_call_of_stock_left_is_not_spoken(f5_voice: F5Voice, stock_f5: StockF5) -> None:
    """Stock's next call on the thread speaks it, without a word; ours speaks its own."""

    def sample(text: str) -> torch.Tensor:
        mel, _ = stock_f5.model.cfm.sample(f5_voice.samples, [list(text)], 200, steps=STEPS, cfg_strength=2.0, seed=1)
        assert isinstance(mel, torch.Tensor)
        return mel

    def fail_in_the_middle(*_: object) -> None:
        raise RuntimeError("out of memory")

    rng_state = torch.get_rng_state()
    before, expected = sample("One two six."), stock_f5.infer("One two six.", 1)
    hook = stock_f5.model.cfm.transformer.transformer_blocks[0].register_forward_hook(fail_in_the_middle)
    with pytest.raises(RuntimeError, match="out of memory"):
        sample("Two one ten.")
    hook.remove()
    assert torch.equal(spoken(stock_f5.model, f5_voice, "One two six."), expected)
    assert not torch.equal(sample("One two six."), before)
    torch.set_rng_state(rng_state)


def test_a_call_that_fails_leaves_no_text(f5_model: F5Model, f5_voice: F5Voice, stock_f5: StockF5) -> None:
    from stateless_tts.f5 import F5Request
    from stateless_tts.f5._speak import speak

    steps = iter(range(2))

    def end_at_the_third() -> None:
        if next(steps, None) is None:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        speak(f5_model, F5Request("Two one ten.", f5_voice, 1), end_at_the_third)
    assert torch.equal(spoken(f5_model, f5_voice, "One two six."), stock_f5.infer("One two six.", 1))


def test_a_clip_in_stereo_at_another_rate(f5_model: F5Model, tmp_path: Path) -> None:
    import soundfile

    from stateless_tts.f5 import F5Voice
    from stateless_tts.synthetic import synthetic_clip

    from .conftest import REF_TEXT, StockF5

    clip = tmp_path / "stereo.wav"
    soundfile.write(str(clip), np.stack([synthetic_clip(1, 1.0), synthetic_clip(2, 1.0)], axis=1), 44_100)
    voice = F5Voice.from_clip(clip, REF_TEXT)
    assert voice.samples.shape[0] == 2
    assert torch.equal(spoken(f5_model, voice, "Both."), StockF5(f5_model, clip).infer("Both.", 1))
