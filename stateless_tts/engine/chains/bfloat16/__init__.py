"""T3's decoding step and prompts in bfloat16, with the bits of torch's operations.

`_rows` stands between their products (`_layer_calls`). `_attention` is a step's, for CPUs on which torch's order of
addition is known; on others, and in prompts (`_prompt`), rows attend by torch itself.
"""

from ._prompt import torch_prompt
from ._step import TorchStep, torch_step

__all__ = ["TorchStep", "torch_prompt", "torch_step"]
