"""`stateless-tts speak` and `stateless-tts voices prepare`: one thing at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stateless_tts.files import wav_bytes, write_atomically
from stateless_tts.request import ConversionRequest
from stateless_tts.utterances import speak_utterances
from stateless_tts.voice import check_clip, read_clip
from stateless_tts.voice_file import save_voice

from ._batch import config_of, defaults_of, utterance_of
from ._errors import ExitCode, UsageError
from ._items import make_item
from ._manifest import check_writable
from ._model import adapter_of, check_voice, chosen_model, load_model
from ._output import say, tell
from ._signals import interrupts_deferred

if TYPE_CHECKING:
    import argparse

    import torch


def speak(arguments: argparse.Namespace) -> ExitCode:
    """Run ``speak``."""
    text = _read_standard_input() if arguments.text == "-" else arguments.text
    choice = chosen_model(arguments)
    config = config_of(arguments)
    target = _target(arguments.output)
    item = make_item(target.name, 1, text, defaults_of(arguments), arguments.seed)
    if item.problem:
        raise UsageError(item.problem.removeprefix("line 1: "))
    for warning in item.warnings:
        tell(f"warning: {warning}")
    with contextlib.closing(load_model(choice)) as model:
        (spoken,) = speak_utterances([utterance_of(item, model)], adapter_of(model), config, device=choice.device)
    if spoken.audio is None:
        tell(str(spoken.error))
        return ExitCode.SOME_FAILED
    _write(target, spoken.audio, spoken.sample_rate, item.seed, arguments.format)
    return ExitCode.OK


def convert(arguments: argparse.Namespace) -> ExitCode:
    """Run ``convert``."""
    choice = chosen_model(arguments)
    target = _target(arguments.output)
    ConversionRequest(arguments.source, seed=arguments.seed)
    check_clip(read_clip(arguments.source), silence_allowed=True)
    if arguments.voice:
        check_voice(arguments.voice)
    with contextlib.closing(load_model(choice)) as model:
        voice = model.voice(arguments.voice) if arguments.voice else None
        spoken = model.wrapper.synthesize(ConversionRequest(arguments.source, voice, arguments.seed))
    _write(target, spoken.audio, spoken.sample_rate, arguments.seed, arguments.format)
    return ExitCode.OK


def prepare_voice(arguments: argparse.Namespace) -> ExitCode:
    """Run ``voices prepare``."""
    choice = chosen_model(arguments)
    target = _target(arguments.output)
    check_clip(read_clip(arguments.clip))  # before the model is loaded, which takes its time
    with contextlib.closing(load_model(choice)) as model:
        voice = model.wrapper.prepare_voice(arguments.clip)
    save_voice(voice, target, model=choice.identity)
    say(f"{target}: {voice.nbytes} bytes, for the model {choice.identity!r}")
    return ExitCode.OK


def _write(target: Path, audio: torch.Tensor, sample_rate: int, seed: int, sample_format: str) -> None:
    with interrupts_deferred():
        write_atomically(target, wav_bytes(audio, sample_rate, sample_format))
    say(f"{target}: {audio.shape[1] / sample_rate:.2f} s, seed {seed}")


def _read_standard_input() -> str:
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not {error.encoding} at byte {error.start}") from error


def _target(path: str) -> Path:
    """Return where to write to. What is there is replaced, so that it has to be a file: no device, no pipe, no link."""
    target = Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)
    if target.is_dir():
        raise UsageError(f"--output {path!r} is a folder; expected the name of a file")
    if target.exists() and not target.is_file():
        raise UsageError(f"--output {path!r} is no file that could be replaced; expected the name of a file")
    if not target.parent.is_dir():
        raise UsageError(f"--output {path!r}: the folder {str(target.parent)!r} does not exist")
    check_writable(target.parent)
    return target
