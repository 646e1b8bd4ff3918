"""Real tokenizer files, in the formats and with the special tokens that upstream reads: one token per character."""

from __future__ import annotations

import json
import string
import unicodedata
from typing import TYPE_CHECKING

from chatterbox.models.tokenizers.tokenizer import ChineseCangjieConverter, MTLTokenizer
from chatterbox.mtl_tts import SUPPORTED_LANGUAGES
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

# The ids that `chatterbox.models.t3.modules.t3_config.T3Config` fixes.
_STOP_ID, _START_ID = 0, 255
_SPECIAL = {"[STOP]": _STOP_ID, "[UNK]": 1, "[SPACE]": 2, "[PAD]": 3, "[SEP]": 4, "[CLS]": 5, "[MASK]": 6}
_LATIN_1 = "".join(chr(code) for code in range(0xC0, 0x100))
_PRINTABLE = "".join(c for c in string.printable if not c.isspace())
_CHARACTERS = _PRINTABLE + _LATIN_1 + "¡¿£€°–—‘’“”…"  # noqa: RUF001

# What is left of the supported languages' scripts after upstream's normalisation (NFKD, lower case): combining marks,
# Greek, Cyrillic, Hebrew, Arabic, Devanagari, Jamo, Japanese punctuation and kana. 1,200 ids of 2,454.
_SCRIPTS = (
    (0x0300, 0x0370), (0x0370, 0x0400), (0x0400, 0x0460), (0x0591, 0x05F5), (0x0600, 0x0660),
    (0x0900, 0x0970), (0x1100, 0x1200), (0x3000, 0x3020), (0x3041, 0x30FF),
)  # fmt: skip
_CANGJIE_LETTERS = (*string.ascii_lowercase, *string.digits, ".")
# A few entries of the Cangjie table, so that Chinese takes the path that it takes upstream.
_CANGJIE = {"你": "onf", "好": "vnd", "世": "pt", "界": "wll", "我": "hqi", "们": "ols", "中": "l", "文": "yk"}

_END_OF_TEXT = "<|endoftext|>"
_PARALINGUISTIC = ("[chuckle]", "[cough]", "[laugh]", "[sigh]")


def write_tokenizer(path: Path) -> None:
    """Write a `tokenizer.json` for upstream's `EnTokenizer` to `path`."""
    _character_tokenizer(_CHARACTERS, ()).save(str(path))


def write_multilingual_tokenizer(path: Path) -> MTLTokenizer:
    """Write a tokenizer file for upstream's `MTLTokenizer` to `path` and return the tokenizer that reads it.

    Upstream's constructor downloads a table and a segmenter for Chinese. Nothing is downloaded here: the table holds a
    few characters, and there is no segmenter, as upstream has none where its package is not installed.
    """
    scripts = "".join(chr(c) for begin, end in _SCRIPTS for c in range(begin, end) if unicodedata.name(chr(c), ""))
    tags = [f"[{language}]" for language in SUPPORTED_LANGUAGES] + [f"[cj_{letter}]" for letter in _CANGJIE_LETTERS]
    _character_tokenizer(_PRINTABLE + scripts, tags).save(str(path))
    converter = object.__new__(ChineseCangjieConverter)
    converter.word2cj = dict(_CANGJIE)
    converter.cj2word = {code: [word] for word, code in _CANGJIE.items()}
    converter.segmenter = None
    tokenizer = object.__new__(MTLTokenizer)
    tokenizer.tokenizer = Tokenizer.from_file(str(path))
    tokenizer.cangjie_converter = converter
    tokenizer.check_vocabset_sot_eot()
    return tokenizer


def write_turbo_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Write GPT-2's tokenizer files, with single bytes for tokens, to `folder`; return it as upstream loads it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(_END_OF_TEXT, normalized=False)])
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in _PARALINGUISTIC])
    tokenizer.save(str(folder / "tokenizer.json"))
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": 1024,
        **dict.fromkeys(("bos_token", "eos_token", "unk_token"), _END_OF_TEXT),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    loaded.pad_token = loaded.eos_token
    return loaded


def _character_tokenizer(characters: str, tags: Iterable[str]) -> Tokenizer:
    vocabulary = dict(_SPECIAL)
    for token in (*characters, *tags):
        if token not in vocabulary:
            ahead = len(vocabulary)
            vocabulary[token] = ahead if ahead < _START_ID else ahead + 1
    vocabulary.update({f"[UNUSED {i}]": i for i in range(len(vocabulary), _START_ID)})
    vocabulary["[START]"] = _START_ID
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))  # noqa: S106 - not a secret
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in (*_SPECIAL, *tags, "[START]")])
    return tokenizer
