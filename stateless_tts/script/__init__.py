"""From what people write, plain text, tags and subtitles, to pieces that can be spoken one by one."""

from __future__ import annotations

from ._sentences import split_text
from ._subtitles import Subtitle, SubtitleFile, read_subtitles
from ._tags import Pause, Script, ScriptError, Speech, read_script
from ._text_file import read_text_file

__all__ = [
    "Pause",
    "Script",
    "ScriptError",
    "Speech",
    "Subtitle",
    "SubtitleFile",
    "read_script",
    "read_subtitles",
    "read_text_file",
    "split_text",
]
