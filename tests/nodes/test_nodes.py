from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest
import soundfile
import torch

from stateless_tts import InvalidClipError, SpeechRequest, SpeechResult, StageSeconds
from stateless_tts.models import LoadedModel, ModelChoice
from stateless_tts.nodes import NODE_CLASS_MAPPINGS, NODE_DISPLAY_NAME_MAPPINGS
from stateless_tts.nodes._nodes import SpeechInputs
from stateless_tts.script import ScriptError
from stateless_tts.streaming import segment_seed
from stateless_tts.synthetic import write_clip
from tests.streaming.speakers import streaming_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stateless_tts import StatelessChatterBoxWrapper

RATE = 1000
WIDGETS = {"STRING": str, "INT": int, "FLOAT": float}


class FakeWrapper:
    """Speaks 10 ms a character; the voice decides the level, ``fail`` fails."""

    sr = RATE

    def __init__(self) -> None:
        self.requests: list[SpeechRequest] = []

    def synthesize(self, request: SpeechRequest, *, checkpoint: Callable[[], None]) -> SpeechResult:
        checkpoint()
        self.requests.append(request)
        if "fail" in request.text:
            raise OSError("disk on fire")
        level = 0.25 if request.audio_prompt_path is None else 0.5
        audio = torch.full((1, 10 * len(request.text)), level)
        return SpeechResult(audio, RATE, request.seed or 0, torch.zeros(1), StageSeconds(0, 0, 0, 0))

    def prepare_voice(self, clip: Path) -> Any:  # noqa: ANN401 - stands for a Voice
        assert clip.is_file()
        return clip


def fake_model() -> LoadedModel:
    from stateless_tts.manager import StreamingModelManager

    model = object.__new__(LoadedModel)
    model.choice = ModelChoice("english", "fake", None, pretrained=True, device="cpu")
    model.manager = StreamingModelManager(wrap=lambda model: model)
    model.manager.preload_models(["en"], lambda _device, _language: FakeWrapper(), "cpu")
    model._voices = {}
    return model


def requests_of(model: LoadedModel) -> list[SpeechRequest]:
    wrapper: Any = model.wrapper
    requests: list[SpeechRequest] = wrapper.requests
    return requests


def execute(name: str, **given: Any) -> tuple[Any, ...]:  # noqa: ANN401 - what ComfyUI passes on
    """Drive a node as ComfyUI does: defaults of the widgets, inputs by name, the method that FUNCTION names."""
    node_class = NODE_CLASS_MAPPINGS[name]
    declared = node_class.INPUT_TYPES()
    inputs = {}
    for section in ("required", "optional"):
        for key, (kind, *options) in declared.get(section, {}).items():
            if isinstance(kind, list):
                inputs[key] = kind[0]
            elif options and "default" in options[0]:
                inputs[key] = options[0]["default"]
    inputs.update(given)
    missing = set(declared["required"]) - set(inputs)
    assert not missing
    assert set(inputs) <= set(declared["required"]) | set(declared.get("optional", {}))
    result = getattr(node_class(), node_class.FUNCTION)(**inputs)
    assert isinstance(result, tuple)
    assert len(result) == len(node_class.RETURN_TYPES)
    return result


@pytest.mark.parametrize("name", NODE_CLASS_MAPPINGS)
def test_nodes_are_declared_as_comfyui_reads_them(name: str) -> None:
    node_class = NODE_CLASS_MAPPINGS[name]
    assert NODE_DISPLAY_NAME_MAPPINGS[name]
    assert node_class.CATEGORY
    assert len(node_class.RETURN_TYPES) == len(node_class.RETURN_NAMES)
    declared = node_class.INPUT_TYPES()
    accepted = set(inspect.signature(getattr(node_class, node_class.FUNCTION)).parameters)
    if "inputs" in accepted:
        accepted |= {field.name for field in dataclasses.fields(SpeechInputs)}
    for section in declared.values():
        for key, (kind, *options) in section.items():
            assert key in accepted
            default = (options[0] if options else {}).get("default")
            assert default is None or isinstance(default, WIDGETS[kind])


def test_a_text_becomes_audio() -> None:
    model = fake_model()
    audio, report = execute("StatelessTTSText", model=model, text="Hello. [pause:100ms] Bye.", seed=5, temperature=0.3)
    assert audio["sample_rate"] == RATE
    assert audio["waveform"].shape == (1, 1, 60 + 100 + 40)
    assert not audio["waveform"][0, 0, 60:160].any()
    assert report == ""
    heard = {request.text: request for request in requests_of(model)}
    assert (heard["Hello."].seed, heard["Bye."].seed) == (5, segment_seed(5, 2))
    assert {request.temperature for request in heard.values()} == {0.3}


def test_characters_and_a_reference_clip(tmp_path: Path) -> None:
    model = fake_model()
    reference = {"waveform": torch.rand(1, 2, 4800), "sample_rate": 24_000}
    _, report = execute(
        "StatelessTTSText",
        model=model,
        text="Hi. [Ann] Ho. [Zoe] Hum.",
        reference_audio=reference,
        characters=f"Ann={tmp_path / 'ann.wav'}\n\n",
    )
    voices = {request.text: str(request.audio_prompt_path) for request in requests_of(model)}
    assert voices["Hi."].endswith("reference_audio.wav")
    assert voices["Ho."] == str(tmp_path / "ann.wav")
    assert voices["Hum."] == voices["Hi."]
    assert report == "[Zoe]: no voice is given for 'Zoe'; the voice of 'narrator' is used"


def test_a_failure_is_raised_and_never_audio() -> None:
    with pytest.raises(OSError, match="disk on fire"):
        execute("StatelessTTSText", model=fake_model(), text="One. [pause:1s] fail")
    with pytest.raises(ScriptError, match="nothing to say"):
        execute("StatelessTTSText", model=fake_model(), text=" ")
    with pytest.raises(ScriptError, match="'Ann': expected NAME="):
        execute("StatelessTTSText", model=fake_model(), text="Hi.", characters="Ann")
    with pytest.raises(InvalidClipError, match=r"AUDIO of shape \(5,\)"):
        speak_with(torch.ones(5), 1)


def speak_with(waveform: torch.Tensor, sample_rate: float) -> str:
    reference = {"waveform": waveform, "sample_rate": sample_rate}
    report: str
    _, report = execute("StatelessTTSText", model=fake_model(), text="Hi.", reference_audio=reference)
    return report


@pytest.mark.parametrize("shape", [(1, 0, 9), (1, 1, 0), (0, 1, 9), (1, 2000, 9)])
def test_audio_that_is_no_clip_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidClipError, match="AUDIO of"):
        speak_with(torch.ones(shape), 24_000)


@pytest.mark.parametrize("sample_rate", [0, -1, 10**20, float("nan")])
def test_a_sample_rate_that_is_none_is_named(sample_rate: float) -> None:
    with pytest.raises(InvalidClipError, match=f"sample_rate={sample_rate!r}"):
        speak_with(torch.ones(1, 1, 9), sample_rate)


@pytest.mark.parametrize(
    "waveform", [torch.rand(1, 1, 4410), torch.rand(3, 2, 4410).half(), torch.rand(1, 6, 4410, requires_grad=True)]
)
def test_what_other_nodes_load_is_a_voice(waveform: torch.Tensor) -> None:
    report = speak_with(waveform, 44_100)
    assert report == ("reference_audio holds 3 clips; the voice is that of the first" if len(waveform) > 1 else "")


def test_the_real_model_is_loaded_and_spoken_with_in_comfyuis_inference_mode(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "ada.wav", 1, 0.6)
    samples, rate = soundfile.read(str(clip), dtype="float32")
    reference = {"waveform": torch.from_numpy(samples).reshape(1, 1, -1), "sample_rate": rate}
    inputs = {"text": "Hi.", "seed": 3, "reference_audio": reference}
    with torch.inference_mode():
        (model,) = execute("StatelessTTSLoadModel")
        audio, report = execute("StatelessTTSText", model=model, **inputs)
    expected = model.wrapper.generate_stateless("Hi.", audio_prompt_path=clip, seed=3)
    assert torch.equal(audio["waveform"][0], expected)
    assert report == "the model is synthetic: its voice is noise"


SUBTITLES = """1
00:00:01,000 --> 00:00:01,020
Hello.

2
00:00:02,000 --> 00:00:03,000
Bye.
"""


def test_subtitles_stand_on_their_time_stamps() -> None:
    audio, report = execute("StatelessTTSSubtitles", model=fake_model(), srt=SUBTITLES)
    samples = audio["waveform"][0, 0]
    assert samples.shape == (3000,)
    spoken = torch.zeros(3000)
    spoken[1000:1060] = spoken[2000:2040] = 0.25
    assert torch.equal(samples, spoken)
    assert report == "line 2: subtitle 1 lasts 0.060 s, its slot 0.020 s"


def test_overlaps_are_reported_with_their_line() -> None:
    srt = SUBTITLES.replace("00:00:02,000 -->", "00:00:01,010 -->")
    mixed, report = execute("StatelessTTSSubtitles", model=fake_model(), srt=srt)
    assert "line 6: subtitle 2 starts at 1.010 s, before subtitle 1 (line 2) ends at 1.020 s" in report
    assert mixed["waveform"].max() == 0.5
    shifted, report = execute("StatelessTTSSubtitles", model=fake_model(), srt=srt, timing="shift")
    assert shifted["waveform"].max() == 0.25
    assert "line 6: subtitle 2 begins 0.050 s late" in report


def test_what_fails_stops_or_is_left_out_and_told() -> None:
    srt = SUBTITLES.replace("Bye.", "fail") + "\n3\nno --> time\nHm.\n\n4\n00:00:04,000 --> 00:00:05,000\n[pause:1s]\n"
    with pytest.raises(ScriptError, match=r"line 10: the time stamps 'no --> time' cannot be read; line 14: .*nothing"):
        execute("StatelessTTSSubtitles", model=fake_model(), srt=srt)
    audio, report = execute("StatelessTTSSubtitles", model=fake_model(), srt=srt, on_failure="leave_out")
    assert int(audio["waveform"].count_nonzero()) == 60
    assert "left out: line 6: subtitle 2: disk on fire" in report
    assert report.count("left out: ") == 3
    with pytest.raises(ScriptError, match="disk on fire"):
        execute(
            "StatelessTTSSubtitles",
            model=fake_model(),
            srt="00:00:01,000 --> 00:00:02,000\nfail",
            on_failure="leave_out",
        )


def test_sounds_are_turbos_alone() -> None:
    for family, text in (("turbo", "Hi [laugh]"), ("english", "Hi")):
        model = fake_model()
        model.choice = dataclasses.replace(model.choice, family=family)
        execute("StatelessTTSText", model=model, text="Hi [laugh]")
        execute("StatelessTTSSubtitles", model=model, srt="1\n00:00:00,000 --> 00:00:01,000\nHi [laugh]\n")
        assert [request.text for request in requests_of(model)] == [text, text]


def test_progress_and_cancel_are_comfyuis(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelled(Exception):  # noqa: N818 - ComfyUI's is no error either
        pass

    steps: list[int] = []

    class ProgressBar:
        def __init__(self, total: int) -> None:
            assert total == 3

        def update(self, by: int) -> None:
            steps.append(by)

    def throw() -> None:
        if len(steps) == 2:
            raise Cancelled

    comfy, utils, management = (types.ModuleType(name) for name in ("comfy", "comfy.utils", "comfy.model_management"))
    utils.ProgressBar = ProgressBar  # type: ignore[attr-defined]
    management.throw_exception_if_processing_interrupted = throw  # type: ignore[attr-defined]
    for module in (comfy, utils, management):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with pytest.raises(Cancelled):
        execute("StatelessTTSText", model=fake_model(), text="A. [pause:0s] B. [pause:0s] C.")
    assert steps == [1, 1]
    assert streaming_threads() == []


def test_cancel_ends_a_piece_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cancelled(Exception):  # noqa: N818 - ComfyUI's is no error either
        pass

    def throw() -> None:
        raise Cancelled

    comfy, management = types.ModuleType("comfy"), types.ModuleType("comfy.model_management")
    management.processing_interrupted = lambda: True  # type: ignore[attr-defined]
    management.throw_exception_if_processing_interrupted = throw  # type: ignore[attr-defined]
    for module in (comfy, management):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    model = fake_model()
    with pytest.raises(Cancelled):
        execute("StatelessTTSText", model=model, text="Hi.")
    assert requests_of(model) == []


def test_an_input_without_a_value_changes_nothing() -> None:
    is_changed: Any = NODE_CLASS_MAPPINGS["StatelessTTSText"].IS_CHANGED
    assert is_changed(reference_path=None, characters=None) == is_changed()


def test_a_clip_that_changed_is_noticed(tmp_path: Path) -> None:
    text_node = NODE_CLASS_MAPPINGS["StatelessTTSText"]
    clip = write_clip(tmp_path / "a.wav", 1, 0.3)
    is_changed: Any = text_node.IS_CHANGED
    before = is_changed(reference_path=str(clip), text="Hi.")
    assert is_changed(reference_path=f" {clip} ", text="Hi.") == before != is_changed(text="Hi.")
    write_clip(clip, 2, 0.3)
    assert is_changed(reference_path=str(clip), text="Hi.") != before


def test_the_segment_method_keeps_its_name_and_arguments() -> None:
    method = NODE_CLASS_MAPPINGS["StatelessTTSText"]._process_single_segment_for_streaming
    assert list(inspect.signature(method).parameters) == [
        "self",
        "original_idx",
        "character",
        "segment_text",
        "language",
        "voice_path",
        "inputs",
    ]


def test_a_node_that_is_kept_has_the_model_of_no_call() -> None:
    """ComfyUI keeps nodes and may run one again, with another model, before all pieces of the first are spoken."""
    node = NODE_CLASS_MAPPINGS["StatelessTTSText"]()
    models = fake_model(), fake_model()
    speak_of_first = models[0].wrapper.synthesize

    def speak(*arguments: Any, **named: Any) -> SpeechResult:  # noqa: ANN401 - a request and its checkpoint
        if not requests_of(models[1]):
            node.speak(models[1], "Second.", batch_size=0)
        return speak_of_first(*arguments, **named)

    models[0].wrapper.synthesize = speak  # type: ignore[method-assign]
    node.speak(models[0], "One. [pause:1s] Two.", batch_size=0)
    assert [[request.text for request in requests_of(model)] for model in models] == [["One.", "Two."], ["Second."]]
    assert node._streaming_model_manager is None


def test_nodes_need_no_comfyui() -> None:
    assert "comfy" not in sys.modules
    execute("StatelessTTSText", model=fake_model(), text="Hi.")
    assert "comfy" not in sys.modules


@pytest.mark.slow
def test_real_model_gives_the_same_bits_as_alone(
    wrapper: StatelessChatterBoxWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stateless_tts import models

    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: wrapper.model)  # noqa: ARG005 - as it is called
    (model,) = execute("StatelessTTSLoadModel")
    audio, report = execute("StatelessTTSText", model=model, text="Hello.", seed=11)
    assert torch.equal(audio["waveform"][0], wrapper.generate_stateless("Hello.", seed=11))
    assert report == "the model is synthetic: its voice is noise"
