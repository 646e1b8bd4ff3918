"""What a revision's process starts with: `python bootstrap.py TREE HARNESS_ROOT`.

Run as a file, so that nothing is imported before the path is right: `stateless_tts` has to come from TREE and from
nowhere else, an installed copy included, and the harness from HARNESS_ROOT, whatever TREE holds.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(tree: Path, harness_root: Path) -> int:
    """Import the revision, check where it came from, and serve until standard input ends."""
    # Answers go where standard output was; whatever libraries print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[0] = str(tree)
    try:
        import stateless_tts  # noqa: PLC0415 - only now is the path right

        found = Path(str(stateless_tts.__file__)).resolve()
        if not found.is_relative_to(tree.resolve()):
            raise ImportError(f"stateless_tts was imported from {found}, not from the revision's tree")  # noqa: TRY301 - reported like any other failed import
        sys.path[0] = str(harness_root)
        from harness.run.gate.worker import serve  # noqa: PLC0415 - after stateless_tts
    except Exception as error:  # noqa: BLE001 - whatever a revision raises is the answer
        answers.write(json.dumps({"error": "import", "message": f"{type(error).__name__}: {error}"}) + "\n")
        answers.flush()
        return 1
    return serve(sys.stdin, answers)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
