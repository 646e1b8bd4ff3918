"""Reproductions of tables and caches that upstream fills or lengthens while calls run."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen import S3GEN_SR
from chatterbox.models.s3gen.s3gen import get_resampler
from chatterbox.models.s3gen.transformer.embedding import EspnetRelPositionalEncoding
from chatterbox.models.s3gen.utils import mel as upstream_mel

from harness.hazards.bench import FIRST, SECOND, Trial, differing
from harness.hazards.overlap import overlapped, why_not_played
from harness.hazards.places import torch_places
from harness.hazards.schedule import PROJECT_PATIENCE_S, Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.tts import ChatterboxTTS

    from harness.hazards.bench import Bench

_WINDOW = "hann_window #1"
_SOURCE_RATE = 44_100  # a rate that nothing else here asks for, so that its first use is here
_LONGER, _LONG, _WIDTH = 5_200, 5_100, 8


def mel_tables(bench: Bench) -> Trial:
    """The first user has filled the one table and is about to fill the other; the second looks at the first alone."""
    extract = bench.stock().s3gen.mel_extractor
    silence = torch.zeros(1, S3GEN_SR // 10)
    schedule = Schedule(held_at(_WINDOW))

    def extract_first() -> object:
        with torch_places(schedule, ["hann_window"]):
            return extract(silence)

    with _emptied_mel_tables():
        played = schedule.run({"first": extract_first, "second": lambda: extract(silence)})
    error = played.ended["second"].error
    return Trial(isinstance(error, KeyError), f"second caller: {played.ended['second'].told}", played.trace)


def filled_mel_tables(bench: Bench) -> Trial:
    """The wrapper fills both when it is built, so its first calls, voices included, find them filled."""
    with _emptied_mel_tables():
        wrapper = bench.stateless()
        schedule = Schedule(held_at(_WINDOW), PROJECT_PATIENCE_S)

        def prepare_first() -> object:
            with torch_places(schedule, ["hann_window"]):
                return wrapper.prepare_voice(bench.clips[0])

        played = schedule.run({"first": prepare_first, "second": lambda: wrapper.prepare_voice(bench.clips[1])})
    errors = {call: ended for call, ended in played.ended.items() if ended.error is not None and not ended.stuck}
    raised = [f"{call} call: {ended.told}" for call, ended in errors.items()]
    alike = why_not_played(played) or "both first uses returned a voice"
    return Trial(bool(raised), "; ".join(raised) or alike, played.trace, played.stuck)


def resampler_cache(bench: Bench) -> Trial:
    """The first user is inside the constructor that the cache will hold; the second uses the cache meanwhile."""
    get_resampler.cache_clear()
    device = torch.device(bench.stock().device)
    wave = torch.sin(torch.arange(4_410) / 20)[None]
    schedule = Schedule(held_at("arange #1"))

    def resample_first() -> torch.Tensor:
        with torch_places(schedule, ["arange"]):
            return resample()

    def resample() -> torch.Tensor:
        resampled: torch.Tensor = get_resampler(_SOURCE_RATE, S3GEN_SR, device)(wave)
        return resampled

    played = schedule.run({"first": resample_first, "second": resample})
    first, second = played.value("first"), played.value("second")
    assert isinstance(second, torch.Tensor)
    difference = differing(first, second)
    evidence = difference or "both built a resampler of their own, with the same bits; the later one stays"
    return Trial(bool(difference), evidence, played.trace)


class _PlacedPositions(EspnetRelPositionalEncoding):  # type: ignore[misc] # upstream ships no types
    """Upstream's table, with a place before it is stored and one before it is read; the code between is upstream's."""

    schedule: Schedule | None = None

    @property
    def pe(self) -> torch.Tensor | None:
        return self.__dict__.get("_table")

    @pe.setter
    def pe(self, table: torch.Tensor | None) -> None:
        if self.schedule is not None:
            self.schedule.at("store")
        self.__dict__["_table"] = table

    def position_encoding(self, offset: int | torch.Tensor, size: int) -> torch.Tensor:
        if self.schedule is not None:
            self.schedule.at("read")
        positions: torch.Tensor = super().position_encoding(offset, size)
        return positions


# Both have seen that the table is too short. The longer stores its own; the shorter then stores over it.
_TWO_EXTENSIONS = (
    "second reaches store",
    "first reaches store",
    "first leaves store",
    "first reaches read",
    "second leaves store",
    "second ends",
    "first leaves read",
)


def position_table(bench: Bench) -> Trial:
    """Two inputs longer than the table's 5,000 positions, one longer than the other, at stock's own table size."""
    del bench  # the module alone is enough, at upstream's own initial length
    wanted = EspnetRelPositionalEncoding(_WIDTH, 0.0)(torch.zeros(1, _LONGER, _WIDTH))[1]
    table = _PlacedPositions(_WIDTH, 0.0)
    table.schedule = schedule = Schedule(_TWO_EXTENSIONS)
    played = schedule.run(
        {
            "first": lambda: table(torch.zeros(1, _LONGER, _WIDTH))[1],
            "second": lambda: table(torch.zeros(1, _LONG, _WIDTH))[1],
        }
    )
    difference = differing(played.value("first"), wanted)
    evidence = f"positions of {_LONGER} steps: {difference or 'not a bit differs'}"
    return Trial(bool(difference), evidence, played.trace)


def own_position_table(bench: Bench) -> Trial:
    """The same two extensions in two calls of the wrapper, over a table that starts at 8 positions."""
    return overlapped(bench, "", _short_tables, first=SECOND, second=FIRST, lines=_TWO_EXTENSIONS)


@contextlib.contextmanager
def _short_tables(model: ChatterboxTTS, schedule: Schedule) -> Iterator[None]:
    """Give `model` an S3Gen whose encoder starts with a table of 8 positions that has the places."""
    whole = model.s3gen
    model.s3gen = copy.copy(whole)
    table = whole.flow.encoder.embed.pos_enc
    short = _PlacedPositions(table.d_model, 0.0, max_len=8).eval()
    short.schedule = schedule
    embed = whole.flow.encoder.embed
    embed.pos_enc = short
    try:
        yield
    finally:
        embed.pos_enc = table
        model.s3gen = whole


@contextlib.contextmanager
def _emptied_mel_tables() -> Iterator[None]:
    """Let the block find upstream's two mel tables as they are in a new process; put back what was in them."""
    tables = (upstream_mel.mel_basis, upstream_mel.hann_window)
    kept = [dict(table) for table in tables]
    for table in tables:
        table.clear()
    try:
        yield
    finally:
        for table, content in zip(tables, kept, strict=True):
            table.clear()
            table.update(content)
