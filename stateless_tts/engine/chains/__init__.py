"""Whole forwards as chains of kernels in machine code, with no Python between them.

`_estimator` is S3Gen's, by the CPU's `units`, and `_vocoder` has its vocoder's residual blocks. `_step` is T3's
decoding step in float32: its products are `streamed`, the kernels between them stand in `_step_rows`, and rows attend
in `_step_attention`, which other steps use as well. `_prompt` reads prompts with the same kernels (`_layer_calls`), but
torch's attention. `bfloat16` has the same in that type, with torch's bits.
"""

from ._estimator import ChainedEstimator, chained_estimator
from ._layer_calls import LayerCalls
from ._prompt import ChainedPrompt
from ._step import ChainedStep, chained_step
from ._step_attention import StepAttention, step_attention
from ._vocoder import ChainedVocoderBlock, chained_block
from .bfloat16 import TorchStep, torch_prompt, torch_step

__all__ = [
    "ChainedEstimator",
    "ChainedPrompt",
    "ChainedStep",
    "ChainedVocoderBlock",
    "LayerCalls",
    "StepAttention",
    "TorchStep",
    "chained_block",
    "chained_estimator",
    "chained_step",
    "step_attention",
    "torch_prompt",
    "torch_step",
]
