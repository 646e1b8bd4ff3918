"""The node that speaks subtitles on their time stamps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stateless_tts.assembly import TIMINGS, TimedAudio, place
from stateless_tts.script import ScriptError, read_script, read_subtitles
from stateless_tts.streaming import segment_seed
from stateless_tts.utterances import Utterance

from ._comfy import Audio, to_audio
from ._nodes import SpeechInputs, SpeechNode, about

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stateless_tts.models import LoadedModel
    from stateless_tts.script import Subtitle
    from stateless_tts.voice import Voice

_FAILURES = ("stop", "leave_out")


@dataclass
class _Plan:
    """What to speak, where it goes, and what is to be told."""

    utterances: list[Utterance] = field(default_factory=list)
    subtitles: list[Subtitle] = field(default_factory=list)
    report: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class SubtitlesNode(SpeechNode):
    """Speaks SubRip subtitles, each at its time stamp."""

    DESCRIPTION = "Speak subtitles on their time stamps. Overlaps and lines that are too long are in the report."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Describe the inputs, as ComfyUI asks for them."""
        return cls._inputs(text="srt", more={"timing": (list(TIMINGS),), "on_failure": (list(_FAILURES),)})

    def speak(
        self,
        model: LoadedModel,
        srt: str,
        timing: str = "overlap",
        on_failure: str = "stop",
        **inputs: Any,  # noqa: ANN401 - by ComfyUI
    ) -> tuple[Audio, str]:
        """Speak the subtitles in `srt`, the text of a file; `inputs` are those of `SpeechInputs`.

        Raises:
            ScriptError: a subtitle cannot be read or spoken, and `on_failure` is ``"stop"``; or none can.
        """
        given = SpeechInputs(**inputs)
        plan = _plan(srt, given, self._voices(model, given), keep_sounds=model.choice.family == "turbo")
        _stop_at_failures(plan, on_failure)
        timed = []
        rate = 0
        for spoken in self._speak_all(model, plan.utterances, given.batch_size):
            subtitle = plan.subtitles[spoken.index]
            if spoken.audio is None:
                plan.failures.append(f"{_name(subtitle)}: {spoken.error}")
            else:
                rate = spoken.sample_rate
                timed.append(TimedAudio(spoken.audio, subtitle.start, subtitle.end, _name(subtitle)))
        _stop_at_failures(plan, on_failure if timed else "stop")
        track, too_long = place(timed, rate, timing)
        told = [*about(model, given), *plan.report, *too_long, *(f"left out: {failure}" for failure in plan.failures)]
        return to_audio(track, rate), "\n".join(told)


def _plan(srt: str, given: SpeechInputs, voices: Mapping[str, str | Voice], *, keep_sounds: bool) -> _Plan:
    read = read_subtitles(srt)
    plan = _Plan(report=list(read.warnings), failures=list(read.problems))
    for number, subtitle in enumerate(read.subtitles):
        if subtitle.problem:
            plan.failures.append(subtitle.problem)
            continue
        try:
            script = read_script(
                subtitle.text, characters=list(voices), language=given.language, keep_sounds=keep_sounds
            )
        except ScriptError as error:
            plan.failures.append(f"{_name(subtitle)}: {error}")
            continue
        plan.report.extend(f"{_name(subtitle)}: {warning}" for warning in script.warnings)
        plan.subtitles.append(subtitle)
        plan.utterances.append(Utterance(script.pieces, segment_seed(given.seed, number), voices, given.parameters))
    return plan


def _stop_at_failures(plan: _Plan, on_failure: str) -> None:
    if plan.failures and on_failure == "stop":
        raise ScriptError("; ".join(plan.failures))


def _name(subtitle: Subtitle) -> str:
    return f"line {subtitle.line}: subtitle {subtitle.number}"
