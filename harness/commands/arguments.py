"""Arguments that several commands take, and their checks."""

from __future__ import annotations

import argparse
import shutil
import threading
from pathlib import Path

from harness.errors import UsageError
from harness.run.limits import MAX_THREADS
from harness.subjects.source import PROFILES, ModelSource
from harness.verdict.saved import UNFINISHED

# More than any machine has cores, and torch takes it without a word.
MAX_TORCH_THREADS = 1024
# By their names: what a run concludes. What it saw (.jsonl) is opened anew by who writes it.
CONCLUSIONS = {".json", ".md", ".html"}
CHARTS = "charts"


def thread_counts(text: str) -> tuple[int, ...]:
    """Parse `1,2,4`; each count is a whole number from 1 to 16, and comes once."""
    counts = []
    for part in text.split(","):
        try:
            count = int(part)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not a thread count; give 1 to {MAX_THREADS}") from None
        if not 1 <= count <= MAX_THREADS:
            raise argparse.ArgumentTypeError(f"{count} is not a thread count; give 1 to {MAX_THREADS}")
        if count in counts:
            raise argparse.ArgumentTypeError(f"thread count {count} is given twice")
        counts.append(count)
    return tuple(counts)


def names(text: str) -> tuple[str, ...]:
    """Parse `a,b,c`."""
    parts = tuple(part.strip() for part in text.split(","))
    if not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of names with commas between them")
    return parts


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def torch_threads(text: str) -> int:
    """Parse how many threads one torch operation has."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_TORCH_THREADS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads; give 1 to {MAX_TORCH_THREADS}")
    return int(text)


def whole_number(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def share(text: str) -> float:
    """Parse a number above 0 and below 1."""
    try:
        part = float(text)
    except ValueError:
        part = 0.0
    if not 0 < part < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return part


def positive_seconds(text: str) -> float:
    """Parse a number of seconds above 0 that a lock can wait for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        message = f"{text!r} is not a number of seconds above 0 and at most {threading.TIMEOUT_MAX:.0f}"
        raise argparse.ArgumentTypeError(message)
    return seconds


def add_model_arguments(parser: argparse.ArgumentParser, *, tiny_torch_threads: int | None = 1) -> None:
    """Add what says where the model comes from; `tiny_torch_threads` is for `model_source`."""
    parser.add_argument("--profile", choices=PROFILES, default="tiny", help="size of the synthetic weights")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--checkpoint", metavar="DIR", help="read a downloaded checkpoint instead")
    which.add_argument("--pretrained", action="store_true", help="let upstream download its weights instead")
    tiny = "1 for --profile tiny, where more only get in the way of each other; otherwise "
    parser.add_argument(
        "--torch-threads",
        type=torch_threads,
        help=f"threads of one torch operation (default: {tiny if tiny_torch_threads else ''}torch's own choice)",
    )
    parser.add_argument("--device", default="cpu", help="torch device (default: cpu)")


def model_source(parsed: argparse.Namespace, *, tiny_torch_threads: int | None = 1) -> ModelSource:
    """Return what `add_model_arguments` parsed, checked as far as can be without loading anything.

    With the tiny profile one torch operation has `tiny_torch_threads` threads unless told otherwise.
    """
    # An empty name, as of a variable that is not set, would be the working directory.
    if parsed.checkpoint is not None and not (parsed.checkpoint and Path(parsed.checkpoint).is_dir()):
        raise UsageError(f"--checkpoint: no folder {parsed.checkpoint!r}")
    kind = "checkpoint" if parsed.checkpoint else "pretrained" if parsed.pretrained else "synthetic"
    checkpoint = str(Path(parsed.checkpoint).resolve()) if parsed.checkpoint else None
    tiny = kind == "synthetic" and parsed.profile == "tiny"
    torch_threads = parsed.torch_threads or (tiny_torch_threads if tiny else None)
    return ModelSource(kind, parsed.profile, checkpoint, parsed.device, torch_threads)  # type: ignore[arg-type] # argparse's choices


def check_device(device: str) -> None:
    """Refuse a device that torch does not have here.

    Raises:
        UsageError: the message names it.
    """
    import torch  # noqa: PLC0415

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device: {device!r} cannot be used: {str(error).splitlines()[0]}") from error


def claim_folder(folder: Path, own: frozenset[str], *, beside: frozenset[str] = frozenset()) -> None:
    """Make `folder`, or take over one that holds nothing but this command's `own` files and those it stands `beside`.

    What an earlier run concluded and drew is removed: it must not stand there as this one's if this one ends in an
    error.

    Raises:
        UsageError: it is a file, cannot be made, or holds something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = own | beside
        foreign = sorted(path.name for path in folder.iterdir() if path.name.removesuffix(UNFINISHED) not in known)
    except OSError as error:
        raise UsageError(f"--out: {folder} cannot be used as a folder: {error.strerror}") from error
    if foreign:
        raise UsageError(f"--out: {folder} holds {foreign[0]!r}, which is not of a report; choose another folder")
    for name in own:
        if Path(name).suffix in CONCLUSIONS:
            (folder / name).unlink(missing_ok=True)
            (folder / f"{name}{UNFINISHED}").unlink(missing_ok=True)
        elif name == CHARTS:
            shutil.rmtree(folder / name, ignore_errors=True)
