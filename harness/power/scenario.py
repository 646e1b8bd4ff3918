"""One run: a small concurrent batch, the same requests one at a time afterwards, and what they left behind."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.power.residue import changed, residue
from harness.run.cell import SWITCH_INTERVAL_S
from harness.run.switching import switch_interval
from harness.run.taps import StageTaps
from harness.run.threads import Phase
from harness.subject import Subject
from harness.verdict.classify import Outcome, classify_call
from stateless_tts import SpeechRequest, Voice
from stateless_tts.synthetic import build_chatterbox, write_clip

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from harness.power.stepped import SteppedWrapper
    from harness.run.records import CallRecord
    from harness.run.threads import PhaseResult

THREADS = 3
CLIP_S = 0.4
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Run:
    """What one run saw.

    Attributes:
        concurrent: calls of the concurrent batch that differ from the same call alone, each with how.
        after: the same for the calls made one at a time afterwards.
        residue: what the run left behind on the shared objects.
        hung: whether a call never ended.
    """

    concurrent: tuple[str, ...]
    after: tuple[str, ...]
    residue: tuple[str, ...]
    hung: bool


@dataclass(frozen=True)
class References:
    """Every request alone on a wrapper of its own: `before` and `after` the two clips change places."""

    before: tuple[CallRecord, ...]
    after: tuple[CallRecord, ...]


class Scenario:
    """Three requests for three threads: two share a clip, one takes the built-in voice; all else differs.

    After the concurrent batch the clip changes places with another of the same size, so that a voice that is found by
    anything but its content is found wrongly.
    """

    def __init__(self, folder: Path, model: ChatterboxTTS | None = None) -> None:
        self._one, self._two = (write_clip(folder / f"{name}.wav", seed, CLIP_S) for seed, name in ((1, "a"), (2, "b")))
        self.clips = {"one": self._one, "two": self._two}
        self._model = copy.copy(model or build_chatterbox())
        # A short built-in voice: what is rendered is the voice's clip and the new speech together.
        self._model.prepare_conditionals(write_clip(folder / "built-in.wav", 3, CLIP_S))
        self._built_in = Voice.from_conditionals(self._model.conds)
        self.requests = (
            SpeechRequest("Hi.", self._one, exaggeration=0.3, seed=1, max_new_tokens=5),
            SpeechRequest("No, never again.", self._one, exaggeration=0.9, seed=2, max_new_tokens=8),
            SpeechRequest("What?", None, exaggeration=0.6, seed=3, max_new_tokens=6),
        )

    def model(self) -> ChatterboxTTS:
        """Return the shared networks under a model object of its own, with the built-in voice."""
        model = copy.copy(self._model)
        model.conds = replace(
            self._model.conds,
            t3=self._built_in.t3_conditioning(0.5),
            gen={
                name: value.clone() if hasattr(value, "clone") else value
                for name, value in self._built_in.s3gen_reference().items()
            },
        )
        return model

    def alone(self, kind: type[SteppedWrapper]) -> References:
        """Make every request alone, each on a wrapper of its own, before and after the clips change places."""
        before = self._alone(kind)
        self._swap_clips()
        try:
            return References(before, self._alone(kind))
        finally:
            self._swap_clips()

    def run(self, kind: type[SteppedWrapper], references: References, turn: int = 0) -> Run:
        """Run the batch once on a new wrapper; `turn` shifts the order of arrival."""
        wrapper = kind(self.model())
        found = residue(wrapper)
        start = turn % len(self.requests)
        order = (*range(start, len(self.requests)), *range(start))
        with switch_interval(SWITCH_INTERVAL_S):
            batch = self._phase(wrapper, order, THREADS)
        if batch.hung:
            return Run(_wrong(batch.calls, references.before), (), (), hung=True)
        self._swap_clips()
        try:
            after = self._phase(wrapper, order, 1)
        finally:
            self._swap_clips()
        left = residue(wrapper)
        return Run(
            concurrent=_wrong(batch.calls, references.before),
            after=_wrong(after.calls, references.after),
            residue=tuple(f"{place}: {found.get(place)} -> {left.get(place)}" for place in changed(found, left)),
            hung=after.hung,
        )

    def clean_up(self) -> None:
        """Take off whatever hooks planted faults have left on the shared backbone."""
        self._model.t3.tfmr._forward_hooks.clear()  # noqa: SLF001 - the faults dropped their handles

    def _alone(self, kind: type[SteppedWrapper]) -> tuple[CallRecord, ...]:
        calls: list[CallRecord] = []
        for place in range(len(self.requests)):
            calls += self._phase(kind(self.model()), (place,), 1).calls
        failed = next((call.error for call in calls if call.error is not None), None)
        if failed is not None:
            raise RuntimeError(f"{kind.__name__} fails alone: {failed.kinds[0]}: {failed.message}")
        return tuple(calls)

    def _phase(self, wrapper: SteppedWrapper, order: Sequence[int], threads: int) -> PhaseResult:
        subject = Subject("power", wrapper.speak, (), self.requests)
        return Phase(subject, self.requests, order, StageTaps(()), workers=threads, patience_s=PATIENCE_S).run()

    def _swap_clips(self) -> None:
        one, two = self._one.read_bytes(), self._two.read_bytes()
        self._one.write_bytes(two)
        self._two.write_bytes(one)


def _wrong(calls: Sequence[CallRecord], references: Sequence[CallRecord]) -> tuple[str, ...]:
    findings = [(call.request, classify_call(call, references[call.request])) for call in calls]
    return tuple(
        f"request {request}: {finding.outcome}: {finding.detail}"
        for request, finding in findings
        if finding.outcome is not Outcome.IDENTICAL
    )
