"""T3's decoding step in bfloat16, with the bits of torch's operations.

`_rows` stands between its products (`_layer_calls`). `_attention` is for CPUs on which torch's order of addition is
known; on others rows attend by torch itself.
"""

from ._step import TorchStep, torch_step

__all__ = ["TorchStep", "torch_step"]
