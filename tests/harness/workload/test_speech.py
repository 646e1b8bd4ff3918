from __future__ import annotations

import json
import wave
from typing import TYPE_CHECKING

from harness.workload.speech import BUILT_IN_VOICE, make_workload, request_as_json, request_from_json
from harness.workload.texts import LARGE_LEAST
from stateless_tts import SpeechRequest
from stateless_tts.request import Sampling

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_seed_gives_the_same_workload(tmp_path: Path) -> None:
    first, again, other = (make_workload(seed, 8, tmp_path / str(n)) for n, seed in enumerate((1, 1, 2)))
    assert [clip.sha256 for clip in first.clips] == [clip.sha256 for clip in again.clips]
    assert [clip.sha256 for clip in first.clips] != [clip.sha256 for clip in other.clips]
    assert [item.request.text for item in first.utterances] == [item.request.text for item in again.utterances]
    assert [item.request.seed for item in first.utterances] != [item.request.seed for item in other.utterances]


def test_eight_requests_mix_all_voices_lengths_and_parameters(tmp_path: Path) -> None:
    workload = make_workload(0, 8, tmp_path)
    assert {item.voice for item in workload.utterances} == {"voice-1", "voice-2", "voice-3", BUILT_IN_VOICE}
    large = [len(item.request.text) for item in workload.utterances if item.length == "large"]
    short = [len(item.request.text) for item in workload.utterances if item.length == "short"]
    assert len(large) == 2
    assert all(LARGE_LEAST <= length <= 400 for length in large)
    assert all(10 < length < 30 for length in short)
    for name in ("exaggeration", "cfg_weight", "temperature", "seed"):
        assert len({getattr(request, name) for request in workload.requests}) > 4


def test_clips_are_wav_files_of_three_seconds_and_more(tmp_path: Path) -> None:
    for clip in make_workload(0, 1, tmp_path).clips:
        with wave.open(str(clip.path), "rb") as file:
            assert file.getframerate() == 24_000
            assert 3.0 <= file.getnframes() / 24_000 <= 6.0


def test_a_request_survives_being_saved(tmp_path: Path) -> None:
    for request in make_workload(0, 4, tmp_path).requests:
        assert request_from_json(json.loads(json.dumps(request_as_json(request)))) == request


def test_what_is_left_to_the_family_stays_left_to_it() -> None:
    turbo = Sampling(repetition_penalty=2.0, min_p=0.1, top_p=0.95)
    for request in (SpeechRequest("Hi."), SpeechRequest("Hi.", top_p=1.0)):
        saved = request_from_json(json.loads(json.dumps(request_as_json(request))))
        assert saved.sampling(turbo) == request.sampling(turbo)
