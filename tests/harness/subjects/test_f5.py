"""The two F5 subjects: the same requests, and the same outputs when called one at a time."""

from __future__ import annotations

import pytest
import torch


def test_both_subjects_give_the_same_audio_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("f5_tts", reason="f5-tts is not installed: `nox -s f5` runs this in an environment that has it")
    from harness.subjects import f5

    monkeypatch.setenv("PYTHONHASHSEED", "0")  # stock sets it, and the next line's flag
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
    upstream, stateless = f5.upstream(), f5.stateless()
    assert (upstream.name, stateless.name) == ("f5-upstream", "f5-stateless")
    assert upstream.requests == stateless.requests
    for request in upstream.requests or ():
        expected = upstream.call(request)
        assert expected.shape[1] > 1000
        assert torch.equal(stateless.call(request), expected)
