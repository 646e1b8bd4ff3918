"""The audit of one subject, from the first watched call to the verdict."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.parameter import is_lazy

from harness.audit import value_stack
from harness.audit.deadline import PATIENCE, Deadline
from harness.audit.findings import Finding, group_draws, group_writes
from harness.audit.judged import judged_draw, judged_write, own_draws, with_leftover
from harness.audit.leftovers import Leftovers
from harness.audit.observe import Observation, observe
from harness.audit.result import AuditResult, JudgedDraw, JudgedWrite, StressSummary
from harness.audit.run import calls
from harness.audit.run.process import no_garbage_collected, process_left_as_found
from harness.audit.run.references import References, choose_pairs, differs_by_itself, make_references
from harness.audit.run.stress import counted, freely_apart, run_freely
from harness.audit.state.cells import Cells
from harness.audit.state.checkpoint import Checkpoint
from harness.audit.state.graph import Graph
from harness.audit.state.paths import name_roots
from harness.audit.trial.judge import Judge, Judgement
from harness.audit.trial.remedies import Remedies, Remedy
from harness.audit.trial.trials import Experiment
from harness.audit.trial.turns import CACHE, one_of_every_kind_first
from harness.audit.unfinished import left_for_lack_of_time
from harness.audit.verdict import decide, unstable_reason
from harness.audit.watch.guards import guarded_attribute, read_bare
from harness.errors import ReferenceFailedError, SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.subject import Subject

DEFAULT_BUDGET = 42.0
DEFAULT_THREADS = 8
# Shares of the budget: watching, then plain concurrent runs, and remedies if there is harm; the rest is for trials.
WATCHING, STRESSING, REMEDYING = 0.25, 0.05, 0.2
BLIND = "this Python's stack cannot be read (3.11's can), and a store that its own call undoes would not be seen"


def audit(
    subject: Subject,
    requests: Sequence[object],
    *,
    threads: int = DEFAULT_THREADS,
    budget: float = DEFAULT_BUDGET,
    patience: float = PATIENCE,
    note: Callable[[str], None] = lambda _message: None,
) -> AuditResult:
    """Audit `subject` on `requests` within about `budget` seconds.

    Args:
        subject: what to audit; its `shared` objects are put back into the state they were found in.
        requests: what to call it with; two at least make trials telling.
        threads: threads of the plain concurrent runs.
        budget: seconds of processor time, from which every phase gets a share. One watched call and one trial may
            exceed it.
        patience: how many times as long it may take by the clock.
        note: takes a line about progress.

    Returns:
        The verdict, and everything it rests on.

    Raises:
        ReferenceFailedError: a call raised although nothing else ran.
    """
    with process_left_as_found():
        run = _Audit(subject, tuple(requests), threads, Deadline(budget, patience), budget, note)
        try:
            return run.run()
        finally:
            run.checkpoint.restore_everything()


class _Audit:
    """The state of one audit while it goes on."""

    def __init__(
        self,
        subject: Subject,
        requests: tuple[object, ...],
        threads: int,
        deadline: Deadline,
        budget: float,
        note: Callable[[str], None],
    ) -> None:
        self.subject, self.requests, self.threads, self.budget, self.note = subject, requests, threads, budget, note
        self.start = time.monotonic()
        self.deadline = deadline
        self.roots = name_roots(subject.shared, subject.call)
        with no_garbage_collected():
            self.graph = Graph(self.roots)
            _refuse_what_is_not_made_yet(self.graph)
            self.checkpoint = Checkpoint(self.graph)
        if not value_stack.works_here():
            self.graph.unseen.append(BLIND)
        self.stress = StressSummary()
        self.cells = Cells(self.graph.roots, {})

    def run(self) -> AuditResult:
        self.note("watching calls")
        observation = observe(
            self.subject.call, self.requests, self.graph, self.checkpoint, self.budget * WATCHING
        )  # fmt: skip
        self._check(observation.outcomes[-1].error, observation.outcomes[-1].trace)
        asked = len(self.requests)
        self.requests = self.requests[: len(observation.outcomes)]
        writes, draws = group_writes(observation.record), group_draws(observation.record)
        if not all(outcome.finished for outcome in observation.overlapping):
            self.stress = counted(self.stress, observation.overlapping, observation.overlapping)
            facts = self._facts(observation, References(observation.outcomes))
            return self._stuck(writes, observation, facts)
        self.note("sequential references")
        self.cells = Cells(self.graph.roots, self._shared_generators())
        leftovers = Leftovers(self.cells, writes)
        references = make_references(self.subject.call, self.requests, self.checkpoint, leftovers.look)
        self._check(references.failed, references.outcomes[-1].trace)
        facts = self._facts(observation, references)
        if references.unstable:
            return self._unstable(writes, observation, references, facts)
        self._run_concurrently(references, observation)
        if self.stress.unfinished and not observation.exchanged:  # those ran in a process of their own
            return self._stuck(writes, observation, facts)
        if self.stress.changed and not writes and not draws:
            references = replace(references, unstable=self._by_itself(references))
            if references.unstable:
                return self._unstable(writes, observation, references, facts)
        judged_writes, judged_draws = self._judge(writes, draws, references)
        facts["left_for_lack_of_time"] = left_for_lack_of_time(judged_writes, judged_draws)
        judged_writes = tuple(map(with_leftover, judged_writes, map(leftovers.told, writes)))
        judged_writes, guarded = self._set_guarded_apart(writes, judged_writes)
        draws_with_own = (*judged_draws, *own_draws(observation))
        verdict, reason = decide(judged_writes, judged_draws, self.stress, references.carried, self.graph.unseen)
        if verdict == "SAFE" and asked > len(self.requests):
            reason += f"; of {asked} requests there was time for {len(self.requests)}, and this is said of them alone"
        facts["seconds"] = round(time.monotonic() - self.start, 2)
        return AuditResult(
            self.subject.name, verdict, reason, judged_writes, draws_with_own, guarded, self.stress, facts
        )  # fmt: skip

    def _check(self, error: str, trace: str) -> None:
        if error:
            message = f"subject {self.subject.name!r}: a call raised although nothing else ran: {error}\n{trace}"
            raise ReferenceFailedError(message)

    def _unstable(
        self, writes: tuple[Finding, ...], observation: Observation, references: References, facts: dict[str, Any]
    ) -> AuditResult:
        judged, every = self._undecided(writes, observation, "outputs differ from run to run by themselves")
        reason = unstable_reason(every, judged, references.unstable)
        facts["seconds"] = round(time.monotonic() - self.start, 2)
        return AuditResult(self.subject.name, "INCONCLUSIVE", reason, judged, every, (), self.stress, facts)

    def _stuck(self, writes: tuple[Finding, ...], observation: Observation, facts: dict[str, Any]) -> AuditResult:
        """Calls wait for each other, or for a lock that one of them keeps: any further call may wait for ever."""
        why = "calls at the same time did not end, and none can be made after them"
        judged, every = self._undecided(writes, observation, why)
        verdict, reason = decide(judged, every, self.stress, "")
        facts["seconds"] = round(time.monotonic() - self.start, 2)
        return AuditResult(self.subject.name, verdict, reason, judged, every, (), self.stress, facts)

    @staticmethod
    def _undecided(
        writes: tuple[Finding, ...], observation: Observation, why: str
    ) -> tuple[tuple[JudgedWrite, ...], tuple[JudgedDraw, ...]]:
        """Return all writes, and all draws, none of them judged."""
        undecided = Judgement(None, f"undecided: {why}")
        draws = (judged_draw(finding, undecided, ()) for finding in group_draws(observation.record))
        return tuple(judged_write(finding, undecided, ()) for finding in writes), (*draws, *own_draws(observation))

    def _by_itself(self, references: References) -> str:
        time_for_it = Deadline(min(self.deadline.left(), REMEDYING * self.budget))
        return differs_by_itself(
            self.subject.call, self.requests, references.outcomes, self.checkpoint, time_for_it
        )  # fmt: skip

    def _run_concurrently(self, references: References, observation: Observation) -> None:
        """Plain concurrent runs, as long as the phase's share of the budget lasts."""
        self.note(f"{self.threads} threads at once")
        outcomes, seconds = references.outcomes, self.budget * STRESSING

        def run() -> StressSummary:
            call, restore = self.subject.call, self.checkpoint.restore
            return run_freely(call, self.requests, outcomes, restore, self.threads, seconds)

        stress = freely_apart(run, outcomes, self.threads, seconds) if observation.exchanged else run()
        # Watched operations may take other kernels than plain ones; what a watched call gave alone is right as well.
        alone = itertools.cycle(zip(outcomes, observation.outcomes, strict=True))
        right = [
            watched if calls.difference(overlapping, plain) else plain
            for overlapping, (plain, watched) in zip(observation.overlapping, alone, strict=False)
        ]
        self.stress = counted(stress, observation.overlapping, right)
        self.checkpoint.restore()

    def _judge(
        self, writes: tuple[Finding, ...], draws: tuple[Finding, ...], references: References
    ) -> tuple[tuple[JudgedWrite, ...], tuple[JudgedDraw, ...]]:
        findings = (*writes, *draws)
        every_cell = {cell for finding in findings for cell in finding.cells}
        experiment = Experiment(
            self.subject.call, self.requests, references.outcomes, self.checkpoint, self.cells, every_cell
        )  # fmt: skip
        pairs = choose_pairs(self.requests, references.outcomes)
        judge = Judge(experiment, pairs, self.note)
        judgements = judge.judge_all(findings, self.deadline, for_remedies=REMEDYING * self.budget)
        if self.stress.changed and not any(judgement.harmful for judgement in judgements):
            judgements = judge.judge_together(findings, judgements)
        if references.carried:
            judgements = [
                self._judge_carried(experiment, finding, judgement, pairs.ordered[0])
                for finding, judgement in zip(findings, judgements, strict=True)
            ]
        remedies = self._remedies(experiment, findings, judgements)
        count = len(writes)
        return (
            tuple(map(judged_write, writes, judgements[:count], remedies[:count])),
            tuple(map(judged_draw, draws, judgements[count:], remedies[count:])),
        )

    def _set_guarded_apart(
        self, findings: Sequence[Finding], judged: Sequence[JudgedWrite]
    ) -> tuple[tuple[JudgedWrite, ...], tuple[dict[str, Any], ...]]:
        """Move out what keeps itself consistent: lru_caches, and objects used only under their own lock."""
        watched = {
            index: found
            for index, (finding, write) in enumerate(zip(findings, judged, strict=True))
            if finding.guard is not None and write.harmful is False
            and (found := guarded_attribute(finding, finding.guard, self.graph.roots)) is not None
        }  # fmt: skip
        bare = {}
        if watched:
            self.checkpoint.restore()
            bare = read_bare(self.subject.call, self.requests, tuple(watched.values()))
            self.checkpoint.restore_everything()
        writes, guarded = [], []
        for index, (finding, write) in enumerate(zip(findings, judged, strict=True)):
            under_lock = index in watched and (id(watched[index].owner), watched[index].name) not in bare
            if finding.kind == CACHE or under_lock:
                lock = "its own consistency" if finding.kind == CACHE else f"the lock {finding.guard}"
                entry = {"path": write.path, "kind": write.kind, "location": write.location, "guard": lock}
                guarded.append({**entry, "evidence": write.evidence})
            else:
                writes.append(write)
        return tuple(writes), tuple(guarded)

    def _shared_generators(self) -> dict[str, object]:
        nodes = [node for node in self.graph.nodes.values() if node.role == "generator" and not node.path.of_module]
        return {str(node.path): node.value for node in nodes}

    def _judge_carried(
        self, experiment: Experiment, finding: Finding, judgement: Judgement, pair: tuple[int, int]
    ) -> Judgement:
        if judgement.harmful:
            return judgement
        for order in ((pair[0], pair[1]), (pair[0], pair[0])):
            effect = experiment.one_after_the_other(order, finding.cells | finding.ancestors)
            if effect:
                evidence = f"calls A and B one after the other, only this carried over: {effect}"
                return Judgement(True, evidence)
        return judgement

    def _remedies(
        self, experiment: Experiment, findings: Sequence[Finding], judgements: Sequence[Judgement]
    ) -> list[tuple[Remedy, ...]]:
        remedies = Remedies(experiment, self.subject.shared, self.graph, findings)
        tried: dict[int, tuple[Remedy, ...]] = {}
        for index in one_of_every_kind_first(findings):
            if judgements[index].harmful:
                self.note(f"trying remedies for {findings[index].path}")
                tried[index] = remedies.try_all(findings[index], judgements[index], self.deadline)
        return [tried.get(index, ()) for index in range(len(findings))]

    def _facts(self, observation: Observation, references: References) -> dict[str, Any]:
        watched, plain = sum(observation.seconds), sum(outcome.seconds for outcome in references.outcomes)
        return {
            "requests": len(self.requests),
            "watched_s": round(watched, 4),
            "plain_s": round(plain, 4),
            "slow_down": round(watched / plain, 1) if plain else None,
            "stores": "read from the interpreter" if value_stack.works_here() else "found by comparing line by line",
            "shared_objects": len(self.graph.nodes),
            "exchanged": list(observation.exchanged),
            "torch": torch.__version__,
            "torch_threads": torch.get_num_threads(),
        }


def _refuse_what_is_not_made_yet(graph: Graph) -> None:
    """Refuse lazy modules: the first call gives them weights and another class, and that cannot be taken back.

    Raises:
        SubjectError: a shared parameter or buffer has no shape yet.
    """
    for node in graph.nodes.values():
        if is_lazy(node.value):
            message = f"{node.path} has no shape yet: expected a model that was called once before it is shared"
            raise SubjectError(message)
