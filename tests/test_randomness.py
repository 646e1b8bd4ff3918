"""A call's draws are stock's numbers and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.distributions import Uniform

from stateless_tts.errors import UnisolatedDrawError
from stateless_tts.randomness import CallRandomness, fresh_seed, redirected_draws

if TYPE_CHECKING:
    from collections.abc import Callable

_STRIDED = torch.empty(7, 5).t()
_WEIGHTS = torch.rand(3, 8194, generator=torch.Generator().manual_seed(9))


def _uniform() -> Uniform:
    return Uniform(low=-3.0, high=3.0)  # type: ignore[no-untyped-call]


DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "rand": lambda: torch.rand(3, 5),
    "randn": lambda: torch.randn(40),
    "randn short": lambda: torch.randn(3),
    "randint": lambda: torch.randint(0, 9, (4, 4)),
    "randperm": lambda: torch.randperm(20),
    "normal": lambda: torch.normal(torch.zeros(20), torch.ones(20)),
    "rand_like": lambda: torch.rand_like(_STRIDED),
    "randn_like": lambda: torch.randn_like(_STRIDED),
    "randn_like dtype": lambda: torch.randn_like(torch.zeros(30), dtype=torch.float64),
    "randint_like": lambda: torch.randint_like(torch.zeros(30), 3, 90),
    "randint_like high": lambda: torch.randint_like(torch.zeros(30), high=90),
    "multinomial": lambda: torch.multinomial(_WEIGHTS, 1),
    "multinomial method": lambda: _WEIGHTS.multinomial(2),
    "bernoulli": lambda: torch.bernoulli(torch.full((30,), 0.4)),
    "poisson": lambda: torch.poisson(torch.full((30,), 4.0)),
    "uniform_": lambda: torch.empty(30).uniform_(-1, 1),
    "normal_": lambda: torch.empty(30).normal_(),
    "exponential_": lambda: torch.empty(30).exponential_(),
    "random_": lambda: torch.empty(30).random_(),
    "Uniform.sample": lambda: _uniform().sample((2, 9, 1)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_redirected_draws_are_those_after_manual_seed(name: str) -> None:
    draw = DRAWS[name]
    state = torch.random.get_rng_state()
    torch.manual_seed(1234)
    wanted = [draw(), draw()]
    torch.random.set_rng_state(state)

    with redirected_draws(CallRandomness(1234)):
        drawn = [draw(), draw()]

    assert all(torch.equal(a, b) for a, b in zip(drawn, wanted, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state), "the process-wide generator was drawn from"


def test_a_draw_with_its_own_generator_is_left_alone() -> None:
    with redirected_draws(CallRandomness(1)):
        drawn = torch.randn(30, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, torch.randn(30, generator=torch.Generator().manual_seed(2)))


def test_dropout_in_training_cannot_be_redirected_and_says_so() -> None:
    with redirected_draws(CallRandomness(1)):
        torch.nn.functional.dropout(torch.ones(3), 0.5, training=False)
        with pytest.raises(UnisolatedDrawError, match="dropout"):
            torch.nn.Dropout(0.5).train()(torch.ones(3))


def test_negative_seeds_are_accepted_as_torch_accepts_them() -> None:
    state = torch.random.get_rng_state()
    torch.manual_seed(-5)
    wanted = torch.rand(4)
    torch.random.set_rng_state(state)
    assert torch.equal(torch.rand(4, generator=CallRandomness(-5).generator("cpu")), wanted)


def test_fresh_seeds_differ_and_touch_no_generator() -> None:
    state = torch.random.get_rng_state()
    assert len({fresh_seed() for _ in range(50)}) == 50
    assert torch.equal(torch.random.get_rng_state(), state)
