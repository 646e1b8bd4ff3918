"""Workloads of texts, voices, parameters, seeds, thread counts and arrival orders, small enough to play."""

from __future__ import annotations

from hypothesis import strategies as st

from harness.replay.case import VOICES, Case, Utterance

MOST_UTTERANCES = 3
MOST_THREADS = 4

# Shrinks towards the plainest utterance: short text, built-in voice, upstream's own parameters.
utterances = st.builds(
    Utterance,
    text=st.sampled_from(["Hi.", "Is it you?", "", "Écoute! 3 km – non?", "one  two...three"]),  # noqa: RUF001
    voice=st.sampled_from(VOICES),
    exaggeration=st.sampled_from([0.5, 0.0, 1.0, 1.7]),
    cfg_weight=st.sampled_from([0.5, 0.0, 1.0]),
    temperature=st.sampled_from([0.8, 0.3, 1.0]),
    repetition_penalty=st.sampled_from([1.2, 1.0, 2.0]),
    min_p=st.sampled_from([0.05, 0.0]),
    top_p=st.sampled_from([1.0, 0.8]),
    seed=st.integers(0, 2**32 - 1),
    max_new_tokens=st.integers(3, 6),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case; two utterances may be alike."""
    chosen = tuple(draw(st.lists(utterances, min_size=1, max_size=MOST_UTTERANCES)))
    threads = draw(st.integers(1, MOST_THREADS))
    arrival = tuple(draw(st.permutations(range(len(chosen)))))
    return Case(chosen, threads, arrival)
