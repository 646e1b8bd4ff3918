"""What the command line prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import sys

from tqdm import tqdm


def say(line: str) -> None:
    """Print a result."""
    print(line, flush=True)  # noqa: T201 - this is where the command line prints


def tell(line: str) -> None:
    """Print one line to standard error, above the progress bar if there is one."""
    tqdm.write(f"stateless-tts: {' '.join(line.split())}", file=sys.stderr)
