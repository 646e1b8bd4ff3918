"""Every input file by way of the command line: what is good in it is spoken, what is bad is one clear line each."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings, strategies

from stateless_tts import InvalidParameterError, SpeechRequest
from tests.cli.fakes import Engine, manifest, run, use
from tests.streaming.speakers import streaming_threads

from .clips import CLIPS
from .files import FILES, TEXTS, FileCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stateless_tts import StatelessChatterBoxWrapper

MANIFESTS: dict[str, tuple[bytes, str]] = {  # content, and part of the line if it is not ours
    "empty": (b"", ""),
    "cut off at once": (b"{\n", ""),
    "cut off in an item": (b'{\n "format": "stateless-tts manifest 1",\n "items": [{"name": "00', ""),
    "items missing": (b'{\n "format": "stateless-tts manifest 1"}', ""),
    "items of other kinds": (b'{\n "format": "stateless-tts manifest 1", "items": [1, null]}', ""),
    "items with unknown entries": (b'{\n "format": "stateless-tts manifest 1", "items": [{"name": "a", "x": 1}]}', ""),
    "of another version": (
        b'{\n "format": "stateless-tts manifest 2", "items": []}',
        "is no manifest of stateless-tts",
    ),
    "of another program": (b'{"name": "my app", "version": 3}', "is no manifest of stateless-tts"),
    "a list": (b"[]", "is no manifest of stateless-tts"),
    "not JSON": (b"name: my app\n", "is no manifest of stateless-tts"),
    "binary": (b"\x00\x01\xff", "is no manifest of stateless-tts"),
}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    use(monkeypatch, engine)
    yield engine
    assert streaming_threads() == []


def test_there_are_many_cases_of_different_names() -> None:
    tables = [[case.name for case in CLIPS], [case.name for case in FILES], list(MANIFESTS)]
    assert [name for table in tables for name, count in Counter(table).items() if count > 1] == []
    assert sum(map(len, tables)) >= 100


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("case", FILES, ids=lambda case: ascii(case.name)[:60])
def test_what_is_bad_fails_alone(case: FileCase, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / f"in{case.suffix}", tmp_path / "out"
    source.write_bytes(case.content)
    (out / "in the way.wav").mkdir(parents=True)
    (out / "a file").write_bytes(b"")
    assert run("batch", source, "-o", out) == case.code
    counts = manifest(out)["counts"]
    assert (counts["succeeded"], counts["failed"], counts["unfinished"]) == (case.succeeded, len(case.told), 0)
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("stateless-tts: ") for line in lines)
    failures = [line for line in lines if "warning: " not in line]
    assert len(failures) == len(case.told)
    assert all(told in line for told, line in zip(case.told, failures, strict=True))
    warnings = [line for line in lines if "warning: " in line]
    assert all(any(told in line for line in warnings) for told in case.warned)
    assert [path for path in tmp_path.rglob("*.wav") if not path.is_relative_to(out)] == []


@pytest.mark.parametrize("resume", [[], ["--resume"]], ids=["anew", "resumed"])
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(
    engine: Engine, tmp_path: Path, name: str, resume: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    content, told = MANIFESTS[name]
    (tmp_path / "in.txt").write_text("Hi.\n", encoding="utf-8")
    (tmp_path / "manifest.json").write_bytes(content)
    assert run("batch", tmp_path / "in.txt", "-o", tmp_path, *resume) == (2 if told else 0)
    lines = capsys.readouterr().err.splitlines()
    assert len(engine.spoken) == (0 if told else 1)
    assert len(lines) == (1 if told or resume else 0)
    assert told in "".join(lines)
    if told:
        assert (tmp_path / "manifest.json").read_bytes() == content
    else:
        assert manifest(tmp_path)["counts"]["succeeded"] == 1


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case.name)
def test_texts_by_way_of_the_wrapper(case: FileCase, wrapper: StatelessChatterBoxWrapper) -> None:
    text = json.loads(case.content.splitlines()[0])["text"]
    too_long, no_text = len(text) > 2000, any("\ud800" <= character <= "\udfff" for character in text)
    if too_long or no_text:
        with pytest.raises(InvalidParameterError) as refusal:
            wrapper.synthesize(SpeechRequest(text, seed=1, max_new_tokens=4))
        assert "\n" not in str(refusal.value)
        assert "expected" in str(refusal.value)
    else:
        assert wrapper.synthesize(SpeechRequest(text, seed=1, max_new_tokens=4)).audio.shape[1] > 0


_VALUES: Any = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.floats() | strategies.integers() | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=3),
    max_leaves=3,
)
_KEYS = strategies.sampled_from(["text", "name", "voice", "character", "language", "seed", "temperature", "min_p", "x"])

_CONTENTS = strategies.binary(max_size=200) | strategies.text().map(lambda text: text.encode("utf-8", "ignore"))


@settings(max_examples=60, deadline=None)
@given(strategies.dictionaries(_KEYS, _VALUES, max_size=4))
def test_any_line_fails_alone(entries: dict[str, Any]) -> None:
    content = json.dumps(entries) + '\n{"text": "Good.", "name": "good-one"}\n'
    code, lines, statuses = _batch(".jsonl", content.encode())
    assert (code, len([line for line in lines if "warning: " not in line])) in ((0, 0), (1, 1))
    assert statuses[-1] == "succeeded"


@settings(max_examples=60, deadline=None)
@given(strategies.sampled_from([".txt", ".srt", ".jsonl"]), _CONTENTS)
def test_any_file_is_spoken_or_told(suffix: str, content: bytes) -> None:
    code, lines, statuses = _batch(suffix, content)
    assert code in (0, 1, 2)
    failures = [line for line in lines if "warning: " not in line]
    assert len(failures) == (1 if code == 2 else statuses.count("failed"))


def _batch(suffix: str, content: bytes) -> tuple[int, list[str], list[str]]:
    import io

    errors = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as name,
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        use(patch, Engine())
        folder = Path(name)
        (folder / f"in{suffix}").write_bytes(content)
        code = run("batch", folder / f"in{suffix}", "-o", folder / "out", "--workers", 1)
        items = manifest(folder / "out")["items"] if (folder / "out" / "manifest.json").exists() else []
    return code, errors.getvalue().splitlines(), [item["status"] for item in items]
