"""How prompts are read: each on its own, and what many of them begin with only once.

A prompt begins with what its voice alone decides, and no position sees a later one. The keys and values of the voice
are therefore read apart, once for all rows, and kept for the next prompt that begins with the same. They are computed
in the same way whether or not they are kept, so a prompt's bits depend on the prompt alone. They are not those of a
prompt that is read in one go, as stock reads it: where the engine has promised stock's bits, nothing is read apart.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ._kv_cache import KeyValueCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.speech_tokens import Prompt

    Layers = Sequence[tuple[torch.Tensor, torch.Tensor]]
    # Given embeddings of shape (rows, positions, width), and keys and values before them for each layer, or none,
    # returns all keys and values, and what the backbone says of the last positions, of shape (rows, ..., width).
    Read = Callable[[torch.Tensor, Layers], tuple[Layers, torch.Tensor]]


class Beginnings:
    """Keys and values of voices, read when they are first asked for; the one unused for longest goes first.

    One thread asks.

    Args:
        most_bytes: of keys and values kept; a voice that takes more is read for every prompt.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[bytes, Layers] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory of what is kept, in bytes."""
        return sum(map(_bytes_of, self._kept.values()))

    def of(self, read: Read, voice: torch.Tensor) -> Layers:
        """Return keys and values of `voice`, embeddings of shape (1, positions, width): of one row, for each layer."""
        key = hashlib.sha256(voice.contiguous().view(torch.uint8).cpu().numpy().data).digest()
        layers = self._kept.pop(key, None) or read(voice, [])[0]
        self._kept[key] = layers
        while self.nbytes > self._most_bytes:
            self._kept.popitem(last=False)
        return layers


@torch.inference_mode()
def read_prompt(
    t3: T3, prompt: Prompt, beginnings: Beginnings | None = None, read: Read | None = None
) -> tuple[KeyValueCache, torch.Tensor]:
    """Read a prompt on its own; returns its cache and the logits of shape (rows, vocabulary).

    Args:
        t3: reads.
        prompt: is read.
        beginnings: where its voice is read, or was; without them it is read in one go, as stock reads it.
        read: reads with kernels of the engine's own; None reads with torch's operations.
    """
    read = read or partial(_by_torch, t3)
    embeddings = prompt.embeddings
    past: Layers = []
    if beginnings is not None:
        voice, embeddings = embeddings.tensor_split([prompt.voice_end], dim=1)
        rows = embeddings.size(0)
        begun = beginnings.of(read, voice[:1])
        past = [(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1)) for keys, values in begun]
    layers, hidden = read(embeddings, past)
    # As many positions go through the head as upstream's do: a product of another shape may round differently.
    logits = t3.speech_head(hidden[:, -1:] if t3.is_gpt or beginnings is not None else hidden)[:, -1, :].clone()
    return KeyValueCache(layers), logits


def _by_torch(t3: T3, embeddings: torch.Tensor, past: Layers) -> tuple[Layers, torch.Tensor]:
    cache = DynamicCache(config=t3.cfg)
    for layer, keys_values in enumerate(past):
        cache.update(*keys_values, layer)
    hidden = t3.tfmr(inputs_embeds=embeddings, past_key_values=cache, use_cache=True).last_hidden_state
    return [(layer.keys, layer.values) for layer in cache.layers], hidden


def _bytes_of(layers: Layers) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
