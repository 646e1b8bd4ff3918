"""From an input file to items, each of which becomes one audio file, or fails by itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from stateless_tts.errors import StatelessTTSError
from stateless_tts.request import EnglishDefault, SpeechRequest
from stateless_tts.script import ScriptError, Speech, read_script, read_subtitles, read_text_file, split_text
from stateless_tts.streaming import segment_seed

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from stateless_tts.script import Pause

_SHOWN = 80


@dataclass(frozen=True)
class Defaults:
    """What holds for every item that says nothing else.

    Attributes:
        voices: path by character; ``"narrator"`` is who speaks if nobody is named.
        language: code.
        parameters: of speech, without the seed.
        seed: what items' seeds are derived from.
        keep_sounds: whether the model has tags of its own, such as ``[laugh]``.
    """

    voices: Mapping[str, str]
    language: str
    parameters: Mapping[str, Any]
    seed: int
    keep_sounds: bool = False


@dataclass(frozen=True)
class Item:
    """One audio file to be.

    Attributes:
        name: its path below the output folder, with the suffix ``.wav``.
        line: in the input.
        text: as it was given, for the manifest.
        pieces: what to speak; empty if `problem` says why not.
        seed: of the first piece.
        voices: path by character.
        parameters: of speech, without the seed.
        slot: start and end in seconds, for subtitles.
        warnings: one line each.
        problem: why it cannot be spoken.
    """

    name: str
    line: int
    text: str
    pieces: tuple[Speech | Pause, ...] = ()
    seed: int = 0
    voices: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    slot: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()
    problem: str = ""

    def fingerprint(self, model: str, sample_format: str, digest_of: Callable[[str], str]) -> str:
        """Return a digest of all that decides what the file holds; `digest_of` digests the files of voices."""
        request = {
            "pieces": [repr(piece) for piece in self.pieces],
            "seed": self.seed,
            "voices": {character: digest_of(path) for character, path in sorted(self.voices.items())},
            # What nobody asked for is up to the family, and another thing than the same number asked for.
            "parameters": {
                name: None if isinstance(value, EnglishDefault) else value for name, value in self.parameters.items()
            },
            "model": model,
            "format": sample_format,
        }
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def read_items(path: str, defaults: Defaults) -> tuple[list[Item], list[str]]:
    """Read the input file.

    Returns:
        Items, those that cannot be spoken included; and warnings.

    Raises:
        UsageError: the file is of no known kind, or holds nothing.
        ScriptError: it cannot be read.
    """
    readers = {".txt": _read_lines, ".srt": _read_srt, ".jsonl": _read_jsonl}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise UsageError(f"{path!r}: expected a file that ends in {', '.join(readers)}")
    text = read_text_file(path)
    warnings: list[str] = []
    items = _without_doubles(reader(text, defaults, Path(path).parent, warnings))
    if not items:
        raise UsageError(f"{path!r} holds nothing to say")
    for item in items:
        warnings.extend(f"line {item.line}: {warning}" for warning in item.warnings)
    return items, warnings


def _read_lines(text: str, defaults: Defaults, _folder: Path, _warnings: list[str]) -> Iterator[Item]:
    count = 0
    for line, content in enumerate(text.split("\n"), 1):
        if split_text(content):
            count += 1
            yield make_item(f"{count:04}.wav", line, content, defaults, segment_seed(defaults.seed, count - 1))


def _read_srt(text: str, defaults: Defaults, _folder: Path, warnings: list[str]) -> Iterator[Item]:
    read = read_subtitles(text)
    warnings.extend(read.warnings)
    for place, problem in enumerate(read.problems, 1):
        yield Item(f"unreadable-{place:04}.wav", 0, "", problem=problem)
    for place, subtitle in enumerate(read.subtitles):
        name = f"{place + 1:04}.wav"
        slot = (subtitle.start, subtitle.end)
        if subtitle.problem:
            yield Item(name, subtitle.line, subtitle.text, slot=slot, problem=subtitle.problem)
        else:
            seed = segment_seed(defaults.seed, place)
            yield make_item(name, subtitle.line, subtitle.text, defaults, seed, slot=slot)


def _read_jsonl(text: str, defaults: Defaults, folder: Path, _warnings: list[str]) -> Iterator[Item]:
    for line, content in enumerate(text.split("\n"), 1):
        if content.strip():
            try:
                yield _json_item(line, content, defaults, folder)
            except (StatelessTTSError, ValueError, ArithmeticError, RecursionError) as error:
                told = f"{error.msg} at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
                yield Item(f"{line:04}.wav", line, content[:_SHOWN], problem=f"line {line}: {told}")


def _json_item(line: int, content: str, defaults: Defaults, folder: Path) -> Item:
    given = json.loads(content)
    if not isinstance(given, dict):
        raise ScriptError(f"expected a JSON object with a text, got {content[:_SHOWN]!r}")
    unknown = sorted(set(given) - {"text", "name", "voice", "character", "language", "seed", *defaults.parameters})
    if unknown:
        raise ScriptError(
            f"{', '.join(map(repr, unknown))}: unknown; expected text, name, voice, character, language, "
            f"seed, {', '.join(defaults.parameters)}"
        )
    for key in ("text", "name", "voice", "character", "language"):
        if key in given and not isinstance(given[key], str):
            raise ScriptError(f"{key}={given[key]!r}: expected a string")
    if "text" not in given:
        raise ScriptError(f"{content[:_SHOWN]!r} has no text")
    character = given.get("character") or "narrator"
    voices = dict(defaults.voices)
    if given.get("voice"):
        voices[character] = _voice_path(folder, given["voice"])
    parameters = {**defaults.parameters, **{key: given[key] for key in defaults.parameters if key in given}}
    seed = given.get("seed")
    seed = segment_seed(defaults.seed, line - 1) if seed is None else seed
    own = dataclasses.replace(
        defaults, voices=voices, language=given.get("language") or defaults.language, parameters=parameters
    )
    name = _safe_name(given["name"]) if "name" in given else f"{line:04}.wav"
    return make_item(name, line, given["text"], own, seed, character=character)


def make_item(
    name: str,
    line: int,
    text: str,
    defaults: Defaults,
    seed: int,
    *,
    character: str = "narrator",
    slot: tuple[float, float] | None = None,
) -> Item:
    """Return the item for `text`; one whose problem says why, if it cannot be spoken."""
    warnings: tuple[str, ...] = ()
    if character != "narrator":
        named = {name.casefold(): name for name in defaults.voices}
        if character.casefold() not in named:
            warnings = (f"no voice is given for {character!r}; the default voice is used",)
        character = named.get(character.casefold(), "narrator")
    try:
        # The parameters alone: what of the text cannot be spoken, such as half a surrogate pair, is dropped below.
        SpeechRequest(text="", seed=seed, **defaults.parameters)
        script = read_script(
            text,
            characters=list(defaults.voices),
            character=character,
            language=defaults.language,
            keep_sounds=defaults.keep_sounds,
        )
    except StatelessTTSError as error:
        return Item(name, line, text, slot=slot, problem=f"line {line}: {error}")
    speakers = {piece.character for piece in script.pieces if isinstance(piece, Speech)}
    return Item(
        name=name,
        line=line,
        text=text,
        pieces=script.pieces,
        seed=seed,
        voices={name: path for name, path in defaults.voices.items() if name in speakers},
        parameters=defaults.parameters,
        slot=slot,
        warnings=(*warnings, *script.warnings),
    )


def _voice_path(folder: Path, name: str) -> str:
    """Return the path of a voice; one that is absent is told of when it is read, as others may be by then."""
    path = folder / name
    try:
        kind = path.stat().st_mode
    except OSError:
        return str(path)
    except ValueError as error:  # no path at all: a null character, or half a surrogate pair
        raise ScriptError(f"voice={name!r}: expected the path of a file") from error
    if not stat.S_ISREG(kind):  # a device or a pipe may never end
        raise ScriptError(f"voice={name!r} is not a file; expected the path of one")
    return str(path)


def _safe_name(name: str) -> str:
    """Return `name` with the suffix ``.wav``, if it stays below the folder it is put into."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = path.parts
    bad = not parts or path.is_absolute() or any(":" in part or part.startswith(".") for part in parts)
    if bad or not name.isprintable() or any(len(part.encode()) > 200 for part in parts):  # noqa: PLR2004 - most file systems take 255
        raise ScriptError(f"name={name!r}: expected a path below the output folder")
    return str(path) if path.suffix.lower() == ".wav" else f"{path}.wav"


def _without_doubles(items: Iterator[Item]) -> list[Item]:
    """Let the first of several items with one name have it; the others fail."""
    taken: dict[str, int] = {}
    kept = []
    for place, item in enumerate(items, 1):
        key = item.name.casefold()
        if key in taken:
            problem = f"line {item.line}: name={item.name!r} is that of line {taken[key]} already"
            kept.append(Item(f"{item.name}#{place}", item.line, item.text, problem=problem))
        else:
            taken[key] = item.line
            kept.append(item)
    return kept
