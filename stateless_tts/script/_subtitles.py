"""Reading SubRip subtitles with the `srt` library, and saying what is wrong with them, by line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

import srt

_STAMPS = re.compile(rf"\s*{srt.RGX_TIMESTAMP} *-[ -] *> *{srt.RGX_TIMESTAMP}(?: .*)?\s*")
_NUMBER = re.compile(rf"\s*{srt.RGX_INDEX}\s*")
# Formatting that players show and nobody says: <i>, </font>, {\an8}.
_FORMATTING = re.compile(r"</?[a-zA-Z][^<>]*>|\{\\[^{}]*\}")
_SHOWN = 40
_STAMP = re.compile(srt.RGX_TIMESTAMP)
_LATEST = timedelta(hours=24)  # audio is put together up to the last time stamp: a typing error must not fill the disk
_LONGEST_NUMBER = 18  # digits


@dataclass(frozen=True)
class Subtitle:
    """One subtitle.

    Attributes:
        number: as written in the file; its place, counted from 1, if there is none.
        line: of its time stamps in the file, counted from 1.
        start: in seconds.
        end: in seconds.
        text: without formatting; lines are joined.
        problem: why it cannot be spoken; empty if it can.
    """

    number: int
    line: int
    start: float
    end: float
    text: str
    problem: str = ""


@dataclass(frozen=True)
class SubtitleFile:
    """What a file holds.

    Attributes:
        subtitles: by start, in the file's order where that is the same.
        problems: what of the file cannot be read, each with its line.
        warnings: what is unusual, each with its line: overlaps, order.
    """

    subtitles: tuple[Subtitle, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def read_subtitles(text: str) -> SubtitleFile:
    """Read subtitles from `text`; what cannot be read is told, with its line, and the rest is read."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problems = {**_blank_out_blocks_without_stamps(lines), **_blank_out_bad_stamps(lines)}
    parsed, blanked = _parse("\n".join(lines), problems)
    lines_of_stamps = _lines_of_stamps(blanked, len(parsed))
    subtitles = [_convert(subtitle, place, lines_of_stamps[place]) for place, subtitle in enumerate(parsed)]
    if not subtitles and not problems:
        problems[1] = "there is no subtitle in it"
    ordered = sorted(subtitles, key=lambda subtitle: subtitle.start)
    told = tuple(problem for _, problem in sorted(problems.items()))
    return SubtitleFile(tuple(ordered), told, tuple(_warnings(subtitles, ordered)))


def _blank_out_blocks_without_stamps(lines: list[str]) -> dict[int, str]:
    """Blank out, in `lines`, the blocks that begin with the next number and have no time stamps.

    The library would take them for more text of the subtitle before.

    Returns:
        What is wrong, by line.
    """
    problems: dict[int, str] = {}
    last = 0
    for begin, line in enumerate(lines):
        is_head = line.strip().isdecimal() and len(line.strip()) <= _LONGEST_NUMBER
        if not is_head or (begin and lines[begin - 1].strip()) or not "".join(lines[begin + 1 : begin + 2]).strip():
            continue
        if "-->" in lines[begin + 1]:
            last = int(line)
        elif int(line) == last + 1:
            last = int(line)
            problems[begin + 1] = f"line {begin + 1}: subtitle {last} has no time stamps"
            for number in range(begin, len(lines)):
                if not lines[number].strip():
                    break
                lines[number] = ""
    return problems


def _blank_out_bad_stamps(lines: list[str]) -> dict[int, str]:
    """Blank out, in `lines`, the blocks whose time stamps cannot be read; the library would take them for text.

    Returns:
        What is wrong, by line.
    """
    problems = {}
    begin = 0  # of the block
    for number, line in enumerate(lines):
        if not line.strip():
            begin = number + 1
        elif problem := _problem_of_stamps(lines, begin, number):
            problems[number + 1] = f"line {number + 1}: {problem}"
            begin = _head_begin(lines, begin, number)
            end = number
            while end < len(lines) and lines[end].strip():
                end += 1
            lines[begin:end] = [""] * (end - begin)
            begin = end
    return problems


def _problem_of_stamps(lines: list[str], begin: int, number: int) -> str:
    """Return why the time stamps in line `number`, of the block from `begin`, cannot be used; empty if they can."""
    line = lines[number]
    if not _STAMPS.fullmatch(line):
        return (
            f"the time stamps {_shortened(line)!r} cannot be read"
            if "-->" in line and _is_head(lines[begin:number])
            else ""
        )
    try:
        latest = max(srt.srt_timestamp_to_timedelta(stamp[0]) for stamp in list(_STAMP.finditer(line))[:2])
    except (OverflowError, ValueError):
        latest = timedelta.max
    if latest > _LATEST:
        return f"the time stamps {_shortened(line)!r} are beyond 24 h"
    index = next((lines[above] for above in range(number - 1, -1, -1) if lines[above].strip()), "")
    if len(index.strip()) > _LONGEST_NUMBER and _NUMBER.fullmatch(index):
        return f"the number {_shortened(index)!r} before the time stamps is too long"
    return ""


def _head_begin(lines: list[str], begin: int, number: int) -> int:
    """Return where the block begins, taking in a number that blank lines separate from its time stamps."""
    if begin == number:
        while begin and not lines[begin - 1].strip():
            begin -= 1
        if begin and _NUMBER.fullmatch(lines[begin - 1]):
            return begin - 1
        return number
    return begin


def _is_head(lines: list[str]) -> bool:
    """Whether `lines`, from the beginning of a block, are what may stand before its time stamps: a number at most."""
    return not lines or (len(lines) == 1 and _NUMBER.fullmatch(lines[0]) is not None)


def _parse(text: str, problems: dict[int, str]) -> tuple[list[srt.Subtitle], str]:
    """Parse strictly; what is in the way is noted and blanked out, keeping the line ends, until nothing is."""
    while True:
        try:
            return list(srt.parse(text)), text
        except srt.SRTParseError as error:
            begin, end = error.expected_start, error.actual_start
            unread = text[begin:end]
            if not unread.strip():  # nothing but white space is left: there is no subtitle
                return [], text
            line = text.count("\n", 0, begin + len(unread) - len(unread.lstrip())) + 1
            problems[line] = f"line {line}: no subtitle can be read from {_shortened(unread)!r}"
            text = text[:begin] + re.sub(r"[^\n]", " ", unread) + text[end:]


def _lines_of_stamps(text: str, count: int) -> list[int]:
    found = [number for number, line in enumerate(text.split("\n"), 1) if _STAMPS.fullmatch(line)]
    return found if len(found) == count else (found + [0] * count)[:count]


def _shortened(text: str) -> str:
    shown = " ".join(text.split())
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."


def _convert(subtitle: srt.Subtitle, place: int, line: int) -> Subtitle:
    number = place + 1 if subtitle.index is None else subtitle.index
    start, end = subtitle.start.total_seconds(), subtitle.end.total_seconds()
    text = " ".join(_FORMATTING.sub("", subtitle.content).split())
    problem = ""
    if end <= start:
        problem = f"line {line}: subtitle {number} ends at {end:.3f} s, not after its start at {start:.3f} s"
    elif not text:
        problem = f"line {line}: subtitle {number} has no text"
    return Subtitle(number, line, start, end, text, problem)


def _warnings(subtitles: list[Subtitle], ordered: list[Subtitle]) -> list[str]:
    warnings = []
    if ordered != subtitles:
        warnings.append("the subtitles are not in the order of their time stamps; they are taken in that order")
    latest: Subtitle | None = None
    for subtitle in ordered:
        if latest is not None and subtitle.start < latest.end:
            warnings.append(
                f"line {subtitle.line}: subtitle {subtitle.number} starts at {subtitle.start:.3f} s, "
                f"before subtitle {latest.number} (line {latest.line}) ends at {latest.end:.3f} s"
            )
        if latest is None or subtitle.end > latest.end:
            latest = subtitle
    return warnings
