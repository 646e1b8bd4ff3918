"""The planted faults, by name, and the hazard that each brings back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.power import fault_buffers, fault_draws, fault_voices

if TYPE_CHECKING:
    from harness.power.stepped import SteppedWrapper


@dataclass(frozen=True)
class Fault:
    """A fault planted in the stateless wrapper.

    Attributes:
        name: what files and tables call it.
        hazard: the hazard of the catalogue, or the kind of mistake, that it brings back.
        wrapper: the wrapper with the fault; its docstring says what is wrong.
    """

    name: str
    hazard: str
    wrapper: type[SteppedWrapper]

    @property
    def wrong(self) -> str:
        """What is wrong, in one line."""
        return (self.wrapper.__doc__ or "").splitlines()[0]


FAULTS: tuple[Fault, ...] = (
    Fault("shared-conditionals", "shared-conditionals", fault_voices.SharedConditionals),
    Fault("shared-t3cond", "shared-t3cond", fault_voices.SharedT3Cond),
    Fault("shared-reference", "rewritten-reference", fault_voices.SharedReference),
    Fault("voice-scaled-in-place", "rewritten-reference", fault_voices.VoiceScaledInPlace),
    Fault("cache-by-path", "a stale cache", fault_voices.CacheByPath),
    Fault("cache-by-length", "a cache that confuses keys", fault_voices.CacheByLength),
    Fault("default-voice-on-self", "shared-conditionals", fault_voices.DefaultVoiceOnSelf),
    Fault("exaggeration-on-self", "shared-conditionals", fault_voices.ExaggerationOnSelf),
    Fault("process-wide-sampling", "draw-speech-token", fault_draws.ProcessWideSampling),
    Fault("unisolated-flow-noise", "draw-flow-noise", fault_draws.UnisolatedFlowNoise),
    Fault("unisolated-sine-phase", "draw-sine-phase", fault_draws.UnisolatedSinePhase),
    Fault("unisolated-vocoder-noise", "draw-sine-noise", fault_draws.UnisolatedVocoderNoise),
    Fault("seed-from-counter", "a seed that depends on arrival", fault_draws.SeedFromCounter),
    Fault("shared-generator", "draw-speech-token", fault_draws.SharedGenerator),
    Fault("shared-key-value-cache", "rebound-backend", fault_buffers.SharedKeyValueCache),
    Fault("shared-sampler", "rebound-backend", fault_buffers.SharedSampler),
    Fault("shared-penalty-history", "shared-analyser", fault_buffers.SharedPenaltyHistory),
    Fault("shared-position-counter", "shared-analyser", fault_buffers.SharedPositionCounter),
    Fault("hidden-state-through-hook", "shared-analyser", fault_buffers.HiddenStateThroughHook),
    Fault("hooks-left-behind", "leaked-hooks", fault_buffers.HooksLeftBehind),
    Fault("shared-text-buffer", "a buffer written in place", fault_buffers.SharedTextBuffer),
    Fault("shared-mel-buffer", "a buffer written in place", fault_buffers.SharedMelBuffer),
    Fault("shared-position-table", "position-table", fault_buffers.SharedPositionTable),
)
