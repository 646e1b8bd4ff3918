from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from harness.run.soak.trips import InjectedDeath, InjectedError, Trips


def fail() -> None:
    raise InjectedError("here")


def test_a_trip_is_met_once_and_only_within_its_block() -> None:
    trips = Trips()
    trips.step_on("mel")
    with trips.armed("mel", fail):
        trips.step_on("voice")
        with pytest.raises(InjectedError):
            trips.step_on("mel")
        trips.step_on("mel")
    with trips.armed("mel", fail):
        pass
    trips.step_on("mel")


def test_what_one_thread_arms_no_other_meets() -> None:
    trips = Trips()
    with trips.armed("mel", fail):
        other = threading.Thread(target=trips.step_on, args=("mel",))
        other.start()
        other.join()
        with pytest.raises(InjectedError):
            trips.step_on("mel")


def test_a_model_gets_a_trip_in_every_stage_that_it_has() -> None:
    model = SimpleNamespace(
        t3=SimpleNamespace(tfmr=nn.Identity()),
        s3gen=SimpleNamespace(
            speaker_encoder=SimpleNamespace(head=nn.Identity()),
            flow=SimpleNamespace(encoder=nn.Identity()),
            mel2wav=SimpleNamespace(f0_predictor=nn.Identity()),
        ),
        watermarker=SimpleNamespace(apply_watermark=lambda wave, sample_rate: (wave, sample_rate)),
    )
    trips = Trips()
    trips.lay(model)
    calls = {
        "voice": model.s3gen.speaker_encoder.head,
        "speech tokens": model.t3.tfmr,
        "mel": model.s3gen.flow.encoder,
        "waveform": model.s3gen.mel2wav.f0_predictor,
        "watermark": lambda wave: model.watermarker.apply_watermark(wave, sample_rate=1),
    }
    for stage, call in calls.items():
        call(torch.zeros(1))
        with trips.armed(stage, fail), pytest.raises(InjectedError):
            call(torch.zeros(1))
    assert model.watermarker.apply_watermark("wave", sample_rate=2) == ("wave", 2)


def test_a_model_without_t3_is_taken() -> None:
    model = SimpleNamespace(s3gen=SimpleNamespace(), watermarker=None)
    Trips().lay(model)


def test_an_injected_death_is_no_exception_that_an_engine_catches() -> None:
    assert not issubclass(InjectedDeath, Exception)
