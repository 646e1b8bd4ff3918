from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MADE = """
import os
from harness.subjects.scratch import scratch_folder
folder = scratch_folder("toy")
if os.fork() == 0:
    raise SystemExit
os.wait()
print(folder, folder.is_dir())
"""


def test_a_folder_lasts_as_long_as_the_process_that_asked_for_it() -> None:
    said = subprocess.run([sys.executable, "-c", MADE], capture_output=True, text=True, check=True).stdout.split()
    assert said[1] == "True"
    assert not Path(said[0]).exists()
