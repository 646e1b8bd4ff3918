"""The estimator as one chain is near upstream's, whoever else runs it, and leaves upstream's as it is."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from chatterbox.models.s3gen.decoder import ConditionalDecoder
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.chains import ChainedEstimator, _estimator, chained_estimator
from stateless_tts.engine.machine_code._chain import Told
from stateless_tts.engine.units.matrix import matrix_units
from stateless_tts.engine.units.vector import vector_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine.units import Units

# Signal to noise against upstream's, of numbers that are as they come.
LEAST_DECIBELS = {torch.float32: 85.0, torch.bfloat16: 33.0}
LEAST_DECIBELS_OF_VECTORS = 110.0
both_dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
KINDS: dict[str, Callable[[torch.dtype], Units | None]] = {
    "AMX": matrix_units,
    "vectors": lambda dtype: vector_units() if dtype is torch.float32 else None,
}


def an_estimator(
    channels: int = 64, heads: int = 2, head_dim: int = 32, *, meanflow: bool = False
) -> ConditionalDecoder:
    """Return upstream's, of random weights and norms, with two blocks of everything."""
    with torch.random.fork_rng():
        torch.manual_seed(channels + heads + head_dim)
        estimator = ConditionalDecoder(
            channels=[channels],
            attention_head_dim=head_dim,
            n_blocks=2,
            num_mid_blocks=2,
            num_heads=heads,
            meanflow=meanflow,
        )
        for parameter in estimator.parameters():
            if parameter.dim() == 1:
                parameter.data.add_(torch.randn_like(parameter) / 10)
    return estimator.eval()


def arguments(frames: int, *, meanflow: bool = False) -> dict[str, torch.Tensor]:
    noise = torch.Generator().manual_seed(frames)
    given_numbers = {name: torch.randn(1, 80, frames, generator=noise) for name in ("x", "mu", "cond")}
    times = {"t": torch.tensor([0.3])} | ({"r": torch.tensor([0.6])} if meanflow else {})
    return given_numbers | times | {"spks": torch.randn(1, 80, generator=noise), "mask": torch.ones(1, 1, frames)}


def units_of(dtype: torch.dtype) -> Units | None:
    """Return the units by which all is computed at the moment."""
    found: Units | None = vars(_estimator)["find_units"](dtype)
    return found


def chained(estimator: ConditionalDecoder, dtype: torch.dtype) -> ChainedEstimator:
    if units_of(dtype) is None:
        pytest.skip("these units have no such numbers, or this machine has none of them")
    found = chained_estimator(estimator, dtype)
    assert found is not None
    return found


def decibels(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float(10 * torch.log10(expected.pow(2).sum() / (found - expected).pow(2).sum()))


@both_dtypes
@pytest.mark.parametrize(("channels", "heads", "head_dim"), [(64, 2, 32), (32, 3, 64), (96, 1, 96)])
@pytest.mark.parametrize("meanflow", [False, True])
def test_it_is_near_upstreams(
    kind: str, dtype: torch.dtype, channels: int, heads: int, head_dim: int, *, meanflow: bool
) -> None:
    least = LEAST_DECIBELS_OF_VECTORS if kind == "vectors" else LEAST_DECIBELS[dtype]
    estimator = an_estimator(channels, heads, head_dim, meanflow=meanflow)
    chain = chained(estimator, dtype)
    with torch.inference_mode():
        for frames in (1, 2, 31, 32, 33, 150):
            told = arguments(frames, meanflow=meanflow)
            found, expected = chain(**told), estimator(**told)
            assert found.shape == expected.shape
            assert decibels(found, expected) > least


@both_dtypes
@settings(deadline=None, max_examples=20)
@given(frames=st.integers(1, 1200), threads=st.integers(1, 4))
def test_what_memory_held_changes_no_bit(dtype: torch.dtype, frames: int, threads: int) -> None:
    chain, told = chain_of(dtype), arguments(frames)
    torch.use_deterministic_algorithms(mode=True)  # fills memory that is not written yet with NaN
    try:
        with torch.inference_mode(), torch_threads(threads):
            found = chain(**told)
            torch.use_deterministic_algorithms(mode=False)
            assert torch.equal(found, chain(**told))
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert torch.isfinite(found).all()


CHAINS: dict[torch.dtype, ChainedEstimator] = {}


@pytest.fixture(autouse=True, scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Say by which units all is computed."""
    CHAINS.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_estimator, "find_units", KINDS[request.param])
        yield request.param


def chain_of(dtype: torch.dtype) -> ChainedEstimator:
    """Return the chain of a dtype, which is made once for each kind of units."""
    if dtype not in CHAINS:
        CHAINS[dtype] = chained(an_estimator(), dtype)
    return CHAINS[dtype]


@both_dtypes
def test_callers_share_it(dtype: torch.dtype) -> None:
    chain = chain_of(dtype)
    lengths = [7, 100, 64, 33] * 8

    @torch.inference_mode()
    def call(frames: int) -> torch.Tensor:
        use_cores(1)
        result: torch.Tensor = chain(**arguments(frames))
        return result

    expected = {frames: call(frames) for frames in set(lengths)}
    with ThreadPoolExecutor(8) as callers:
        for frames, found in zip(lengths, callers.map(call, lengths), strict=True):
            assert torch.equal(found, expected[frames])


@both_dtypes
def test_upstreams_weights_are_neither_written_nor_needed(dtype: torch.dtype) -> None:
    estimator, told = an_estimator(), arguments(20)
    before = copy.deepcopy(estimator.state_dict())
    chain = chained(estimator, dtype)
    with torch.inference_mode():
        expected = chain(**told)
        assert all(torch.equal(before[name], weight) for name, weight in estimator.state_dict().items())
        for name, module in estimator.named_children():
            if name not in {"time_embeddings", "time_mlp"}:
                for parameter in module.parameters():
                    parameter.data.fill_(float("nan"))
        assert torch.equal(chain(**told), expected)
        copied = copy.deepcopy(chain)
        del chain
        torch.randn(10_000_000)  # where its weights were, if they are gone
        assert torch.equal(copied(**told), expected)


@pytest.mark.parametrize(
    "change",
    ["channels that fill no panel", "chunks", "another convolution", "another gelu", "heads that fill no panel"],
)
def test_what_is_not_written_down_is_left_to_others(change: str) -> None:
    estimator = an_estimator(
        channels=80 if change == "channels that fill no panel" else 64,
        head_dim=48 if change == "heads that fill no panel" else 32,
    )
    if change == "chunks":
        estimator.static_chunk_size = 10
    if change == "another convolution":
        estimator.down_blocks[0][2] = torch.nn.Conv1d(64, 64, 3, padding=1)
    if change == "another gelu":
        estimator.mid_blocks[0][1][0].ff.net[0].approximate = "tanh"
    assert chained_estimator(estimator, torch.float32) is None


def test_more_rows_are_refused() -> None:
    told = arguments(9)
    told["x"] = told["x"].repeat(2, 1, 1)
    with pytest.raises(ValueError, match="x of 2 rows: expected one"):
        chain_of(torch.float32)(**told)


def test_none_for_float16(model: ChatterboxTTS) -> None:
    estimator = model.s3gen.flow.decoder.estimator
    assert chained_estimator(estimator, torch.float16) is None
    assert chained(estimator, torch.float32) is not None


@both_dtypes
def test_no_call_has_its_result_where_its_rows_are(dtype: torch.dtype) -> None:
    chained(an_estimator(), dtype)
    units, exact = (units_of(one) for one in (dtype, torch.float32))
    assert units is not None
    assert exact is not None
    calls = _estimator._Writer(an_estimator(), units, exact).calls
    read = {"numbers", "queries", "keys", "values"}
    for call in calls:
        if not call.function.startswith("norm_mish"):  # takes whole rows at a time
            rows = {one.name for name, one in call.values.items() if name in read and isinstance(one, Told)}
            assert isinstance(result := call.values["result"], Told)
            assert result.name not in rows
