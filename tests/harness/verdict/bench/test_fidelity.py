"""Comparisons of renderings, over utterances."""

from __future__ import annotations

from harness.run.bench.records import Fidelity
from harness.verdict.bench.fidelity import fidelity_table


def test_each_rendering_has_its_median_and_its_ends() -> None:
    seen = [Fidelity("tiny", "float32", place, 20, 100.0 + place, 60.0, 0.1) for place in range(3)]
    seen.append(Fidelity("tiny", "bfloat16", 0, 20, 48.0, 1.0, 0.5))
    first, second = fidelity_table(seen)
    assert (first["rendering"], first["utterances"]) == ("float32", 3)
    assert first["mel_snr_db"] == {"median": 101.0, "least": 100.0, "greatest": 102.0}
    assert (second["rendering"], second["waveform_snr_db"]["median"]) == ("bfloat16", 1.0)
