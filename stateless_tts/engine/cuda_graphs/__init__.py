"""What a GPU is asked for is recorded once, as a CUDA graph, and played back: Python's launches are what it waits for.

On a GPU, a decoding step of T3 is a thousand kernels of a few microseconds each, and takes as long as Python needs to
ask for them, several times what they take; ten calls of S3Gen's estimator are fifteen thousand.

- `_attention` is one kernel for the attention of all rows of a step, each over its own request's cache. Triton, which
  comes with torch's CUDA builds, compiles it; nothing else here needs Triton.
- `_step` records a step of T3 for all the rows that a batch may have.
- `_estimator` records S3Gen's estimator anew for every utterance, whose ten calls are of one shape.
- `_recording` is how either is recorded, while other threads go on using the GPU.
"""

from __future__ import annotations

from ._estimator import with_recorded_estimator
from ._recording import can_record
from ._step import RecordedStep

__all__ = ["RecordedStep", "can_record", "with_recorded_estimator"]
