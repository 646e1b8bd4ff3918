"""Stages of stock: what is counted for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from harness.run.bench.fidelity import OTHER_SEED, measure_fidelity
from harness.run.bench.records import ENGINE_FLOW
from harness.run.bench.stages import count_flops, measure_stages, model_facts, packed_dtypes
from stateless_tts import SpeechRequest
from stateless_tts.engine import can_pack

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS


def test_products_and_convolutions_are_counted() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    with torch.no_grad():
        assert count_flops(lambda: left @ right) == 2 * 3 * 5 * 7
        convolution = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv1d(2, 4, 3))
        assert count_flops(lambda: convolution(torch.ones(1, 2, 10))) == 2 * 2 * 4 * 3 * 8


def test_the_cache_formula_is_that_of_the_model(stock: ChatterboxTTS) -> None:
    facts = model_facts(stock, [SpeechRequest("A word.")])
    # Keys and values of 2 layers, 2 rows and a width of 1024, in 4 bytes.
    assert facts.cache_bytes_per_token == {"float32": 2 * 2 * 2 * 1024 * 4, "bfloat16": 2 * 2 * 2 * 1024 * 2}
    weights = sum(p.numel() for p in stock.t3.tfmr.layers.parameters()) + 1024 + stock.t3.speech_head.weight.numel()
    assert facts.t3_step_weight_bytes["bfloat16"] == 2 * weights
    text = stock.tokenizer.text_to_tokens("A word.").size(1)
    assert facts.prompt_tokens == (34 + text + 2 + 2,)


def test_every_stage_is_measured_and_the_model_is_left_alone(stock: ChatterboxTTS, clips: tuple[Path, ...]) -> None:
    before = stock.conds
    found = {(one.stage, one.dtype): one for one in measure_stages(stock, SpeechRequest("a", clips[0]), 1)}
    assert stock.conds is before
    stages = [stage for stage, _ in found]
    flows = ["S3Gen flow", *[ENGINE_FLOW] * len(packed_dtypes("cpu"))]
    assert stages == ["T3 decode step"] * 2 + [*flows, "vocoder", "watermark", "voice preparation"]
    assert {one.flops for (stage, _), one in found.items() if "S3Gen flow" in stage} == {
        found["S3Gen flow", "float32"].flops
    }
    assert all(min(one.seconds) > 0 for one in found.values())
    assert [stage for (stage, _), one in found.items() if not one.flops] == []
    step = found["T3 decode step", "float32"]
    # Two rows through every weight once, and attention over the past.
    weights = model_facts(stock, []).t3_step_flops_per_row
    assert step.flops == pytest.approx(2 * weights, rel=0.1)
    assert found["T3 decode step", "bfloat16"].read_bytes * 2 == step.read_bytes


def test_the_engines_flow_is_measured_in_dtypes_that_the_machine_can_pack(
    stock: ChatterboxTTS, clips: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert packed_dtypes("cuda") == ()
    monkeypatch.setattr(
        "harness.run.bench.stages.can_pack",
        lambda _, dtype: dtype is torch.float32 and can_pack(torch.device("cpu"), dtype),
    )
    request = SpeechRequest("a", clips[0], max_new_tokens=4)
    flows = {one.dtype for one in measure_stages(stock, request, 1) if one.stage == ENGINE_FLOW}
    renderings = {one.rendering for one in measure_fidelity(stock, [request], "tiny")}
    assert flows == renderings - {OTHER_SEED}
    assert "bfloat16" not in flows
