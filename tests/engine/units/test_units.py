"""Units compute what torch does, but for rounding, and a row's bits are that row's alone."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, get_args

import pytest
import torch
from chatterbox.models.s3gen.transformer.activation import Snake
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from harness.run.torch_threads import torch_threads
from stateless_tts.engine import units as rooms
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.machine_code import _vectors
from stateless_tts.engine.machine_code._chain import Chain, Told
from stateless_tts.engine.machine_code._function import Function, read
from stateless_tts.engine.machine_code._translation import MachineCode
from stateless_tts.engine.units import Ending, Units, find_units, run
from stateless_tts.engine.units import _units as base
from stateless_tts.engine.units.matrix import _units as of_matrices
from stateless_tts.engine.units.matrix import matrix_units
from stateless_tts.engine.units.vector import VectorUnits, _attention, vector_units
from stateless_tts.engine.units.vector import _units as of_vector_registers
from stateless_tts.engine.units.vector._tiles import Tiles
from tests.engine.features import FEATURES, WITHOUT_AVX512

from .calls import attention, dense, norm_mish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EPSILON = 1e-5
# Of a result, against its own size and the size that its terms would have if they did not cancel out.
ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 1.2e-2}
ROUNDING_OF_VECTORS = 4e-6


def in_vectors(tiles: Tiles, features: dict[str, bool]) -> Units | None:
    """Return units of such tiles, whichever are the fastest of this CPU: LLVM splits vectors that are too long."""
    return None if vector_units() is None else VectorUnits(tiles, features)


WAYS: dict[str, Callable[[], Units | None]] = {
    "float32 in AMX": lambda: matrix_units(torch.float32),
    "bfloat16 in AMX": lambda: matrix_units(torch.bfloat16),
    "float32, sixteen lanes": lambda: in_vectors(Tiles(lanes=16, rows=8), FEATURES),
    "float32, eight lanes": lambda: in_vectors(Tiles(lanes=8, rows=6), WITHOUT_AVX512),
}


@pytest.fixture(scope="module", params=WAYS)
def units(request: pytest.FixtureRequest) -> Units:
    found = WAYS[request.param]()
    if found is None:
        pytest.skip("this machine has no such registers, or torch no OpenMP of GNU's")
    return found


@pytest.fixture
def units_are_sought_anew() -> Iterator[None]:
    for sought in (matrix_units, vector_units):
        sought.cache_clear()
    yield
    for sought in (matrix_units, vector_units):
        sought.cache_clear()


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    with torch_threads(request.param):
        yield request.param


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


def layer(units: Units, depth: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a weight, the weight in panels, and a bias."""
    weight = (noise(outputs, depth) / depth**0.5).to(units.dtype)
    return weight, units.pack(weight), noise(outputs)


def joint_of(units: Units, rows: int, frames: int, heads: int, head_dim: int) -> torch.Tensor:
    joint = noise(rows, frames, 3, heads, head_dim)
    joint[:, :, 0] *= head_dim**-0.5
    return joint.flatten(2).to(units.dtype)


def attention_of(joint: torch.Tensor, heads: int) -> torch.Tensor:
    queries, keys, values = joint.double().view(*joint.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    attended = functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    return attended.transpose(1, 2).flatten(2)


def assert_near(units: Units, found: torch.Tensor, expected: torch.Tensor, size: float = 1.0) -> None:
    tolerance = (ROUNDING_OF_VECTORS if isinstance(units, VectorUnits) else ROUNDING[units.dtype]) * size
    torch.testing.assert_close(found.double(), expected.double(), rtol=tolerance, atol=tolerance)


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 150),
    steps=st.integers(1, 12),
    panels=st.integers(1, 5),
    ending=st.sampled_from(get_args(Ending)),
    normed=st.booleans(),
)
def test_it_is_the_layer(units: Units, rows: int, steps: int, panels: int, ending: Ending, *, normed: bool) -> None:
    weight, packed, bias = layer(units, 32 * steps, 32 * panels)
    numbers = noise(rows, 32 * steps, seed=2) * 2 + 1
    given_numbers = numbers if normed else numbers.to(units.dtype)
    residual = noise(rows, 32 * panels, seed=1) if ending == "add" else None
    epsilon = EPSILON if normed else None
    found = dense(units, given_numbers, packed, bias, ending, residual=residual, epsilon=epsilon)
    exact = given_numbers.double()
    if normed:
        exact = functional.layer_norm(exact, (32 * steps,), eps=EPSILON)
    expected = functional.linear(exact, weight.double(), bias.double())
    if ending == "gelu":
        expected = functional.gelu(expected)
    if residual is not None:
        expected = expected + residual
    assert found.dtype is (torch.float32 if ending in {"add", "float32"} else units.dtype)
    assert_near(units, found, expected)


def test_float32_keeps_sixteen_bits() -> None:
    units = matrix_units(torch.float32)
    if units is None:
        pytest.skip("this machine has no AMX, or torch no OpenMP of GNU's")
    weight, packed, bias = layer(units, 256, 256)
    numbers = noise(64, 256)
    exact = functional.linear(numbers.double(), weight.double(), bias.double())
    error = (units.dense(numbers, packed, bias) - exact).pow(2).mean().sqrt()
    assert 1e-7 < error < 1e-5  # 4e-6; of 8 bits it would be 2e-3, of 24 3e-7


@settings(deadline=None, max_examples=25)
@given(
    rows=st.integers(1, 2), frames=st.integers(1, 130), heads=st.integers(1, 3), head_dim=st.sampled_from([32, 64, 96])
)
def test_it_is_attention(units: Units, rows: int, frames: int, heads: int, head_dim: int) -> None:
    joint = joint_of(units, rows, frames, heads, head_dim)
    found = attention(units, joint, heads)
    assert found.dtype is units.dtype
    assert_near(units, found, attention_of(joint, heads))


@pytest.mark.parametrize("frames", [1024, 1100])
def test_attention_sees_long_utterances_whole(units: Units, frames: int) -> None:
    joint = joint_of(units, 1, frames, 1, 64)
    assert_near(units, attention(units, joint, 1), attention_of(joint, 1))


def test_great_scores_pick_one_value(units: Units) -> None:
    joint = joint_of(units, 1, 50, 1, 64)
    joint[..., :64] *= 3000
    assert_near(units, attention(units, joint, 1), attention_of(joint, 1))


@settings(deadline=None, max_examples=25)
@given(utterances=st.integers(1, 2), rows=st.integers(1, 40), vectors=st.integers(1, 20))
def test_it_is_norm_and_mish(units: Units, utterances: int, rows: int, vectors: int) -> None:
    channels = 16 * vectors
    numbers, added = noise(utterances, rows, channels) * 5 - 3, noise(utterances, channels)
    weight, bias = noise(2, channels)
    weight *= 30  # far into both ends of mish
    normed = functional.layer_norm(numbers.double(), (channels,), weight.double(), bias.double(), EPSILON)
    expected = functional.mish(normed) + added.double().unsqueeze(1)
    found = norm_mish(units, numbers, weight, bias, EPSILON, added)
    assert_near(units, found, expected, size=10)  # weights of 30 enlarge rounding
    if units.dtype is torch.float32:
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=5e-5)


def of_vectors(function: Callable[[Function, str], str], numbers: torch.Tensor) -> torch.Tensor:
    """Return what machine code makes of numbers, sixteen at a time."""
    if vector_units() is None:
        pytest.skip("this machine has no AVX2, or torch no OpenMP of GNU's")
    code = Function("all", {"table": "ptr"}, public=True)
    told = read(code, {"numbers": "ptr", "result": "ptr", "vectors": "i64"})
    with code.loop(told["vectors"]) as vector:
        at = code.times(vector.index, _vectors.VECTOR_BYTES)
        result = function(code, code.load(_vectors.FLOATS, code.after(told["numbers"], at)))
        code.store(_vectors.FLOATS, result, code.after(told["result"], at))
    found = torch.empty_like(numbers)
    machine_code = MachineCode(_vectors.DECLARATIONS + code.source(), {"all": told}, FEATURES)
    given = {"numbers": numbers.data_ptr(), "result": found.data_ptr(), "vectors": len(numbers) // 16}
    machine_code.run("all", given, 1)
    return found


@pytest.mark.parametrize(("degree", "error"), [(3, 1.1e-4), (4, 4e-6), (5, 3e-7)])
def test_powers_of_two_are_as_exact_as_they_say(degree: int, error: float) -> None:
    exponents = torch.linspace(-125, 126, 16 * 4000)
    found = of_vectors(lambda code, vector: _vectors.power_of_two(code, vector, degree), exponents)
    wrong = (found.double() / exponents.double().exp2() - 1).abs().max()
    assert error / 3 < wrong < error


def test_squared_sines_are_as_exact_as_they_say() -> None:
    numbers = torch.linspace(-100, 100, 16 * 4000)
    found = of_vectors(_vectors.squared_sine, numbers)
    assert (found.double() - numbers.double().sin().square()).abs().max() < 3e-7


@pytest.mark.parametrize(("erf", "error"), [("exact", 1e-6), ("rough", 7e-6)])
def test_gelus_are_as_exact_as_they_say(erf: Literal["exact", "rough"], error: float) -> None:
    numbers = torch.linspace(-8, 8, 16 * 4000)
    found = of_vectors(lambda code, vector: _vectors.gelu(code, vector, erf), numbers)
    wrong = (found.double() - functional.gelu(numbers.double())).abs() / (numbers.double().abs() / 2).clamp(min=1e-9)
    assert error / 3 < wrong.max() < error


def test_gelu_is_gelu_far_out(units: Units) -> None:
    _, packed, _ = layer(units, 32, 64)
    bias = torch.linspace(-40, 40, 64)
    found = dense(units, torch.zeros(1, 32, dtype=units.dtype), packed, bias, "gelu")
    assert_near(units, found, functional.gelu(bias)[None], size=10)


def test_a_constant_row_is_normed_to_nothing(units: Units) -> None:
    _, packed, bias = layer(units, 64, 64)
    constant = torch.full((1, 64), 7.0)
    assert_near(units, dense(units, constant, packed, bias, epsilon=EPSILON), bias[None])
    assert_near(
        units, norm_mish(units, constant[None], bias, bias, EPSILON, bias[None])[0, 0], functional.mish(bias) + bias
    )


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(2, 120), own=st.data())
def test_a_rows_bits_are_its_own(units: Units, rows: int, own: st.DataObject) -> None:
    _, packed, bias = layer(units, 256, 64)
    numbers = noise(rows, 256).to(units.dtype)
    one = own.draw(st.integers(0, rows - 1))
    alone = units.dense(numbers[one : one + 1], packed, bias)
    numbers[:one] *= 3
    with torch_threads(own.draw(st.integers(1, 3))):
        among_others = units.dense(numbers, packed, bias)[one : one + 1]
    assert torch.equal(alone, among_others)


def test_threads_change_no_bit(units: Units, threads: int) -> None:
    joint, numbers = joint_of(units, 1, 70, 5, 64), noise(1, 70, 64)
    weight, bias = noise(2, 64)

    def all_of_it() -> tuple[torch.Tensor, torch.Tensor]:
        return attention(units, joint, 5), norm_mish(units, numbers, weight, bias, EPSILON, bias[None])

    found = all_of_it()
    torch.set_num_threads(2)
    assert all(torch.equal(one, other) for one, other in zip(found, all_of_it(), strict=True)), threads


def test_many_rows_are_shared_out_in_parts(units: Units, threads: int) -> None:
    weight, packed, bias = layer(units, 32, 32)
    numbers = noise(32 * base._PANELS_OF_A_SHARE * 4 + 5, 32).to(units.dtype)
    expected = functional.linear(numbers.double(), weight.double(), bias.double())
    assert threads < 5
    assert_near(units, units.dense(numbers, packed, bias), expected)


def test_rows_may_overlap(units: Units) -> None:
    _, packed, bias = layer(units, 96, 32)
    frames = noise(40, 32).to(units.dtype)
    windows = frames.as_strided((38, 96), (32, 1))
    assert torch.equal(units.dense(windows, packed, bias), units.dense(windows.contiguous(), packed, bias))


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 70), taps=st.integers(1, 4), apart=st.integers(1, 3), steps=st.integers(1, 2))
def test_rows_may_lie_in_parts(units: Units, rows: int, taps: int, apart: int, steps: int) -> None:
    channels = 32 * steps
    _, packed, bias = layer(units, taps * channels, 64)
    frames = noise(rows + (taps - 1) * apart, channels).to(units.dtype)
    together = torch.cat([frames[tap * apart : tap * apart + rows] for tap in range(taps)], dim=1)
    row_bytes = channels * units.dtype.itemsize
    call = units.dense_call(
        packed, bias, Told("frames"), Told("result"), row_bytes=row_bytes, taps=taps, tap_bytes=apart * row_bytes
    )
    expected = units.dense(together, packed, bias)
    found = torch.empty_like(expected)
    run(Chain([call]), rows, panels_of_share=1, frames=frames.data_ptr(), result=found.data_ptr())
    assert torch.equal(found, expected)


def test_float32_rows_may_be_taken_to_bfloat16() -> None:
    units = matrix_units(torch.bfloat16)
    if units is None:
        pytest.skip("this machine has no AMX, or torch no OpenMP of GNU's")
    _, packed, bias = layer(units, 64, 32)
    numbers = noise(40, 64)
    assert torch.equal(units.dense(numbers, packed, bias), units.dense(numbers.bfloat16(), packed, bias))


@settings(deadline=None, max_examples=25)
@given(rows=st.integers(1, 40), vectors=st.integers(1, 8), scale=st.sampled_from([0.01, 1.0, 100.0]))
def test_it_is_the_vocoders_activation(units: Units, rows: int, vectors: int, scale: float) -> None:
    channels = 16 * vectors
    snake = Snake(channels).requires_grad_(requires_grad=False)
    snake.alpha.copy_(2.0 ** torch.arange(channels).remainder(4).sub(2))  # so that no product is rounded
    heights = 1.0 / (snake.alpha + snake.no_div_by_zero)
    numbers = noise(rows, channels) * scale
    found = torch.empty_like(numbers)
    call = units.snake_call(snake.alpha, heights, Told("numbers"), Told("result"))
    run(Chain([call]), rows, numbers=numbers.data_ptr(), result=found.data_ptr())
    expected = snake(numbers.double().t()[None])[0].t()
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=2e-6)


def test_callers_share_a_weight(units: Units) -> None:
    weight, packed, bias = layer(units, 256, 96)
    numbers, joint = noise(100, 256).to(units.dtype), joint_of(units, 1, 100, 2, 64)
    expected = units.dense(numbers, packed, bias), attention(units, joint, 2)

    def call(_: int) -> tuple[torch.Tensor, torch.Tensor]:
        use_cores(2)
        return units.dense(numbers, packed, bias), attention(units, joint, 2)

    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(call, range(32)))
    for result in results:
        assert all(torch.equal(one, other) for one, other in zip(result, expected, strict=True))
    assert torch.equal(packed, units.pack(weight))


def test_vector_registers_keep_all_bits() -> None:
    units = vector_units()
    if units is None:
        pytest.skip("this machine has no AVX2, or torch no OpenMP of GNU's")
    weight, packed, bias = layer(units, 256, 256)
    numbers = noise(64, 256)
    exact = functional.linear(numbers.double(), weight.double(), bias.double())
    error = (units.dense(numbers, packed, bias) - exact).pow(2).mean().sqrt()
    assert error < 1e-6  # 4e-7


def test_what_memory_held_before_does_not_matter(units: Units) -> None:
    _, packed, bias = layer(units, 64, 64)
    numbers, joint = noise(37, 64), joint_of(units, 1, 37, 2, 64)
    torch.use_deterministic_algorithms(mode=True)  # fills memory that is not written yet with NaN
    try:
        assert torch.empty(1).isnan().all()
        results = [
            units.dense(numbers.to(units.dtype), packed, bias),
            dense(units, numbers, packed, bias, epsilon=EPSILON),
            attention(units, joint, 2),
            norm_mish(units, numbers[None], bias, bias, EPSILON, bias[None]),
        ]
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert all(torch.isfinite(result).all() for result in results)


def test_what_is_not_finite_stays_in_its_row(units: Units) -> None:
    _, packed, bias = layer(units, 64, 32)
    numbers = noise(4, 64).to(units.dtype)
    numbers[1, 7] = float("inf")
    numbers[2, 7] = float("nan")
    finite = torch.isfinite(units.dense(numbers, packed, bias)).all(dim=1)
    assert finite.tolist() == [True, False, False, True]


@pytest.mark.parametrize(("part", "lost"), [(0, [5]), (1, list(range(50))), (2, list(range(50)))])
def test_attention_tells_of_what_is_no_number(units: Units, part: int, lost: list[int]) -> None:
    joint = joint_of(units, 1, 50, 1, 64)
    joint[0, 5, 64 * part] = float("nan")
    found, expected = attention(units, joint, 1)[0], attention_of(joint, 1)[0]
    assert found.isnan().any(dim=1).nonzero().flatten().tolist() == lost
    assert torch.equal(found.isnan(), expected.isnan())


def test_nothing_gives_nothing(units: Units) -> None:
    _, packed, bias = layer(units, 64, 32)
    assert units.dense(noise(0, 64).to(units.dtype), packed, bias).shape == (0, 32)


REFUSED: dict[str, Callable[[Units, torch.Tensor, torch.Tensor, torch.Tensor], object]] = {
    "rows of": lambda units, rows, packed, bias: units.dense(rows[:, :32], packed, bias),
    "rows of torch.float64": lambda units, rows, packed, bias: units.dense(rows.double(), packed, bias),
    "side by side": lambda units, rows, packed, bias: units.dense(rows.t().contiguous().t(), packed, bias),
    "on the CPU": lambda units, rows, packed, bias: units.dense(rows.to("meta"), packed, bias),
    r"packed of .* and \(\)": lambda units, rows, packed, bias: units.dense(rows, packed.flatten()[0], bias),
    "packed of": lambda units, rows, packed, bias: units.dense(rows, packed.double(), bias),
    "bias of": lambda units, rows, packed, bias: units.dense(rows, packed, bias[:-1]),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_does_not_fit_is_refused(units: Units, told: str) -> None:
    _, packed, bias = layer(units, 64, 32)
    with pytest.raises(ValueError, match=told):
        REFUSED[told](units, noise(2, 64).to(units.dtype), packed, bias)


def test_rooms_are_made_where_the_rows_are(units: Units) -> None:
    _, packed, bias = layer(units, 64, 32)
    numbers, joint = noise(3, 64).to(units.dtype), joint_of(units, 1, 37, 2, 64)
    expected = units.dense(numbers, packed, bias), attention(units, joint, 2)
    with torch.device("meta"):
        found = units.dense(numbers, packed, bias), attention(units, joint, 2)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_panels_have_to_be_filled(units: Units) -> None:
    assert units.takes(1024, 256)
    assert not units.takes(80, 256)
    assert not units.takes(256, 80)
    assert not units.takes(256, 0)
    assert not units.takes(0, 256)
    assert not units.takes_heads_of(0)
    assert units.takes_heads_of(64)
    assert not units.takes_heads_of(48)


def test_a_copy_computes_as_well(units: Units) -> None:
    _, packed, bias = layer(units, 64, 32)
    numbers = noise(3, 64).to(units.dtype)
    assert torch.equal(copy.deepcopy(units).dense(numbers, packed, bias), units.dense(numbers, packed, bias))


@pytest.mark.parametrize("tiles", [Tiles(lanes=16, rows=8), Tiles(lanes=8, rows=6)])
@pytest.mark.parametrize("head_dim", [32, 64, 96])
def test_rooms_of_threads_begin_with_cache_lines(tiles: Tiles, head_dim: int) -> None:
    assert all(count % 64 == 0 for count in _attention.room_bytes(32, head_dim, tiles))


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Return the features of a CPU with AMX, on which this process has leave to use it."""
    features = dict.fromkeys(("amx-bf16", *of_matrices._FEATURES), True)
    monkeypatch.setattr(of_matrices, "cpu_features", lambda: features)
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: True)
    return features


@pytest.mark.usefixtures("units_are_sought_anew", "amx", "no_machine_code")
def test_without_machine_code_there_are_none() -> None:
    assert matrix_units(torch.float32) is None
    assert matrix_units(torch.bfloat16) is None


@pytest.mark.usefixtures("units_are_sought_anew")
@pytest.mark.parametrize("cause", ["no AMX", "no leave to use it"])
def test_without_amx_there_are_none(monkeypatch: pytest.MonkeyPatch, amx: dict[str, bool], cause: str) -> None:
    if cause == "no AMX":
        amx["amx-bf16"] = False
    else:
        monkeypatch.setattr(torch.cpu, "_init_amx", lambda: False)
    assert matrix_units(torch.float32) is None
    assert matrix_units(torch.bfloat16) is None


@pytest.mark.usefixtures("units_are_sought_anew", "no_machine_code")
def test_without_machine_code_there_are_none_of_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_vector_registers, "cpu_features", lambda: {"avx2": True, "fma": True})
    assert vector_units() is None


@pytest.mark.usefixtures("units_are_sought_anew")
@pytest.mark.parametrize("missing", ["avx2", "fma"])
def test_without_wide_vectors_there_are_none(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setattr(of_vector_registers, "cpu_features", lambda: {"avx2": True, "fma": True, missing: False})
    assert vector_units() is None


def test_amx_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_units(torch.float32) in {matrix_units(torch.float32), vector_units()}
    of_matrices_alone, of_vectors_alone = object(), object()
    monkeypatch.setattr(rooms, "matrix_units", lambda _: of_matrices_alone)
    monkeypatch.setattr(rooms, "vector_units", lambda: of_vectors_alone)
    assert find_units(torch.float32) is of_matrices_alone
    monkeypatch.setattr(rooms, "matrix_units", lambda _: None)
    assert find_units(torch.float32) is of_vectors_alone
    assert find_units(torch.bfloat16) is None


def test_there_are_none_for_float16() -> None:
    assert find_units(torch.float16) is None
