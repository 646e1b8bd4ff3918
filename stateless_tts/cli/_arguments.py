"""The command line, as a table of arguments."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, NoReturn

from stateless_tts.assembly import TIMINGS
from stateless_tts.files import SUBTYPES
from stateless_tts.models import CONVERSION, ENGINE_DTYPES, FAMILIES
from stateless_tts.request import EnglishDefault, SpeechRequest
from stateless_tts.streaming import StreamingConfig

from ._errors import UsageError
from ._output import kept

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_CODES = """\
exit codes:
  0    everything was spoken
  1    something failed; the manifest says what and why
  2    the command line or the input cannot be used; nothing was spoken
  3    the model could not be loaded
  130  interrupted by Ctrl-C; 143 by SIGTERM. Files and manifest are whole; go on with --resume
"""
_PARAMETERS = {
    "exaggeration": (float, "emotional intensity"),
    "cfg_weight": (float, "classifier-free guidance"),
    "temperature": (float, "of sampling"),
    "repetition_penalty": (float, "1 is none"),
    "min_p": (float, "of sampling"),
    "top_p": (float, "of sampling"),
    "max_new_tokens": (int, "longest utterance, in tokens of 40 ms"),
}


class _OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        # Not to a stream that is muffled because of upstream.
        super().print_help(kept(sys.stdout) if file is None else file)


def parser() -> argparse.ArgumentParser:
    """Return the parser; what it refuses raises `UsageError`."""
    root = _OneLineParser(
        prog="stateless-tts",
        description="Speak with ChatterBox, many utterances at once, each as if it were the only one.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--debug", action="store_true", help="show tracebacks")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_OneLineParser)
    speak = commands.add_parser("speak", help="speak one text into one file")
    speak.add_argument("text", metavar="TEXT", help="what to say; - reads it from standard input")
    speak.add_argument("-o", "--output", required=True, metavar="FILE.wav")
    batch = commands.add_parser("batch", help="speak a file of texts into a folder")
    batch.add_argument("input", metavar="IN.(txt|srt|jsonl)", help="a text a line; subtitles; or a JSON object a line")
    batch.add_argument("-o", "--output", required=True, metavar="DIR")
    batch.add_argument(
        "--resume", action="store_true", help="redo only what is missing, damaged or now asked otherwise"
    )
    batch.add_argument(
        "--timing", choices=TIMINGS, default="overlap", help="of subtitles that are longer than their slot"
    )
    for command in (speak, batch):
        _add_speech(command)
        _add_model(command, FAMILIES)
        command.add_argument(
            "--engine",
            choices=tuple(ENGINE_DTYPES),
            default="",
            help="decode all workers' texts in one batch, in this precision: faster, and not stock's bits",
        )
    convert = commands.add_parser("convert", help="say a recording in another voice")
    convert.add_argument("source", metavar="SOURCE", help="the recording")
    convert.add_argument("-o", "--output", required=True, metavar="FILE.wav")
    convert.add_argument("--voice", metavar="CLIP|VOICE.safetensors", help="whose (default: the model's own voice)")
    _add_seed(convert)
    _add_format(convert)
    _add_model(convert, (CONVERSION,))
    voices = commands.add_parser("voices", help="prepare voices")
    prepare = voices.add_subparsers(dest="voices_command", required=True, metavar="COMMAND").add_parser(
        "prepare", help="encode a reference clip once and for all"
    )
    prepare.add_argument("clip", metavar="CLIP")
    prepare.add_argument("-o", "--output", required=True, metavar="VOICE.safetensors")
    _add_model(prepare, (*FAMILIES, CONVERSION))
    return root


def _add_model(command: argparse.ArgumentParser, families: tuple[str, ...]) -> None:
    group = command.add_argument_group("model (without either: synthetic weights, whose voice is noise)")
    choice = group.add_mutually_exclusive_group()
    choice.add_argument("--checkpoint", metavar="DIR", help="folder in upstream's format")
    choice.add_argument("--pretrained", action="store_true", help="upstream's weights, downloaded if need be")
    group.add_argument("--family", choices=families, default=families[0], help="of models (default: %(default)s)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: %(default)s)")


def _add_speech(command: argparse.ArgumentParser) -> None:
    config = StreamingConfig()
    group = command.add_argument_group("speech")
    group.add_argument("--voice", metavar="CLIP|VOICE.safetensors", help="who speaks (default: the model's own voice)")
    group.add_argument(
        "--character",
        action="append",
        default=[],
        metavar="NAME=VOICE",
        help="voice of what follows a [NAME] tag; may be repeated",
    )
    group.add_argument("--language", default="en", help="code of the language (default: %(default)s)")
    _add_seed(group)
    defaults = {field.name: field.default for field in dataclasses.fields(SpeechRequest)}
    for name, (kind, meaning) in _PARAMETERS.items():
        option = "--" + name.replace("_", "-")
        told = "the family's own" if isinstance(defaults[name], EnglishDefault) else "%(default)s"
        group.add_argument(option, type=kind, default=defaults[name], help=f"{meaning} (default: {told})")
    group.add_argument("--workers", type=int, default=config.batch_size, help="1 to 16; 0 is one after the other")
    group.add_argument("--timeout", type=float, default=config.worker_timeout, help="seconds for one piece of text")
    _add_format(group)


def _add_seed(command: argparse._ActionsContainer) -> None:
    command.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same audio (default: %(default)s)"
    )


def _add_format(command: argparse._ActionsContainer) -> None:
    command.add_argument("--format", choices=SUBTYPES, default="PCM_16", help="of the samples (default: %(default)s)")


def speech_parameters(arguments: argparse.Namespace) -> dict[str, object]:
    """Return the values of the speech parameters, without the seed."""
    return {name: getattr(arguments, name) for name in _PARAMETERS}
