from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts.script import ScriptError, read_text_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_reads_what_editors_write(tmp_path: Path, encoding: str, line_end: str) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(line_end.join(["Grüße", "zwei"]).encode(encoding))
    assert read_text_file(file) == "Grüße\nzwei"


def test_says_where_it_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_bytes(b"Gr\xfc\xdfe")
    with pytest.raises(ScriptError, match="is not utf-8 at byte 2; expected UTF-8"):
        read_text_file(file)
    with pytest.raises(ScriptError, match="cannot be read: Is a directory"):
        read_text_file(tmp_path)
    with pytest.raises(ScriptError, match="cannot be read: No such file"):
        read_text_file(tmp_path / "absent")
