"""Play a case: every request alone, then all of them at once, and compare bit by bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.run.cell import SWITCH_INTERVAL_S
from harness.run.matrix import require_output
from harness.run.switching import switch_interval
from harness.run.taps import StageTaps
from harness.run.threads import Phase
from harness.subject import Subject
from harness.verdict.classify import Outcome, classify_call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import torch

    from harness.replay.case import Case, Utterance
    from harness.run.records import CallRecord
    from stateless_tts import SpeechRequest

PATIENCE_S = 60.0


class Player:
    """Plays cases on wrappers made by `make`.

    Args:
        make: returns the call of a new wrapper; the wrappers share one model.
        clips: path of each voice that is not built in.
    """

    def __init__(self, make: Callable[[], Callable[[SpeechRequest], torch.Tensor]], clips: Mapping[str, Path]) -> None:
        self._make = make
        self._clips = clips
        # A request alone gives the same bits whenever it is made, so it is made once.
        self._alone: dict[Utterance, CallRecord] = {}

    def differences(self, case: Case) -> tuple[str, ...]:
        """Return, for every call that differs from the same request alone, which and how.

        Raises:
            ReferenceFailedError: a request fails alone, so that there is nothing to compare with.
        """
        alone = [self._reference(utterance) for utterance in case.utterances]
        requests = tuple(utterance.request(self._clips) for utterance in case.utterances)
        with switch_interval(SWITCH_INTERVAL_S):
            calls = self._play(requests, case.order, case.threads)
        found = ((call.request, classify_call(call, alone[call.request])) for call in calls)
        return tuple(
            f"utterance {place}: {finding.outcome}: {finding.detail}"
            for place, finding in found
            if finding.outcome is not Outcome.IDENTICAL
        )

    def _reference(self, utterance: Utterance) -> CallRecord:
        if utterance not in self._alone:
            (call,) = self._play((utterance.request(self._clips),), (0,), 1)
            require_output(Subject("replay", self._make(), ()), call, PATIENCE_S)
            self._alone[utterance] = call
        return self._alone[utterance]

    def _play(
        self, requests: tuple[SpeechRequest, ...], order: tuple[int, ...], threads: int
    ) -> tuple[CallRecord, ...]:
        subject = Subject("replay", self._make(), (), requests)
        return Phase(subject, requests, order, StageTaps(()), workers=threads, patience_s=PATIENCE_S).run().calls
