"""`python -m stateless_tts`: the same as `stateless-tts`."""

from __future__ import annotations

from stateless_tts.cli import entry_point

entry_point()
