"""How near the engine's renderings are to stock's, over utterances."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import Fidelity

MEASURES = ("mel_snr_db", "waveform_snr_db", "log_mel_distance_db")


def fidelity_table(comparisons: Sequence[Fidelity]) -> list[dict[str, Any]]:
    """Return one entry per model size and rendering: median, least and greatest of each measure."""
    entries = []
    for profile, rendering in dict.fromkeys((one.profile, one.rendering) for one in comparisons):
        mine = [one for one in comparisons if (one.profile, one.rendering) == (profile, rendering)]
        entry: dict[str, Any] = {"profile": profile, "rendering": rendering, "utterances": len(mine)}
        for measure in MEASURES:
            values = [getattr(one, measure) for one in mine]
            entry[measure] = {"median": statistics.median(values), "least": min(values), "greatest": max(values)}
        entries.append(entry)
    return entries
