from __future__ import annotations

import errno
import io
import os
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
import torch

from stateless_tts import ConversionRequest, SpeechResult, StageSeconds, Voice
from stateless_tts.cli import main
from stateless_tts.cli._output import Muffled, say, tell
from stateless_tts.streaming import segment_seed
from stateless_tts.synthetic import write_clip
from stateless_tts.voice_file import load_voice, save_voice
from tests.streaming.speakers import fail
from tests.test_voice_file import some_voice

from .fakes import Engine, FakeModel, run, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stateless_tts import StatelessChatterBoxWrapper
    from stateless_tts.models import ModelChoice


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    use(monkeypatch, engine)
    return engine


@pytest.mark.usefixtures("engine")
def test_speak_writes_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.wav"
    assert run("speak", "Hello.", "-o", out, "--seed", 3) == 0
    assert soundfile.info(str(out)).frames == 106
    assert capsys.readouterr().out == f"{out}: 0.11 s, seed 3\n"


@pytest.mark.usefixtures("engine")
def test_a_name_that_cannot_be_printed_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, printed = tmp_path / "日本.wav", io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="latin-1"))
    assert run("speak", "Hello.", "-o", out) == 0
    assert out.exists()
    assert rb"\u65e5\u672c.wav: 0.11 s" in printed.getvalue()


@pytest.mark.usefixtures("engine")
def test_a_folder_that_cannot_be_written_to_is_found_first(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("stateless_tts.cli._manifest.tempfile.TemporaryFile", refused)
    assert run("speak", "Hello.", "-o", tmp_path / "a.wav") == 2
    assert "cannot be written to: Read-only file system" in capsys.readouterr().err
    assert not engine.spoken


@pytest.mark.usefixtures("engine")
def test_speak_reads_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello."))
    assert run("speak", "-", "-o", tmp_path / "a.wav") == 0


@pytest.mark.usefixtures("engine")
def test_pauses_are_silence(tmp_path: Path) -> None:
    assert run("speak", "[pause:500ms] Hi. [pause:1s] Ho.", "-o", tmp_path / "a.wav", "--format", "FLOAT") == 0
    samples, rate = soundfile.read(str(tmp_path / "a.wav"))
    assert rate == 1000
    assert not samples[:500].any()
    assert not samples[603:1603].any()
    assert len(samples) == 500 + 103 + 1000 + 103


@pytest.mark.parametrize(("family", "samples"), [("turbo", 114), ("english", 205)])
@pytest.mark.usefixtures("engine")
def test_sounds_are_turbos_alone(tmp_path: Path, family: str, samples: int) -> None:
    out = tmp_path / "a.wav"
    assert run("speak", "Hi [laugh] Ho.", "-o", out, "--family", family) == 0
    assert soundfile.info(str(out)).frames == samples


def test_a_failure_leaves_no_file(engine: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    engine.scripts[0] = fail
    assert run("speak", "Hello.", "-o", tmp_path / "a.wav") == 1
    assert capsys.readouterr().err == "stateless-tts: no space left on device\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["speak", "Hi."], "required: -o/--output"),
        (["speak", "", "-o", "a.wav"], "text='': there is nothing to say in it"),
        (["speak", "[pause:x]Hi.", "-o", "a.wav"], "[pause:x]: expected a pause"),
        (["speak", "Hi.", "-o", "."], "is a folder"),
        (["speak", "Hi.", "-o", "no/a.wav"], "the folder 'no' does not exist"),
        (["speak", "Hi.", "-o", "pipe"], "--output 'pipe' is no file that could be replaced"),
        (["convert", "good.wav", "-o", "to-pipe"], "--output 'to-pipe' is no file that could be replaced"),
        (["voices", "prepare", "good.wav", "-o", "pipe"], "--output 'pipe' is no file that could be replaced"),
        (["speak", "Hi.", "-o", "a.wav", "--voice", "absent.wav"], "'absent.wav' does not exist"),
        (["speak", "Hi.", "-o", "a.wav", "--voice", "a.safetensors"], "'a.safetensors' does not exist"),
        (["speak", "Hi.", "-o", "a.wav", "--character", "Ann"], "--character 'Ann': expected NAME=VOICE"),
        (["speak", "Hi.", "-o", "a.wav", "--temperature", "0"], "temperature=0.0: expected"),
        (["speak", "Hi.", "-o", "a.wav", "--temperature", "nan"], "temperature=nan: expected"),
        (["speak", "Hi.", "-o", "a.wav", "--seed", "1e3"], "argument --seed: invalid int value"),
        (["speak", "Hi.", "-o", "a.wav", "--seed", str(2**64)], "seed=18446744073709551616: expected"),
        (["speak", "Hi.", "-o", "a.wav", "--workers", "17"], "--workers 17: expected 1 to 16"),
        (["speak", "Hi.", "-o", "a.wav", "--timeout", "0"], "worker_timeout=0.0: expected"),
        (["speak", "Hi.", "-o", "a.wav", "--device", "toaster"], "device='toaster': expected"),
        (["speak", "Hi.", "-o", "a.wav", "--checkpoint", "."], "t3_cfg.safetensors"),
        (["speak", "Hi.", "-o", "a.wav", "--checkpoint", ".", "--pretrained"], "not allowed with"),
        (["batch", "in.doc", "-o", "out"], "'in.doc': expected a file that ends in .txt, .srt, .jsonl"),
        (["batch", "absent.txt", "-o", "out"], "'absent.txt' cannot be read: No such file"),
        (["batch", "empty.txt", "-o", "out"], "'empty.txt' holds nothing to say"),
        (["batch", "binary.txt", "-o", "out"], "'binary.txt' is not utf-8 at byte 0"),
        (["batch", "good.txt", "-o", "good.txt"], "'good.txt' cannot be made a folder"),
        (["batch", "good.txt", "-o", "/proc"], "'/proc' cannot be written to"),
        (["voices", "prepare", "absent.wav", "-o", "v.safetensors"], "'absent.wav' does not exist"),
        (["voices", "prepare", "empty.txt", "-o", "v.safetensors"], "is empty (0 bytes)"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "binary.txt").write_bytes(b"\x80\x81")
    (tmp_path / "good.txt").write_text("Hi.")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert engine.spoken == []


CLIPS: dict[str, tuple[int, float, int, str]] = {  # rate, seconds, channels, subtype
    "8-bit": (16_000, 1.0, 1, "PCM_U8"),
    "stereo": (24_000, 1.0, 2, "PCM_16"),
    "192 kHz": (192_000, 1.0, 1, "PCM_24"),
    "float": (44_100, 1.0, 1, "FLOAT"),
}


def write_noise(path: Path, rate: int, seconds: float, channels: int = 1, subtype: str = "PCM_16") -> Path:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (int(rate * seconds), channels))
    soundfile.write(str(path), noise, rate, subtype=subtype)
    return path


@pytest.mark.usefixtures("engine")
def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.wav"
    link.symlink_to("real.wav")
    for _ in range(2):  # the file is absent, then there
        assert run("speak", "Hi.", "-o", link) == 0
        assert link.is_symlink()
        assert (tmp_path / "real.wav").stat().st_size > 44


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", CLIPS)
def test_clips_of_every_kind_are_taken(tmp_path: Path, kind: str) -> None:
    clip = write_noise(tmp_path / "clip.wav", *CLIPS[kind])
    assert run("speak", "Hi.", "-o", tmp_path / "a.wav", "--voice", clip) == 0


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("10 ms", "lasts 0.010 s"),
        ("silent", "is silent"),
        ("not finite", "NaN or infinite"),
        ("cut off", "cannot be read as audio"),
        ("text", "cannot be read as audio"),
        ("empty", "is empty (0 bytes)"),
        ("folder", "is not a file"),
    ],
)
def test_clips_that_no_voice_can_come_of_are_one_line(
    tmp_path: Path, kind: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = tmp_path / "clip.wav"
    if kind == "10 ms":
        write_noise(clip, 24_000, 0.01)
    elif kind == "silent":
        soundfile.write(str(clip), np.zeros(24_000), 24_000)
    elif kind == "not finite":
        soundfile.write(str(clip), np.full(24_000, np.nan), 24_000, subtype="FLOAT")
    elif kind == "cut off":
        clip.write_bytes(write_noise(clip, 24_000, 1.0).read_bytes()[:20])
    elif kind == "folder":
        clip.mkdir()
    else:
        clip.write_bytes(b"" if kind == "empty" else b"no audio")
    assert run("speak", "Hi.", "-o", tmp_path / "a.wav", "--voice", clip) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "a.wav").exists()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "text",
    [
        "\U0001f469\u200d\U0001f680",
        "\u05e9\u05dc\u05d5\u05dd",
        "a\x00b\x07\x1b[31m",
        "\udcff.",
        "x" * 20_000,
        "Hi. " * 5_000,
    ],
)
def test_texts_of_every_kind_are_spoken(tmp_path: Path, text: str) -> None:
    assert run("speak", text, "-o", tmp_path / "a.wav") == 0


class FakeConverter:
    """Stands for a loaded voice converter: it notes what it is asked for."""

    def __init__(self) -> None:
        self.requests: list[ConversionRequest] = []
        self.closed = 0
        self.wrapper = self

    def voice(self, path: str) -> str:
        return path

    def close(self) -> None:
        self.closed += 1

    def synthesize(self, request: ConversionRequest) -> SpeechResult:
        self.requests.append(request)
        return SpeechResult(
            torch.full((1, 240), 0.5), 24_000, request.seed or 0, torch.zeros(1), StageSeconds(0, 0, 0, 0)
        )


def chosen_models(monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]) -> list[ModelChoice]:
    """Let `make` make every model; returns the list that what is chosen is noted in."""
    chosen: list[ModelChoice] = []

    def load(choice: ModelChoice) -> object:
        chosen.append(choice)
        return make()

    monkeypatch.setattr("stateless_tts.cli._speak.load_model", load)
    return chosen


def test_convert_says_a_recording_in_another_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    converter = FakeConverter()
    chosen = chosen_models(monkeypatch, lambda: converter)
    source = write_noise(tmp_path / "source.wav", 24_000, 1.0)
    clip = write_noise(tmp_path / "clip.wav", 24_000, 1.0)
    out = tmp_path / "out.wav"
    assert run("convert", source, "--voice", clip, "-o", out, "--seed", 5, "--format", "FLOAT") == 0
    assert converter.requests == [ConversionRequest(str(source), str(clip), 5)]
    assert (chosen[0].family, converter.closed) == ("vc", 1)
    assert soundfile.info(str(out)).subtype == "FLOAT"
    assert capsys.readouterr().out == f"{out}: 0.01 s, seed 5\n"
    assert run("convert", source, "-o", out) == 0
    assert converter.requests[1] == ConversionRequest(str(source), None, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: SOURCE, -o/--output"),
        (["absent.wav", "-o", "out.wav"], "'absent.wav' does not exist"),
        (["empty.wav", "-o", "out.wav"], "is empty (0 bytes)"),
        (["/dev/zero", "-o", "out.wav"], "is not a file"),
        (["good.wav", "-o", "out.wav", "--voice", "absent.wav"], "'absent.wav' does not exist"),
        (["good.wav", "-o", "out.wav", "--voice", "empty.wav"], "is empty (0 bytes)"),
        (["good.wav", "-o", "no/out.wav"], "the folder 'no' does not exist"),
        (["good.wav", "-o", "out.wav", "--seed", str(2**64)], "seed=18446744073709551616: expected"),
        (["good.wav", "-o", "out.wav", "--family", "english"], "invalid choice: 'english'"),
        (["good.wav", "-o", "out.wav", "--checkpoint", "."], "s3gen.safetensors not found"),
    ],
)
def test_what_cannot_be_converted_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.wav").touch()
    write_noise(tmp_path / "good.wav", 24_000, 1.0)
    assert run("convert", *arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out.wav").exists()


def test_the_engine_is_chosen_by_its_precision(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = chosen_models(monkeypatch, lambda: FakeModel(engine))
    assert run("speak", "Hi.", "-o", tmp_path / "a.wav", "--engine", "bfloat16") == 0
    assert run("speak", "Hi.", "-o", tmp_path / "a.wav", "--engine", "fp8") == 2
    assert [choice.engine for choice in chosen] == ["bfloat16"]


def test_upstreams_chatter_is_dropped_and_ours_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    out, errors = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", Muffled(out))
    monkeypatch.setattr("sys.stderr", Muffled(errors))
    sys.stdout.write("chatter")
    sys.stderr.write("chatter")
    say("result")
    tell("two\nlines")
    assert out.getvalue() == "result\n"
    assert errors.getvalue() == "stateless-tts: two lines\n"


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    for code in ("0 ", "1 ", "2 ", "3 ", "130 ", "143 "):
        assert code in told


def test_help_is_seen_though_upstream_is_muffled(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", Muffled(out))
    assert main(["speak", "--help"]) == 0
    assert out.getvalue().startswith("usage: stateless-tts speak")


def test_help_leaves_to_the_family_what_it_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speak", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for option, meaning in (("REPETITION_PENALTY", "1 is none"), ("MIN_P", "of sampling"), ("TOP_P", "of sampling")):
        assert f"{option} {meaning} (default: the family's own)" in told


def test_a_checkpoint_that_cannot_be_read_is_exit_code_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"no weights")
    assert run("speak", "Hi.", "-o", tmp_path / "a.wav", "--checkpoint", tmp_path) == 3
    told = capsys.readouterr().err
    assert told.startswith("stateless-tts: the model could not be loaded: checkpoint ")
    assert told.count("\n") == 1


def test_a_voice_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stateless_tts.models import LoadedModel, ModelChoice
    from stateless_tts.voice_file import InvalidVoiceFileError

    save_voice(some_voice(), tmp_path / "v.safetensors", model="another")
    loaded = object.__new__(LoadedModel)
    loaded.choice = ModelChoice("english", "this", None, pretrained=False, device="cpu")
    loaded._voices = {}
    with pytest.raises(InvalidVoiceFileError, match="was prepared with the model 'another'; this is 'this'"):
        loaded.voice(str(tmp_path / "v.safetensors"))
    save_voice(some_voice(), tmp_path / "v.safetensors", model="this")
    assert isinstance(loaded.voice(str(tmp_path / "v.safetensors")), Voice)
    assert capsys.readouterr().err == ""


@pytest.mark.slow
def test_the_real_converter_and_the_real_engine_speak(
    wrapper: StatelessChatterBoxWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stateless_tts import ContinuousBatchingEngine, StatelessChatterBoxWrapper, models
    from stateless_tts.files import wav_bytes
    from stateless_tts.synthetic import build_chatterbox

    source, clip = write_clip(tmp_path / "said.wav", 4, 0.5), write_clip(tmp_path / "clip.wav", 5, 1.0)
    converter = build_chatterbox("vc")
    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: converter)  # noqa: ARG005 - as it is called
    assert run("convert", source, "--voice", clip, "-o", tmp_path / "a.wav", "--seed", 3) == 0
    alone = StatelessChatterBoxWrapper(converter).convert(source, clip, 3)
    assert (tmp_path / "a.wav").read_bytes() == wav_bytes(alone, 24_000)
    voice = tmp_path / "v.safetensors"
    assert run("voices", "prepare", clip, "-o", voice, "--family", "vc") == 0
    assert run("convert", source, "--voice", voice, "-o", tmp_path / "b.wav", "--seed", 3) == 0
    assert (tmp_path / "b.wav").read_bytes() == (tmp_path / "a.wav").read_bytes()

    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: wrapper.model)  # noqa: ARG005 - as it is called
    (tmp_path / "in.txt").write_text("One.\nTwo.\n", encoding="utf-8")
    assert run("batch", tmp_path / "in.txt", "-o", tmp_path / "out", "--engine", "float32") == 0
    with ContinuousBatchingEngine(wrapper.model, 16, torch.float32) as engine:
        spoken = engine.generate_stateless("Two.", seed=segment_seed(0, 1))
    assert (tmp_path / "out" / "0002.wav").read_bytes() == wav_bytes(spoken, 24_000)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("stateless-tts")]


@pytest.mark.slow
def test_the_real_model_says_that_its_voice_is_noise_and_prepared_voices_speak_alike(
    wrapper: StatelessChatterBoxWrapper,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from stateless_tts import models

    monkeypatch.setattr(models, "build_chatterbox", lambda _family, device: wrapper.model)  # noqa: ARG005 - as it is called
    clip = write_clip(tmp_path / "clip.wav", 4, 1.0)
    voice = tmp_path / "v.safetensors"
    assert run("voices", "prepare", clip, "-o", voice) == 0
    assert "what is spoken is noise" in capsys.readouterr().err
    assert load_voice(voice).nbytes == wrapper.prepare_voice(clip).nbytes
    for who in (clip, voice):
        assert run("speak", "Hi.", "-o", tmp_path / f"{who.suffix}.wav", "--voice", who) == 0
    assert (tmp_path / ".wav.wav").read_bytes() == (tmp_path / ".safetensors.wav").read_bytes()
