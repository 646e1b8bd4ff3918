"""A small F5, a voice, and what stock makes of them."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts.f5 import F5Model, F5Voice

REF_TEXT = "So it was said."
STEPS = 3


@pytest.fixture(scope="session")
def f5_is_installed() -> None:
    """Skip, with the reason, where the extra is not installed."""
    pytest.importorskip(
        "f5_tts", reason="f5-tts is not installed: `nox -s f5` runs these in an environment that has it"
    )


@pytest.fixture(scope="session")
def f5_model(f5_is_installed: None) -> F5Model:  # noqa: ARG001 - it may skip
    """Return the model that the adapters share."""
    from stateless_tts.f5 import build_f5

    return build_f5()


@pytest.fixture(scope="session")
def f5_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clip in which `REF_TEXT` would be said."""
    from stateless_tts.synthetic import write_clip

    return write_clip(tmp_path_factory.mktemp("f5") / "clip.wav", seed=21, seconds=1.5)


@pytest.fixture(scope="session")
def f5_voice(f5_clip: Path) -> F5Voice:
    """Return the voice of the clip."""
    from stateless_tts.f5 import F5Voice

    return F5Voice.from_clip(f5_clip, REF_TEXT)


@dataclass(frozen=True)
class StockF5:
    """The same weights once more, for stock to write to."""

    model: F5Model
    clip: Path

    def infer(self, text: str, seed: int, **options: Any) -> torch.Tensor:  # noqa: ANN401 - upstream's options
        """Return what stock makes of `text`, (1, samples) float32: the middle of upstream's `F5TTS.infer`."""
        from f5_tts.infer.utils_infer import infer_process
        from f5_tts.model.utils import seed_everything

        seed_everything(seed)
        wave, _, _ = infer_process(
            str(self.clip),
            REF_TEXT,
            text,
            self.model.cfm,
            self.model.vocoder,
            show_info=lambda _: None,
            progress=None,
            device="cpu",
            **{"nfe_step": STEPS, **options},
        )
        return torch.from_numpy(wave).to(torch.float32).unsqueeze(0)


@pytest.fixture
def stock_f5(f5_clip: Path, monkeypatch: pytest.MonkeyPatch) -> StockF5:
    """Return stock with one thread for the parts of a text, so that they do not race for its generator."""
    import f5_tts.infer.utils_infer as upstream

    from stateless_tts.f5 import build_f5

    monkeypatch.setattr(upstream, "ThreadPoolExecutor", functools.partial(ThreadPoolExecutor, max_workers=1))
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # `seed_everything` sets it
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
    return StockF5(build_f5(), f5_clip)
