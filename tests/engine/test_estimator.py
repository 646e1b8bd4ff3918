"""The estimator without masks has stock's bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts.engine._estimator import UnmaskedEstimator, takes
from stateless_tts.engine.cuda_graphs._estimator import RecordedEstimator
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


@torch.inference_mode()
@pytest.mark.parametrize("with_bias", [True, False])
def test_it_has_the_bits_of_stock(model: ChatterboxTTS, *, with_bias: bool) -> None:
    estimator = model.s3gen.flow.decoder.estimator
    assert takes(estimator)
    generator = torch.Generator().manual_seed(1)
    x, mu, cond = (torch.randn(2, 80, 71, generator=generator) for _ in range(3))
    spks, t, mask = torch.randn(2, 80, generator=generator), torch.tensor([0.3, 0.3]), torch.ones(2, 1, 71)
    wanted = estimator(x=x, mask=mask, mu=mu, t=t, spks=spks, cond=cond)
    found = UnmaskedEstimator(estimator, with_bias=with_bias)(x=x, mask=mask, mu=mu, t=t, spks=spks, cond=cond, r=None)
    if with_bias:
        assert torch.equal(found, wanted)
    else:
        torch.testing.assert_close(found, wanted)


@torch.inference_mode()
def test_a_distilled_one_is_told_where_its_step_ends() -> None:
    estimator = build_chatterbox("turbo").s3gen.flow.decoder.estimator
    generator = torch.Generator().manual_seed(1)
    x, mu, cond = (torch.randn(1, 80, 40, generator=generator) for _ in range(3))
    spks, t, r = torch.randn(1, 80, generator=generator), torch.tensor([0.0]), torch.tensor([0.5])
    given = {"x": x, "mask": torch.ones(1, 1, 40), "mu": mu, "t": t, "spks": spks, "cond": cond}
    unmasked = UnmaskedEstimator(estimator, with_bias=True)
    wanted = estimator(**given, r=r)
    assert torch.equal(unmasked(**given, r=r), wanted)
    assert not torch.equal(unmasked(**given, r=t), wanted)


@torch.inference_mode()
def test_what_a_distilled_models_solver_passes_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hands over other tensors each time, the first by its place."""
    estimator = build_chatterbox("turbo").s3gen.flow.decoder.estimator
    recorded = RecordedEstimator(UnmaskedEstimator(estimator, with_bias=True), torch.device("cpu"))
    monkeypatch.setattr(recorded, "_record", lambda _: pytest.fail("there is nothing to be recorded"))
    for step in range(2):
        generator = torch.Generator().manual_seed(step)
        x, mu, cond = (torch.randn(1, 80, 40, generator=generator) for _ in range(3))
        spks, t, r = (
            torch.randn(1, 80, generator=generator),
            torch.tensor([0.5 * step]),
            torch.tensor([0.5 * step + 0.5]),
        )
        given = {"mask": torch.ones(1, 1, 40), "mu": mu, "t": t, "spks": spks, "cond": cond, "r": r}
        assert torch.equal(recorded.forward(x, **given), estimator.forward(x, **given))


@torch.inference_mode()
def test_what_cannot_be_recorded_is_computed(model: ChatterboxTTS, caplog: pytest.LogCaptureFixture) -> None:
    estimator = model.s3gen.flow.decoder.estimator
    recorded = RecordedEstimator(UnmaskedEstimator(estimator, with_bias=True), torch.device("cpu"))
    given = {
        "x": torch.ones(2, 80, 20), "mask": torch.ones(2, 1, 20), "mu": torch.ones(2, 80, 20), "t": torch.ones(2),
        "spks": torch.ones(2, 80), "cond": torch.zeros(2, 80, 20), "r": None,
    }  # fmt: skip
    wanted = estimator(**given)
    for _ in range(3):
        assert torch.equal(recorded(**given), wanted)
    assert caplog.text.count("could not be recorded") == 1
