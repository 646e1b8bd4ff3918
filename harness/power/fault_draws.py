"""Planted faults around randomness: draws that leave the call's own generator, and seeds that do not belong to it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch

from harness.power.stepped import SteppedWrapper
from stateless_tts.mel import render_mel
from stateless_tts.randomness import CallRandomness, redirected_draws
from stateless_tts.waveform import vocode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest, Voice
    from stateless_tts.speech_tokens import Prompt, SpeechTokenSampler


class ProcessWide(CallRandomness):
    """Randomness whose generator is the process-wide one."""

    def generator(self, device: torch.device | str) -> torch.Generator:
        """Return torch's own default generator for the CPU, whatever the device."""
        del device
        return torch.default_generator


class leaking(redirected_draws):  # noqa: N801 - a context manager, named as torch names its own
    """Redirects all draws but those of the functions `names`, which draw from the process-wide generator."""

    def __init__(self, randomness: CallRandomness, names: frozenset[str]) -> None:
        super().__init__(randomness)
        self._names = names

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - a torch function returns anything
        if getattr(func, "__name__", "") in self._names:
            return func(*args, **(kwargs or {}))
        return super().__torch_function__(func, types, args, kwargs)


class _SeedsTheProcess(SteppedWrapper):
    """Seeds the process-wide generator when a call begins, as stock's examples do; alone it is deterministic."""

    def begin(self, request: SpeechRequest) -> None:
        assert request.seed is not None
        torch.manual_seed(request.seed)


class ProcessWideSampling(_SeedsTheProcess):
    """Speech tokens are drawn from the process-wide generator."""

    def sampler(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> SpeechTokenSampler:
        return super().sampler(request, prompt, ProcessWide(randomness.seed))


class UnisolatedFlowNoise(_SeedsTheProcess):
    """The flow starts from process-wide noise."""

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        return render_mel(self.model.s3gen, tokens, voice, ProcessWide(randomness.seed))


class _LeakingVocoder(_SeedsTheProcess):
    leaks: frozenset[str] = frozenset()

    def waveform(self, mel: torch.Tensor, randomness: CallRandomness) -> torch.Tensor:
        s3gen = self.model.s3gen
        with torch.inference_mode(), leaking(randomness, self.leaks):
            waveform, _ = s3gen.hift_inference(mel, None)
        faded: torch.Tensor = waveform.clone()
        faded[:, : len(s3gen.trim_fade)] *= s3gen.trim_fade
        return faded


class UnisolatedSinePhase(_LeakingVocoder):
    """The vocoder's phases are drawn from the process-wide generator."""

    leaks = frozenset({"rand"})


class UnisolatedVocoderNoise(_LeakingVocoder):
    """The vocoder's noise is drawn from the process-wide generator."""

    leaks = frozenset({"randn_like"})


class SeedFromCounter(SteppedWrapper):
    """The seed depends on how many calls came before."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.calls = itertools.count()

    def randomness(self, request: SpeechRequest) -> CallRandomness:
        assert request.seed is not None
        return CallRandomness(request.seed + next(self.calls))


class SharedGenerator(SteppedWrapper):
    """One set of generators on the wrapper, replaced when a call begins and read back at every stage."""

    def randomness(self, request: SpeechRequest) -> CallRandomness:
        self.generators = super().randomness(request)
        return self.generators

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        del randomness
        return super().mel(tokens, voice, self.generators)

    def waveform(self, mel: torch.Tensor, randomness: CallRandomness) -> torch.Tensor:
        del randomness
        return vocode(self.model.s3gen, mel, self.generators)
