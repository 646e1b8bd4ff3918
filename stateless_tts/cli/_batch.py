"""`stateless-tts batch`: a file of texts into a folder of audio."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import soundfile
import torch

from stateless_tts.assembly import TimedAudio, place
from stateless_tts.files import file_digest, remove_partial_files, wav_bytes, write_atomically
from stateless_tts.streaming import MAX_WORKERS, StreamingConfig
from stateless_tts.utterances import Utterance, speak_utterances

from . import _manifest
from ._arguments import speech_parameters
from ._errors import ExitCode, TerminatedError, UsageError
from ._items import Defaults, Item, read_items
from ._manifest import Journal, Record
from ._model import adapter_of, check_voice, chosen_model, load_model
from ._output import bar as progress_bar
from ._output import say, tell
from ._signals import interrupts_deferred

if TYPE_CHECKING:
    import argparse

    from stateless_tts.models import LoadedModel, ModelChoice
    from stateless_tts.utterances import SpokenUtterance

_TRACK = "timeline.wav"
_SHOWN = 120


def batch(arguments: argparse.Namespace) -> ExitCode:
    """Run the command."""
    choice = chosen_model(arguments)
    config = config_of(arguments)
    items, warnings = read_items(arguments.input, defaults_of(arguments))
    folder = Path(arguments.output)
    _manifest.check_folder(folder)
    run = _Batch(arguments, choice, config, items, folder)
    run.recall(warnings)
    code = ExitCode.OK
    try:
        run.speak()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except TerminatedError:
        code = ExitCode.TERMINATED
    with interrupts_deferred():
        return run.conclude(code)


def config_of(arguments: argparse.Namespace) -> StreamingConfig:
    """Return the streaming configuration that the arguments ask for."""
    if not 0 <= arguments.workers <= MAX_WORKERS:
        raise UsageError(f"--workers {arguments.workers}: expected 1 to {MAX_WORKERS}, or 0 for one after the other")
    return StreamingConfig(
        batch_size=arguments.workers, max_workers=max(1, arguments.workers), worker_timeout=arguments.timeout
    )


def defaults_of(arguments: argparse.Namespace) -> Defaults:
    """Return what the arguments say of every item."""
    voices: dict[str, str] = {}
    if arguments.voice:
        voices["narrator"] = arguments.voice
    for pair in arguments.character:
        name, separator, path = pair.partition("=")
        if not (name.strip() and separator and path):
            raise UsageError(f"--character {pair!r}: expected NAME=VOICE")
        voices[name.strip()] = path
    for path in voices.values():
        check_voice(path)
    return Defaults(
        voices,
        arguments.language,
        speech_parameters(arguments),
        arguments.seed,
        keep_sounds=arguments.family == "turbo",
    )


def utterance_of(item: Item, model: LoadedModel) -> Utterance:
    """Return what is to be spoken for `item`; reads the voices that are in files."""
    voices = {character: model.voice(path) for character, path in item.voices.items()}
    return Utterance(item.pieces, item.seed, voices, item.parameters)


class _Batch:
    """A batch under way; `records` always tells what is known by now."""

    def __init__(
        self,
        arguments: argparse.Namespace,
        choice: ModelChoice,
        config: StreamingConfig,
        items: list[Item],
        folder: Path,
    ) -> None:
        self.arguments = arguments
        self.choice = choice
        self.config = config
        self.items = items
        self.folder = folder
        self.warnings: list[str] = []
        self.kept = 0
        digest_of = functools.cache(file_digest)
        self.requests = {item.name: item.fingerprint(choice.speaks_as, arguments.format, digest_of) for item in items}
        self.records: dict[str, Record] = {item.name: self._record(item, "unfinished") for item in items}

    def recall(self, warnings: list[str]) -> None:
        """Take over what an earlier batch has finished, if that is wanted, and fail what cannot be spoken."""
        remove_partial_files(self.folder)
        known: dict[str, Record] = {}
        if self.arguments.resume:
            known, damaged = _manifest.read_records(self.folder)
            warnings = [*warnings, *damaged]
        else:
            _manifest.start_journal(self.folder)
        for warning in warnings:
            self._warn(warning)
        for item in self.items:
            before = known.get(item.name)
            if item.problem:
                self._fail(item, item.problem, "ScriptError")
            elif _manifest.is_whole(self.folder, before, self.records[item.name].request):
                assert before is not None
                # Where it stands in the input may have changed; what it holds has not.
                now = self.records[item.name]
                self.records[item.name] = replace(before, line=now.line, text=now.text)
                self.kept += 1

    def speak(self) -> None:
        """Load the model and speak what is unfinished; nothing is loaded if nothing is."""
        todo = [item for item in self.items if self.records[item.name].status == "unfinished"]
        if not todo:
            return
        model = load_model(self.choice)
        journal = Journal(self.folder)
        try:
            ready = [(item, utterance) for item in todo if (utterance := self._ready(item, model)) is not None]
            spoken = speak_utterances(
                [utterance for _, utterance in ready], adapter_of(model), self.config, device=self.choice.device
            )
            with contextlib.closing(spoken), progress_bar(len(ready)) as bar:
                for result in spoken:
                    with interrupts_deferred():
                        self._settle(ready[result.index][0], result, journal)
                    bar.update()
        finally:
            journal.close()
            model.close()

    def conclude(self, code: ExitCode) -> ExitCode:
        """Write the manifest, and the track of subtitles; tell how it went."""
        listed = [self.records[item.name] for item in self.items]
        complete = all(record.status == "succeeded" for record in listed)
        if code is ExitCode.OK:
            code = ExitCode.OK if complete else ExitCode.SOME_FAILED
            if any(item.slot for item in self.items):
                try:
                    self._write_track(complete=complete)
                except (OSError, RuntimeError, MemoryError) as error:  # the manifest is still to be written
                    self._warn(f"{_TRACK} cannot be written: {str(error) or type(error).__name__}")
                    code = ExitCode.SOME_FAILED
        about = {
            "input": str(self.arguments.input),
            "model": self.choice.speaks_as,
            "synthetic": self.choice.is_synthetic,
            "seed": self.arguments.seed,
            "interrupted": code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED),
            "warnings": self.warnings,
        }
        path = _manifest.write_manifest(self.folder, about, listed)
        told = ", ".join(f"{number} {status}" for status, number in _manifest.count(listed).items())
        say(f"{told}; {self.kept} kept from before; {path}")
        return code

    def _ready(self, item: Item, model: LoadedModel) -> Utterance | None:
        try:
            return utterance_of(item, model)
        except Exception as error:  # noqa: BLE001 - the item's, and no other's
            self._fail(item, f"line {item.line}: {error}", type(error).__name__)
            return None

    def _settle(self, item: Item, result: SpokenUtterance, journal: Journal) -> None:
        if result.audio is None:
            self._fail(item, f"line {item.line}: {result.error}", type(result.error).__name__)
        else:
            content = wav_bytes(result.audio, result.sample_rate, self.arguments.format)
            try:
                self._write(item.name, content)
            except OSError as error:
                self._fail(item, f"line {item.line}: {item.name} cannot be written: {error}", "OSError")
            else:
                self.records[item.name] = self._record(
                    item,
                    "succeeded",
                    sha256=hashlib.sha256(content).hexdigest(),
                    seconds=result.audio.shape[1] / result.sample_rate,
                )
        try:
            journal.add(self.records[item.name])
        except OSError as error:  # the manifest, at the end, may still be written
            self._warn(f"the journal cannot be written: {error}")

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):  # by way of a link
            raise OSError(f"{name!r} leads out of the output folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)

    def _write_track(self, *, complete: bool) -> None:
        if not complete:
            self._warn(f"{_TRACK} is not written, as subtitles are missing from it; once they are mended, use --resume")
            (self.folder / _TRACK).unlink(missing_ok=True)
            return
        timed = []
        rate = 0
        for item in self.items:
            samples, rate = soundfile.read(str(self.folder / item.name), dtype="float32")
            start, end = item.slot or (0.0, 0.0)
            audio = torch.from_numpy(samples).unsqueeze(0)
            timed.append(TimedAudio(audio, start, end, f"line {item.line}: {item.name}"))
        track, report = place(timed, rate, self.arguments.timing)
        for line in report:
            self._warn(line)
        write_atomically(self.folder / _TRACK, wav_bytes(track, rate, self.arguments.format))

    def _fail(self, item: Item, problem: str, kind: str) -> None:
        line = " ".join(problem.split())
        self.records[item.name] = self._record(item, "failed", error=line, error_type=kind)
        tell(line)

    def _warn(self, warning: str) -> None:
        self.warnings.append(warning)
        tell(f"warning: {warning}")

    def _record(self, item: Item, status: str, **more: Any) -> Record:  # noqa: ANN401 - fields of Record
        return Record(item.name, item.line, item.text[:_SHOWN], status, request=self.requests[item.name], **more)
