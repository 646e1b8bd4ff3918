"""Reading text as people's editors write it."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

from ._tags import ScriptError

if TYPE_CHECKING:
    import os

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def read_text_file(path: str | os.PathLike[str]) -> str:
    """Return the text of a file in UTF-8, or UTF-16 with a byte order mark, with every kind of line end as a line feed.

    Raises:
        ScriptError: the file cannot be read, or is no such text.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ScriptError(f"{str(path)!r} cannot be read: {error.strerror}") from error
    encoding = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ScriptError(
            f"{str(path)!r} is not {encoding} at byte {error.start}; expected UTF-8, or UTF-16 with a byte order mark"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")
