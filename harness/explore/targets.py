"""What is searched: two calls of upstream's code at a hazard's place, small enough to try thousands of times.

Upstream's lines are the real ones. Where a whole network stands behind a place, a stand-in answers for it: it returns
what it was handed, so that an answer tells whose voice was used.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from chatterbox.models.s3gen.transformer.embedding import EspnetRelPositionalEncoding
from chatterbox.models.s3gen.utils import mel as upstream_mel
from chatterbox.models.t3 import T3
from chatterbox.models.t3.modules.cond_enc import T3Cond
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.tts import ChatterboxTTS, Conditionals

from harness.hazards.families import small_backbone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Worker = Callable[["State"], None]

_SAMPLES = 4_800


@dataclass
class State:
    """What the two calls share, and what each of them returned or raised."""

    shared: Any
    returned: dict[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """One search.

    Attributes:
        setup: makes fresh shared state for every interleaving.
        workers: the two calls.
        holds: whether both calls returned what they return alone.
        packages: whose lines are traced.
    """

    setup: Callable[[], State]
    workers: tuple[Worker, Worker]
    holds: Callable[[State], bool]
    packages: tuple[str, ...] = ("chatterbox.*",)


def _worker(place: int, call: Callable[[Any], Any]) -> Worker:
    def work(state: State) -> None:
        try:
            state.returned[place] = call(state.shared)
        except Exception as error:  # noqa: BLE001 - an exception is an outcome too
            state.returned[place] = error

    return work


def _all_equal(state: State, wanted: tuple[torch.Tensor, torch.Tensor]) -> bool:
    return all(
        isinstance(state.returned[place], torch.Tensor) and torch.equal(state.returned[place], tensor)
        for place, tensor in enumerate(wanted)
    )


def shared_t3_cond() -> Target:
    """Two callers of `T3.prepare_conditioning` with one `T3Cond`."""
    hp = T3Config.english_only()
    hp.use_perceiver_resampler = False
    with small_backbone(hp, layers=1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        t3 = T3(hp).eval().requires_grad_(requires_grad=False)

    def cond() -> T3Cond:
        return T3Cond(
            speaker_emb=torch.full((1, hp.speaker_embed_size), 0.1),
            cond_prompt_speech_tokens=torch.arange(5)[None],
            emotion_adv=torch.ones(1, 1, 1),
        )

    wanted = t3.prepare_conditioning(cond())
    condition = t3.prepare_conditioning
    return Target(
        lambda: State(cond()),
        (_worker(0, condition), _worker(1, condition)),
        lambda state: _all_equal(state, (wanted, wanted)),
    )


def shared_conditionals() -> Target:
    """Two `generate` calls of one ChatterBox with different exaggerations."""

    def speak(exaggeration: float) -> Callable[[Any], Any]:
        return lambda model: model.generate("Hi.", exaggeration=exaggeration)[0, 0]

    return Target(
        lambda: State(_chatterbox_of_stand_ins()),
        (_worker(0, speak(0.25)), _worker(1, speak(0.75))),
        lambda state: _all_equal(state, (torch.tensor(0.25), torch.tensor(0.75))),
        ("chatterbox.tts",),
    )


def position_table() -> Target:
    """Two inputs that are both longer than the table, one longer than the other."""

    def encode(length: int) -> Callable[[Any], Any]:
        return lambda table: table(torch.zeros(1, length, 4))[1]

    wanted = tuple(EspnetRelPositionalEncoding(4, 0.0, max_len=2)(torch.zeros(1, length, 4))[1] for length in (9, 6))
    return Target(
        lambda: State(EspnetRelPositionalEncoding(4, 0.0, max_len=2)),
        (_worker(0, encode(9)), _worker(1, encode(6))),
        lambda state: _all_equal(state, wanted),
    )


def mel_tables() -> Target:
    """Two first users of `mel_spectrogram`."""
    silence = torch.zeros(1, _SAMPLES)
    wanted = upstream_mel.mel_spectrogram(silence)

    def emptied() -> State:
        upstream_mel.mel_basis.clear()
        upstream_mel.hann_window.clear()
        return State(silence)

    return Target(
        emptied,
        (_worker(0, upstream_mel.mel_spectrogram), _worker(1, upstream_mel.mel_spectrogram)),
        lambda state: _all_equal(state, (wanted, wanted)),
    )


TARGETS: dict[str, Callable[[], Target]] = {
    "shared-t3cond": shared_t3_cond,
    "shared-conditionals": shared_conditionals,
    "position-table": position_table,
    "mel-tables": mel_tables,
}


def _chatterbox_of_stand_ins() -> ChatterboxTTS:
    model = object.__new__(ChatterboxTTS)
    model.sr, model.device = 24_000, "cpu"
    model.conds = Conditionals(T3Cond(speaker_emb=torch.zeros(1, 1), emotion_adv=0.5 * torch.ones(1, 1, 1)), {})
    model.tokenizer = SimpleNamespace(text_to_tokens=lambda _text: torch.ones(1, 2, dtype=torch.long))
    model.t3 = SimpleNamespace(hp=SimpleNamespace(start_text_token=3, stop_text_token=4), inference=_say_exaggeration)
    model.s3gen = SimpleNamespace(inference=_say_tokens)
    model.watermarker = SimpleNamespace(apply_watermark=lambda wav, sample_rate: wav)  # noqa: ARG005 - upstream's names
    return model


def _say_exaggeration(*, t3_cond: T3Cond, **_rest: object) -> torch.Tensor:
    tokens: torch.Tensor = (t3_cond.emotion_adv.reshape(1, 1) * 1000).long()
    return tokens


def _say_tokens(*, speech_tokens: torch.Tensor, **_rest: object) -> tuple[torch.Tensor, None]:
    return speech_tokens.reshape(1, -1).float() / 1000, None


@contextlib.contextmanager
def tables_put_back() -> Iterator[None]:
    """Put back what was in upstream's two mel tables before the block."""
    tables = (upstream_mel.mel_basis, upstream_mel.hann_window)
    kept = [dict(table) for table in tables]
    try:
        yield
    finally:
        for table, content in zip(tables, kept, strict=True):
            table.clear()
            table.update(content)
