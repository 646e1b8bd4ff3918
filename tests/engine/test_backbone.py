"""Two backbones are known, and GPT-2's weights are read as dense layers without a copy and without another bit."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from stateless_tts import ContinuousBatchingEngine, UnsupportedModelError
from stateless_tts.engine._backbone import backbone_of, projections, with_dense_layers
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS


@pytest.fixture(scope="module")
def turbo() -> T3:
    return build_chatterbox("turbo").t3


def test_the_shape_is_that_of_the_transformer(model: ChatterboxTTS, turbo: T3) -> None:
    llama, gpt2 = backbone_of(model.t3), backbone_of(turbo)
    assert (llama.layers, llama.heads, llama.head_dim, llama.stock_rows) == (2, 16, 64, 2)
    assert (gpt2.layers, gpt2.heads, gpt2.head_dim, gpt2.stock_rows) == (2, 16, 64, 1)


def test_all_that_multiplies_rows_is_found(model: ChatterboxTTS, turbo: T3) -> None:
    assert len(list(projections(model.t3))) == 7 * 2 + 1
    assert len(list(projections(turbo))) == 1, "only the head is a Linear; the others are Conv1D"
    found = dict(projections(with_dense_layers(turbo)))
    assert len(found) == 4 * 2 + 1
    assert found["tfmr.h.1.mlp.c_fc"].out_features == 256


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("rows", [1, 2, 16, 200])
def test_a_dense_layer_has_the_convolutions_bits(turbo: T3, dtype: torch.dtype, rows: int) -> None:
    t3 = copy.deepcopy(turbo).to(dtype)
    view = with_dense_layers(t3)
    probes = torch.randn(1, rows, 1024, generator=torch.Generator().manual_seed(rows)).to(dtype)
    for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc"):
        with torch.inference_mode():
            wanted = t3.get_submodule(f"tfmr.h.0.{name}")(probes)
            assert torch.equal(view.get_submodule(f"tfmr.h.0.{name}")(probes), wanted)


def test_weights_are_shared_and_the_model_keeps_its_modules(turbo: T3) -> None:
    before = [id(module) for module in turbo.modules()]
    view = with_dense_layers(turbo)
    assert [id(module) for module in turbo.modules()] == before
    assert isinstance(turbo.tfmr.h[0].attn.c_attn, Conv1D)
    assert isinstance(view.tfmr.h[0].attn.c_attn, nn.Linear)
    shared = {parameter.data_ptr() for parameter in turbo.parameters()}
    assert {parameter.data_ptr() for parameter in view.parameters()} == shared


def test_llama_needs_no_view(model: ChatterboxTTS) -> None:
    assert with_dense_layers(model.t3) is model.t3


def test_another_transformer_is_refused(model: ChatterboxTTS) -> None:
    other = copy.copy(model)
    other.t3 = copy.copy(model.t3)
    other.t3._modules = {**model.t3._modules, "tfmr": nn.Identity().eval()}
    with pytest.raises(UnsupportedModelError, match="T3 on a Identity cannot be batched; expected a LlamaModel or"):
        ContinuousBatchingEngine(other)
