"""The engine's view of T3: cast like stock's, changed only where it should be, and never on the model itself."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts.engine._backbone import projections
from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.engine._private_t3 import build_private_t3, cast_copy, shape_of, with_kernels
from stateless_tts.engine._projections import Kernel, LeftLinear, PackedLinear, StreamedLinear, streamed_kernels
from stateless_tts.engine.streamed import streamed_product

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


def test_a_cast_copy_is_what_stock_would_be_cast_to(model: ChatterboxTTS) -> None:
    cast = cast_copy(model.t3, torch.bfloat16)
    stock = copy.deepcopy(model.t3).to(torch.bfloat16)
    ours, theirs = dict(cast.named_parameters()), dict(stock.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    buffers = dict(stock.named_buffers())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in cast.named_buffers())
    assert model.t3.speech_head.weight.dtype is torch.float32


def test_nothing_is_copied_where_nothing_is_to_be_cast(model: ChatterboxTTS) -> None:
    assert cast_copy(model.t3, torch.float32) is model.t3


def test_kernels_are_put_on_a_view(model: ChatterboxTTS) -> None:
    kernels = {shape_of(linear): Kernel.LEFT for _, linear in projections(model.t3)}
    view = with_kernels(model.t3, kernels)
    assert isinstance(view.tfmr.layers[1].mlp.down_proj, LeftLinear)
    assert isinstance(view.speech_head, LeftLinear)
    assert isinstance(model.t3.tfmr.layers[1].mlp.down_proj, torch.nn.Linear)
    assert isinstance(model.t3.speech_head, torch.nn.Linear)
    assert view.tfmr.norm is model.t3.tfmr.norm
    assert {id(parameter) for parameter in view.parameters()} == {id(parameter) for parameter in model.t3.parameters()}


@pytest.mark.skipif(not has_onednn_bfloat16(), reason="oneDNN has no bfloat16 products on this machine")
def test_packed_weights_take_the_place_of_cast_ones(model: ChatterboxTTS) -> None:
    cast = cast_copy(model.t3, torch.bfloat16)
    kernels = {shape_of(linear): Kernel.PACKED for _, linear in projections(cast)}
    private = build_private_t3(model.t3, cast, kernels)
    assert private.t3 is cast
    assert isinstance(private.t3.tfmr.layers[0].self_attn.q_proj, PackedLinear)
    assert private.private_bytes == sum(parameter.numel() * 2 for parameter in model.t3.parameters())
    assert isinstance(model.t3.tfmr.layers[0].self_attn.q_proj, torch.nn.Linear)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("many_rows", [False, True])
def test_weights_in_strips_are_counted(model: ChatterboxTTS, dtype: torch.dtype, many_rows: bool) -> None:
    kernel = Kernel.STREAMED_FEW if many_rows else Kernel.STREAMED
    cast = cast_copy(model.t3, dtype)
    layers = dict(projections(cast))
    kernels = {
        shape_of(linear): kernel if kernel in streamed_kernels(linear) else Kernel.LINEAR for linear in layers.values()
    }
    if kernel not in kernels.values():
        pytest.skip(f"this machine has no streamed product of {dtype}")
    streamed = [linear for linear in layers.values() if kernels[shape_of(linear)] is kernel]
    product = streamed_product(dtype)
    assert product is not None
    in_strips = sum(product.pack(linear.weight).nbytes for linear in streamed)
    filled_up = in_strips - sum(linear.weight.nbytes for linear in streamed)
    whole = sum(parameter.nbytes for parameter in cast.parameters())
    private = build_private_t3(model.t3, cast, kernels)
    assert isinstance(private.t3.tfmr.layers[0].self_attn.q_proj, StreamedLinear)
    assert isinstance(model.t3.tfmr.layers[0].self_attn.q_proj, torch.nn.Linear)
    expected = in_strips if cast is model.t3 else whole + (in_strips if many_rows else filled_up)
    assert private.private_bytes == expected


def test_weights_that_are_shared_count_nothing(model: ChatterboxTTS) -> None:
    left = {shape_of(linear): Kernel.LEFT for _, linear in projections(model.t3)}
    private = build_private_t3(model.t3, model.t3, left)
    assert private.private_bytes == 0
