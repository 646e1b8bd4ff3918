"""Every clip by way of the wrapper, of streaming and of the command line: a voice, or one clear line."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies

from stateless_tts import InvalidClipError, Voice
from stateless_tts.streaming import ChatterBoxStreamingAdapter, StreamingConfig, StreamingCoordinator, StreamingSegment
from stateless_tts.voice import check_clip, read_clip
from tests.cli.fakes import Engine, FakeModel, manifest, run, use

from .clips import CLIPS, ClipCase, noise

if TYPE_CHECKING:
    from stateless_tts import StatelessChatterBoxWrapper

BAD = [case for case in CLIPS if case.told]
GOOD = [case for case in CLIPS if not case.told]


@pytest.mark.parametrize("case", CLIPS, ids=lambda case: case.name)
def test_a_voice_or_one_line(case: ClipCase, wrapper: StatelessChatterBoxWrapper, tmp_path: Path) -> None:
    clip = case.make(tmp_path / "clip.wav")
    if case.told:
        with pytest.raises(InvalidClipError) as refusal:
            wrapper.prepare_voice(clip)
        assert case.told in str(refusal.value)
        assert "\n" not in str(refusal.value)
    else:
        assert isinstance(wrapper.prepare_voice(clip), Voice)


@pytest.mark.parametrize("case", CLIPS, ids=lambda case: case.name)
def test_the_command_line_says_it_before_anything_is_loaded(
    case: ClipCase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine()
    use(monkeypatch, engine)
    clip = case.make(tmp_path / "clip.wav")
    code = run("speak", "Hi.", "-o", tmp_path / "out.wav", "--voice", clip)
    told = capsys.readouterr().err
    assert (code, len(engine.spoken)) == ((2, 0) if case.told else (0, 1))
    assert told.count("\n") == (1 if case.told else 0)
    assert case.told in told


def test_in_streaming_each_fails_alone(wrapper: StatelessChatterBoxWrapper, tmp_path: Path) -> None:
    segments = [StreamingSegment(len(BAD), "Good.", metadata={"seed": 1})]
    for index, case in enumerate(BAD):
        folder = tmp_path / str(index)
        folder.mkdir()
        segments.append(StreamingSegment(index, "Bad.", voice_path=case.make(folder / "clip.wav")))
    audio, metrics, _ = StreamingCoordinator.process(
        segments, ChatterBoxStreamingAdapter(wrapper), StreamingConfig(batch_size=4)
    )
    assert list(audio) == [len(BAD)]
    told = {failure.index: failure for failure in metrics.failures}
    assert sorted(told) == list(range(len(BAD)))
    for index, case in enumerate(BAD):
        assert isinstance(told[index].error, InvalidClipError)
        assert case.told in told[index].error_msg


def test_in_a_batch_each_fails_alone(
    wrapper: StatelessChatterBoxWrapper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(monkeypatch, Engine())
    monkeypatch.setattr(
        "stateless_tts.cli._batch.load_model", lambda _choice: FakeModel(ChatterBoxStreamingAdapter(wrapper))
    )
    lines = [json.dumps({"text": "Good."})]
    for index, case in enumerate(BAD):
        folder = tmp_path / str(index)
        folder.mkdir()
        lines.append(json.dumps({"text": "Bad.", "voice": str(case.make(folder / "clip.wav"))}))
    (tmp_path / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run("batch", tmp_path / "in.jsonl", "-o", tmp_path / "out") == 1
    good, *bad = manifest(tmp_path / "out")["items"]
    assert good["status"] == "succeeded"
    for line, (item, case) in enumerate(zip(bad, BAD, strict=True), 2):
        assert item["status"] == "failed"
        assert item["error"].startswith(f"line {line}: ")
        assert "is not a file" in item["error"] or case.told in item["error"]
    assert len(capsys.readouterr().err.splitlines()) == len(BAD)


@settings(max_examples=60, deadline=None)
@given(strategies.binary(max_size=300), strategies.booleans())
def test_any_bytes_are_audio_or_one_line(content: bytes, with_header: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        path.write_bytes(_HEADER + content if with_header else content)
        try:
            assert check_clip(read_clip(path)) > 0
        except InvalidClipError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either is right


def _header() -> bytes:
    import io

    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, noise(0.001), 24_000, format="WAV")
    return stream.getvalue()[:44]


_HEADER = _header()


@pytest.mark.parametrize("case", GOOD[:3], ids=lambda case: case.name)
def test_what_is_unusual_is_a_voice_of_its_own_content(
    case: ClipCase, wrapper: StatelessChatterBoxWrapper, tmp_path: Path
) -> None:
    voice = wrapper.prepare_voice(case.make(tmp_path / "clip.wav"))
    assert bool(voice.prompt_mel.isfinite().all())
