"""F5-TTS behind the streaming seam: `python -m pip install "stateless-tts[f5]"`.

Upstream keeps the text of a call on its transformer, sets every module's mode at each call and draws its noise from
torch's process-wide generator. Here a call has a transformer of its own over the shared weights, and a generator of
its own. Upstream's functions are called; they are neither copied nor patched.
"""

from __future__ import annotations

try:
    import f5_tts  # noqa: F401 - to say what is missing
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'stateless_tts.f5 needs f5-tts, which is not installed; expected: python -m pip install "stateless-tts[f5]"',
        name="f5_tts",
    ) from error

from ._adapter import F5StreamingAdapter
from ._load import load_f5
from ._model import F5Model
from ._request import F5Request
from ._synthetic import build_f5, write_f5_checkpoint
from ._voice import F5Voice

__all__ = ["F5Model", "F5Request", "F5StreamingAdapter", "F5Voice", "build_f5", "load_f5", "write_f5_checkpoint"]
