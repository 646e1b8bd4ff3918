"""Small torch subjects with planted faults.

Every fault can be switched off, and then the subject is clean. Interleavings are forced with barriers: the calls
of the parallel phase meet in pairs, so that no test depends on luck or on time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from harness import Subject
from harness.observations.store import Observations
from harness.run.cell import CellPlan, run_cell
from harness.run.matrix import make_references, reference_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.run.records import CellMeasurement

# Long enough for any scheduler; nobody waits so long unless the test fails.
MEETING_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class ToyRequest:
    """Speak `length` numbers with voice number `voice`, drawn from `seed`."""

    voice: int
    length: int = 4
    seed: int = 0


REQUESTS = tuple(ToyRequest(voice=number, seed=number) for number in range(4))
UNEVEN = tuple(replace(request, length=4 + request.voice) for request in REQUESTS)


class Meeting:
    """Lets the calls of the parallel phase meet in pairs; calls before and after it pass straight through.

    Which phase a call belongs to follows from how many came before: as many references as requests, then as
    many parallel calls, then those afterwards.
    """

    def __init__(self, calls_per_phase: int = len(REQUESTS)) -> None:
        self._per_phase = calls_per_phase
        self._begun = 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(2)

    def parallel(self) -> bool:
        """Count this call; true if it is one of the parallel phase."""
        with self._lock:
            self._begun += 1
            return self._per_phase < self._begun <= 2 * self._per_phase

    def meet(self, parallel: bool) -> int:
        """Wait for the other call of the pair; tell the two apart."""
        return self._barrier.wait(MEETING_TIMEOUT_S) if parallel else 0


class ToyModel(torch.nn.Module):
    """Has stages at the places where ChatterBox has those that the harness listens to."""

    def __init__(self) -> None:
        super().__init__()
        self._conditioning, self._tokens, self._mel = (torch.nn.Identity() for _ in range(3))
        self.t3 = torch.nn.ModuleDict({"cond_enc": self._conditioning})
        flow = torch.nn.ModuleDict({"input_embedding": self._tokens})
        self.s3gen = torch.nn.ModuleDict({"flow": flow, "mel2wav": torch.nn.ModuleDict({"f0_predictor": self._mel})})

    def speak(self, voice: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Pass the stages: a voice of (1,) or (length,), noise of (length,)."""
        return torch.as_tensor(self._mel(self._conditioning(voice) * self._tokens(noise)))


def voice_of(request: ToyRequest) -> torch.Tensor:
    return torch.full((request.length,), float(request.voice + 1))


def noise_of(request: ToyRequest) -> torch.Tensor:
    return torch.randn(request.length, generator=torch.Generator().manual_seed(request.seed))


def clean(name: str = "stateless", requests: tuple[ToyRequest, ...] = REQUESTS) -> Subject:
    """Everything that a call needs is its own."""
    model = ToyModel()
    return Subject(name, lambda request: model.speak(voice_of(request), noise_of(request)), (model,), requests)


def shared_conditionals(*, fault: bool = True, requests: tuple[ToyRequest, ...] = REQUESTS) -> Subject:
    """The voice lies on the model between being written and being read."""
    model, meeting, place = ToyModel(), Meeting(), threading.local()

    def call(request: ToyRequest) -> torch.Tensor:
        parallel = meeting.parallel()
        home = model if fault else place
        home.conds = voice_of(request)
        meeting.meet(parallel)
        conds = home.conds
        # Without this second meeting the faster call could write its next voice before this one reads.
        meeting.meet(parallel)
        return model.speak(conds, noise_of(request))

    return Subject("upstream-shared", call, (model,), requests)


def process_generator(*, fault: bool = True) -> Subject:
    """Seeds and draws from the generator that the whole process shares."""
    model, meeting = ToyModel(), Meeting()

    def call(request: ToyRequest) -> torch.Tensor:
        parallel = meeting.parallel()
        generator = torch.default_generator if fault else torch.Generator()
        generator.manual_seed(request.seed)
        meeting.meet(parallel)
        noise = torch.randn(request.length, generator=generator)
        meeting.meet(parallel)
        return model.speak(voice_of(request), noise)

    return Subject("seed-plan", call, (model,), REQUESTS)


def shared_cache(*, fault: bool = True, requests: tuple[ToyRequest, ...] = UNEVEN) -> Subject:
    """Keys of all calls are collected in one list."""
    model, meeting = ToyModel(), Meeting()
    shared: list[torch.Tensor] = []

    def call(request: ToyRequest) -> torch.Tensor:
        parallel = meeting.parallel()
        cache = shared if fault else []
        cache.append(noise_of(request))
        meeting.meet(parallel)
        keys = list(cache)
        if meeting.meet(parallel) == 0:
            shared.clear()
        meeting.meet(parallel)
        return model.speak(voice_of(request), torch.stack(keys).sum(dim=0))

    return Subject("shared-cache", call, (model,), requests)


def rewritten_voice(*, fault: bool = True) -> Subject:
    """A prepared voice is changed in place while it is in use, and changed back afterwards."""
    model, meeting = ToyModel(), Meeting()
    prepared = torch.ones(1)

    def call(request: ToyRequest) -> torch.Tensor:
        parallel = meeting.parallel()
        voice = prepared if fault else prepared.clone()
        voice += 1
        meeting.meet(parallel)
        audio = model.speak(voice.clone(), noise_of(request))
        meeting.meet(parallel)
        voice -= 1
        # Nobody begins the next call before both have put the voice back.
        meeting.meet(parallel)
        return audio

    return Subject("rewritten-voice", call, (model,), REQUESTS)


def residue(*, fault: bool = True) -> Subject:
    """Clean while threads run, but leaves something behind that later calls pick up."""
    model, meeting = ToyModel(), Meeting()
    left_behind = torch.zeros(1)

    def call(request: ToyRequest) -> torch.Tensor:
        parallel = meeting.parallel()
        audio = model.speak(voice_of(request) + (0 if parallel else left_behind), noise_of(request))
        if parallel and fault:
            left_behind.fill_(1)
        return audio

    return Subject("residue", call, (model,), REQUESTS)


def raising(make_error: Callable[[], BaseException]) -> Subject:
    """Every call of the parallel phase raises."""
    model, meeting = ToyModel(), Meeting()

    def call(request: ToyRequest) -> torch.Tensor:
        if meeting.parallel():
            raise make_error()
        return model.speak(voice_of(request), noise_of(request))

    return Subject("raising", call, (model,), REQUESTS)


def hanging(release: threading.Event) -> Subject:
    """One call of every pair waits for something that does not come until `release` is set."""
    model, meeting = ToyModel(), Meeting()

    def call(request: ToyRequest) -> torch.Tensor:
        if meeting.parallel() and request.voice == 1:
            release.wait(MEETING_TIMEOUT_S)
        return model.speak(voice_of(request), noise_of(request))

    return Subject("hanging", call, (model,), REQUESTS)


def observe(subject: Subject, threads: int = 2, patience_s: float = MEETING_TIMEOUT_S) -> Observations:
    """Make references and run one cell of two workers."""
    assert subject.requests is not None
    references = make_references([subject], None, (), patience_s)
    count = len(subject.requests)
    plan = CellPlan(threads, 2, count, count, patience_s, reference_key(subject))
    cell: CellMeasurement = run_cell(subject, subject.requests, plan)
    return Observations(references.calls, (cell,))
