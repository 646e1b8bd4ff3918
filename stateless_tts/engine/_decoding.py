"""The decoding thread's work: requests join the batch, take a step together, and leave it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stateless_tts.errors import SamplingError

from ._batched_step import Reading
from ._cores import Cores, Turn
from ._own_cores import use_cores
from ._prompts import read_prompt

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from stateless_tts.families import AttentionWatch
    from stateless_tts.speech_tokens import Sampler

    from ._job import Job
    from ._kv_cache import KeyValueCache
    from ._ledger import Ledger
    from ._prompts import Beginnings
    from ._start_up import Speaking

logger = logging.getLogger(__name__)

# Read between two steps. One at a time, a burst of requests would take many steps of few rows, each as long as one of
# many; all of them at once, and those who speak would wait for every prompt that there is a place for.
_PROMPTS_AT_A_TIME = 4
# While others have the cores, who has been cancelled leaves the batch this soon.
_SECONDS_BETWEEN_LOOKS = 0.05


@dataclass(eq=False)
class _Speaker:
    """A job in the batch, with the state that is its own."""

    job: Job
    sampler: Sampler
    cache: KeyValueCache
    rows: int
    watch: AttentionWatch | None

    def reading(self) -> Reading:
        tokens = self.sampler.tokens
        return Reading(self.cache, self.rows, tokens[-1], len(tokens), self.watch)


class Decoder:
    """Speaks the jobs of a ledger until it stops. One thread calls `run`, and nothing here is seen by another.

    Args:
        ledger: the engine's.
        speaking: takes the steps.
        cores: shared with the other stages.
        beginnings: of prompts; None reads every prompt in one go. So is one that is watched: its watch wants to see
            what every position attends to.
    """

    def __init__(self, ledger: Ledger, speaking: Speaking, cores: Cores, beginnings: Beginnings | None = None) -> None:
        self._ledger = ledger
        self._cores = cores
        self._take_step = speaking.step
        self._draws = speaking.draws
        self._read_positions = speaking.read
        self._beginnings = beginnings
        self._batch: list[_Speaker] = []
        self._failed: list[tuple[Job, Exception]] = []

    def run(self) -> None:
        """Work until the ledger stops; then every cache is let go. Steps have the cores that they were planned with."""
        use_cores(self._cores.count)
        try:
            while not self._ledger.stopped:
                self._turn()
        finally:
            self._leave(list(self._batch))
            self._beginnings = None

    def _turn(self) -> None:
        """Let go of who has ended, let some in, and take a step."""
        for _ in range(_PROMPTS_AT_A_TIME):
            self._let_go()
            job = self._ledger.next_to_decode(wait=not self._batch)
            if job is None:
                break
            try:
                with self._cores_held():
                    self._join(job)
            except BaseException:
                self._ledger.left_batch(job)  # it may be in the batch already, or not yet
                raise
        self._let_go()
        if self._batch:
            with self._cores_held():
                self._step()

    def _let_go(self) -> None:
        self._ledger.expire()
        self._leave([speaker for speaker in self._batch if speaker.job.ended])

    @contextmanager
    def _cores_held(self) -> Iterator[None]:
        """Wait for the cores; who ends meanwhile leaves the batch at once.

        Whose work fails is told when the cores are free again: a future's callbacks take as long as their owners like.
        """
        held = False
        while not held:
            with self._cores.use(self._cores.count, Turn.DECODE, _SECONDS_BETWEEN_LOOKS) as held:
                if held:
                    yield
            if not held:
                self._let_go()
        while self._failed:
            self._ledger.end(*self._failed.pop(0))

    def _join(self, job: Job) -> None:
        if job.ended:
            self._ledger.left_batch(job)
            return
        job.lap("waiting")
        try:
            speaker, logits = self._prefill(job)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this request ends this request alone
            self._fail(job, error)
            return
        self._batch.append(speaker)
        try:
            if self._draws is not None:
                self._draws.join(speaker.sampler)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(job, error)
            return
        self._draw_all([(speaker, logits)])

    def _prefill(self, job: Job) -> tuple[_Speaker, torch.Tensor]:
        assert job.utterance is not None
        utterance, job.utterance = job.utterance, None
        how = (self._beginnings, self._read_positions) if utterance.watch is None else ()
        cache, logits = read_prompt(utterance.t3, utterance.prompt, *how)
        rows = utterance.prompt.embeddings.size(0)
        return _Speaker(job, utterance.sampler, cache, rows, utterance.watch), logits

    def _step(self) -> None:
        if not self._batch:  # all have ended meanwhile
            return
        self._draw_all(self._read_tokens(list(self._batch)))

    def _read_tokens(self, speakers: list[_Speaker]) -> list[tuple[_Speaker, torch.Tensor]]:
        """Take one step with all speakers; if that fails, with each on its own, to find whose fault it is."""
        try:
            return list(zip(speakers, self._logits(speakers), strict=True))
        except Exception as error:  # noqa: BLE001 - as above
            if len(speakers) == 1:
                self._fail(speakers[0].job, error)
                return []
            logger.warning("a step of %d requests failed and is done again one by one: %r", len(speakers), error)
        return [reading for speaker in speakers for reading in self._read_tokens([speaker])]

    def _logits(self, speakers: list[_Speaker]) -> list[torch.Tensor]:
        return self._take_step([speaker.reading() for speaker in speakers])

    def _draw_all(self, read: list[tuple[_Speaker, torch.Tensor]]) -> None:
        jointly: list[tuple[_Speaker, torch.Tensor]] = []
        for speaker, logits in read:
            if self._draws is not None and self._draws.has(speaker.sampler):
                jointly.append((speaker, logits))
            else:
                self._draw(speaker, logits)
        if jointly:
            self._draw_jointly(jointly)

    def _draw(self, speaker: _Speaker, logits: torch.Tensor) -> None:
        try:
            speaker.sampler.draw(logits)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(speaker.job, error)
            return
        self._go_on(speaker)

    def _draw_jointly(self, read: list[tuple[_Speaker, torch.Tensor]]) -> None:
        assert self._draws is not None
        failed: dict[Sampler, SamplingError] = {}
        try:
            failed = self._draws.draw([(speaker.sampler, logits) for speaker, logits in read])
        except Exception as error:  # noqa: BLE001 - nobody's fault alone, and generators may have moved on already
            for speaker, _ in read:  # futures share no exception
                failed[speaker.sampler] = SamplingError(f"no speech token can be drawn with those of others: {error!r}")
                failed[speaker.sampler].__cause__ = error
        for speaker, _ in read:
            if speaker.sampler in failed:
                self._fail(speaker.job, failed[speaker.sampler])
            else:
                self._go_on(speaker)

    def _go_on(self, speaker: _Speaker) -> None:
        """Let a speaker who has drawn a token, and perhaps the last, leave the batch if so."""
        try:
            if not speaker.sampler.finished:
                return
            speaker.job.spoken = speaker.sampler.speech_tokens()
            speaker.job.lap("speech_tokens")
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(speaker.job, error)
            return
        self._leave([speaker])
        self._ledger.spoken(speaker.job)

    def _fail(self, job: Job, error: Exception) -> None:
        self._leave([speaker for speaker in self._batch if speaker.job is job])
        self._ledger.left_batch(job)
        self._failed.append((job, error))

    def _leave(self, speakers: list[_Speaker]) -> None:
        for speaker in speakers:
            self._batch.remove(speaker)
            if self._draws is not None:
                self._draws.leave(speaker.sampler)
            del speaker.cache
            self._ledger.left_batch(speaker.job)
