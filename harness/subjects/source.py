"""Where the one model comes from: made from a seed, read from a download, or fetched by upstream itself."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.errors import UsageError

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

PROFILES = ("tiny", "full")


@dataclass(frozen=True)
class ModelSource:
    """How to get the model; plain values, so that another process can get the same one.

    Attributes:
        kind: `synthetic` weights, a `checkpoint` folder in upstream's format, or upstream's `pretrained` ones.
        profile: size of synthetic weights.
        checkpoint: folder in upstream's on-disk format, as `ChatterboxTTS.from_local` reads it.
        device: torch device. On CUDA, loading makes cuDNN deterministic for the process: otherwise it may choose
            kernels with which stock itself does not have the same bits twice.
        torch_threads: threads of one torch operation; `None` leaves what torch chooses. Results may depend on it.
    """

    kind: Literal["synthetic", "checkpoint", "pretrained"] = "synthetic"
    profile: Literal["tiny", "full"] = "tiny"
    checkpoint: str | None = None
    device: str = "cpu"
    torch_threads: int | None = None

    @property
    def identity(self) -> str | None:
        """Of a checkpoint's files, twelve digits by which another one is told apart; None for other sources."""
        if self.checkpoint is None:
            return None
        from stateless_tts.files import sampled  # noqa: PLC0415 - imports torch

        digest = hashlib.sha256()
        for file in sorted(file for file in Path(self.checkpoint).iterdir() if file.is_file()):
            for part in sampled(file):
                digest.update(part)
        return digest.hexdigest()[:12]

    def load(self) -> ChatterboxTTS:
        """Return upstream's own `ChatterboxTTS`, with its built-in voice if it has one.

        Raises:
            UsageError: the checkpoint folder is not there, or what is in it, or upstream's download, cannot be read.
        """
        if self.kind == "checkpoint" and not Path(self.checkpoint or "").is_dir():
            raise UsageError(f"--checkpoint: no folder {self.checkpoint!r}")
        # Upstream's watermarker prints a line while it loads; standard output is kept for results.
        with contextlib.redirect_stdout(sys.stderr):
            import torch  # noqa: PLC0415 - a command line is checked without it

            if self.torch_threads is not None:
                torch.set_num_threads(self.torch_threads)
            if self.device.startswith("cuda"):
                torch.backends.cudnn.deterministic = True
            try:
                return self._load()
            except Exception as error:
                if self.kind == "synthetic":
                    raise
                what = "--pretrained" if self.checkpoint is None else f"--checkpoint: {self.checkpoint!r}"
                said = (str(error).strip() or "it says no more").splitlines()[0]
                raise UsageError(f"{what} cannot be loaded: {type(error).__name__}: {said}") from error

    def _load(self) -> ChatterboxTTS:
        if self.kind == "synthetic":
            from stateless_tts.synthetic import build_chatterbox  # noqa: PLC0415 - imports all of upstream

            return build_chatterbox(family="english", profile=self.profile, seed=0, device=self.device)
        from chatterbox.tts import ChatterboxTTS  # noqa: PLC0415 - takes ten seconds to import

        if self.kind == "pretrained":
            return ChatterboxTTS.from_pretrained(self.device)
        return ChatterboxTTS.from_local(self.checkpoint, self.device)
