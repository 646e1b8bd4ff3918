"""Each stage of stock on its own: how long it takes, and how much arithmetic and reading it is."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from transformers import DynamicCache

from harness.run.bench.limits import best_seconds
from harness.run.bench.records import ENGINE_FLOW, ModelFacts, StageMeasurement
from stateless_tts.engine import can_pack, fast_s3gen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest

# Upstream's inference mode hands these on whole; what they are made of is in the registry.
COMPOSITE = frozenset(
    {"linear", "matmul", "einsum", "conv1d", "conv2d", "conv_transpose1d", "scaled_dot_product_attention"}
)
ROWS = 2  # conditional and unconditional
STEPS = 8
PAST_TOKENS = 100
NEW_TOKENS = 50
TOKENS_PER_S = 25
FLOAT, HALF = "float32", "bfloat16"


def model_facts(model: ChatterboxTTS, requests: Sequence[SpeechRequest]) -> ModelFacts:
    """Return the sizes that limits and the cache formula are computed from."""
    t3 = model.t3
    weights = sum(parameter.numel() for parameter in _step_parameters(t3))
    per_token = 2 * len(t3.tfmr.layers) * ROWS * t3.cfg.num_key_value_heads * t3.tfmr.layers[0].self_attn.head_dim
    # Speaker, 32 resampled prompt positions and emotion; two start tokens of speech, start and stop of text.
    conditioning = 2 + (32 if t3.hp.use_perceiver_resampler else t3.hp.speech_cond_prompt_len)
    text = [int(model.tokenizer.text_to_tokens(request.text).size(1)) + 2 for request in requests]
    return ModelFacts(
        sample_rate=int(model.sr),
        t3_step_weight_bytes={FLOAT: 4 * weights, HALF: 2 * weights},
        cache_bytes_per_token={FLOAT: 4 * per_token, HALF: 2 * per_token},
        prompt_tokens=tuple(conditioning + 2 + count for count in text),
        t3_step_flops_per_row=2.0 * weights,
    )


def packed_dtypes(device: str) -> tuple[torch.dtype, ...]:
    """Return the dtypes that the engine's S3Gen can compute in on this machine."""
    return tuple(dtype for dtype in (torch.float32, torch.bfloat16) if can_pack(torch.device(device), dtype))


@torch.no_grad()
def measure_stages(model: ChatterboxTTS, request: SpeechRequest, repeats: int) -> Iterator[StageMeasurement]:
    """Yield one measurement per stage, by upstream's own methods: T3 step, flow, vocoder, watermark, voice."""
    device = str(model.device)
    for dtype in (torch.float32, torch.bfloat16):
        yield _t3_step(model, dtype, device)
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 6561, (NEW_TOKENS,), generator=generator).to(device)
    clip = request.audio_prompt_path
    scratch = copy.copy(model)
    scratch.prepare_conditionals(clip)
    reference = scratch.conds.gen
    s3gen = model.s3gen
    seconds_of_audio = NEW_TOKENS / TOKENS_PER_S

    def flow_of(s3gen: S3Gen) -> torch.Tensor:
        mel: torch.Tensor = s3gen.flow_inference(tokens, ref_dict=dict(reference), finalize=True)
        return mel

    flow = partial(flow_of, s3gen)

    prompt = int(reference["prompt_token"].shape[-1])
    what_of_flow = f"{prompt} prompt and {NEW_TOKENS} new tokens ({seconds_of_audio:g} s of audio)"
    yield _measure("S3Gen flow", flow, _bytes(s3gen.flow), what_of_flow, repeats, device)
    mel = flow()
    what = f"{seconds_of_audio:g} s of audio"

    def vocode() -> torch.Tensor:
        waveform: torch.Tensor = s3gen.hift_inference(mel, None)[0]
        return waveform

    for dtype in packed_dtypes(device):
        yield _fast_flow(s3gen, dtype, flow_of, what_of_flow, repeats)
    yield _measure("vocoder", vocode, _bytes(s3gen.mel2wav), what, repeats, device)
    wave = vocode().squeeze(0).cpu().numpy()
    mark = partial(model.watermarker.apply_watermark, wave, sample_rate=model.sr)
    yield _measure("watermark", mark, 0.0, what, repeats, device)
    encode = partial(scratch.prepare_conditionals, clip)
    weights = _bytes(s3gen.tokenizer) + _bytes(s3gen.speaker_encoder) + _bytes(model.ve)
    yield _measure("voice preparation", encode, weights, f"a clip that gives {prompt} tokens", repeats, device)


def _t3_step(model: ChatterboxTTS, dtype: torch.dtype, device: str) -> StageMeasurement:
    """Time single steps of two rows over a cache of 100 tokens, as stock's decoding takes them."""
    t3 = model.t3 if model.t3.speech_head.weight.dtype is dtype else copy.deepcopy(model.t3).to(dtype)
    past = DynamicCache(config=t3.cfg)
    filling = torch.zeros(ROWS, PAST_TOKENS, t3.dim, dtype=dtype, device=device)
    t3.tfmr(inputs_embeds=filling, past_key_values=past, use_cache=True)
    token = filling[:, :1]

    def step() -> torch.Tensor:
        hidden = t3.tfmr(inputs_embeds=token, past_key_values=past, use_cache=True).last_hidden_state
        logits: torch.Tensor = t3.speech_head(hidden)
        return logits

    seconds = best_seconds(step, STEPS, device)
    weights = sum(parameter.nbytes for parameter in _step_parameters(t3))
    cache = sum(layer.keys.nbytes + layer.values.nbytes for layer in past.layers)
    name = str(dtype).removeprefix("torch.")
    what = f"one token of one request ({ROWS} rows) after {PAST_TOKENS}"
    return StageMeasurement("T3 decode step", name, seconds, count_flops(step), weights + cache, what)


def _fast_flow(
    s3gen: S3Gen, dtype: torch.dtype, flow_of: Callable[[S3Gen], torch.Tensor], what: str, repeats: int
) -> StageMeasurement:
    """Time the flow as the engine computes it; its arithmetic is counted as stock's, whatever units do it."""
    view = fast_s3gen(s3gen, dtype, torch.get_num_threads())
    seconds = best_seconds(lambda: flow_of(view), repeats, "cpu")
    name = str(dtype).removeprefix("torch.")
    return StageMeasurement(ENGINE_FLOW, name, seconds, count_flops(lambda: flow_of(s3gen)), _bytes(s3gen.flow), what)


def _measure(
    stage: str, call: Callable[[], Any], read_bytes: float, what: str, repeats: int, device: str
) -> StageMeasurement:
    return StageMeasurement(stage, FLOAT, best_seconds(call, repeats, device), count_flops(call), read_bytes, what)


def count_flops(call: Callable[[], Any]) -> float:
    """Count matrix products, convolutions and attention of one call; it is not timed meanwhile."""
    counter = _FlopCounter()
    with counter:
        call()
    return counter.total


class _FlopCounter(TorchDispatchMode):
    """Adds up by torch's own formulas. `FlopCounterMode` itself cannot follow the vocoder's parametrised weights."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch ships no type for it
        self.total = 0.0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch ships no type for an operator
        types: Any,  # noqa: ANN401 - the same for its tensors' classes
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - an operator returns anything
        if func._overloadpacket.__name__ in COMPOSITE:  # noqa: SLF001 - an operator keeps its name there
            with self:
                return func.decompose(*args, **(kwargs or {}))
        result = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)  # noqa: SLF001 - the registry's own key
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=result)
        return result


def _step_parameters(t3: Any) -> Iterator[torch.nn.Parameter]:  # noqa: ANN401 - upstream's T3 ships no types
    yield from t3.tfmr.layers.parameters()
    yield from t3.tfmr.norm.parameters()
    yield from t3.speech_head.parameters()


def _bytes(module: torch.nn.Module) -> float:
    return float(sum(parameter.nbytes for parameter in module.parameters()))
