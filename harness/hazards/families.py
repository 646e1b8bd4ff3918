"""Reproductions on upstream's other families, and the two that need no second call."""

from __future__ import annotations

import contextlib
import copy
import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from chatterbox.models.t3 import T3, llama_configs
from chatterbox.models.t3.modules.cond_enc import T3Cond
from chatterbox.models.t3.modules.t3_config import T3Config
from chatterbox.vc import ChatterboxVC
from tokenizers import pre_tokenizers

from harness.hazards.bench import FIRST, Trial, differing
from harness.hazards.places import before
from harness.hazards.schedule import Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.hazards.bench import Bench

_SMALL = "harness-small"
_BACKBONE, _S3_TOKENIZER = "t3.tfmr", "s3gen.tokenizer"
_STEPS = 3
_HOOKS_PER_CALL = 3


def shared_analyser(bench: Bench) -> Trial:
    """The first call is in its first step; the second puts its own analyser where the first will look for one."""
    del bench  # English has no analyser
    t3 = _small_multilingual_t3()
    schedule = Schedule(held_at(_BACKBONE))
    with before(t3.tfmr, _BACKBONE, schedule):
        played = schedule.run(
            {"first": lambda: _speak_tokens(t3, 6, 1), "second": lambda: _speak_tokens(t3, 14, _STEPS)}
        )
    ended = played.ended["first"]
    return Trial(isinstance(ended.error, RuntimeError), f"first call: {ended.told}", played.trace)


def leaked_hooks(bench: Bench) -> Trial:
    """One call after the other: hooks on shared layers, and two entries of the shared configuration."""
    del bench
    t3 = _small_multilingual_t3()
    config = written_config(t3)
    counts = []
    for _ in range(4):
        # The first call also lets transformers put its own hooks on, once for all; what counts is what is added later.
        _speak_tokens(t3, 6, 1)
        counts.append(hooks_of(t3))
    added = {later - earlier for earlier, later in itertools.pairwise(counts)}
    evidence = f"forward hooks after 1 to 4 calls: {', '.join(map(str, counts))}"
    evidence += f"; (output_attentions, attention) was {config}, is {written_config(t3)}"
    return Trial(added == {_HOOKS_PER_CALL} and written_config(t3) != config, evidence)


def shared_target_voice(bench: Bench) -> Trial:
    """Voice conversion: the first call has set its target voice and reads its source; the second sets another."""
    source, mine, other = bench.clips[0], bench.clips[0], bench.clips[1]
    model = ChatterboxVC(bench.stock().s3gen, "cpu")

    def convert(target: object) -> torch.Tensor:
        torch.manual_seed(FIRST.seed)
        audio: torch.Tensor = model.generate(source, target_voice_path=target)
        return audio

    wanted, in_other_voice = convert(mine), convert(other)
    # The tokenizer runs once for the target voice, and once for the source after that.
    schedule = Schedule(held_at(f"{_S3_TOKENIZER} #2"))
    with counted_visits(model.s3gen.tokenizer, schedule):
        played = schedule.run({"first": lambda: convert(mine), "second": lambda: model.set_target_voice(other)})
    difference = differing(played.value("first"), wanted)
    stolen = not differing(played.value("first"), in_other_voice)
    evidence = difference or "not a bit differs"
    if stolen:
        evidence += "; bit-identical to a conversion to the second call's voice"
    return Trial(bool(difference) and stolen, evidence, played.trace)


class _PlacedSplit:
    """A pre-tokenizer step in Python: a place in the middle of `Tokenizer.encode`."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule

    def pre_tokenize(self, _text: object) -> None:
        """Leave the text as it is."""
        self._schedule.at("encode")


def borrowed_tokenizer(bench: Bench) -> Trial:
    """English: the second call encodes while the first is in the middle of encoding with the same tokenizer."""
    tokenizer = copy.deepcopy(bench.stock().tokenizer)
    wanted = tokenizer.text_to_tokens(FIRST.text)
    schedule = Schedule(held_at("encode"))
    tokenizer.tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_PlacedSplit(schedule))
    encode = lambda: tokenizer.text_to_tokens(FIRST.text)  # noqa: E731
    played = schedule.run({"first": encode, "second": encode})
    raised = [f"{call} call: {ended.told}" for call, ended in played.ended.items() if ended.error is not None]
    same = not raised and all(torch.equal(ended.value, wanted) for ended in played.ended.values())  # type: ignore[arg-type]
    return Trial(not same, "; ".join(raised) or f"both calls returned {wanted.numel()} tokens, as alone", played.trace)


def reconfigured_tokenizer(bench: Bench) -> Trial:
    """What Turbo's `padding=True, truncation=True` may do: set the tokenizer up while another call encodes."""
    tokenizer = copy.deepcopy(bench.stock().tokenizer).tokenizer
    schedule = Schedule(held_at("encode"))
    tokenizer.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_PlacedSplit(schedule))
    played = schedule.run(
        {"first": lambda: tokenizer.encode("Hi."), "second": lambda: tokenizer.enable_truncation(max_length=64)}
    )
    ended = played.ended["second"]
    return Trial(ended.error is not None, f"second caller: {ended.told}", played.trace)


def no_guidance(bench: Bench) -> Trial:
    """One call alone with `cfg_weight=0`."""
    torch.manual_seed(0)
    try:
        bench.stock().generate(FIRST.text, cfg_weight=0.0)
    except RuntimeError as error:
        return Trial(True, f"RuntimeError: {error}")
    return Trial(False, "an utterance was returned")


def no_guidance_stateless(bench: Bench) -> Trial:
    """The same through the wrapper."""
    audio = bench.stateless().synthesize(replace(FIRST, cfg_weight=0.0)).audio
    return Trial(audio.numel() == 0, f"an utterance of {audio.shape[-1]} samples was returned")


def _small_multilingual_t3() -> T3:
    """Return upstream's multilingual `T3` with its 14 needed layers at width 64, seeded, without its Perceiver."""
    hp = T3Config.multilingual()
    hp.use_perceiver_resampler = False  # upstream fixes its width at 1024
    with small_backbone(hp, layers=14), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return T3(hp).eval()


@contextlib.contextmanager
def small_backbone(hp: T3Config, layers: int) -> Iterator[None]:
    """Let upstream's table of backbones have one more entry, for `hp` alone, for the length of the block."""
    large = llama_configs.LLAMA_CONFIGS["Llama_520M"]
    sizes = {"hidden_size": 64, "intermediate_size": 32, "num_hidden_layers": layers, "head_dim": 4}
    llama_configs.LLAMA_CONFIGS[_SMALL] = {**large, **sizes}
    hp.llama_config_name = _SMALL
    try:
        yield
    finally:
        del llama_configs.LLAMA_CONFIGS[_SMALL]


def _speak_tokens(t3: T3, text_length: int, steps: int) -> torch.Tensor:
    hp = t3.hp
    text = torch.tensor([[hp.start_text_token, *range(10, 10 + text_length), hp.stop_text_token]] * 2)
    cond = T3Cond(
        speaker_emb=torch.full((1, hp.speaker_embed_size), 0.1),
        cond_prompt_speech_tokens=torch.arange(5)[None],
        emotion_adv=0.5 * torch.ones(1, 1, 1),
    )
    tokens: torch.Tensor = t3.inference(t3_cond=cond, text_tokens=text, max_new_tokens=steps)
    return tokens


def written_config(t3: T3) -> tuple[object, object]:
    """Return the two entries of the backbone's configuration that upstream's analyser writes."""
    config = t3.tfmr.config
    return config.output_attentions, config._attn_implementation  # noqa: SLF001 - upstream writes to it


def hooks_of(t3: T3) -> int:
    """Return how many forward hooks there are on `t3` and all that is in it."""
    return sum(len(module._forward_hooks) for module in t3.modules())  # noqa: SLF001 - nn.Module keeps its hooks here


@contextlib.contextmanager
def counted_visits(module: torch.nn.Module, schedule: Schedule) -> Iterator[None]:
    """Put a place in front of each of a thread's calls of `module`, numbered from 1."""
    visits: dict[int, int] = {}

    def note(*_: object) -> None:
        mine = visits[threading.get_ident()] = visits.get(threading.get_ident(), 0) + 1
        schedule.at(f"{_S3_TOKENIZER} #{mine}")

    handle = module.register_forward_pre_hook(note)
    try:
        yield
    finally:
        handle.remove()
