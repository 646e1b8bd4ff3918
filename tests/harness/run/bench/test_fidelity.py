"""What is compared with itself differs by nothing; what is louder, or has another phase, by what it should."""

from __future__ import annotations

import math

import pytest
import torch

from harness.run.bench.fidelity import log_mel_distance_db, signal_to_noise_db

RATE = 24_000


def tone(phase: float) -> torch.Tensor:
    return torch.sin(2 * math.pi * 300 * torch.arange(RATE) / RATE + phase)[None]


def test_noise_is_what_differs() -> None:
    signal = torch.ones(1, 80, 10)
    assert signal_to_noise_db(signal, signal) == math.inf
    assert signal_to_noise_db(signal, signal * 1.1) == pytest.approx(20.0, abs=1e-4)
    assert signal_to_noise_db(signal, -signal) == pytest.approx(10 * math.log10(1 / 4))


def test_the_mel_distance_hears_loudness_and_no_phase() -> None:
    assert log_mel_distance_db(tone(0.0), tone(0.0), RATE) == 0.0
    noise = torch.randn(1, RATE, generator=torch.Generator().manual_seed(1))
    assert log_mel_distance_db(noise, noise * 10, RATE) == pytest.approx(20.0, abs=1e-6)
    assert signal_to_noise_db(tone(0.0), tone(1.5)) < 0
    assert log_mel_distance_db(tone(0.0), tone(1.5), RATE) < 1.0  # at its ends
