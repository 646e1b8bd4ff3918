from __future__ import annotations

import pytest
from hypothesis import given, strategies

from stateless_tts.script import Subtitle, read_subtitles

PLAIN = """1
00:00:01,000 --> 00:00:02,500
Hello
<i>you</i>

2
00:00:03,000 --> 00:00:04,000
Bye.
"""


@pytest.mark.parametrize("text", [PLAIN, PLAIN.replace("\n", "\r\n"), "\ufeff" + PLAIN, PLAIN.rstrip(), "\n\n" + PLAIN])
def test_reads_what_players_read(text: str) -> None:
    read = read_subtitles(text)
    assert [(subtitle.start, subtitle.end, subtitle.text) for subtitle in read.subtitles] == [
        (1.0, 2.5, "Hello you"),
        (3.0, 4.0, "Bye."),
    ]
    assert (read.problems, read.warnings) == ((), ())


def test_lines_are_those_of_the_time_stamps() -> None:
    assert [subtitle.line for subtitle in read_subtitles(PLAIN).subtitles] == [2, 7]


@pytest.mark.parametrize(
    "stamps", ["-00:00:01,000 --> 00:00:02,000", "00:00:01,000 -->", "--> 00:00:02,000", "soon --> later", "1 --> 2"]
)
def test_bad_time_stamps_are_told_and_the_rest_is_read(stamps: str) -> None:
    read = read_subtitles(f"1\n00:00:00,500 --> 00:00:00,900\nFirst.\n\n2\n{stamps}\nLost.\n\n{PLAIN}")
    assert [subtitle.text for subtitle in read.subtitles] == ["First.", "Hello you", "Bye."]
    assert read.problems == (f"line 6: the time stamps {stamps!r} cannot be read",)
    assert [subtitle.line for subtitle in read.subtitles] == [2, 10, 15]


@pytest.mark.parametrize(
    "stamps",
    [
        "99999999999999:00:00,000 --> 99999999999999:00:01,000",
        "00:00:01,000 --> 24:00:00,001",
        f"00:00:01,000 --> {'9' * 5000}:00:00,001",
    ],
)
def test_time_stamps_beyond_a_day_are_told_and_the_rest_is_read(stamps: str) -> None:
    read = read_subtitles(f"2\n{stamps}\nLost.\n\n{PLAIN}")
    shown = stamps if len(stamps) <= 40 else stamps[:40] + "..."
    assert read.problems == (f"line 2: the time stamps {shown!r} are beyond 24 h",)
    assert [subtitle.text for subtitle in read.subtitles] == ["Hello you", "Bye."]


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_a_number_that_is_too_long_is_told_and_the_rest_is_read(between: str) -> None:
    read = read_subtitles(f"{'7' * 5000}{between}00:00:00,100 --> 00:00:00,200\nLost.\n\n{PLAIN}")
    assert len(read.problems) == 1
    assert "is too long" in read.problems[0]
    assert [subtitle.text for subtitle in read.subtitles] == ["Hello you", "Bye."]


def test_text_before_time_stamps_beyond_a_day_is_told_with_them() -> None:
    read = read_subtitles(f"notes\n99999999999999:00:00,000 --> 99999999999999:00:01,000\nLost.\n\n{PLAIN}")
    assert len(read.problems) == 1
    assert len(read.subtitles) == 2


def test_text_without_time_stamps_is_told() -> None:
    read = read_subtitles("Some notes\nof mine\n\n" + PLAIN)
    assert len(read.subtitles) == 2
    assert read.problems == ("line 1: no subtitle can be read from 'Some notes of mine'",)


def test_a_numbered_subtitle_without_time_stamps_is_told_and_a_number_in_the_text_is_spoken() -> None:
    stamps = "00:00:0{0},000 --> 00:00:0{0},900"
    second, fourth = f"2\n{stamps.format(2)}\nThe answer is", f"4\n{stamps.format(4)}\nFour."
    read = read_subtitles(f"1\nOne.\n\n{second}\n\n42\nof course.\n\n3\nThree.\n\n{fourth}")
    assert read.problems == ("line 1: subtitle 1 has no time stamps", "line 11: subtitle 3 has no time stamps")
    assert [subtitle.text for subtitle in read.subtitles] == ["The answer is 42 of course.", "Four."]


def test_what_cannot_be_spoken_is_a_problem_of_that_subtitle() -> None:
    read = read_subtitles("1\n00:00:02,000 --> 00:00:01,000\nBack.\n\n2\n00:00:03,000 --> 00:00:04,000\n\n\n" + PLAIN)
    problems = {subtitle.line: subtitle.problem for subtitle in read.subtitles}
    assert problems[2] == "line 2: subtitle 1 ends at 1.000 s, not after its start at 2.000 s"
    assert problems[6] == "line 6: subtitle 2 has no text"
    assert sum(not problem for problem in problems.values()) == 2


def test_overlaps_and_order_are_warned_of() -> None:
    late = "1\n00:00:05,000 --> 00:00:06,000\nLate.\n\n"
    long = "2\n00:00:00,000 --> 00:00:02,000\nLong.\n\n"
    read = read_subtitles(late + long + PLAIN)
    assert [subtitle.text for subtitle in read.subtitles] == ["Long.", "Hello you", "Bye.", "Late."]
    assert read.warnings == (
        "the subtitles are not in the order of their time stamps; they are taken in that order",
        "line 10: subtitle 1 starts at 1.000 s, before subtitle 2 (line 6) ends at 2.000 s",
    )


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_nothing_is_a_problem(text: str) -> None:
    assert read_subtitles(text).problems == ("there is no subtitle in it",)


@given(strategies.text(alphabet="0123456789:,->\n abc\r\ufeff[]<i>", max_size=200))
def test_any_text_is_read_or_told(text: str) -> None:
    read = read_subtitles(text)
    assert read.subtitles or read.problems
    assert all(isinstance(subtitle, Subtitle) for subtitle in read.subtitles)
