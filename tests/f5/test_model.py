"""What a call has of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts.errors import UnsupportedModelError

if TYPE_CHECKING:
    from stateless_tts.f5 import F5Model

pytestmark = pytest.mark.usefixtures("f5_is_installed")


def go_on() -> None:
    """Pass a checkpoint."""


def test_weights_are_shared_and_the_text_of_a_call_is_not(f5_model: F5Model) -> None:
    from stateless_tts.f5._model import private_cfm

    own = private_cfm(f5_model.cfm, go_on)
    assert all(one is other for one, other in zip(own.parameters(), f5_model.cfm.parameters(), strict=True))
    own.transformer.text_cond = torch.ones(1)
    assert f5_model.cfm.transformer.text_cond is None
    assert not f5_model.cfm.transformer._forward_pre_hooks
    assert private_cfm(f5_model.cfm, go_on).transformer.text_cond is None


def test_text_that_a_failed_call_of_stock_left_is_not_seen() -> None:
    from stateless_tts.f5 import build_f5
    from stateless_tts.f5._model import private_cfm

    model = build_f5()
    model.cfm.transformer.text_cond = torch.ones(1)
    assert private_cfm(model.cfm, go_on).transformer.text_cond is None
    assert model.cfm.transformer.text_cond is not None  # whoever left it may still want it


def test_only_upstreams_models_are_taken(f5_model: F5Model) -> None:
    from stateless_tts.f5 import F5Model

    with pytest.raises(UnsupportedModelError, match="vocoder is Linear; expected a Vocos"):
        F5Model(f5_model.cfm, torch.nn.Linear(1, 1))


def test_a_model_left_in_training_mode_is_put_in_eval_mode() -> None:
    from stateless_tts.f5 import F5Model, build_f5

    model = build_f5()
    model.cfm.train()
    assert not any(module.training for module in F5Model(model.cfm, model.vocoder).cfm.modules())
