"""A cache of voices, bounded in bytes, that encodes each voice once however many ask for it at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from stateless_tts._single_flight import SingleFlight
from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._voice import Voice


class VoiceCache:
    """Least-recently-used voices up to `max_bytes`.

    This is the one object that calls share and write to. It cannot change a result: a key is the digest of a clip's
    content, a value never changes, and a voice that is not in the cache is encoded anew, to the same bits.

    Args:
        max_bytes: most bytes of voices kept; 0 keeps none (but still shares an encoding that is under way).
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise InvalidParameterError(f"max_bytes={max_bytes}: expected 0 or more")
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        self._voices: OrderedDict[str, Voice] = OrderedDict()
        self._encoding: SingleFlight[Voice] = SingleFlight(self._lock)
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the voices kept now."""
        return self._nbytes

    def __len__(self) -> int:
        return len(self._voices)

    def get(self, digest: str, encode: Callable[[], Voice]) -> Voice:
        """Return the voice kept under `digest`, or encode it; callers that come meanwhile wait for that encoding.

        An exception of `encode` reaches every caller that waited for it; the next caller tries again. What only stops
        the encoding thread (`KeyboardInterrupt`, `SystemExit`) stays there, and one who waited encodes instead.
        """
        return self._encoding.get(
            digest, lambda: self._find(digest), encode, keep=lambda voice: self._keep(digest, voice)
        )

    def clear(self) -> None:
        """Forget every voice; those in use live on with their users."""
        with self._lock:
            self._voices.clear()
            self._nbytes = 0

    def _find(self, digest: str) -> Voice | None:
        if digest in self._voices:
            self._voices.move_to_end(digest)
        return self._voices.get(digest)

    def _keep(self, digest: str, voice: Voice) -> None:
        if voice.nbytes > self.max_bytes:
            return
        self._voices[digest] = voice
        self._nbytes += voice.nbytes
        while self._nbytes > self.max_bytes:
            _, evicted = self._voices.popitem(last=False)
            self._nbytes -= evicted.nbytes
