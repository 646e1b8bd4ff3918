from __future__ import annotations

import _thread
import errno
import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import soundfile

from stateless_tts import files
from stateless_tts.files import file_digest
from stateless_tts.streaming import ChatterBoxStreamingAdapter
from tests.streaming.speakers import fail, streaming_threads, until_stopped

from .fakes import Engine, FakeModel, manifest, run, statuses, use

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from stateless_tts import StatelessChatterBoxWrapper
    from stateless_tts.streaming import StreamingSegment


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    use(monkeypatch, engine)
    return engine


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "in.txt"
    file.write_text("One.\n\nTwo.\nThree.\n", encoding="utf-8")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*.wav")}


@pytest.mark.usefixtures("engine")
def test_one_file_a_line_and_a_manifest(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("batch", source, "-o", out) == 0
    assert sorted(file.name for file in out.iterdir()) == ["0001.wav", "0002.wav", "0003.wav", "manifest.json"]
    assert [item["line"] for item in manifest(out)["items"]] == [1, 3, 4]
    assert manifest(out)["counts"] == {"succeeded": 3, "failed": 0, "unfinished": 0}
    assert soundfile.info(str(out / "0002.wav")).subtype == "PCM_16"
    assert capsys.readouterr().out.startswith("3 succeeded, 0 failed, 0 unfinished; 0 kept from before; ")


@pytest.mark.usefixtures("engine")
def test_workers_make_no_difference(source: Path, tmp_path: Path) -> None:
    spoken = []
    for workers in (0, 1, 4):
        out = tmp_path / f"out{workers}"
        assert run("batch", source, "-o", out, "--workers", workers, "--seed", 5) == 0
        spoken.append(contents(out))
    assert spoken[0] == spoken[1] == spoken[2]


def test_a_failure_is_told_in_one_line_and_the_rest_is_spoken(
    engine: Engine, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.scripts[1] = fail
    assert run("batch", source, "-o", tmp_path / "out") == 1
    assert statuses(tmp_path / "out") == ["succeeded", "failed", "succeeded"]
    item = manifest(tmp_path / "out")["items"][1]
    assert (item["error"], item["error_type"]) == ("line 3: no space left on device", "OSError")
    assert not (tmp_path / "out" / "0002.wav").exists()
    assert capsys.readouterr().err == "stateless-tts: line 3: no space left on device\n"


def test_resume_redoes_only_what_is_missing_damaged_or_asked_otherwise(
    engine: Engine, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    engine.scripts[0] = fail
    assert run("batch", source, "-o", out) == 1
    before = contents(out)
    engine.scripts.clear()
    engine.spoken.clear()
    assert run("batch", source, "-o", out, "--resume") == 0
    assert len(engine.spoken) == 1
    assert before.items() <= contents(out).items()
    whole = contents(out)
    (out / "0002.wav").write_bytes(whole["0002.wav"][:-7])
    (out / "0003.wav").unlink()
    engine.spoken.clear()
    assert run("batch", source, "-o", out, "--resume") == 0
    assert len(engine.spoken) == 2
    assert contents(out) == whole
    source.write_text("One.\nTwo!\nThree.\n", encoding="utf-8")
    engine.spoken.clear()
    assert run("batch", source, "-o", out, "--resume") == 0
    assert len(engine.spoken) == 1
    assert run("batch", source, "-o", out, "--resume", "--temperature", 0.5) == 0
    assert len(engine.spoken) == 4


def test_what_nobody_asked_for_is_another_request_than_the_same_number(
    engine: Engine, source: Path, tmp_path: Path
) -> None:
    """Turbo puts 0.95 in the place of a top_p that nobody asked for."""
    arguments = ("batch", source, "-o", tmp_path / "out", "--family", "turbo", "--resume")
    for more, spoken in (((), 3), ((), 3), (("--top-p", 1.0), 6)):
        assert run(*arguments, *more) == 0
        assert len(engine.spoken) == spoken


@pytest.mark.usefixtures("engine")
def test_what_is_kept_stands_where_it_is_now(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("batch", source, "-o", out) == 0
    source.write_text(f"\n{source.read_text(encoding='utf-8')}", encoding="utf-8")
    (out / "0002.wav").unlink()
    assert run("batch", source, "-o", out, "--resume") == 0
    assert [item["line"] for item in manifest(out)["items"]] == [2, 4, 5]  # the source holds an empty line


def test_nothing_is_loaded_if_nothing_is_left_to_do(
    engine: Engine, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("batch", source, "-o", tmp_path / "out") == 0
    monkeypatch.delattr("stateless_tts.cli._batch.load_model")
    assert run("batch", source, "-o", tmp_path / "out", "--resume") == 0
    assert len(engine.spoken) == 3


def test_a_changed_clip_is_another_request(engine: Engine, source: Path, tmp_path: Path) -> None:
    from stateless_tts.synthetic import write_clip

    clip = write_clip(tmp_path / "clip.wav", 1, 0.5)
    assert run("batch", source, "-o", tmp_path / "out", "--voice", clip) == 0
    write_clip(clip, 2, 0.5)
    assert run("batch", source, "-o", tmp_path / "out", "--voice", clip, "--resume") == 0
    assert len(engine.spoken) == 6


@pytest.mark.parametrize("cut", [0, 1, 20, 60, 300])
def test_a_manifest_that_was_cut_off_is_not_trusted(
    engine: Engine, source: Path, tmp_path: Path, cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("batch", source, "-o", out) == 0
    content = (out / "manifest.json").read_bytes()
    (out / "manifest.json").write_bytes(content[:cut])
    assert run("batch", source, "-o", out, "--resume") == 0
    assert len(engine.spoken) == 6
    assert "is cut off or damaged" in capsys.readouterr().err


@pytest.mark.parametrize("line", ['{"name": ', "[]", '{"name": ["a"], "line": 1, "text": "", "status": "succeeded"}'])
def test_a_damaged_line_of_the_journal_is_not_trusted(
    engine: Engine, source: Path, tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json.journal").write_text(line + "\n", encoding="utf-8")
    assert run("batch", source, "-o", out, "--resume") == 0
    assert len(engine.spoken) == 3
    assert "a damaged line is not trusted" in capsys.readouterr().err


@pytest.mark.parametrize("foreign", ['{"name": "my app"}', "[]", "name: my app\n", "\x00\x01"])
@pytest.mark.parametrize("resume", [[], ["--resume"]])
def test_a_foreign_manifest_is_left_alone(
    engine: Engine, source: Path, tmp_path: Path, foreign: str, resume: list[str]
) -> None:
    (tmp_path / "manifest.json").write_text(foreign, encoding="utf-8")
    assert run("batch", source, "-o", tmp_path, *resume) == 2
    assert (tmp_path / "manifest.json").read_text(encoding="utf-8") == foreign
    assert engine.spoken == []


@pytest.mark.parametrize(
    "name", ["../evil", "/root/evil", "a/../../evil", "", ".", "..", "a\\..\\..\\b", "C:evil", ".hid", "a\x00b"]
)
@pytest.mark.usefixtures("engine")
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps({"text": "Evil.", "name": name}) + '\n{"text": "Good.", "name": "sub/good"}\n')
    out = tmp_path / "deep" / "out"
    assert run("batch", file, "-o", out) == 1
    assert statuses(out) == ["failed", "succeeded"]
    assert sorted(path.name for path in tmp_path.rglob("*.wav")) == ["good.wav"]


@pytest.mark.usefixtures("engine")
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "link").symlink_to(outside)
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "Evil.", "name": "link/evil"}\n')
    assert run("batch", file, "-o", out) == 1
    assert list(outside.iterdir()) == []
    assert "leads out of the output folder" in manifest(out)["items"][0]["error"]


@pytest.mark.usefixtures("engine")
def test_json_lines_have_parameters_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.jsonl"
    bad = [
        "not json",
        "[1]",
        "{}",
        '{"text": 3}',
        '{"text": "a", "colour": 1}',
        '{"text": "a", "temperature": -1}',
        '{"text": " "}',
    ]
    good = ['{"text": "Same.", "seed": 7}', '{"text": "Same.", "seed": 7, "name": "b"}', '{"text": "Same.", "seed": 8}']
    file.write_text("\n".join([*bad, *good, '{"text": "Double.", "name": "B"}']), encoding="utf-8")
    assert run("batch", file, "-o", tmp_path) == 1
    assert statuses(tmp_path) == ["failed"] * 7 + ["succeeded"] * 3 + ["failed"]
    wavs = contents(tmp_path)
    assert wavs["0008.wav"] == wavs["b.wav"] != wavs["0010.wav"]
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 8
    assert all(
        line.startswith(f"stateless-tts: line {number}: ")
        for number, line in zip([1, 2, 3, 4, 5, 6, 7, 11], errors, strict=True)
    )


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    "bad",
    [
        '{"text": "a", "temperature": 1' + "0" * 400 + "}",
        '{"text": "a", "voice": "a\\u0000b.wav"}',
        '{"text": "a", "voice": "\\ud800.wav"}',
        '{"text": "a", "voice": "/dev/zero"}',
        '{"text": "a", "voice": "pipe.wav"}',
        '{"text": "a", "voice": "pipe.safetensors"}',
        '{"text": ' + "[" * 100_000,
    ],
)
def test_one_hostile_line_fails_alone(tmp_path: Path, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe.safetensors")
    file = tmp_path / "in.jsonl"
    file.write_text(bad + '\n{"text": "Good."}\n', encoding="utf-8")
    assert run("batch", file, "-o", tmp_path / "out") == 1
    assert statuses(tmp_path / "out") == ["failed", "succeeded"]
    assert capsys.readouterr().err.startswith("stateless-tts: line 1: ")


def test_a_digest_is_of_regular_files_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert [file_digest(path) for path in (str(tmp_path / "pipe"), "a\0b", "\ud800")] == ["unreadable"] * 3


def test_a_voice_that_is_a_pipe_is_one_line(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert run("batch", source, "-o", tmp_path / "out", "--voice", tmp_path / "pipe.safetensors") == 2
    assert "is not a file" in capsys.readouterr().err


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("beginning", ["", '{\n "format": "stateless-tts manifest 1", "items": '])
def test_a_manifest_nested_without_end_is_one_line(
    source: Path, tmp_path: Path, beginning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text(beginning + "[" * 200_000, encoding="utf-8")
    assert run("batch", source, "-o", tmp_path, "--resume") == (0 if beginning else 2)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("engine")
def test_subtitles_get_a_track_on_their_time_stamps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.srt"
    file.write_text(
        "1\n00:00:01,000 --> 00:00:01,050\nLonger than its slot.\n\n2\n00:00:02,000 --> 00:00:03,000\nFits.\n",
        "utf-8-sig",
    )
    out = tmp_path / "out"
    assert run("batch", file, "-o", out, "--format", "FLOAT") == 0
    track, rate = soundfile.read(str(out / "timeline.wav"), dtype="float32")
    first, _ = soundfile.read(str(out / "0001.wav"), dtype="float32")
    assert len(track) == 3 * rate
    assert not track[:rate].any()
    assert (track[rate : rate + len(first)] == first).all()
    assert "line 2: 0001.wav lasts" in capsys.readouterr().err
    assert len(manifest(out)["warnings"]) == 1


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("error", [OSError("full"), RuntimeError("can't allocate"), MemoryError()])
def test_a_track_that_cannot_be_written_loses_no_manifest(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_to_place(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("stateless_tts.cli._batch.place", fail_to_place)
    file = tmp_path / "in.srt"
    file.write_text("1\n00:00:00,000 --> 00:00:01,000\nHi.\n", encoding="utf-8")
    assert run("batch", file, "-o", tmp_path / "out") == 1
    assert statuses(tmp_path / "out") == ["succeeded"]
    assert "timeline.wav cannot be written: " in manifest(tmp_path / "out")["warnings"][0]


@pytest.mark.usefixtures("engine")
def test_no_track_with_holes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "in.srt"
    file.write_text(
        "1\n-00:00:01,000 --> 00:00:02,000\nNo.\n\n2\n00:00:02,000 --> 00:00:03,000\nYes.\n", encoding="utf-8"
    )
    assert run("batch", file, "-o", tmp_path) == 1
    assert sorted(statuses(tmp_path)) == ["failed", "succeeded"]
    assert not (tmp_path / "timeline.wav").exists()
    assert "line 2: the time stamps '-00:00:01,000 --> 00:00:02,000' cannot be read" in capsys.readouterr().err


def test_a_long_text_is_spoken_in_pieces_into_one_file(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("The quick brown fox jumps over the lazy dog. " * 445, encoding="utf-8")
    assert run("batch", file, "-o", tmp_path) == 0
    assert len(engine.spoken) > 60
    assert list(contents(tmp_path)) == ["0001.wav"]


@pytest.mark.usefixtures("engine")
def test_a_full_disk_fails_what_cannot_be_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = files.write_atomically

    def full(path: Path, content: bytes) -> None:
        if path.name == "0002.wav":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr("stateless_tts.cli._batch.write_atomically", full)
    assert run("batch", source, "-o", tmp_path / "out") == 1
    assert statuses(tmp_path / "out") == ["succeeded", "failed", "succeeded"]
    assert "No space left" in manifest(tmp_path / "out")["items"][1]["error"]


def test_ctrl_c_ends_with_130_a_manifest_and_no_thread(engine: Engine, source: Path, tmp_path: Path) -> None:
    def interrupt(segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
        _thread.interrupt_main()
        until_stopped(segment, checkpoint)

    engine.scripts[2] = interrupt
    out = tmp_path / "out"
    assert run("batch", source, "-o", out, "--workers", 1) == 130
    assert streaming_threads() == []
    assert statuses(out)[2] == "unfinished"
    assert manifest(out)["interrupted"] is True
    engine.scripts.clear()
    assert run("batch", source, "-o", out, "--resume") == 0


def test_a_time_out_is_a_failure(engine: Engine, source: Path, tmp_path: Path) -> None:
    engine.scripts[1] = until_stopped
    assert run("batch", source, "-o", tmp_path / "out", "--timeout", "0.05") == 1
    assert manifest(tmp_path / "out")["items"][1]["error_type"] == "SegmentTimeoutError"


@pytest.mark.slow
def test_killed_and_interrupted_processes_are_resumed_to_the_same_bits(
    wrapper: StatelessChatterBoxWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.txt"
    source.write_text("".join(f"Line {number}.\n" for number in range(8)), encoding="utf-8")
    out, expected = tmp_path / "out", tmp_path / "expected"
    command = [
        sys.executable,
        "-m",
        "stateless_tts",
        "batch",
        str(source),
        "-o",
        str(out),
        "--workers",
        "2",
        "--resume",
    ]
    codes = []
    for count, wanted in ((1, signal.SIGKILL), (3, signal.SIGINT)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            while len(contents(out)) < count and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(wanted)
            _, errors = process.communicate()
        assert b"Traceback" not in errors
        codes.append(process.returncode)
    assert codes == [-signal.SIGKILL, 130]
    assert manifest(out)["counts"]["unfinished"] > 0
    kept = contents(out)
    monkeypatch.setattr(
        "stateless_tts.cli._batch.load_model",
        lambda _choice: FakeModel(ChatterBoxStreamingAdapter(wrapper)),
    )
    monkeypatch.setattr("stateless_tts.cli._batch.adapter_of", lambda model: model.adapter)
    assert run("batch", source, "-o", out, "--resume") == 0
    assert run("batch", source, "-o", expected, "--workers", 0) == 0
    assert contents(out) == contents(expected)
    assert kept.items() <= contents(out).items()
