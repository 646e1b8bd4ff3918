"""What happens to a job before and after decoding: it is prepared, and its tokens are rendered."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from stateless_tts import mel as mel_room
from stateless_tts import waveform as waveform_room
from stateless_tts.request import SpeechRequest, SpeechResult, StageSeconds

from ._cores import Turn
from ._freed_memory import give_back_freed_memory
from ._own_cores import use_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from chatterbox.models.s3gen import S3Gen

    from stateless_tts.families import SpeakingFamily, VoiceConversionFamily
    from stateless_tts.wrapper import StatelessChatterBoxWrapper

    from ._cores import Cores
    from ._job import Job
    from ._ledger import Ledger


class Preparer:
    """Encodes voices and embeds prompts, one job after the other, while others decode.

    Args:
        ledger: the engine's.
        wrapper: who prepares voices.
        family: over the T3 that reads prompts.
        cores: shared with the other stages.
    """

    def __init__(
        self, ledger: Ledger, wrapper: StatelessChatterBoxWrapper, family: SpeakingFamily, cores: Cores
    ) -> None:
        self._ledger = ledger
        self._cores = cores
        self._wrapper = wrapper
        self._family = family
        self._dtype: torch.dtype = family.model.t3.speech_emb.weight.dtype

    def run(self) -> None:
        """Work until the ledger stops, with as many cores as there were when the engine was made."""
        use_cores(self._cores.count)
        work_on(self._ledger, self._ledger.next_to_prepare, self._prepare)

    def _prepare(self, job: Job) -> None:
        with self._cores.use(self._cores.count, Turn.PREPARE):
            self._encode_and_embed(job)
        self._ledger.prepared(job)

    def _encode_and_embed(self, job: Job) -> None:
        assert isinstance(job.request, SpeechRequest)
        assert isinstance(job.content, torch.Tensor)
        job.lap("waiting")
        voice = self._wrapper.encoded(job.reference)
        job.lap("voice")
        # Stock's conditioning is cast with the model, so the prompt is embedded from a cast voice.
        speaker = voice.t3_conditioning(job.request.exaggeration).speaker_emb  # refuses a voice that has none
        cast = replace(voice, speaker_embedding=speaker.to(self._dtype))
        job.utterance = self._family.begin(job.request, cast, job.content, job.randomness)
        job.voice = voice
        job.lap("speech_tokens")


class Listener:
    """Encodes voices and turns recordings into speech tokens, one job after the other, while others are rendered."""

    def __init__(
        self, ledger: Ledger, wrapper: StatelessChatterBoxWrapper, family: VoiceConversionFamily, cores: Cores
    ) -> None:
        self._ledger = ledger
        self._cores = cores
        self._wrapper = wrapper
        self._family = family

    def run(self) -> None:
        """Work until the ledger stops, with as many cores as there were when the engine was made."""
        use_cores(self._cores.count)
        work_on(self._ledger, self._ledger.next_to_prepare, self._prepare)

    def _prepare(self, job: Job) -> None:
        with self._cores.use(self._cores.count, Turn.PREPARE):
            self._encode_and_listen(job)
        if job.spoken is not None:
            self._ledger.spoken(job)

    def _encode_and_listen(self, job: Job) -> None:
        assert not isinstance(job.content, torch.Tensor)
        job.lap("waiting")
        job.voice = self._wrapper.encoded(job.reference)
        job.lap("voice")
        if job.ended:
            return
        job.spoken = self._family.listen(job.content)
        job.lap("speech_tokens")


class Renderer:
    """Turns speech tokens into watermarked audio while others decode.

    A rendering has its turn of the cores from beginning to end. A GPU is only asked in turn, and waited for while
    others ask: what a thread asks for goes into a stream of its own, so that it waits for nothing else.
    """

    def __init__(
        self, ledger: Ledger, wrapper: StatelessChatterBoxWrapper, s3gen: S3Gen, threads: int, cores: Cores
    ) -> None:
        self._ledger = ledger
        self._cores = cores
        self._wrapper = wrapper
        self._s3gen = s3gen
        self._threads = threads
        self._stream: torch.cuda.Stream | None = None
        if wrapper.device.type == "cuda":
            self._stream = torch.cuda.Stream(wrapper.device)  # type: ignore[no-untyped-call] # by torch

    def run(self) -> None:
        """Work until the ledger stops. The arithmetic of this thread uses `threads` cores, whoever else is busy."""
        use_cores(self._threads)
        work_on(self._ledger, self._ledger.next_to_render, self._render)

    def _render(self, job: Job) -> None:
        with nullcontext() if self._stream else self._turn():
            audio = self._spoken_aloud(job)
        self._give_back()
        if audio is None:
            return
        assert job.spoken is not None
        seconds = StageSeconds(**job.lap_seconds)
        result = SpeechResult(audio, self._wrapper.sr, job.randomness.seed, job.spoken.cpu(), seconds)
        self._ledger.end(job, result)

    def _spoken_aloud(self, job: Job) -> torch.Tensor | None:
        """Return the watermarked audio of a job, of shape (1, samples); None if it has ended meanwhile."""
        if job.ended:
            return None
        assert job.spoken is not None
        assert job.voice is not None
        job.lap("waiting")
        with self._asking():
            speech_tokens = self._wrapper.family.readable(job.spoken)
            mel = mel_room.render_mel(self._s3gen, speech_tokens, job.voice, job.randomness)
        job.lap("mel")
        if job.ended:
            return None
        self._give_back()
        with self._asking():
            waveform = waveform_room.vocode(self._s3gen, mel, job.randomness)
        audio = waveform_room.watermark(self._wrapper.model.watermarker, waveform, self._wrapper.sr)
        job.lap("waveform")
        return audio

    def _give_back(self) -> None:
        """Leave no memory of a stage to the heap of its thread; on a GPU there is none of it."""
        if self._stream is None:
            give_back_freed_memory()

    def _turn(self) -> AbstractContextManager[bool]:
        return self._cores.use(self._cores.count if self._stream else self._threads, Turn.RENDER)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Ask a GPU for something, and wait until it is done: nothing may be let go of that is still being read."""
        if self._stream is None:
            yield
            return
        try:
            with self._turn(), torch.cuda.stream(self._stream):
                # Voice and tokens come from the stream that the others use.
                self._stream.wait_stream(torch.cuda.default_stream(self._stream.device))
                yield
        finally:
            self._stream.synchronize()


def work_on(ledger: Ledger, next_job: Callable[[], Job | None], work: Callable[[Job], None]) -> None:
    """Do `work` on one job after the other until there is none; what it raises ends that job alone."""
    while (job := next_job()) is not None:
        try:
            if not job.ended:
                work(job)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this request ends this request alone
            ledger.end(job, error)
        del job  # not to be kept while waiting for the next
