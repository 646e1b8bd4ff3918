"""What is verified before an engine serves is the step that its family will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.nn import functional

from stateless_tts.engine import _batched_step, _start_up
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.engine.chains import ChainedStep, StepAttention
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

# Where each family's attention is computed: in a chain or a kernel of the engine's own, or if there is none, by torch.
_OWN_OR_TORCHS = (
    (ChainedStep, "_logits"),
    (StepAttention, "attend"),
    (functional, "scaled_dot_product_attention"),
)
ATTENTION: dict[str, tuple[tuple[Any, str], ...]] = {
    "english": _OWN_OR_TORCHS,
    "multilingual": ((_batched_step, "eager_attention_forward"),),
    "turbo": _OWN_OR_TORCHS,
}


@pytest.fixture(scope="module", params=ATTENTION)
def family(request: pytest.FixtureRequest) -> tuple[str, T3]:
    """Return a family's name and its T3, which preparing does not write to."""
    return request.param, build_chatterbox(request.param).t3


def test_a_family_whose_rows_are_independent_decodes_together(
    family: tuple[str, T3], caplog: pytest.LogCaptureFixture
) -> None:
    decoding = prepare_decoding(family[1], 4, torch.float32, pack=True)
    assert not decoding.plan.singly
    assert decoding.plan.most_requests == 4
    assert "one at a time" not in caplog.text


def test_no_more_caches_are_made_than_real_requests_may_have(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def verify(_step: object, requests: int) -> bool:
        tried.append(requests)
        return True

    monkeypatch.setattr(_start_up, "verify_step", verify)
    one = _start_up._made_up(model.t3, 0).cache.nbytes
    for most in (None, 3 * one, one):
        prepare_decoding(model.t3, 4, torch.float32, pack=False, max_cache_bytes=most)
    assert tried == [4, 3]  # a single one need not be tried


def test_a_family_whose_attention_sees_what_went_before_decodes_singly(
    family: tuple[str, T3], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name, t3 = family
    calls: list[int] = []

    def leaking(attend: Callable[..., Any]) -> Callable[..., Any]:
        def leak(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the function takes and gives
            calls.append(len(calls))
            found = attend(*arguments, **options)
            return (found[0] + 1e-3 * len(calls), found[1]) if isinstance(found, tuple) else found + 1e-3 * len(calls)

        return leak

    for owner, function in ATTENTION[name]:
        monkeypatch.setattr(owner, function, leaking(getattr(owner, function)))
    with caplog.at_level("WARNING"):
        decoding = prepare_decoding(t3, 4, torch.float32, pack=True)
    assert calls
    assert decoding.plan.singly
    assert decoding.plan.most_requests == 1
    assert "requests decode one at a time" in caplog.text
