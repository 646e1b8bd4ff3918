"""What the command line prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import sys
from typing import Never, TextIO

from tqdm import tqdm


class Muffled(io.TextIOBase):
    """Stands in for a standard stream while upstream runs, which prints and draws bars of its own; drops it all.

    Attributes:
        kept: the stream that it stands in for, where `say` and `tell` go.
    """

    def __init__(self, kept: TextIO) -> None:
        self.kept = kept

    def write(self, text: str, /) -> int:
        """Drop `text`."""
        return len(text)


def say(line: str) -> None:
    """Print a result; what the stream's encoding has no character for, as an escape."""
    stream = kept(sys.stdout)
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def tell(line: str) -> None:
    """Print one line to standard error, above the progress bar if there is one."""
    tqdm.write(f"stateless-tts: {' '.join(line.split())}", file=kept(sys.stderr))


def bar(total: int) -> tqdm[Never]:
    """Return a progress bar on standard error, if that is a terminal."""
    return tqdm(total=total, unit="utterance", disable=None, file=kept(sys.stderr))


def kept(stream: TextIO) -> TextIO:
    """Return the stream that `stream` stands in for, or `stream` itself."""
    return stream.kept if isinstance(stream, Muffled) else stream
