"""The check finds rows that see each other, and the engine then decodes singly."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaMLP

from stateless_tts import ContinuousBatchingEngine, SpeechRequest
from stateless_tts.engine import _self_check
from stateless_tts.engine._backbone import projections
from stateless_tts.engine._private_t3 import shape_of
from stateless_tts.engine._projections import COPYING, Kernel, streamed_kernels, with_kernel
from stateless_tts.engine._self_check import RowPlan, plan_rows, verify_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.tts import ChatterboxTTS


class Seeing(nn.Module):
    """A dense layer whose rows see something of each other."""

    def __init__(self, linear: nn.Linear, leak: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.linear = linear
        self.leak = leak

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.linear(rows) + self.leak(rows)
        return seen


LEAKS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "neighbour": lambda rows: rows.roll(1, 0)[:, :1],
    "place": lambda rows: torch.arange(len(rows))[:, None] * 1e-3,
    "count": lambda rows: torch.full((len(rows), 1), len(rows) * 1e-3),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_no_batch_where_rows_see_each_other(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, leak: str
) -> None:
    def leaking(linear: nn.Linear, kernel: Kernel) -> nn.Module:
        del kernel
        return Seeing(linear, LEAKS[leak])

    monkeypatch.setattr(_self_check, "with_kernel", leaking)
    monkeypatch.setattr(_self_check, "_PROBE_ROWS", 16)  # these leaks show in any row
    with caplog.at_level(logging.WARNING):
        plan = plan_rows(model.t3, 8, pack=False, exactly_like_stock=False)
    if leak == "count":  # every count is a group of its own; the largest is as good as any
        assert plan.row_counts == (16,)
        assert plan.padded(2) == 16
        return
    assert plan.singly
    assert plan.most_requests == 1
    assert set(plan.kernels.values()) == {Kernel.LINEAR}
    assert "one at a time" in caplog.text


@pytest.mark.parametrize("like_stock", [False, True])
def test_row_counts_that_change_an_activation_are_left_out(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, *, like_stock: bool
) -> None:
    plain = LlamaMLP.forward

    def forward(block: LlamaMLP, rows: torch.Tensor) -> torch.Tensor:
        # As an activation that is another one for a few elements of so many rows.
        activated: torch.Tensor = plain(block, rows)
        return activated + (len(rows) == 8) * 1e-3

    monkeypatch.setattr(LlamaMLP, "forward", forward)
    plan = plan_rows(model.t3, 8, pack=False, exactly_like_stock=like_stock)
    assert 8 not in plan.row_counts
    assert {2, 6, 10} & set(plan.row_counts)
    assert [8] in plan.findings["feed-forward"]


def test_a_machine_without_independent_rows_still_serves(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    request = SpeechRequest("One at a time.", seed=4, max_new_tokens=4)
    monkeypatch.setattr(_self_check, "_digest", lambda *_: None)
    with ContinuousBatchingEngine(model) as engine:
        assert engine.plan.singly
        futures = [engine.submit(request) for _ in range(3)]
        results = [future.result() for future in futures]
    assert all(torch.equal(result.audio, results[0].audio) for result in results)


def test_where_stocks_own_bits_depend_on_neighbours_no_other_product_is_like_them(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = _self_check._digest
    stock = {id(module) for module in model.t3.modules()}

    def digested(product: Any, probes: torch.Tensor, count: int) -> str | None:  # noqa: ANN401 - a product
        return None if id(product) in stock else digest(product, probes, count)

    monkeypatch.setattr(_self_check, "_digest", digested)
    monkeypatch.setattr(_self_check, "_same_for_prompts", lambda *_: True)
    assert plan_rows(model.t3, 4, pack=True, exactly_like_stock=True).singly


def test_a_reduced_dtype_takes_only_products_like_stocks(model: ChatterboxTTS) -> None:
    cast = copy.deepcopy(model.t3).to(torch.bfloat16)
    plan = plan_rows(cast, 8, pack=True, exactly_like_stock=True)
    assert plan.like_stock
    if not plan.singly:
        for linear in {shape_of(linear): linear for _, linear in projections(cast)}.values():
            product = with_kernel(linear, plan.kernels[shape_of(linear)])
            for rows in (plan.row_counts[-1], 110):
                numbers = torch.randn(rows, linear.in_features).bfloat16()
                assert torch.equal(product(numbers), linear(numbers))


@pytest.mark.parametrize("torchs_own", [False, True])
def test_a_product_unlike_stocks_for_prompts_alone_is_refused(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, *, torchs_own: bool
) -> None:
    """Whether torch multiplies the rows in company or, as some do in bfloat16, each by itself."""
    t3 = model.t3
    if torchs_own:
        t3 = copy.deepcopy(t3).to(torch.bfloat16)
        monkeypatch.setattr(_self_check, "has_onednn_bfloat16", lambda: False)

    def unlike_for_many(linear: nn.Linear, kernel: Kernel) -> nn.Module:
        if kernel is Kernel.LINEAR:
            return linear
        return Seeing(linear, lambda rows: rows.new_full((len(rows), 1), 1.0 if len(rows) == 120 else 0.0))

    monkeypatch.setattr(_self_check, "with_kernel", unlike_for_many)
    plan = plan_rows(t3, 4, pack=True, exactly_like_stock=True)
    assert set(plan.kernels.values()) == {Kernel.LINEAR}


@pytest.mark.parametrize(
    ("requests", "pack", "expected"), [(8, True, Kernel.STREAMED_FEW), (70, True, Kernel.STREAMED), (8, False, None)]
)
def test_float32_is_streamed_where_it_can_be(
    model: ChatterboxTTS, requests: int, pack: bool, expected: Kernel | None
) -> None:
    layer = model.t3.tfmr.layers[0].self_attn.q_proj
    if Kernel.STREAMED not in streamed_kernels(layer):
        pytest.skip("this machine has no streamed product of float32")
    plan = plan_rows(model.t3, requests, pack=pack, exactly_like_stock=False)
    kernel = plan.kernels[shape_of(layer)]
    assert kernel is expected if expected else kernel not in COPYING
    if expected:  # the head may be oneDNN's, and has an opinion of its own
        found = plan.findings[f"{layer.in_features}x{layer.out_features} {expected.value}"]
        assert found == [list(range(2, 2 * requests + 1, 2))]


def test_rows_are_padded_to_the_next_count() -> None:
    plan = RowPlan({}, (4, 8, 16), singly=False, like_stock=False)
    assert [plan.padded(rows) for rows in (1, 4, 5, 16)] == [4, 4, 8, 16]
    assert plan.most_requests == 8
    with pytest.raises(ValueError, match="rows=17: expected at most 16"):
        plan.padded(17)


def test_a_whole_step_is_verified() -> None:
    bits = torch.arange(3.0)
    assert verify_step(lambda numbers: [bits[number] for number in numbers], 3)
    assert not verify_step(lambda numbers: [bits[number] + len(numbers) for number in numbers], 3)
    assert not verify_step(lambda numbers: [bits[number] + place for place, number in enumerate(numbers)], 3)
    second_of_four = [0.0, 1.0, 0.0, 0.0]
    more = torch.arange(4.0)
    assert not verify_step(lambda numbers: [more[n] + p for n, p in zip(numbers, second_of_four, strict=False)], 4)


def test_counts_beyond_the_number_of_probes_are_measured_as_they_are() -> None:
    def knows_many(rows: torch.Tensor) -> torch.Tensor:
        return rows + (len(rows) > 200)

    probes = torch.zeros(64, 2)
    digests = [_self_check._digest(knows_many, probes, count) for count in (64, 130, 200, 201, 256)]
    assert digests[0] == digests[1] == digests[2] != digests[3] == digests[4]


def test_places_beyond_the_number_of_probes_are_measured_as_well() -> None:
    def knows_place(rows: torch.Tensor) -> torch.Tensor:
        return rows + (torch.arange(len(rows))[:, None] >= 100)

    probes = torch.zeros(64, 2)
    assert _self_check._digest(knows_place, probes, 100) is not None
    assert _self_check._digest(knows_place, probes, 130) is None
