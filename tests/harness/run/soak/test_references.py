from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from harness.run.digest import mark
from harness.run.soak.references import stock_references
from harness.workload.soak import CLIPS, RECORDINGS, make_requests
from stateless_tts import ConversionRequest, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.files import wav_bytes
from stateless_tts.synthetic import build_chatterbox, write_clip

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("family", ["turbo", "vc"])
def test_the_wrapper_agrees_with_them(family: str, tmp_path: Path) -> None:
    names = (*CLIPS, *RECORDINGS)
    lengths = {**CLIPS, **dict.fromkeys(RECORDINGS, 0.5)}
    clips = {name: write_clip(tmp_path / f"{name}.wav", place, lengths[name]) for place, name in enumerate(names)}
    requests = [request for request in make_requests(2, 3) if request.family == family]
    references = stock_references(requests, clips)
    assert [reference.request for reference in references] == [request.key for request in requests]
    wrapper = StatelessChatterBoxWrapper(build_chatterbox(family))
    for request, reference in zip(requests, references, strict=True):
        clip = clips[request.clip] if request.clip else None
        audio = wrapper.synthesize(
            ConversionRequest(clips[request.recording], clip, request.seed)
            if request.recording
            else SpeechRequest(request.text, clip, seed=request.seed, **request.parameters)
        ).audio
        assert reference.sha256 == mark(audio).sha256
        assert reference.file_sha256 == hashlib.sha256(wav_bytes(audio, wrapper.sr)).hexdigest()
        assert reference.samples == audio.shape[1]
        assert reference.seconds > 0
