"""Input files with something bad in them, beside something good."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class FileCase:
    """An input file, and what becomes of its items.

    Attributes:
        name: of the case.
        suffix: of the file.
        content: of the file.
        succeeded: items that are spoken.
        told: part of a line for each that is not.
        warned: part of a line for each warning that has to be among those given.
    """

    name: str
    suffix: str
    content: bytes
    succeeded: int
    told: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        return 1 if self.told else 0


def _srt(name: str, text: str, succeeded: int, told: tuple[str, ...] = (), warned: tuple[str, ...] = ()) -> FileCase:
    return FileCase(f"srt: {name}", ".srt", text.encode(), succeeded, told, warned)


def _json(name: str, line: str, told: str = "") -> FileCase:
    content = f'{line}\n{{"text": "Good."}}\n'.encode()
    return FileCase(f"jsonl: {name}", ".jsonl", content, 1 if told else 2, (told,) if told else ())


def _text(name: str, text: str, told: str = "") -> FileCase:
    return _json(f"text: {name}", json.dumps({"text": text}), told)


def _path(name: str, told: str = "") -> FileCase:
    return _json(f"name: {name!r}", json.dumps({"text": "Hi.", "name": name}), told)


_GOOD = "7\n00:00:08,000 --> 00:00:09,000\nGood.\n"
_OUT = "expected a path below the output folder"
_NO_TRACK = "timeline.wav is not written"
SUBTITLES = (
    _srt("overlapping", "1\n00:00:07,000 --> 00:00:08,500\nHi.\n\n" + _GOOD, 2, (), ("before subtitle 1",)),
    _srt("negative", "1\n-00:00:01,000 --> 00:00:02,000\nHi.\n\n" + _GOOD, 1, ("cannot be read",), (_NO_TRACK,)),
    _srt("no end", "1\n00:00:01,000 -->\nHi.\n\n" + _GOOD, 1, ("cannot be read",), (_NO_TRACK,)),
    _srt(
        "no times after a good one", _GOOD + "\n8\nHi.\n", 1, ("line 5: subtitle 8 has no time stamps",), (_NO_TRACK,)
    ),
    _srt("a number in the text", _GOOD + "\n42\nis the answer.\n", 1),
    _srt("no times", "Hi there,\nyou.\n\n" + _GOOD, 1, ("no subtitle can be read from",), (_NO_TRACK,)),
    _srt("ends before it starts", "1\n00:00:02,000 --> 00:00:01,000\nHi.\n\n" + _GOOD, 1, ("not after",), (_NO_TRACK,)),
    _srt("lasts no time", "1\n00:00:02,000 --> 00:00:02,000\nHi.\n\n" + _GOOD, 1, ("not after",), (_NO_TRACK,)),
    _srt("no text", "1\n00:00:02,000 --> 00:00:03,000\n\n\n" + _GOOD, 1, ("has no text",), (_NO_TRACK,)),
    _srt("huge time", "1\n99:00:00,000 --> 99:00:01,000\nHi.\n\n" + _GOOD, 1, ("beyond 24 h",), (_NO_TRACK,)),
    _srt("out of order", _GOOD + "\n1\n00:00:01,000 --> 00:00:02,000\nHi.\n", 2, (), ("not in the order",)),
    _srt("same number twice", _GOOD + "\n7\n00:00:10,000 --> 00:00:11,000\nHi.\n", 2),
    _srt("same twice", _GOOD + "\n" + _GOOD, 2, (), ("before subtitle 7",)),
    _srt("no numbers", _GOOD.partition("\n")[2], 1),
    _srt("points for commas", _GOOD.replace(",", "."), 1),
    _srt("byte order mark", "\ufeff" + _GOOD, 1),
    _srt("CRLF", _GOOD.replace("\n", "\r\n"), 1),
    FileCase("srt: UTF-16", ".srt", _GOOD.encode("utf-16"), 1),
    _srt("only tags", "1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n\n" + _GOOD, 1, ("has no text",), (_NO_TRACK,)),
)
JSON_LINES = (
    _json("no JSON", "{text: Hi}", "Expecting property name"),
    _json("cut off", '{"text": "Hi', "Unterminated string"),
    _json("a list", '["Hi."]', "expected a JSON object"),
    _json("null", "null", "expected a JSON object"),
    _json("no text", "{}", "has no text"),
    _json("text is a number", '{"text": 1}', "text=1: expected a string"),
    _json("text is null", '{"text": null}', "text=None: expected a string"),
    _json("unknown key", '{"text": "Hi.", "colour": "red"}', "'colour': unknown"),
    _json("seed is text", '{"text": "Hi.", "seed": "1"}', "seed='1': expected an integer"),
    _json("seed is true", '{"text": "Hi.", "seed": true}', "seed=True: expected an integer"),
    _json("seed too large", '{"text": "Hi.", "seed": 18446744073709551616}', "seed=18446744073709551616: expected"),
    _json("NaN", '{"text": "Hi.", "temperature": NaN}', "temperature=nan: expected"),
    _json("temperature 0", '{"text": "Hi.", "temperature": 0}', "temperature=0: expected"),
    _json("number too large", '{"text": "Hi.", "temperature": 1e999}', "temperature=inf: expected"),
    _json("nested without end", '{"text": ' + "[" * 50_000, "recursion"),
    _json("voice is a number", '{"text": "Hi.", "voice": 3}', "voice=3: expected a string"),
    _json("voice is a folder", '{"text": "Hi.", "voice": "."}', "is not a file"),
    _json("character unknown", '{"text": "Hi.", "character": "Ann", "name": "x"}'),
    _json("name of another line", '{"text": "Hi.", "name": "0002"}', "is that of line 1 already"),
    _json("blank lines", '\n \n{"text": "Hi."}\n\n'),
    _json("byte order mark", '\ufeff{"text": "Hi."}'),
    _json("CRLF", '{"text": "Hi."}\r'),
)
TEXTS = (
    _text("empty", "", "there is nothing to say"),
    _text("white space", " \t\u00a0 ", "there is nothing to say"),
    _text("only tags", "[Ann][pause:1s]", "there is nothing to say"),
    _text("only control characters", "\x00\x07\x1b", "there is nothing to say"),
    _text("pause that is none", "[pause:soon] Hi.", "[pause:soon]"),
    _text("pause without end", "[pause:99999] Hi.", "[pause:99999]"),
    _text("20,000 characters", "Hi there. " * 2_000),
    _text("20,000 characters without a space", "x" * 20_000),
    _text("emoji", "\U0001f469\u200d\U0001f680 \U0001f1eb\U0001f1f7"),
    _text("right to left", "\u200f\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627"),
    _text("control characters", "a\x00b\x07\x1b[31mc"),
    _text("lone surrogate", "a\ud800b"),
    _text("combining characters", "Z" + "\u0301" * 500),
    _text("digits and signs", "3.14 + \u221e = ???"),
    _text("unbalanced brackets", "[[Hi]] ] ["),
)
PATHS = (
    _path("../evil", _OUT),
    _path("/evil", _OUT),
    _path("a/../../evil", _OUT),
    _path("..\\evil", _OUT),
    _path("C:evil", _OUT),
    _path("", _OUT),
    _path(".", _OUT),
    _path(".hidden", _OUT),
    _path("a\nb", _OUT),
    _path("a\0b", _OUT),
    _path("\ud800", _OUT),
    _path("x" * 201, _OUT),
    _path("sub/folder/a"),
    _path("sub//a"),
    _path("a.wav"),
    _path("a.WAV"),
    _path("a b \u00e9 \U0001f600"),
    _path("manifest.json"),
    _path("nul"),
    _path("in the way", "cannot be written"),
    _path("a file/b", "cannot be written"),
)
FILES = (*SUBTITLES, *JSON_LINES, *TEXTS, *PATHS)
