"""The kernel in which the rows of a float32 step attend on a CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.chains import StepAttention, step_attention
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from tests.engine.chains.step_case import HEADS, Case
from tests.engine.features import FEATURES, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_DIM = 32
needs_avx2 = pytest.mark.skipif(not has_wide_vectors(FEATURES), reason="the kernel is of AVX2")


@pytest.fixture(autouse=True, scope="module", params=KINDS)
def vectors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Translate the kernel for vectors of one kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stateless_tts.engine.chains._step_attention.cpu_features", lambda: KINDS[request.param])
        step_attention.cache_clear()
        yield
    step_attention.cache_clear()


@pytest.fixture
def sought_anew() -> Iterator[None]:
    step_attention.cache_clear()
    yield
    step_attention.cache_clear()


def kernel() -> StepAttention:
    found = step_attention(HEAD_DIM)
    assert found is not None
    return found


@needs_avx2
@settings(max_examples=30, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=5),
    padding=st.integers(0, 3),
)
def test_rows_attend_as_in_float64(requests: list[tuple[int, int]], padding: int) -> None:
    case = Case(requests, HEAD_DIM)
    found = case.attended(kernel(), 1, padding)
    rows = len(case.queries)
    torch.testing.assert_close(found[:rows], case.by_torch(1, torch.float64), atol=3e-6, rtol=1e-5)
    assert torch.equal(found[rows:], torch.zeros(padding, HEADS, 1, HEAD_DIM))


@needs_avx2
def test_the_new_token_and_nothing_else_is_written() -> None:
    case, other = (Case([(31, 2), (7, 1), (64, 2)], HEAD_DIM) for _ in range(2))
    case.attended(kernel())
    other.by_torch()
    assert case.has_written_as(other)


@needs_avx2
def test_a_rows_bits_are_its_own() -> None:
    requests = [(40, 2), (3, 2), (77, 1), (16, 2)]
    together = Case(requests, HEAD_DIM).attended(kernel())
    backwards = Case(requests[::-1], HEAD_DIM, numbers=[3, 2, 1, 0]).attended(kernel(), padding=2)
    first = Case(requests[:1], HEAD_DIM).attended(kernel())
    assert torch.equal(together[:2], first)
    assert torch.equal(backwards[5:7], first)
    assert torch.equal(backwards[:2], together[5:7])
    with ThreadPoolExecutor(1, initializer=use_cores, initargs=(3,)) as three:
        assert torch.equal(three.submit(lambda: Case(requests, HEAD_DIM).attended(kernel())).result(), together)


@needs_avx2
def test_scores_far_apart_and_what_is_no_number() -> None:
    case = Case([(20, 1)], HEAD_DIM, queries=3e4)
    torch.testing.assert_close(case.attended(kernel()), case.by_torch(dtype=torch.float64), atol=3e-5, rtol=1e-4)
    case.queries[0, 1] = float("nan")
    found = case.attended(kernel())
    assert found[0, 1].isnan().all()
    assert not found[0, 0].isnan().any()


@needs_avx2
def test_other_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="head_dim=24: expected a multiple of 16"):
        StepAttention(24, FEATURES)
    assert step_attention(24) is None
    queries = torch.zeros(1, HEADS, 1, HEAD_DIM, dtype=torch.bfloat16)
    nothing = torch.zeros(1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"heads of torch\.bfloat16"):
        kernel().attend(queries, torch.stack((queries, queries)), nothing, [nothing] * 3, 1.0)


@pytest.mark.usefixtures("sought_anew", "no_machine_code")
def test_without_machine_code_there_is_none() -> None:
    assert step_attention(HEAD_DIM) is None
