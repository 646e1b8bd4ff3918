"""A real tokenizer file: one token per character, in the format and with the special tokens upstream reads."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

from tokenizers import AddedToken, Tokenizer, models

if TYPE_CHECKING:
    from pathlib import Path

# The ids that `chatterbox.models.t3.modules.t3_config.T3Config` fixes.
_STOP_ID, _START_ID = 0, 255
_SPECIAL = {"[STOP]": _STOP_ID, "[UNK]": 1, "[SPACE]": 2, "[PAD]": 3, "[SEP]": 4, "[CLS]": 5, "[MASK]": 6}
_LATIN_1 = "".join(chr(code) for code in range(0xC0, 0x100))
_CHARACTERS = "".join(c for c in string.printable if not c.isspace()) + _LATIN_1 + "¡¿£€°–—‘’“”…"  # noqa: RUF001


def write_tokenizer(path: Path) -> None:
    """Write a `tokenizer.json` for upstream's `EnTokenizer` to `path`."""
    vocabulary = dict(_SPECIAL)
    vocabulary.update({character: len(vocabulary) + i for i, character in enumerate(_CHARACTERS)})
    vocabulary.update({f"[UNUSED {i}]": i for i in range(len(vocabulary), _START_ID)})
    vocabulary["[START]"] = _START_ID
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))  # noqa: S106 - not a secret
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (*_SPECIAL, "[START]")])
    tokenizer.save(str(path))
