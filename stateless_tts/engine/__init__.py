"""Many requests in one batch, and not one bit different for it.

A job goes through the stages in this order, each a thread or more: preparation, decoding, rendering; the ledger knows
who is where, and is all that the threads share. Where the families differ:

- `_service` is the seam. A speaking family's `begin` makes all that one utterance decodes with: its prompt, its
  sampler, and with the multilingual family its alignment analyser, as a watch. Voice conversion listens instead.
- `_backbone` knows T3's transformer, and `_batched_step` takes a step with it: Llama's stands there, GPT-2's in
  `_gpt2_step`. A request that is watched attends eagerly, as stock does for it, and its watch is shown its own rows.
  On a CPU steps are chains of kernels (`chains`) where it has them: in bfloat16 with torch's bits, and its attention
  where no kernel has the bits of that; in float32, where stock's bits are not asked for, all rows attend in one
  kernel (`_table_step`), as they do on a GPU, where the step is recorded (`cuda_graphs`) and tokens are drawn
  together (`_joint_draws`). `_start_up` chooses.
- The check at start-up (`_self_check`) is of whichever T3 is given. Conversions share no batch, and need none.
"""

from __future__ import annotations

from ._engine import ContinuousBatchingEngine
from ._fast_flow import fast_s3gen
from ._ledger import Occupancy
from ._projections import can_pack
from ._self_check import RowPlan

__all__ = ["ContinuousBatchingEngine", "Occupancy", "RowPlan", "can_pack", "fast_s3gen"]
