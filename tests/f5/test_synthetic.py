"""The small model: seeded, and without a draw from a process-wide generator."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.usefixtures("f5_is_installed")


def test_the_seed_decides_every_weight() -> None:
    from stateless_tts.f5 import build_f5

    def weights(seed: int) -> dict[str, torch.Tensor]:
        model = build_f5(seed)
        return {**model.cfm.state_dict(), **{f"vocoder.{n}": v for n, v in model.vocoder.state_dict().items()}}

    before = torch.get_rng_state()
    first, again, other = weights(1), weights(1), weights(2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transformer.proj_out.weight"], other["transformer.proj_out.weight"])
    assert all(bool(torch.isfinite(value).all()) for value in first.values())
