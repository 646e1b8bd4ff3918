"""One benchmark run from beginning to end: who is built when, what is measured in which order, until when."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import torch

from harness.errors import ReferenceFailedError
from harness.run.bench.agreement import compare_tokens, measure_token_costs
from harness.run.bench.fidelity import measure_fidelity
from harness.run.bench.limits import measure_limits
from harness.run.bench.loops import has_hung, open_loop, poisson_schedule
from harness.run.bench.records import ArrivalCell, BenchCell, ContestantFacts, KeptMemory
from harness.run.bench.rounds import ALONE, CellPlan, Effort, hear, plan_cells, run_cell, run_rounds
from harness.run.bench.stages import measure_stages, model_facts, packed_dtypes
from harness.run.bench.usage import memory_mib
from harness.run.memory import release_free_memory
from harness.subjects.contestants import (
    BASELINE,
    BASELINE_BF16,
    ENGINE_BF16,
    ENGINE_FP32,
    WHOLE_ONLY,
    build_contestant,
)
from harness.subjects.parts import (
    ARRIVALS,
    FIDELITY,
    PARTS,
    S3GEN_ALONE,
    STAGES,
    T3_ALONE,
    WHOLE,
    model_of_part,
    with_encoded_voices,
)
from harness.subjects.stock_timed import TimedStock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.tts import ChatterboxTTS

    from harness.run.bench.records import ModelFacts, Record
    from harness.subjects.contestant import Contestant
    from harness.subjects.source import ModelSource
    from stateless_tts import SpeechRequest

# When each portion of a run ends, as a share of its time budget: with parts to be measured alone, and without.
ENDS = {"whole": 0.65, "arrivals": 0.78, "t3": 0.9, "s3gen": 1.0}
ENDS_WITHOUT_PARTS = {"whole": 0.75, "arrivals": 1.0}
# The parts have no targets for one worker, and S3Gen none for more than four.
LEAST_PART_WORKERS, MOST_S3GEN_WORKERS = 2, 4
# Fewer tell not even a median.
LEAST_ARRIVALS = 11
STAGE_REPEATS = 3
AGREEMENT_WORKERS = 8
ARRIVING = (ENGINE_BF16, ENGINE_FP32, BASELINE)


@dataclass(frozen=True)
class CampaignPlan:
    """What a run does.

    Attributes:
        subjects: contestants by name.
        parts: `whole`, `t3`, `s3gen`; `stages`, `fidelity`, `arrivals`. Without `whole`, arrivals are preceded by one
            round of it, with one worker and with the most, which tells each contestant's capacity.
        workers: numbers of workers.
        rounds: of every part.
        effort: calls per cell.
        arrivals: of the open loop, for each contestant; 0 leaves it out.
        fraction: of the measured capacity that arrives.
        most_cost_tokens: length to which the cost of a token is followed.
        fidelity: utterances whose rendering is compared with stock's.
        seed: of the arrivals.
        budget_s: seconds for building contestants, timed cells and arrivals; the rest is as long as it is.
    """

    subjects: tuple[str, ...]
    parts: tuple[str, ...]
    workers: tuple[int, ...]
    rounds: int
    effort: Effort
    arrivals: int
    fraction: float
    most_cost_tokens: int
    fidelity: int
    seed: int
    budget_s: float


@dataclass(frozen=True)
class Materials:
    """What a run works with.

    Attributes:
        source: where the model comes from; the process pool loads its own.
        model: the one that is measured.
        companion: a small one, for measuring one part of the model alone.
        requests: the workload.
        for_companion: the same, with texts as long as the companion's T3 needs for utterances of the same length.
        agreement: further requests, on which tokens are compared with stock's, on the small model.
        long_request: a text far longer than `most_cost_tokens`.
    """

    source: ModelSource
    model: ChatterboxTTS
    companion: ChatterboxTTS
    requests: tuple[SpeechRequest, ...]
    for_companion: tuple[SpeechRequest, ...]
    agreement: tuple[SpeechRequest, ...]
    long_request: SpeechRequest


class Campaign:
    """Runs a plan; every record goes to `save` as soon as it is there, and `tell` hears what is going on."""

    def __init__(
        self,
        plan: CampaignPlan,
        materials: Materials,
        save: Callable[[Record], None],
        tell: Callable[[str], Callable[[], None]],
    ) -> None:
        self._plan = plan
        self._materials = materials
        self._save = save
        self._tell = tell
        self._cells: list[BenchCell] = []
        self._own_mib: dict[str, float] = {}
        self._hung: set[str] = set()
        self._began = 0.0

    def run(self) -> None:
        """Measure everything in the plan."""
        materials = self._materials
        facts = model_facts(materials.model, materials.requests)
        self._save(facts)
        self._tell("limits of this machine")
        self._limits()
        if STAGES in self._plan.parts:
            self._tell("stages")
            for stage in measure_stages(materials.model, materials.requests[0], STAGE_REPEATS):
                self._save(stage)
        self._began = time.perf_counter()
        for part in timed_parts(self._plan.parts):
            self._part(part, facts)
        # Elsewhere an engine renders as stock does.
        if FIDELITY in self._plan.parts and packed_dtypes(materials.source.device):
            self._fidelity()
        self._agreement()
        # Once more: a limit is what can be reached, and a busy moment would set it too low.
        self._limits()

    def _fidelity(self) -> None:
        materials = self._materials
        # What has no name of its own is real: downloaded.
        profile = materials.source.profile if materials.source.kind == "synthetic" else materials.source.kind
        chosen = materials.requests[: self._plan.fidelity]
        for comparison in measure_fidelity(materials.model, chosen, profile, self._tell("fidelity")):
            self._save(comparison)

    def _limits(self) -> None:
        for limit in measure_limits(self._materials.source.device):
            self._save(limit)

    def _ends(self, portion: str) -> float:
        return self._began + end_of(portion, self._plan.parts) * self._plan.budget_s

    def _part(self, part: str, facts: ModelFacts) -> None:
        materials = self._materials
        model = model_of_part(part, materials.model, materials.companion)
        requests = materials.for_companion if part == S3GEN_ALONE else materials.requests
        if part != WHOLE:
            requests = with_encoded_voices(requests, materials.model)
        contestants: list[Contestant] = []
        self._own_mib.clear()
        self._hung.clear()
        try:
            for name in self._subjects(part):
                contestants.append(self._build(name, part, model))  # noqa: PERF401 - what was built is closed if the next fails
            if part == WHOLE:
                for contestant in contestants:
                    self._introduce(contestant, requests)
            self._measure_part(part, contestants, requests)
            if part == WHOLE and ARRIVALS in self._plan.parts:
                self._arrivals(contestants, requests)
            # Without an expensive S3Gen behind it, if there is such a part.
            if part in self._plan.parts and part == (T3_ALONE if T3_ALONE in self._plan.parts else WHOLE):
                self._token_costs(contestants, facts)
        finally:
            for contestant in contestants:
                contestant.close()
            contestants.clear()
            release_free_memory()

    def _build(self, name: str, part: str, model: ChatterboxTTS) -> Contestant:
        """Build a contestant and save what it is; its own memory is what building it added."""
        self._tell(f"building {name} ({part})")
        release_free_memory()
        before = memory_mib([psutil.Process()])
        contestant = build_contestant(name, model, self._materials.source, torch.get_num_threads())
        release_free_memory()
        base, own = before - sum(self._own_mib.values()), memory_mib([psutil.Process()]) - before
        if contestant.pids:
            base, own = 0.0, memory_mib([psutil.Process(pid) for pid in contestant.pids])
        facts = ContestantFacts(part, name, base, max(0.0, own), dict(contestant.details))
        self._own_mib[name] = 0.0 if contestant.pids else facts.own_mib
        self._save(facts)
        return contestant

    def _introduce(self, contestant: Contestant, requests: Sequence[SpeechRequest]) -> None:
        """Let a contestant that keeps voices hear those of its cells, and save what memory that took."""
        heard = requests[: self._plan.effort.heard(contestant.name, self._plan.workers)]
        if not heard:
            return
        release_free_memory()
        before = memory_mib([psutil.Process()])
        hear(contestant, heard, self._tell(f"voices, {contestant.name}"))
        release_free_memory()
        self._save(KeptMemory(contestant.name, len(heard), memory_mib([psutil.Process()]) - before))

    def _measure_part(self, part: str, contestants: Sequence[Contestant], requests: Sequence[SpeechRequest]) -> None:
        effort = self._plan.effort
        seconds: dict[str, float] = {}
        for contestant in contestants:
            # The first calls fill what upstream fills on first use, and encode the voices; they are references too.
            calls = min(effort.calls_alone(contestant.name), len(requests))
            if part != WHOLE:
                calls = min(calls, effort.least_calls)
            if not calls:
                continue
            name = f"{part}, alone, {contestant.name}"
            cell = run_cell(part, contestant, CellPlan(contestant.name, 1, calls), ALONE, requests, self._tell(name))
            _require_answers(cell)
            self._keep(cell)
            seconds[contestant.name] = cell.wall_s / calls
        cells = plan_cells(contestants, self._workers(part), effort)
        for cell in run_rounds(
            part,
            contestants,
            requests,
            cells,
            rounds=self._plan.rounds if part in self._plan.parts else 1,
            ends_at=self._ends(part),
            effort=effort,
            seconds_per_call=seconds,
            on_call=self._tell,
        ):
            self._keep(cell)

    def _subjects(self, part: str) -> tuple[str, ...]:
        if part == WHOLE:
            return tuple(name for name in self._plan.subjects if part in self._plan.parts or name in ARRIVING)
        return tuple(name for name in self._plan.subjects if name not in WHOLE_ONLY)

    def _workers(self, part: str) -> tuple[int, ...]:
        if part not in self._plan.parts:  # arrivals ask for what was spoken alone; the capacity is that of the most
            return tuple(sorted({1, max(self._plan.workers)}))
        most = MOST_S3GEN_WORKERS if part == S3GEN_ALONE else max(self._plan.workers)
        least = 1 if part == WHOLE else LEAST_PART_WORKERS
        return tuple(count for count in self._plan.workers if least <= count <= most) or self._plan.workers[:1]

    def _keep(self, cell: BenchCell) -> None:
        self._cells.append(cell)
        self._save(cell)
        self._mind(cell)

    def _mind(self, cell: BenchCell | ArrivalCell) -> None:
        """Remember who hung: nobody would be answered any more."""
        if has_hung(cell.calls):
            self._hung.add(cell.subject)

    def _arrivals(self, contestants: Sequence[Contestant], requests: Sequence[SpeechRequest]) -> None:
        by_name = {one.name: one for one in contestants}
        able = [name for name in ARRIVING if name in by_name and name not in self._hung]
        chosen = [by_name[name] for name in able if self._capacity(name)]
        for number, contestant in enumerate(chosen):
            capacity = self._capacity(contestant.name)
            rate = capacity * self._plan.fraction
            left_s = (self._ends(ARRIVALS) - time.perf_counter()) / (len(chosen) - number)
            count = min(self._plan.arrivals, int(left_s * rate))
            if count < LEAST_ARRIVALS:
                reason = f"no time left for the {LEAST_ARRIVALS} arrivals that a median needs"
                if self._plan.arrivals < LEAST_ARRIVALS:
                    reason = f"{self._plan.arrivals} arrivals were asked for, and a median needs {LEAST_ARRIVALS}"
                self._save(ArrivalCell(contestant.name, capacity, self._plan.fraction, not_run=reason))
                continue
            # The same gaps for everyone, stretched to each one's capacity; requests that were spoken alone as well.
            schedule = poisson_schedule(self._plan.seed, rate, count)
            asked = requests[: self._spoken_alone(contestant.name)]
            calls = open_loop(contestant, asked, schedule, self._tell(f"arrivals, {contestant.name}"))
            cell = ArrivalCell(contestant.name, capacity, self._plan.fraction, calls)
            self._save(cell)
            self._mind(cell)

    def _capacity(self, name: str) -> float:
        """Utterances per second at the most workers that ran; the median over rounds."""
        ran = (cell for cell in self._cells if cell.part == WHOLE and cell.not_run is None and cell.round != ALONE)
        mine = [cell for cell in ran if cell.subject == name]
        most = max((cell.workers for cell in mine), default=0)
        rates = [len(cell.calls) / cell.wall_s for cell in mine if cell.workers == most]
        return statistics.median(rates) if rates else 0.0

    def _spoken_alone(self, name: str) -> int:
        return max(len(cell.calls) for cell in self._cells if cell.subject == name and cell.workers == 1)

    def _token_costs(self, contestants: Sequence[Contestant], facts: ModelFacts) -> None:
        materials = self._materials
        for name, dtype in ((ENGINE_FP32, "float32"), (ENGINE_BF16, "bfloat16")):
            engine = next((one for one in contestants if one.name == name), None)
            if engine is None or name in self._hung or self._plan.most_cost_tokens == 0:
                continue
            self._tell(f"cost of a token, {name}")
            request = with_encoded_voices([materials.long_request], materials.model)[0]
            prompt = model_facts(materials.model, [request]).prompt_tokens[0]
            costs = measure_token_costs(engine, request, dtype, facts, prompt, self._plan.most_cost_tokens)
            for cost in costs:
                self._save(cost)

    def _agreement(self) -> None:
        """Compare tokens on the small model; on the measured one, the cells themselves hold tokens of both."""
        materials, source = self._materials, self._materials.source
        for name, dtype in ((ENGINE_FP32, "float32"), (ENGINE_BF16, "bfloat16")):
            if name not in self._plan.subjects or not materials.agreement:
                continue
            model = materials.companion
            stock = TimedStock(model, getattr(torch, dtype))
            engine = build_contestant(name, model, source, torch.get_num_threads())
            # Voices are encoded once: this is about tokens.
            requests = with_encoded_voices(materials.agreement, model)
            try:
                tell = self._tell(f"tokens beside stock's, {dtype}")
                for comparison in compare_tokens(
                    stock.say,
                    engine,
                    requests,
                    profile="tiny",
                    dtype=dtype,
                    workers=AGREEMENT_WORKERS,
                    on_call=tell,
                ):
                    self._save(comparison)
            finally:
                engine.close()


def timed_parts(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts that contestants are built for, as `ENDS` has them; arrivals are asked of the whole model."""
    return tuple(part for part in PARTS if part in parts or (part == WHOLE and ARRIVALS in parts))


def end_of(portion: str, parts: tuple[str, ...]) -> float:
    """Return when a portion of a run of these parts ends, as a share of its time budget."""
    shares = ENDS if len(timed_parts(parts)) > 1 else {**ENDS, **ENDS_WITHOUT_PARTS}
    return shares[ARRIVALS if portion == WHOLE and ARRIVALS not in parts else portion]


def with_baselines(subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Add the baselines that the subjects' ratios are taken to."""
    needed = [BASELINE, *([BASELINE_BF16] if ENGINE_BF16 in subjects else [])]
    return (*(name for name in needed if name not in subjects), *subjects)


def distinct_requests(effort: Effort, subjects: tuple[str, ...], workers: tuple[int, ...]) -> int:
    """Return how many distinct requests the plan's largest cell asks for."""
    timed = max(effort.calls(name, count) for name in subjects for count in workers)
    return max(timed, *(effort.calls_alone(name) for name in subjects))


def _require_answers(cell: BenchCell) -> None:
    for call in cell.calls:
        if call.error is not None:
            message = f"{cell.subject} alone ({cell.part}) raised for request {call.request}: {call.error}"
            raise ReferenceFailedError(message)
